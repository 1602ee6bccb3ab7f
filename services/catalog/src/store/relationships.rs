//! Declared relationships, in the store.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, Row as _, Transaction};

use super::Change;

/// A relationship that an administrator declared.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredRow {
    pub(crate) id: String,
    pub(crate) schema_name: String,
    pub(crate) source: String,
    pub(crate) target: String,
    /// Equal columns: of the source, of the target.
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) display_name: String,
    pub(crate) created_at: DateTime<Utc>,
}

impl Change {
    /// False if there is one of that id.
    pub(crate) async fn declare(&mut self, it: &DeclaredRow) -> Result<bool, sqlx::Error> {
        let (source, target): (Vec<&str>, Vec<&str>) =
            it.pairs.iter().map(|(source, target)| (source.as_str(), target.as_str())).unzip();
        let done = sqlx::query(
            "INSERT INTO declared_relationship (relationship_id, schema_name, source_table,
                 target_table, source_columns, target_columns, display_name, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT DO NOTHING",
        )
        .bind(&it.id)
        .bind(&it.schema_name)
        .bind(&it.source)
        .bind(&it.target)
        .bind(source)
        .bind(target)
        .bind(&it.display_name)
        .bind(it.created_at)
        .execute(&mut *self.transaction)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// False if there is none of that id.
    pub(crate) async fn retract(&mut self, id: &str) -> Result<bool, sqlx::Error> {
        let done = sqlx::query("DELETE FROM declared_relationship WHERE relationship_id = $1")
            .bind(id)
            .execute(&mut *self.transaction)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}

/// All of them, by id.
pub(super) async fn read(
    transaction: &mut Transaction<'_, Postgres>,
) -> Result<Vec<DeclaredRow>, sqlx::Error> {
    sqlx::query(
        "SELECT relationship_id, schema_name, source_table, target_table, source_columns,
             target_columns, display_name, created_at
         FROM declared_relationship ORDER BY relationship_id COLLATE \"C\"",
    )
    .try_map(row)
    .fetch_all(&mut **transaction)
    .await
}

fn row(row: PgRow) -> Result<DeclaredRow, sqlx::Error> {
    let source: Vec<String> = row.try_get("source_columns")?;
    let target: Vec<String> = row.try_get("target_columns")?;
    Ok(DeclaredRow {
        id: row.try_get("relationship_id")?,
        schema_name: row.try_get("schema_name")?,
        source: row.try_get("source_table")?,
        target: row.try_get("target_table")?,
        pairs: source.into_iter().zip(target).collect(),
        display_name: row.try_get("display_name")?,
        created_at: row.try_get("created_at")?,
    })
}
