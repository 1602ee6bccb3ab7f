//! What stands in parentheses behind an entity set, as a provider's key.

use bytes::Bytes;
use odata::{Key, Literal};
use proto::query::v1 as pb;
use uuid::Uuid;

use super::value::{Fit, fit};
use crate::error::GatewayError;
use crate::metadata::Table;

/// One row's key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RowKey {
    Id(Uuid),
    /// Values by external name.
    Alternate(Vec<pb::FieldValue>),
}

impl RowKey {
    pub(crate) fn to_message(&self) -> pb::RecordKey {
        use pb::record_key::Key;
        let key = match self {
            Self::Id(id) => Key::RecordId(Bytes::copy_from_slice(id.as_bytes())),
            Self::Alternate(values) => {
                Key::Alternate(pb::AlternateKeyValues { values: values.clone() })
            }
        };
        pb::RecordKey { key: Some(key) }
    }

    /// What to say when no row has it.
    pub(crate) fn not_found(&self, table: &Table) -> GatewayError {
        let table = table.logical_name.clone();
        match self {
            Self::Id(id) => GatewayError::RecordNotFound { table, id: *id },
            Self::Alternate(_) => GatewayError::RecordNotFoundByKey { table },
        }
    }
}

/// Reads a key predicate.
pub(crate) fn row_key(table: &Table, key: &Key) -> Result<RowKey, GatewayError> {
    if let Some(id) = key.guid() {
        return Ok(RowKey::Id(id));
    }
    let bad = |text: String| GatewayError::BadKey { key: text, table: table.logical_name.clone() };
    match key {
        Key::Named(pairs) => named(table, pairs),
        Key::Malformed(text) => Err(bad(text.clone())),
        Key::Single(literal) => Err(bad(literal.to_string())),
        Key::Absent | Key::Empty | Key::Parameters(_) => Err(bad(String::new())),
    }
}

fn named(table: &Table, pairs: &[(String, Literal)]) -> Result<RowKey, GatewayError> {
    if let [(name, value)] = pairs
        && *name == table.primary_id
        && let Some(id) = Key::Single(value.clone()).guid()
    {
        return Ok(RowKey::Id(id));
    }
    let bad = || {
        let names: Vec<_> = pairs.iter().map(|(name, it)| format!("{name}={it}")).collect();
        GatewayError::BadKey { key: names.join(","), table: table.logical_name.clone() }
    };
    let mut columns = Vec::with_capacity(pairs.len());
    for (name, literal) in pairs {
        let column = table.by_property(name);
        let column = column.ok_or_else(|| GatewayError::unknown_column(table, name))?;
        columns.push((column, literal));
    }
    let is_key = table.alternate_keys.iter().any(|key| {
        key.len() == columns.len()
            && key.iter().all(|name| columns.iter().any(|(it, _)| it.logical_name == *name))
    });
    if !is_key {
        return Err(bad());
    }
    let mut values = Vec::with_capacity(columns.len());
    for (column, literal) in columns {
        let field = column.field().ok_or_else(bad)?.to_owned();
        match fit(column, literal).map_err(|_| bad())? {
            Fit::Value(value) => values.push(pb::FieldValue { field, value: Some(value) }),
            Fit::Within(_) | Fit::Never => {
                let table = table.logical_name.clone();
                return Err(GatewayError::RecordNotFoundByKey { table });
            }
        }
    }
    Ok(RowKey::Alternate(values))
}
