//! An expression, compiled, and what it is evaluated over.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Utc};
use rhai::{AST, Dynamic, Map, Scope};

use crate::CONTEXT;
use crate::check::{Names, names};
use crate::engine::ENGINE;
use crate::value::Value;

/// Characters of an expression.
const MAX_LENGTH: usize = 4096;

/// An expression over one row of an entity, ready to be evaluated any number of times.
pub struct Expression {
    text: String,
    ast: AST,
    names: Names,
}

/// A text that is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidExpression {
    /// What is wrong.
    pub reason: String,
    /// Where, if that is known.
    pub position: Option<Position>,
}

/// A place in an expression, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line of the expression's text.
    pub line: usize,
    /// Character of that line.
    pub column: usize,
}

/// An expression that gives no value for this row: a number overflows, kinds do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the expression `{expression}` cannot be evaluated: {reason}")]
pub struct EvaluationError {
    /// The expression's text.
    pub expression: String,
    /// Why.
    pub reason: String,
}

/// A row that is being written. A field that is not there is null.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The fields as they will be after the write.
    pub fields: HashMap<String, Value>,
    /// The fields as they are stored now; `None` when the row is being made.
    pub old: Option<HashMap<String, Value>>,
}

/// Who writes, and when.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The ERP's user.
    pub user: String,
    /// Code of the legal entity that the user works in; may be empty.
    pub company: String,
    /// The moment of the write.
    pub now: DateTime<Utc>,
}

// === impl Expression ===

impl Expression {
    /// Compiles an expression over the fields of these names.
    ///
    /// # Errors
    ///
    /// When the text is no expression, or names something that there is not.
    pub fn compile<S: AsRef<str>>(text: &str, fields: &[S]) -> Result<Self, InvalidExpression> {
        if text.trim().is_empty() {
            return Err(InvalidExpression { reason: "it is empty".to_owned(), position: None });
        }
        if text.chars().count() > MAX_LENGTH {
            let reason = format!("it is longer than {MAX_LENGTH} characters");
            return Err(InvalidExpression { reason, position: None });
        }
        let fields: Vec<&str> = fields.iter().map(AsRef::as_ref).collect();
        let ast = ENGINE
            .compile_expression(text)
            .map_err(|it| invalid(&it.err_type().to_string(), it.position()))?;
        let names = names(&ast, &fields)?;
        Ok(Self { text: text.to_owned(), ast, names })
    }

    /// The text that was compiled.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The fields that it names, of the row as it will be or as it is stored; some perhaps twice.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let variables = self.names.variables.iter().map(String::as_str);
        let fields = variables.filter(|it| !CONTEXT.contains(it));
        fields.chain(self.names.old.iter().map(String::as_str))
    }

    /// The value of the expression for a row.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn evaluate(&self, row: &Row, actor: &Actor) -> Result<Value, EvaluationError> {
        let mut scope = self.scope(row, actor);
        let result = ENGINE.eval_ast_with_scope::<Dynamic>(&mut scope, &self.ast);
        let value = result.map_err(|it| self.failed(it.to_string()))?;
        Value::from_dynamic(value).ok_or_else(|| self.failed("its result is no value".to_owned()))
    }

    /// Whether the row meets the condition that the expression is.
    ///
    /// # Errors
    ///
    /// When the expression has no value for the row, or one that is neither true nor false.
    pub fn holds(&self, row: &Row, actor: &Actor) -> Result<bool, EvaluationError> {
        match self.evaluate(row, actor)? {
            Value::Bool(it) => Ok(it),
            _ => Err(self.failed("its result is neither true nor false".to_owned())),
        }
    }

    /// Only what the expression names.
    fn scope(&self, row: &Row, actor: &Actor) -> Scope<'static> {
        let mut scope = Scope::new();
        for name in &self.names.variables {
            let value = match name.as_str() {
                "old" => row.old.as_ref().map_or(Dynamic::UNIT, |it| self.stored(it)),
                "user" => actor.user.clone().into(),
                "company" => actor.company.clone().into(),
                "today" => Value::date(actor.now.date_naive()).to_dynamic(),
                "now" => Value::moment(actor.now).to_dynamic(),
                field => row.fields.get(field).map_or(Dynamic::UNIT, Value::to_dynamic),
            };
            scope.push_constant_dynamic(name.as_str(), value);
        }
        scope
    }

    fn stored(&self, fields: &HashMap<String, Value>) -> Dynamic {
        let of = |name: &String| fields.get(name).map_or(Dynamic::UNIT, Value::to_dynamic);
        let map: Map = self.names.old.iter().map(|it| (it.as_str().into(), of(it))).collect();
        map.into()
    }

    fn failed(&self, reason: String) -> EvaluationError {
        EvaluationError { expression: self.text.clone(), reason }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

// === impl InvalidExpression ===

impl fmt::Display for InvalidExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(Position { line: 1, column }) => write!(f, "{} (character {column})", self.reason),
            Some(Position { line, column }) => {
                write!(f, "{} (line {line}, character {column})", self.reason)
            }
            None => f.write_str(&self.reason),
        }
    }
}

pub(crate) fn invalid(reason: &str, position: rhai::Position) -> InvalidExpression {
    let position = match (position.line(), position.position()) {
        (Some(line), Some(column)) => Some(Position { line, column }),
        _ => None,
    };
    InvalidExpression { reason: reason.to_owned(), position }
}
