//! What identifies a row of a table.

use model::RecordIdKind;

use crate::catalog::{Catalog, Key, Table};
use crate::types::base_type;

#[derive(Clone, Copy, Debug)]
pub(super) struct Identity<'a> {
    pub(super) key: &'a Key,
    pub(super) kind: RecordIdKind,
}

impl<'a> Identity<'a> {
    /// The primary key, else the unique index over columns that are never null whose GUIDs tell
    /// most: a number, a uuid, then whatever has the fewest columns.
    pub(super) fn of(catalog: &Catalog, table: &'a Table) -> Option<Self> {
        let identity = |key| Self { key, kind: kind(catalog, table, key) };
        if let Some(primary) = table.keys.iter().find(|it| it.is_primary) {
            return Some(identity(primary));
        }
        let keys = table.keys.iter().filter(|it| is_never_null(table, it)).map(identity);
        keys.min_by_key(|it| {
            let rank = match it.kind {
                RecordIdKind::Integer => 0,
                RecordIdKind::Uuid => 1,
                RecordIdKind::Hash => 2,
            };
            (rank, it.key.columns.len())
        })
    }
}

pub(super) fn is_never_null(table: &Table, key: &Key) -> bool {
    key.columns.iter().all(|it| table.column(*it).is_some_and(|it| it.not_null))
}

fn kind(catalog: &Catalog, table: &Table, key: &Key) -> RecordIdKind {
    let [column] = key.columns.as_slice() else { return RecordIdKind::Hash };
    let column = table.column(*column);
    let base = column.and_then(|it| base_type(catalog, it.type_oid, it.type_modifier));
    let own = base.as_ref().map(|it| it.r#type).filter(|it| it.schema == "pg_catalog");
    match own.map(|it| it.name.as_str()) {
        Some("int2" | "int4" | "int8") => RecordIdKind::Integer,
        Some("uuid") => RecordIdKind::Uuid,
        _ => RecordIdKind::Hash,
    }
}
