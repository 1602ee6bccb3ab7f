//! `$filter` as conditions of the tree. `not` is pushed down to the operators, each of which has an
//! opposite; negative operators match null.

use odata::{
    ArgumentValue, CompareOp, Expr, Literal, Operand, OperandKind, Path, Quantifier, QueryFunction,
};
use proto::query::v1 as pb;
use proto::query::v1::{ConditionOperator as Operator, FilterOperator, JoinOperator};

use super::functions::{arguments, function, missing_argument, opposite};
use super::literal::{self, Fitted};
use super::scope::{Found, Scope};
use crate::error::{GatewayError, NAMESPACE};
use crate::translate::{incompatible, negated, unquoted};

enum Node {
    Condition(pb::ConditionExpression),
    Filter(pb::FilterExpression),
}

/// Whether the opposite is meant, and whether that is the client's `not` or ours.
#[derive(Clone, Copy)]
struct Sense {
    turned: bool,
    /// What `all` began with: it holds where no row has the opposite.
    from: bool,
}

/// Translates a whole filter; its paths add joins to the scope.
pub(super) fn filter(
    expr: &Expr,
    scope: &mut Scope<'_>,
) -> Result<pb::FilterExpression, GatewayError> {
    Translation { scope }.whole(expr, Sense { turned: false, from: false })
}

struct Translation<'s, 'a> {
    scope: &'s mut Scope<'a>,
}

impl Translation<'_, '_> {
    fn whole(&mut self, expr: &Expr, sense: Sense) -> Result<pb::FilterExpression, GatewayError> {
        Ok(match self.expr(expr, sense)? {
            Node::Filter(filter) => filter,
            Node::Condition(condition) => pb::FilterExpression {
                operator: FilterOperator::And.into(),
                conditions: vec![condition],
                ..Default::default()
            },
        })
    }

    fn expr(&mut self, expr: &Expr, sense: Sense) -> Result<Node, GatewayError> {
        match expr {
            Expr::And(items) => self.group(items, FilterOperator::And, sense),
            Expr::Or(items) => self.group(items, FilterOperator::Or, sense),
            Expr::Not(inner) => self.expr(inner, sense.flipped()),
            Expr::Compare { op, left, right } => self.compare(*op, left, right, sense),
            Expr::In { left, values } => {
                let found = self.operand(left)?;
                let literals = values.iter().map(constant).collect::<Result<Vec<_>, _>>()?;
                literal::list(&found, sense.of(Operator::In), &literals).map(Node::Condition)
            }
            Expr::Has { .. } => Err(GatewayError::InvalidQuery(
                "The operator 'has' is not supported in a filter.".to_owned(),
            )),
            Expr::Predicate(operand) => self.predicate(operand, sense),
        }
    }

