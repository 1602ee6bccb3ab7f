//! What all tables of a schema hold, to tell that nothing was written.

use std::collections::BTreeMap;

use anyhow::Result;
use sqlx::{AssertSqlSafe, PgConnection};

/// A digest of the rows of each table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    /// All rows of all tables of these schemas, in one moment.
    pub async fn take(connection: &mut PgConnection, schemas: &[&str]) -> Result<Self> {
        let tables = "SELECT c.oid::regclass::text FROM pg_class c
            WHERE c.relnamespace::regnamespace::text = ANY ($1) AND c.relkind = 'r' ORDER BY 1";
        let schemas: Vec<_> = schemas.iter().map(|it| (*it).to_owned()).collect();
        let tables: Vec<String> =
            sqlx::query_scalar(tables).bind(schemas).fetch_all(&mut *connection).await?;
        let parts: Vec<_> = tables
            .iter()
            .map(|it| {
                format!(
                    "SELECT '{it}', count(*) || ' rows, ' ||
                        coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text)), '') FROM {it} t"
                )
            })
            .collect();
        let rows: Vec<(String, String)> =
            sqlx::query_as(AssertSqlSafe(parts.join(" UNION ALL "))).fetch_all(connection).await?;
        Ok(Self(rows.into_iter().collect()))
    }

    /// The tables that differ.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let names = self.0.keys().chain(other.0.keys());
        let differing = names.filter(|it| self.0.get(*it) != other.0.get(*it));
        let mut differing: Vec<_> = differing
            .map(|it| format!("{it}: {:?} became {:?}", self.0.get(it), other.0.get(it)))
            .collect();
        differing.dedup();
        differing
    }
}
