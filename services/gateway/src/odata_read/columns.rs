//! `$select` and `$orderby`: what rows carry, and in which order they come.

use odata::{OrderItem, Path};
use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as Named;

use super::scope::Scope;
use crate::error::GatewayError;
use crate::metadata::Table;

/// The columns that were asked for.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) columns: Vec<pb::OutputColumn>,
    pub(super) all: bool,
    /// What a context URL says of them; empty for all columns.
    pub(super) names: Vec<String>,
}

/// Without a `$select`, every column.
pub(super) fn select(table: &Table, paths: Option<&[Path]>) -> Result<Selection, GatewayError> {
    let Some(paths) = paths else { return Ok(Selection { all: true, ..Selection::default() }) };
    let names: Vec<String> = paths.iter().map(ToString::to_string).collect();
    if names.iter().any(|it| it == "*") {
        return Ok(Selection { all: true, names: vec!["*".to_owned()], ..Selection::default() });
    }
    let mut selection = Selection::default();
    for name in names {
        let column = table.by_property(&name);
        let column = column.ok_or_else(|| GatewayError::unknown_column(table, &name))?;
        if !selection.names.contains(&name) {
            selection.columns.push(output(&column.logical_name));
            selection.names.push(name);
        }
    }
    Ok(selection)
}

/// A column of the row itself, under its own name.
pub(super) fn output(logical_name: &str) -> pb::OutputColumn {
    let column = Some(Named::Field(logical_name.to_owned()));
    let column = Some(pb::ColumnRef { column, link: String::new() });
    pb::OutputColumn { column, ..Default::default() }
}

pub(super) fn orders(
    items: &[OrderItem],
    scope: &mut Scope<'_>,
) -> Result<Vec<pb::OrderExpression>, GatewayError> {
    let order = |item: &OrderItem| {
        let column = Some(scope.find(&item.path)?.named);
        Ok(pb::OrderExpression { column, descending: item.descending, ..Default::default() })
    };
    items.iter().map(order).collect()
}
