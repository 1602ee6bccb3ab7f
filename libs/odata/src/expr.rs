//! The tree of a `$filter`: what was said, with where it was said.

use crate::literal::Literal;

/// Bytes of the decoded option that a node was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

/// A boolean expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// At least two; any holds.
    Or(Vec<Expr>),
    /// At least two; all hold.
    And(Vec<Expr>),
    /// The opposite.
    Not(Box<Expr>),
    /// A comparison of two operands.
    Compare {
        /// How.
        op: CompareOp,
        /// What stands before the operator.
        left: Operand,
        /// What stands behind it.
        right: Operand,
    },
    /// `left in (values)`.
    In {
        /// What is looked for.
        left: Operand,
        /// At least one.
        values: Vec<Operand>,
    },
    /// `left has right`.
    Has {
        /// Values of an enumeration.
        left: Operand,
        /// One or more of its members.
        right: Operand,
    },
    /// Something that is true or false by itself.
    Predicate(Operand),
}

/// A value, or something that has one, and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    /// What it is.
    pub kind: OperandKind,
    /// Where it stands.
    pub span: Span,
}

/// What an operand may be.
#[derive(Clone, Debug, PartialEq)]
pub enum OperandKind {
    /// A constant.
    Literal(Literal),
    /// A property, perhaps of a related row.
    Path(Path),
    /// A canonical function, `contains(name,'x')`.
    Call {
        /// Without a namespace.
        function: String,
        /// In order.
        arguments: Vec<Operand>,
    },
    /// `Microsoft.Dynamics.CRM.In(PropertyName='a',PropertyValues=[..])`.
    Query(QueryFunction),
    /// `path/any(v:..)`.
    Lambda {
        /// The collection.
        path: Path,
        /// Any or all.
        quantifier: Quantifier,
        /// The variable and what must hold; absent for `any()`.
        predicate: Option<(String, Box<Expr>)>,
    },
}

/// Names joined by `/`. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(pub Vec<String>);

/// A function with a namespace and named arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryFunction {
    /// What it is called on, when it is called on something: `task/Namespace.In(..)`.
    pub on: Option<Path>,
    /// With its namespace.
    pub name: String,
    /// In the order they were written.
    pub arguments: Vec<Argument>,
}

/// `name=value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// `PropertyName`.
    pub name: String,
    /// What it is set to.
    pub value: ArgumentValue,
}

/// What an argument may be.
#[derive(Clone, Debug, PartialEq)]
pub enum ArgumentValue {
    /// One constant.
    Literal(Literal),
    /// `["a","b"]`.
    List(Vec<Literal>),
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `eq`.
    Eq,
    /// `ne`.
    Ne,
    /// `gt`.
    Gt,
    /// `ge`.
    Ge,
    /// `lt`.
    Lt,
    /// `le`.
    Le,
}

/// How many rows of a collection must satisfy a predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// At least one.
    Any,
    /// Every one.
    All,
}

impl Path {
    /// The name, when it is a property of the row itself.
    #[must_use]
    pub fn single(&self) -> Option<&str> {
        match self.0.as_slice() {
            [name] => Some(name),
            _ => None,
        }
    }
}

impl QueryFunction {
    /// The value of an argument.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&ArgumentValue> {
        self.arguments.iter().find(|it| it.name == name).map(|it| &it.value)
    }
}

impl CompareOp {
    /// As written in a URL.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    /// As OData's messages call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Eq => "Equal",
            Self::Ne => "NotEqual",
            Self::Gt => "GreaterThan",
            Self::Ge => "GreaterThanOrEqual",
            Self::Lt => "LessThan",
            Self::Le => "LessThanOrEqual",
        }
    }

    /// The operator that means the same with the operands exchanged.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Eq | Self::Ne => self,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
        }
    }

    pub(crate) fn from_keyword(word: &str) -> Option<Self> {
        let all = [Self::Eq, Self::Ne, Self::Gt, Self::Ge, Self::Lt, Self::Le];
        all.into_iter().find(|it| it.keyword() == word)
    }
}
