//! One comparison of a column, as the column's provider takes it.

use std::collections::HashMap;

use odata::Literal;
use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use proto::query::v1::{ConditionOperator as Operator, FilterOperator};
use uuid::Uuid;

use super::value::{Fit, fit, value};
use crate::error::GatewayError;
use crate::metadata::{Column, ColumnKind, Options, Table};

/// Values of one list at most. Longer ones are no query that a person wrote: with the 500 conditions
/// of a filter it bounds what one request can make a provider compare, and a list of so many GUIDs is
/// more than fits into a URL anyway.
const MAX_VALUES: usize = 5_000;

/// What conditions of a table are made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) table: &'a Table,
    /// Company codes by GUID.
    pub(crate) companies: &'a HashMap<Uuid, String>,
}

impl<'a> Terms<'a> {
    /// `column operator literal`.
    pub(crate) fn compare(
        &self,
        column: &'a Column,
        operator: Operator,
        literal: &Literal,
    ) -> Result<pb::ConditionExpression, GatewayError> {
        if let Literal::Null = literal {
            return Ok(match operator {
                Operator::Equal => condition(self.stored(column)?, Operator::Null, vec![]),
                Operator::NotEqual => condition(self.stored(column)?, Operator::NotNull, vec![]),
                _ => constant(self.stored(column)?, false),
            });
        }
        let mismatch = || incompatible(column.edm_type(), literal.edm_type(), operator);
        let fitted = fit(column, literal).map_err(|_| mismatch())?;
        if column.is(pb::SystemColumn::CompanyId) {
            return self.compare_company(column, operator, fitted);
        }
        if let (ColumnKind::Option(options), Some(range)) = (&column.kind, range_of(operator)) {
            let Literal::Integer(digits) = literal else { return Err(mismatch()) };
            return Ok(options_in_range(column, options, digits, range));
        }
        Ok(match (fitted, operator) {
            (Fit::Value(it), _) => condition(column, operator, vec![it]),
            (Fit::Within(it), Operator::GreaterThan | Operator::GreaterEqual) => {
                condition(column, Operator::GreaterThan, vec![it])
            }
            (Fit::Within(it), Operator::LessThan | Operator::LessEqual) => {
                condition(column, Operator::LessEqual, vec![it])
            }
            (Fit::Within(_) | Fit::Never, _) => constant(column, operator == Operator::NotEqual),
        })
    }

    /// `column in (literals)`, or not in. Null is no value that a provider could find in a list, so it
    /// becomes a condition of its own beside the others.
    pub(crate) fn list(
        &self,
        column: &'a Column,
        operator: Operator,
        literals: &[Literal],
    ) -> Result<pb::FilterExpression, GatewayError> {
        if literals.len() > MAX_VALUES {
            let message = format!("A list of a filter takes {MAX_VALUES} values at most.");
            return Err(GatewayError::InvalidQuery(message));
        }
        let mut values = Vec::with_capacity(literals.len());
        for literal in literals.iter().filter(|it| **it != Literal::Null) {
            let fitted = fit(column, literal).map_err(|_| {
                incompatible(column.edm_type(), literal.edm_type(), Operator::Equal)
            })?;
            let fitted = match column.is(pb::SystemColumn::CompanyId) {
                true => self.company_code(fitted),
                false => fitted,
            };
            if let Fit::Value(it) = fitted {
                values.push(it);
            }
        }
        let column = self.stored(column)?;
        let mut conditions = vec![condition(column, operator, values)];
        let (join, null) = match operator {
            Operator::NotIn => (FilterOperator::And, Operator::NotNull),
            _ => (FilterOperator::Or, Operator::Null),
        };
        if literals.contains(&Literal::Null) {
            conditions.push(condition(column, null, vec![]));
        }
        Ok(pb::FilterExpression { operator: join.into(), conditions, ..Default::default() })
    }

    /// `contains`, `startswith`, `endswith` and their opposites.
    pub(crate) fn text(
        &self,
        column: &'a Column,
        operator: Operator,
        literal: &Literal,
    ) -> Result<pb::ConditionExpression, GatewayError> {
        match (&column.kind, literal) {
            (ColumnKind::Text, Literal::String(text)) => {
                Ok(condition(column, operator, vec![value(Kind::StringValue(text.clone()))]))
            }
            (ColumnKind::Text, Literal::Null) => Ok(constant(column, false)),
            _ => Err(GatewayError::InvalidFilter(format!(
                "No function signature for a text function matches the specified arguments: \
                 '{}' and '{}'.",
                column.edm_type(),
                literal.edm_type()
            ))),
        }
    }

