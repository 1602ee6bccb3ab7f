//! `$orderby` as a provider's sort keys.

use odata::Aliases;
use proto::query::v1 as pb;
use proto::query::v1::SystemColumn;

use crate::error::GatewayError;
use crate::metadata::{Column, ColumnKind, Table};

/// Translates a `$orderby`.
pub(crate) fn order_by(
    table: &Table,
    text: &str,
    aliases: &Aliases,
) -> Result<Vec<pb::OrderExpression>, GatewayError> {
    let mut orders: Vec<pb::OrderExpression> = Vec::new();
    for item in odata::parse_order_by(text, aliases)? {
        let Some(name) = item.path.single() else {
            return Err(GatewayError::NotOffered(format!(
                "Ordering by a column of a related table, '{}',",
                item.path
            )));
        };
        let column = table.by_property(name);
        let column = column.ok_or_else(|| GatewayError::unknown_column(table, name))?;
        orders.push(sort_key(table, column, item.descending)?);
    }
    Ok(orders)
}

/// One sort key.
pub(crate) fn sort_key(
    table: &Table,
    column: &Column,
    descending: bool,
) -> Result<pb::OrderExpression, GatewayError> {
    let derived = column.is(SystemColumn::CompanyId) || column.is(SystemColumn::PrimaryField);
    if matches!(column.kind, ColumnKind::Lookup { .. }) && !derived {
        let what = format!("Ordering by the lookup '{}'", column.property);
        return Err(GatewayError::NotOffered(what));
    }
    if !column.filterable && !derived {
        return Err(GatewayError::NotFilterable {
            column: column.logical_name.clone(),
            table: table.logical_name.clone(),
        });
    }
    Ok(pb::OrderExpression { column: Some(column.external.clone()), descending })
}
