//! A `$filter` as a provider's filter. `not` is pushed down to the operators, each of which has an
//! opposite; negative operators match null.

use odata::{ArgumentValue, CompareOp, Expr, Literal, Operand, OperandKind, Path, QueryFunction};
use proto::query::v1 as pb;
use proto::query::v1::{ConditionOperator as Operator, FilterOperator};

use super::condition::{Terms, negated};
use super::value::unquoted;
use crate::error::{GatewayError, NAMESPACE};
use crate::metadata::Column;

/// Conditions of one query at most.
const MAX_CONDITIONS: usize = 500;

enum Node {
    Condition(pb::ConditionExpression),
    Filter(pb::FilterExpression),
}

/// Translates a whole filter.
pub(crate) fn filter(expr: &Expr, terms: Terms<'_>) -> Result<pb::FilterExpression, GatewayError> {
    let mut translation = Translation { terms, conditions: 0 };
    Ok(match translation.expr(expr, false)? {
        Node::Filter(filter) => filter,
        Node::Condition(condition) => pb::FilterExpression {
            operator: FilterOperator::And.into(),
            conditions: vec![condition],
            filters: Vec::new(),
        },
    })
}

struct Translation<'a> {
    terms: Terms<'a>,
    conditions: usize,
}

impl<'a> Translation<'a> {
    fn expr(&mut self, expr: &Expr, not: bool) -> Result<Node, GatewayError> {
        match expr {
            Expr::And(items) => self.group(items, FilterOperator::And, not),
            Expr::Or(items) => self.group(items, FilterOperator::Or, not),
            Expr::Not(inner) => self.expr(inner, !not),
            Expr::Compare { op, left, right } => self.compare(*op, left, right, not),
            Expr::In { left, values } => {
                let column = self.column(left)?;
                let literals = values.iter().map(literal).collect::<Result<Vec<_>, _>>()?;
                let operator = toggled(Operator::In, not);
                self.list(column, operator, &literals)
            }
            Expr::Predicate(operand) => self.predicate(operand, not),
        }
    }

    /// Groups within a group of the same kind become part of it.
    fn group(
        &mut self,
        items: &[Expr],
        operator: FilterOperator,
        not: bool,
    ) -> Result<Node, GatewayError> {
        let operator = match (operator, not) {
            (FilterOperator::And, true) => FilterOperator::Or,
            (FilterOperator::Or, true) => FilterOperator::And,
            (operator, _) => operator,
        };
        let mut group = pb::FilterExpression { operator: operator.into(), ..Default::default() };
        for item in items {
            match self.expr(item, not)? {
                Node::Condition(it) => group.conditions.push(it),
                Node::Filter(it) if it.operator == group.operator || is_single(&it) => {
                    group.conditions.extend(it.conditions);
                    group.filters.extend(it.filters);
                }
                Node::Filter(it) => group.filters.push(it),
            }
        }
        Ok(Node::Filter(group))
    }

    fn compare(
        &mut self,
        op: CompareOp,
        left: &Operand,
        right: &Operand,
        not: bool,
    ) -> Result<Node, GatewayError> {
        use OperandKind as Kind;
        let operator = toggled(operator(op), not);
        match (&left.kind, &right.kind) {
            (Kind::Path(path), Kind::Literal(literal)) => {
                let column = self.path(path)?;
                self.leaf(|terms| terms.compare(column, operator, literal))
            }
            (Kind::Literal(literal), Kind::Path(path)) => {
                let column = self.path(path)?;
                let operator = toggled(self::operator(op.flipped()), not);
                self.leaf(|terms| terms.compare(column, operator, literal))
            }
            (Kind::Path(first), Kind::Path(second)) => {
                let (first, second) = (self.path(first)?, self.path(second)?);
                self.leaf(|terms| terms.columns(first, operator, second))
            }
            (predicate, Kind::Literal(Literal::Bool(flag)))
            | (Kind::Literal(Literal::Bool(flag)), predicate)
                if matches!(op, CompareOp::Eq | CompareOp::Ne)
                    && !matches!(predicate, Kind::Literal(_)) =>
            {
                let operand = if let Kind::Literal(_) = left.kind { right } else { left };
                let wanted = *flag == (op == CompareOp::Eq);
                self.predicate(operand, not == wanted)
            }
            (Kind::Literal(_), Kind::Literal(_)) => Err(GatewayError::InvalidFilter(
                "A comparison must name a column on one of its sides.".to_owned(),
            )),
            (kind @ (Kind::Call { .. } | Kind::Query(_) | Kind::Lambda { .. }), _)
            | (_, kind @ (Kind::Call { .. } | Kind::Query(_) | Kind::Lambda { .. })) => {
                Err(unsupported(kind))
            }
        }
    }

    fn predicate(&mut self, operand: &Operand, not: bool) -> Result<Node, GatewayError> {
        match &operand.kind {
            OperandKind::Literal(Literal::Bool(flag)) => {
                let truth = *flag != not;
                self.leaf(|terms| Ok(terms.constant(truth)))
            }
            OperandKind::Literal(_) => Err(GatewayError::InvalidFilter(
                "The $filter expression must evaluate to a single boolean value.".to_owned(),
            )),
            OperandKind::Path(path) => {
                let column = self.path(path)?;
                let operator = toggled(Operator::Equal, not);
                self.leaf(|terms| terms.compare(column, operator, &Literal::Bool(true)))
            }
            OperandKind::Call { function, arguments } => {
                let operator = match function.as_str() {
                    "contains" => Operator::Contains,
                    "startswith" => Operator::BeginsWith,
                    "endswith" => Operator::EndsWith,
                    _ => return Err(unsupported(&operand.kind)),
                };
                let [column, text] = arguments.as_slice() else {
                    return Err(GatewayError::InvalidFilter(format!(
                        "The function '{function}' takes two arguments."
                    )));
                };
                let (column, text) = (self.column(column)?, literal(text)?);
                let operator = toggled(operator, not);
                self.leaf(|terms| terms.text(column, operator, &text))
            }
            OperandKind::Query(function) => self.query_function(function, not),
            OperandKind::Lambda { .. } => Err(unsupported(&operand.kind)),
        }
    }

