//! `$apply`: filters, then groups (spec API-15).

use odata::{AggregateMethod, AggregateSource, Aggregation, Path, Transformation};
use proto::query::v1 as pb;
use proto::query::v1::{Aggregate, FilterOperator};

use super::filter::filter;
use super::scope::Scope;
use crate::error::GatewayError;

/// What rows are made of, and which rows.
#[derive(Default)]
pub(super) struct Applied {
    pub(super) columns: Vec<pb::OutputColumn>,
    pub(super) filters: Vec<pb::FilterExpression>,
}

/// Reads a chain of transformations; its paths add joins to the scope.
pub(super) fn apply(
    steps: &[Transformation],
    scope: &mut Scope<'_>,
) -> Result<Applied, GatewayError> {
    let mut applied = Applied::default();
    for step in steps {
        if !applied.columns.is_empty() {
            return refuse("Nothing can follow 'groupby' or 'aggregate' in $apply.");
        }
        match step {
            Transformation::Filter(expr) => applied.filters.push(filter(expr, scope)?),
            Transformation::Aggregate(values) => aggregate(values, scope, &mut applied.columns)?,
            Transformation::GroupBy { paths, then } => {
                group(paths, scope, &mut applied.columns)?;
                match then.as_slice() {
                    [] => {}
                    [Transformation::Aggregate(values)] => {
                        aggregate(values, scope, &mut applied.columns)?;
                    }
                    _ => return refuse("Within 'groupby' only 'aggregate' is supported."),
                }
            }
            Transformation::Unsupported(name) => {
                return refuse(&format!("The transformation '{name}' of $apply is not supported."));
            }
        }
    }
    if applied.columns.is_empty() {
        return refuse("The $apply has to end with 'groupby' or 'aggregate'.");
    }
    Ok(applied)
}

/// All of them hold.
pub(super) fn all(filters: Vec<pb::FilterExpression>) -> Option<pb::FilterExpression> {
    if filters.len() < 2 {
        return filters.into_iter().next();
    }
    let mut all =
        pb::FilterExpression { operator: FilterOperator::And.into(), ..Default::default() };
    for filter in filters {
        if filter.operator == all.operator {
            all.conditions.extend(filter.conditions);
            all.filters.extend(filter.filters);
            all.links.extend(filter.links);
        } else {
            all.filters.push(filter);
        }
    }
    Some(all)
}

fn group(
    paths: &[Path],
    scope: &mut Scope<'_>,
    columns: &mut Vec<pb::OutputColumn>,
) -> Result<(), GatewayError> {
    for path in paths {
        let found = scope.find(path)?;
        let short = match path.single() {
            Some(name) => name.to_owned(),
            None => format!("{}_{}", found.table.logical_name, found.column.logical_name),
        };
        let taken = columns.iter().any(|it| it.key == short);
        let key = if taken { path.0.join("_") } else { short };
        add(
            columns,
            pb::OutputColumn {
                column: Some(found.named),
                key,
                group_by: true,
                omit_null: true,
                ..Default::default()
            },
        )?;
    }
    Ok(())
}

fn aggregate(
    values: &[Aggregation],
    scope: &mut Scope<'_>,
    columns: &mut Vec<pb::OutputColumn>,
) -> Result<(), GatewayError> {
    for value in values {
        let (column, function) = match &value.source {
            AggregateSource::Count => (None, Aggregate::Count),
            AggregateSource::Column { path, method } => {
                (Some(scope.find(path)?.named), function(*method))
            }
        };
        add(
            columns,
            pb::OutputColumn {
                column,
                key: value.alias.clone(),
                aggregate: function.into(),
                ..Default::default()
            },
        )?;
    }
    Ok(())
}

fn function(method: AggregateMethod) -> Aggregate {
    match method {
        AggregateMethod::Sum => Aggregate::Sum,
        AggregateMethod::Average => Aggregate::Average,
        AggregateMethod::Min => Aggregate::Min,
        AggregateMethod::Max => Aggregate::Max,
        AggregateMethod::CountDistinct => Aggregate::CountDistinct,
    }
}

fn add(columns: &mut Vec<pb::OutputColumn>, column: pb::OutputColumn) -> Result<(), GatewayError> {
    if columns.iter().any(|it| it.key == column.key) {
        return refuse(&format!("The name '{}' stands for more than one value.", column.key));
    }
    columns.push(column);
    Ok(())
}

fn refuse<T>(message: &str) -> Result<T, GatewayError> {
    Err(GatewayError::InvalidQuery(message.to_owned()))
}