    /// The company's GUID is not stored; its code is.
    fn compare_company(
        &self,
        column: &'a Column,
        operator: Operator,
        fitted: Fit,
    ) -> Result<pb::ConditionExpression, GatewayError> {
        let code = self.stored(column)?;
        match (operator, self.company_code(fitted)) {
            (Operator::Equal | Operator::NotEqual, Fit::Value(it)) => {
                Ok(condition(code, operator, vec![it]))
            }
            (Operator::Equal, _) => Ok(constant(code, false)),
            (Operator::NotEqual, _) => Ok(constant(code, true)),
            _ => Err(GatewayError::NotOffered("Ordering companies by their GUID".to_owned())),
        }
    }

    fn company_code(&self, fitted: Fit) -> Fit {
        let id = match &fitted {
            Fit::Value(pb::Value { kind: Some(Kind::GuidValue(bytes)) }) => {
                Uuid::from_slice(bytes).ok()
            }
            _ => None,
        };
        match id.and_then(|it| self.companies.get(&it)) {
            Some(code) => Fit::Value(value(Kind::StringValue(code.clone()))),
            None => Fit::Never,
        }
    }

    /// The column that conditions on this one are put to.
    fn stored(&self, column: &'a Column) -> Result<&'a Column, GatewayError> {
        if !column.is(pb::SystemColumn::CompanyId) {
            return Ok(column);
        }
        self.table.company_code(column).ok_or_else(|| GatewayError::NotFilterable {
            column: column.logical_name.clone(),
            table: self.table.logical_name.clone(),
        })
    }
}

/// The operator that holds where this one does not.
pub(crate) fn negated(operator: Operator) -> Operator {
    match operator {
        Operator::Equal => Operator::NotEqual,
        Operator::NotEqual => Operator::Equal,
        Operator::GreaterThan => Operator::LessEqual,
        Operator::GreaterEqual => Operator::LessThan,
        Operator::LessThan => Operator::GreaterEqual,
        Operator::LessEqual => Operator::GreaterThan,
        Operator::Null => Operator::NotNull,
        Operator::NotNull => Operator::Null,
        Operator::In => Operator::NotIn,
        Operator::NotIn => Operator::In,
        Operator::Contains => Operator::NotContains,
        Operator::NotContains => Operator::Contains,
        Operator::BeginsWith => Operator::NotBeginsWith,
        Operator::NotBeginsWith => Operator::BeginsWith,
        Operator::EndsWith => Operator::NotEndsWith,
        Operator::NotEndsWith => Operator::EndsWith,
        // Negated where they become ranges, not here.
        other => other,
    }
}

pub(crate) fn condition(
    column: &Column,
    operator: Operator,
    values: Vec<pb::Value>,
) -> pb::ConditionExpression {
    pb::ConditionExpression {
        column: Some(column.external.clone()),
        operator: operator.into(),
        values,
        ..Default::default()
    }
}

pub(crate) fn incompatible(left: &str, right: &str, operator: Operator) -> GatewayError {
    let operator = match operator {
        Operator::NotEqual => "NotEqual",
        Operator::GreaterThan => "GreaterThan",
        Operator::GreaterEqual => "GreaterThanOrEqual",
        Operator::LessThan => "LessThan",
        Operator::LessEqual => "LessThanOrEqual",
        _ => "Equal",
    };
    GatewayError::IncompatibleTypes { left: left.to_owned(), right: right.to_owned(), operator }
}

/// In no values is what no row is; not in none is what every row is.
fn constant(column: &Column, truth: bool) -> pb::ConditionExpression {
    condition(column, if truth { Operator::NotIn } else { Operator::In }, vec![])
}

fn range_of(operator: Operator) -> Option<fn(&i64, &i64) -> bool> {
    match operator {
        Operator::GreaterThan => Some(i64::gt),
        Operator::GreaterEqual => Some(i64::ge),
        Operator::LessThan => Some(i64::lt),
        Operator::LessEqual => Some(i64::le),
        _ => None,
    }
}

/// Options are ordered by their values, which providers do not know: name those in the range.
fn options_in_range(
    column: &Column,
    options: &Options,
    digits: &str,
    range: fn(&i64, &i64) -> bool,
) -> pb::ConditionExpression {
    let huge = if digits.starts_with('-') { i64::MIN } else { i64::MAX };
    let bound = digits.parse().unwrap_or(huge);
    let symbols = options
        .0
        .iter()
        .filter(|(option, _)| range(&i64::from(**option), &bound))
        .map(|(_, symbol)| value(Kind::StringValue(symbol.clone())))
        .collect();
    condition(column, Operator::In, symbols)
}
