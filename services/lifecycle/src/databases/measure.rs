//! How big a database and its tables are: what PostgreSQL knows of its files, without reading a row.

use sqlx::postgres::PgRow;
use sqlx::{Connection as _, FromRow, Row as _};

use super::{DatabaseError, Server};

/// Each table with its indexes and its oversized values; a partitioned one with all its partitions. A
/// materialized view is a table here.
const TABLES: &str = "
    SELECT n.nspname::text AS schema, r.relname::text AS table,
           sum(coalesce(pg_total_relation_size(c.oid), 0))::bigint AS size_bytes,
           sum(CASE WHEN c.relkind = 'p' THEN 0 ELSE greatest(c.reltuples, 0)::bigint END)::bigint AS row_count
    FROM pg_class c
    JOIN pg_class r ON r.oid = coalesce(pg_partition_root(c.oid), c.oid)
    JOIN pg_namespace n ON n.oid = r.relnamespace
    WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
    GROUP BY 1, 2 ORDER BY 1, 2";

/// A table's share.
#[derive(Clone, Debug)]
pub(crate) struct TableSize {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) size_bytes: i64,
    /// Estimated.
    pub(crate) row_count: i64,
}

impl FromRow<'_, PgRow> for TableSize {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            schema: row.try_get("schema")?,
            table: row.try_get("table")?,
            size_bytes: row.try_get("size_bytes")?,
            row_count: row.try_get("row_count")?,
        })
    }
}

/// What a database takes.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    pub(crate) database_size_bytes: i64,
    pub(crate) tables: Vec<TableSize>,
}

impl Server {
    /// Of the whole database, the system's tables too.
    pub(crate) async fn size(&self, database: &str) -> Result<i64, DatabaseError> {
        let sql = "SELECT pg_database_size(oid) FROM pg_database WHERE datname = $1";
        let size: Option<i64> =
            sqlx::query_scalar(sql).bind(database).fetch_optional(&self.pool).await?;
        size.ok_or_else(|| DatabaseError::Refused(format!("there is no database `{database}`")))
    }

    /// Of the database and of each table.
    pub(crate) async fn measure(&self, database: &str) -> Result<Measurement, DatabaseError> {
        let database_size_bytes = self.size(database).await?;
        let mut connection = self.connect(database).await?;
        let tables = sqlx::query_as(TABLES).fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(Measurement { database_size_bytes, tables })
    }
}
