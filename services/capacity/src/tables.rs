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
            return Pool::OperationsDatabase;
        }
        let name = table.to_lowercase();
        if let Some(pool) = self.names.get(&name) {
            return *pool;
        }
        let prefix = self.prefixes.iter().find(|it| name.starts_with(&it.0));
        let suffix = || self.suffixes.iter().find(|it| name.ends_with(&it.0));
        prefix.or_else(suffix).map_or(Pool::Database, |it| it.1)
    }
}

/// What a database counts in each pool. The pools' sum is the database's size to the byte: what belongs
/// to no table (the system's catalogs) is of the database's own pool.
pub(crate) fn amounts(kind: MeterKind, database_bytes: i64, tables: &[TableSize]) -> Amounts {
    let own = match kind {
        MeterKind::FinanceAndOperations => Pool::OperationsDatabase,
        MeterKind::Platform | MeterKind::Exempt | MeterKind::Default => Pool::Database,
    };
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
        }
    }
}
