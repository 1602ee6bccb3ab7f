//! Which table counts in which pool.

use std::collections::HashMap;

use serde::Deserialize;

use crate::consumption::MeterKind;
use crate::pool::{Amounts, Pool};

const BUILT_IN: &str = include_str!("../pools.toml");

/// The rules.
#[derive(Debug)]
pub(crate) struct TablePools {
    names: HashMap<String, Pool>,
    prefixes: Vec<(String, Pool)>,
    suffixes: Vec<(String, Pool)>,
}

/// A measured table, with its indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableSize {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) pool: Pool,
    pub(crate) bytes: i64,
    pub(crate) rows: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tables: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    pool: Pool,
    names: Vec<String>,
}

impl TablePools {
    /// The rules that come with this release.
    pub(crate) fn built_in() -> Result<Self, toml::de::Error> {
        let file: File = toml::from_str(BUILT_IN)?;
        let mut all = Self { names: HashMap::new(), prefixes: Vec::new(), suffixes: Vec::new() };
        for Row { pool, names } in file.tables {
            for name in names {
                let name = name.to_lowercase();
                if let Some(prefix) = name.strip_suffix('*') {
                    all.prefixes.push((prefix.to_owned(), pool));
                } else if let Some(suffix) = name.strip_prefix('*') {
                    all.suffixes.push((suffix.to_owned(), pool));
                } else {
                    all.names.insert(name, pool);
                }
            }
        }
        Ok(all)
    }

    /// The pool of a table in an environment of this kind.
    pub(crate) fn pool(&self, kind: MeterKind, table: &str) -> Pool {
        if kind == MeterKind::FinanceAndOperations {
            return own_pool(kind);
        }
        let name = table.to_lowercase();
        if let Some(pool) = self.names.get(&name) {
            return *pool;
        }
        let prefix = self.prefixes.iter().find(|it| name.starts_with(&it.0));
        let suffix = || self.suffixes.iter().find(|it| name.ends_with(&it.0));
        prefix.or_else(suffix).map_or(own_pool(kind), |it| it.1)
    }
}

/// The schema and the table that what belongs to no table is shown as.
const SYSTEM: (&str, &str) = ("pg_catalog", "*");

/// What PostgreSQL itself keeps in a database: what its tables leave of its size.
pub(crate) fn system(
    kind: MeterKind,
    database_bytes: i64,
    tables: &[TableSize],
) -> Option<TableSize> {
    let of_tables = tables.iter().fold(0, |sum: i64, it| sum.saturating_add(it.bytes.max(0)));
    let bytes = database_bytes.saturating_sub(of_tables);
    let (schema, table) = (SYSTEM.0.to_owned(), SYSTEM.1.to_owned());
    let it = TableSize { schema, table, pool: own_pool(kind), bytes, rows: 0 };
    // A table may have grown between the two measurements.
    (bytes > 0).then_some(it)
}

/// What a database counts in each pool. The pools' sum is the database's size to the byte: what belongs
/// to no table (the system's catalogs) is of the database's own pool.
pub(crate) fn amounts(kind: MeterKind, database_bytes: i64, tables: &[TableSize]) -> Amounts {
    let own = own_pool(kind);
    let mut rest = database_bytes.max(0);
    let mut amounts = Amounts::NONE;
    for pool in Pool::ALL.into_iter().filter(|it| *it != own) {
        let of_pool = tables.iter().filter(|it| it.pool == pool).map(|it| it.bytes.max(0));
        let bytes = of_pool.fold(0, i64::saturating_add);
        // A table may have grown between the two measurements.
        let bytes = bytes.min(rest);
        rest -= bytes;
        amounts = amounts.with(pool, bytes);
    }
    amounts.with(own, rest)
}

/// Of whatever no rule puts elsewhere.
fn own_pool(kind: MeterKind) -> Pool {
    match kind {
        MeterKind::FinanceAndOperations => Pool::OperationsDatabase,
        MeterKind::Platform | MeterKind::Exempt | MeterKind::Default => Pool::Database,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tables_and_their_pools() {
        let pools = TablePools::built_in().unwrap();
        for (table, pool) in [
            ("AuditBase", Pool::Log),
            ("plugintracelogbase", Pool::Log),
            ("Attachment", Pool::File),
            ("annotationbase", Pool::File),
            ("WebResourceBase", Pool::File),
            ("ribbonclientmetadatabase", Pool::File),
            ("account_image", Pool::File),
            ("account - Analytics", Pool::File),
            ("account", Pool::Database),
            ("audited", Pool::Database),
            ("", Pool::Database),
        ] {
            assert_eq!(pools.pool(MeterKind::Platform, table), pool, "{table}");
            let operations = pools.pool(MeterKind::FinanceAndOperations, table);
            assert_eq!(operations, Pool::OperationsDatabase, "{table}");
        }
    }

    fn kind() -> impl Strategy<Value = MeterKind> {
        prop::sample::select(MeterKind::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn pools_of_a_database_add_up_to_its_size(
            kind in kind(),
            size in 0..i64::MAX,
            tables in prop::collection::vec((0..5_usize, 0..i64::MAX / 8), 0..20),
        ) {
            let tables: Vec<_> = tables
                .into_iter()
                .map(|(pool, bytes)| TableSize {
                    schema: "s".into(),
                    table: "t".into(),
                    pool: Pool::ALL[pool],
                    bytes,
                    rows: 0,
                })
                .collect();
            let amounts = amounts(kind, size, &tables);
            let sum: i128 = amounts.iter().map(|it| i128::from(it.1)).sum();
            prop_assert_eq!(sum, i128::from(size));
            prop_assert!(amounts.iter().all(|it| it.1 > 0));

            let of_tables: i128 = tables.iter().map(|it| i128::from(it.bytes)).sum();
            let system = system(kind, size, &tables);
            let bytes = system.as_ref().map_or(0, |it| i128::from(it.bytes));
            prop_assert_eq!(of_tables + bytes, of_tables.max(i128::from(size)));
            prop_assert!(system.is_none_or(|it| it.bytes > 0 && it.pool == own_pool(kind)));
        }
    }
}