    /// Groups within a group of the same kind become part of it.
    fn group(
        &mut self,
        items: &[Expr],
        operator: FilterOperator,
        sense: Sense,
    ) -> Result<Node, GatewayError> {
        let operator = match (operator, sense.turned) {
            (FilterOperator::And, true) => FilterOperator::Or,
            (FilterOperator::Or, true) => FilterOperator::And,
            (operator, _) => operator,
        };
        let mut group = pb::FilterExpression { operator: operator.into(), ..Default::default() };
        for item in items {
            match self.expr(item, sense)? {
                Node::Condition(it) => group.conditions.push(it),
                Node::Filter(it) if it.operator == group.operator || is_single(&it) => {
                    group.conditions.extend(it.conditions);
                    group.filters.extend(it.filters);
                    group.links.extend(it.links);
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
        sense: Sense,
    ) -> Result<Node, GatewayError> {
        use OperandKind as Kind;
        match (&left.kind, &right.kind) {
            (Kind::Path(path), Kind::Literal(literal)) => {
                let found = self.scope.find(path)?;
                self.compare_constant(&found, sense.of(operator(op)), literal)
            }
            (Kind::Literal(literal), Kind::Path(path)) => {
                let found = self.scope.find(path)?;
                self.compare_constant(&found, sense.of(operator(op.flipped())), literal)
            }
            (Kind::Path(first), Kind::Path(second)) => {
                let (first, second) = (self.scope.find(first)?, self.scope.find(second)?);
                compare_columns(&first, sense.of(operator(op)), &second).map(Node::Condition)
            }
            (predicate, Kind::Literal(Literal::Bool(flag)))
            | (Kind::Literal(Literal::Bool(flag)), predicate)
                if matches!(op, CompareOp::Eq | CompareOp::Ne)
                    && !matches!(predicate, Kind::Literal(_)) =>
            {
                let operand = if let Kind::Literal(_) = left.kind { right } else { left };
                let wanted = *flag == (op == CompareOp::Eq);
                self.predicate(operand, if wanted { sense } else { sense.flipped() })
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

    /// A moment finer than rows can hold is not equal to any, and lies behind the one before it.
    fn compare_constant(
        &self,
        found: &Found,
        operator: Operator,
        literal: &Literal,
    ) -> Result<Node, GatewayError> {
        Ok(Node::Condition(match literal::fitted(found, operator, literal)? {
            Fitted::Plain(value) => condition(found, operator, vec![value]),
            Fitted::Finer(value) => match operator {
                Operator::GreaterThan | Operator::GreaterEqual => {
                    condition(found, Operator::GreaterThan, vec![value])
                }
                Operator::LessThan | Operator::LessEqual => {
                    condition(found, Operator::LessEqual, vec![value])
                }
                _ => self.truth(operator == Operator::NotEqual),
            },
        }))
    }

    fn predicate(&mut self, operand: &Operand, sense: Sense) -> Result<Node, GatewayError> {
        match &operand.kind {
            OperandKind::Literal(Literal::Bool(flag)) => {
                Ok(Node::Condition(self.truth(*flag != sense.turned)))
            }
            OperandKind::Literal(_) => Err(GatewayError::InvalidFilter(
                "The $filter expression must evaluate to a single boolean value.".to_owned(),
            )),
            OperandKind::Path(path) => {
                let found = self.scope.find(path)?;
                let operator = sense.of(Operator::Equal);
                self.compare_constant(&found, operator, &Literal::Bool(true))
            }
            OperandKind::Call { function, arguments } => {
                self.text_function(&operand.kind, function, arguments, sense)
            }
            OperandKind::Query(function) => self.query_function(function, sense),
            OperandKind::Lambda { path, quantifier, predicate } => {
                let predicate = predicate.as_ref().map(|(name, it)| (name.as_str(), it.as_ref()));
                self.lambda(path, *quantifier, predicate, sense)
            }
        }
    }

    fn text_function(
        &mut self,
        kind: &OperandKind,
        function: &str,
        arguments: &[Operand],
        sense: Sense,
    ) -> Result<Node, GatewayError> {
        let operator = match function {
            "contains" => Operator::Contains,
            "startswith" => Operator::BeginsWith,
            "endswith" => Operator::EndsWith,
            _ => return Err(unsupported(kind)),
        };
        let [column, text] = arguments else {
            return Err(GatewayError::InvalidFilter(format!(
                "The function '{function}' takes two arguments."
            )));
        };
        let (found, text) = (self.operand(column)?, constant(text)?);
        let value = literal::value_of(&found, operator, &text)?;
        Ok(Node::Condition(condition(&found, sense.of(operator), vec![value])))
    }

    /// `collection/any(v:..)`: there is such a row; `all`: there is none with the opposite.
    fn lambda(
        &mut self,
        path: &Path,
        quantifier: Quantifier,
        predicate: Option<(&str, &Expr)>,
        sense: Sense,
    ) -> Result<Node, GatewayError> {
        let all = quantifier == Quantifier::All;
        let links = self.scope.enter(path, predicate.map(|it| it.0))?;
        let mut criteria = match predicate {
            Some((_, inner)) => Some(self.whole(inner, Sense { turned: all, from: all })?),
            None if all => {
                let message = format!("The operator 'all' of '{path}' needs a condition.");
                return Err(GatewayError::InvalidFilter(message));
            }
            None => None,
        };
        let none = all != sense.turned;
        let mut outermost = None;
        // Each link holds the one behind it, so they are closed from the innermost.
        for mut link in links.into_iter().rev() {
            link.links = self.scope.leave();
            link.criteria = criteria.take();
            criteria = Some(pb::FilterExpression {
                operator: FilterOperator::And.into(),
                links: vec![link.clone()],
                ..Default::default()
            });
            outermost = Some(link);
        }
        let mut link = outermost.ok_or(GatewayError::Internal)?;
        link.join = if none { JoinOperator::NotAny } else { JoinOperator::Any }.into();
        Ok(Node::Filter(pb::FilterExpression {
            operator: FilterOperator::And.into(),
            links: vec![link],
            ..Default::default()
        }))
    }

    fn query_function(
        &mut self,
        called: &QueryFunction,
        sense: Sense,
    ) -> Result<Node, GatewayError> {
        let name = called.name.strip_prefix(NAMESPACE).and_then(|it| it.strip_prefix('.'));
        let (operator, shape) = name.and_then(function).ok_or_else(|| {
            let name = &called.name;
            GatewayError::InvalidFilter(format!(
                "An unknown function with name '{name}' was found."
            ))
        })?;
        if sense.turned != sense.from {
            return Err(GatewayError::NegatedFunction);
        }
        let operator = match sense.turned {
            false => operator,
            true => opposite(operator).ok_or_else(|| {
                let name = &called.name;
                GatewayError::NotOffered(format!("The function '{name}' in a condition of 'all'"))
            })?,
        };
        let property = match called.argument("PropertyName") {
            Some(ArgumentValue::Literal(Literal::String(name))) => name,
            _ => return Err(missing_argument(called, "PropertyName")),
        };
        let found = self.scope.find_named(called.on.as_ref(), property)?;
        let values = arguments(called, shape)?;
        let values: Vec<_> = values.iter().map(|it| unquoted(&found.column, it)).collect();
        if matches!(operator, Operator::In | Operator::NotIn) {
            return literal::list(&found, operator, &values).map(Node::Condition);
        }
        let values = values.iter().map(|it| literal::value_of(&found, operator, it));
        let values = values.collect::<Result<_, _>>()?;
        Ok(Node::Condition(condition(&found, operator, values)))
    }

    fn operand(&mut self, operand: &Operand) -> Result<Found, GatewayError> {
        match &operand.kind {
            OperandKind::Path(path) => self.scope.find(path),
            OperandKind::Literal(_) => Err(GatewayError::InvalidFilter(
                "A column is expected where a constant was found.".to_owned(),
            )),
            kind => Err(unsupported(kind)),
        }
    }

    /// Every row is in none of no values.
    fn truth(&self, truth: bool) -> pb::ConditionExpression {
        let operator = if truth { Operator::NotIn } else { Operator::In };
        pb::ConditionExpression {
            column: Some(self.scope.own_id()),
            operator: operator.into(),
            ..Default::default()
        }
    }
}

impl Sense {
    fn flipped(self) -> Self {
        Self { turned: !self.turned, ..self }
    }

    fn of(self, operator: Operator) -> Operator {
        if self.turned { negated(operator) } else { operator }
    }
}

fn compare_columns(
    first: &Found,
    operator: Operator,
    second: &Found,
) -> Result<pb::ConditionExpression, GatewayError> {
    let (left, right) = (&first.column, &second.column);
    if std::mem::discriminant(&left.kind) != std::mem::discriminant(&right.kind) {
        return Err(incompatible(left.edm_type(), right.edm_type(), operator));
    }
    let mut condition = condition(first, operator, vec![]);
    condition.compare_column = Some(second.named.clone());
    Ok(condition)
}

fn condition(found: &Found, operator: Operator, values: Vec<pb::Value>) -> pb::ConditionExpression {
    pb::ConditionExpression {
        column: Some(found.named.clone()),
        operator: operator.into(),
        values,
        ..Default::default()
    }
}

/// Of one part, so that how it is joined makes no difference.
fn is_single(filter: &pb::FilterExpression) -> bool {
    filter.conditions.len() + filter.filters.len() + filter.links.len() == 1
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

fn constant(operand: &Operand) -> Result<Literal, GatewayError> {
    match &operand.kind {
        OperandKind::Literal(literal) => Ok(literal.clone()),
        OperandKind::Path(path) => Err(GatewayError::InvalidFilter(format!(
            "A constant is expected where '{path}' was found."
        ))),
        kind => Err(unsupported(kind)),
    }
}

fn unsupported(kind: &OperandKind) -> GatewayError {
    match kind {
        OperandKind::Call { function, .. } => GatewayError::InvalidQuery(format!(
            "The function '{function}' is not supported in a filter."
        )),
        OperandKind::Query(function) => GatewayError::InvalidQuery(format!(
            "The result of the function '{}' cannot be compared.",
            function.name
        )),
        OperandKind::Lambda { path, .. } => {
            GatewayError::InvalidQuery(format!("A condition over '{path}' cannot be compared."))
        }
        OperandKind::Literal(_) | OperandKind::Path(_) => {
            GatewayError::InvalidFilter("This operand is not supported here.".to_owned())
        }
    }
}
