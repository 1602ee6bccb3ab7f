//! Messages in platform names to a provider's query expression.

use proto::gateway::v1 as pb;
use proto::query::v1 as query;
use proto::query::v1::ConditionOperator as Operator;

use crate::error::GatewayError;
use crate::metadata::{Column, Table};
use crate::translate::{self, RowKey, Terms, literal_of};

/// Deeper filters are refused, so that no request can exhaust the stack.
const MAX_DEPTH: usize = 60;
const MAX_CONDITIONS: usize = 500;

/// The columns to return, under their logical names; all of them where none is named.
pub(super) fn columns(
    table: &Table,
    names: &[String],
) -> Result<Vec<query::OutputColumn>, GatewayError> {
    let output = |column: &Column| query::OutputColumn {
        column: Some(column.external.clone()),
        key: column.logical_name.clone(),
        ..Default::default()
    };
    if names.is_empty() {
        return Ok(table.columns.iter().map(output).collect());
    }
    let mut outputs: Vec<query::OutputColumn> = Vec::with_capacity(names.len());
    for name in names {
        let column = table.by_name(name);
        let column = column.ok_or_else(|| GatewayError::unknown_column(table, name))?;
        if !outputs.iter().any(|it| it.key == *name) {
            outputs.push(output(column));
        }
    }
    Ok(outputs)
}

pub(super) fn orders(
    table: &Table,
    orders: &[pb::Order],
) -> Result<Vec<query::OrderExpression>, GatewayError> {
    let order = |it: &pb::Order| {
        let column = table.by_name(&it.column);
        let column = column.ok_or_else(|| GatewayError::unknown_column(table, &it.column))?;
        translate::sort_key(table, column, it.descending)
    };
    orders.iter().map(order).collect()
}

pub(super) fn key(
    table: &Table,
    key: Option<&pb::retrieve_request::Key>,
) -> Result<RowKey, GatewayError> {
    use pb::retrieve_request::Key;
    match key {
        Some(Key::Id(text)) => {
            let id = odata::Key::Single(odata::Literal::String(text.clone()));
            translate::row_key(table, &id)
        }
        Some(Key::AlternateKey(set)) => {
            let pairs = set.values.iter().map(|it| {
                let literal = it.value.as_ref().and_then(literal_of);
                let column = table.by_name(&it.column);
                let column =
                    column.ok_or_else(|| GatewayError::unknown_column(table, &it.column))?;
                let literal = literal.ok_or_else(|| no_value(&it.column))?;
                Ok((column.property.clone(), literal))
            });
            let pairs = pairs.collect::<Result<Vec<_>, GatewayError>>()?;
            translate::row_key(table, &odata::Key::Named(pairs))
        }
        None => Err(GatewayError::BadKey { key: String::new(), table: table.logical_name.clone() }),
    }
}

/// Whether the filter asks for companies by GUID.
pub(super) fn names_column(filter: &pb::Filter, column: &str, depth: usize) -> bool {
    depth <= MAX_DEPTH
        && (filter.conditions.iter().any(|it| it.column == column)
            || filter.filters.iter().any(|it| names_column(it, column, depth + 1)))
}

pub(super) fn filter(
    terms: Terms<'_>,
    filter: &pb::Filter,
) -> Result<query::FilterExpression, GatewayError> {
    nested(terms, filter, 0, &mut 0)
}

fn nested(
    terms: Terms<'_>,
    filter: &pb::Filter,
    depth: usize,
    count: &mut usize,
) -> Result<query::FilterExpression, GatewayError> {
    // Empty filters cost as much as conditions do.
    *count += filter.conditions.len() + filter.filters.len();
    if *count > MAX_CONDITIONS || depth > MAX_DEPTH {
        return Err(GatewayError::TooManyConditions);
    }
    if query::FilterOperator::try_from(filter.operator).is_err() {
        return Err(unknown_number("filter operator", filter.operator));
    }
    let mut translated =
        query::FilterExpression { operator: filter.operator, ..Default::default() };
    for it in &filter.conditions {
        match it.operator() {
            operator @ (Operator::In | Operator::NotIn) => {
                let (column, literals) = operands(terms, it)?;
                translated.filters.push(terms.list(column, operator, &literals)?);
            }
            operator => translated.conditions.push(condition(terms, it, operator)?),
        }
    }
    for it in &filter.filters {
        translated.filters.push(nested(terms, it, depth + 1, count)?);
    }
    Ok(translated)
}

/// How many rows there are is counted as asked, or not at all.
pub(super) fn total_count(number: i32) -> Result<i32, GatewayError> {
    match query::TotalCount::try_from(number) {
        Ok(known) => Ok(known.into()),
        Err(_) => Err(unknown_number("total_count", number)),
    }
}

fn unknown_number(what: &str, number: i32) -> GatewayError {
    GatewayError::InvalidValue(format!("There is no {what} with the number {number}."))
}

fn operands<'a>(
    terms: Terms<'a>,
    condition: &pb::Condition,
) -> Result<(&'a Column, Vec<odata::Literal>), GatewayError> {
    let column = terms.column(&condition.column)?;
    let literals: Option<Vec<_>> = condition.values.iter().map(literal_of).collect();
    Ok((column, literals.ok_or_else(|| no_value(&condition.column))?))
}

fn condition(
    terms: Terms<'_>,
    condition: &pb::Condition,
    operator: Operator,
) -> Result<query::ConditionExpression, GatewayError> {
    let (column, literals) = operands(terms, condition)?;
    match (operator, literals.as_slice()) {
        (Operator::Null, []) => terms.compare(column, Operator::Equal, &odata::Literal::Null),
        (Operator::NotNull, []) => terms.compare(column, Operator::NotEqual, &odata::Literal::Null),
        (
            Operator::Equal
            | Operator::NotEqual
            | Operator::GreaterThan
            | Operator::GreaterEqual
            | Operator::LessThan
            | Operator::LessEqual,
            [literal],
        ) => terms.compare(column, operator, literal),
        (
            Operator::Contains
            | Operator::NotContains
            | Operator::BeginsWith
            | Operator::NotBeginsWith
            | Operator::EndsWith
            | Operator::NotEndsWith,
            [literal],
        ) => terms.text(column, operator, literal),
        _ => Err(GatewayError::InvalidQuery(format!(
            "The condition on '{}' has no operator, or not as many values as its operator takes.",
            condition.column
        ))),
    }
}

fn no_value(column: &str) -> GatewayError {
    GatewayError::InvalidValue(format!("The value given for '{column}' is not one."))
}