    fn query_function(
        &mut self,
        function: &QueryFunction,
        not: bool,
    ) -> Result<Node, GatewayError> {
        let name = function.name.strip_prefix(NAMESPACE).and_then(|it| it.strip_prefix('.'));
        let operator = match name {
            Some("In") => Operator::In,
            Some("NotIn") => Operator::NotIn,
            Some(_) => {
                return Err(GatewayError::NotOffered(format!("The function '{}'", function.name)));
            }
            None => {
                return Err(GatewayError::InvalidFilter(format!(
                    "An unknown function with name '{}' was found.",
                    function.name
                )));
            }
        };
        if not {
            return Err(GatewayError::NegatedFunction);
        }
        let property = match function.argument("PropertyName") {
            Some(ArgumentValue::Literal(Literal::String(name))) => name,
            _ => return Err(missing_argument(function, "PropertyName")),
        };
        let table = self.terms.table;
        let known = table.by_property(property).or_else(|| table.by_name(property));
        let column = match known {
            Some(column) => self.terms.column(&column.logical_name)?,
            None => return Err(GatewayError::unknown_column(table, property)),
        };
        let values = match function.argument("PropertyValues") {
            Some(ArgumentValue::List(values)) => values.as_slice(),
            Some(ArgumentValue::Literal(value)) => std::slice::from_ref(value),
            None => return Err(missing_argument(function, "PropertyValues")),
        };
        let values: Vec<_> = values.iter().map(|it| unquoted(column, it)).collect();
        self.list(column, operator, &values)
    }

    fn list(
        &mut self,
        column: &'a Column,
        operator: Operator,
        literals: &[Literal],
    ) -> Result<Node, GatewayError> {
        self.count()?;
        self.terms.list(column, operator, literals).map(Node::Filter)
    }

    fn leaf(
        &mut self,
        build: impl FnOnce(&Terms<'a>) -> Result<pb::ConditionExpression, GatewayError>,
    ) -> Result<Node, GatewayError> {
        self.count()?;
        build(&self.terms).map(Node::Condition)
    }

    fn count(&mut self) -> Result<(), GatewayError> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(GatewayError::TooManyConditions);
        }
        Ok(())
    }

    fn column(&self, operand: &Operand) -> Result<&'a Column, GatewayError> {
        match &operand.kind {
            OperandKind::Path(path) => self.path(path),
            OperandKind::Literal(_) => Err(GatewayError::InvalidFilter(
                "A column is expected where a constant was found.".to_owned(),
            )),
            kind => Err(unsupported(kind)),
        }
    }

    fn path(&self, path: &Path) -> Result<&'a Column, GatewayError> {
        match path.single() {
            Some(name) => self.terms.property(name),
            None => Err(GatewayError::NotOffered(format!(
                "Filtering by a column of a related table, '{path}',"
            ))),
        }
    }
}

/// Of one condition, so that how it is joined makes no difference.
fn is_single(filter: &pb::FilterExpression) -> bool {
    filter.conditions.len() == 1 && filter.filters.is_empty()
}

fn operator(op: CompareOp) -> Operator {
    match op {
        CompareOp::Eq => Operator::Equal,
        CompareOp::Ne => Operator::NotEqual,
        CompareOp::Gt => Operator::GreaterThan,
        CompareOp::Ge => Operator::GreaterEqual,
        CompareOp::Lt => Operator::LessThan,
        CompareOp::Le => Operator::LessEqual,
    }
}

fn toggled(operator: Operator, not: bool) -> Operator {
    if not { negated(operator) } else { operator }
}

fn literal(operand: &Operand) -> Result<Literal, GatewayError> {
    match &operand.kind {
        OperandKind::Literal(literal) => Ok(literal.clone()),
        OperandKind::Path(path) => Err(GatewayError::InvalidFilter(format!(
            "A constant is expected where '{path}' was found."
        ))),
        kind => Err(unsupported(kind)),
    }
}

fn missing_argument(function: &QueryFunction, name: &str) -> GatewayError {
    GatewayError::InvalidFilter(format!("The function '{}' needs a '{name}'.", function.name))
}

fn unsupported(kind: &OperandKind) -> GatewayError {
    match kind {
        OperandKind::Call { function, .. } => GatewayError::InvalidQuery(format!(
            "The function '{function}' is not supported in a filter."
        )),
        OperandKind::Query(function) => {
            GatewayError::NotOffered(format!("Comparing the result of '{}'", function.name))
        }
        OperandKind::Lambda { path, .. } => {
            GatewayError::NotOffered(format!("Filtering by related rows, '{path}',"))
        }
        OperandKind::Literal(_) | OperandKind::Path(_) => {
            GatewayError::InvalidFilter("This operand is not supported here.".to_owned())
        }
    }
}
