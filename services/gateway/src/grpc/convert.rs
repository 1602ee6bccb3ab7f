//! Messages in platform names to a provider's query expression.

use proto::gateway::v1 as pb;
use proto::query::v1 as query;

use crate::error::GatewayError;
use crate::metadata::{Column, Table};
use crate::translate::{self, RowKey, literal_of};

/// The columns to return, under their logical names; all of them where none is named.
pub(super) fn columns(
    table: &Table,
    names: &[String],
) -> Result<Vec<query::OutputColumn>, GatewayError> {
    let output = |column: &Column| query::OutputColumn {
        column: Some(column.external.clone()),
        key: column.logical_name.clone(),
        if_permitted: names.is_empty() && column.logical_name != table.primary_id,
        ..Default::default()
    };
    if names.is_empty() {
        // What is found in another store takes a query with a link.
        return Ok(table.columns.iter().filter(|it| !it.is_across()).map(output).collect());
    }
    let mut outputs: Vec<query::OutputColumn> = Vec::with_capacity(names.len());
    for name in names {
        let column = table.by_name(name);
        let column = column.ok_or_else(|| GatewayError::unknown_column(table, name))?;
        if column.is_across() {
            return Err(GatewayError::NotOffered(format!("Retrieving '{name}' by a row's key")));
        }
        if !outputs.iter().any(|it| it.key == *name) {
            outputs.push(output(column));
        }
    }
    Ok(outputs)
}

/// What names a row, in whichever message.
#[derive(Clone, Copy)]
pub(super) enum RowName<'m> {
    Id(&'m str),
    AlternateKey(&'m pb::ColumnValueSet),
}

/// Each message has a key of its own, and all are the same.
macro_rules! names_a_row {
    ($($message:ident),*) => {
        $(impl<'m> From<&'m pb::$message::Key> for RowName<'m> {
            fn from(key: &'m pb::$message::Key) -> Self {
                match key {
                    pb::$message::Key::Id(id) => Self::Id(id),
                    pb::$message::Key::AlternateKey(set) => Self::AlternateKey(set),
                }
            }
        })*
    };
}

names_a_row!(retrieve_request, update_request, upsert_request, delete_request);

pub(super) fn key<'m>(
    table: &Table,
    key: Option<impl Into<RowName<'m>>>,
) -> Result<RowKey, GatewayError> {
    match key.map(Into::into) {
        Some(RowName::Id(text)) => {
            let id = odata::Key::Single(odata::Literal::String(text.to_owned()));
            translate::row_key(table, &id)
        }
        Some(RowName::AlternateKey(set)) => {
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

fn no_value(column: &str) -> GatewayError {
    GatewayError::InvalidValue(format!("The value given for '{column}' is not one."))
}
