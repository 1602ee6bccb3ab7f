//! Solutions that were imported.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::error::Error;

/// A solution, as it was imported.
#[derive(Clone, Debug)]
pub(crate) struct StoredSolution {
    pub(crate) name: String,
    pub(crate) publisher: String,
    pub(crate) version: String,
    pub(crate) managed: bool,
    /// The file.
    pub(crate) content: Vec<u8>,
}

/// In the order of their imports.
pub(crate) async fn all(connection: &mut PgConnection) -> Result<Vec<StoredSolution>, Error> {
    let rows: Vec<(String, String, String, bool, Vec<u8>)> = sqlx::query_as(
        "SELECT name, publisher, version, managed, content FROM solution ORDER BY import_time, name",
    )
    .fetch_all(connection)
    .await?;
    let one = |(name, publisher, version, managed, content)| StoredSolution {
        name,
        publisher,
        version,
        managed,
        content,
    };
    Ok(rows.into_iter().map(one).collect())
}

/// The version of each, by name.
pub(crate) async fn versions(
    connection: &mut PgConnection,
) -> Result<BTreeMap<String, String>, Error> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT name, version FROM solution").fetch_all(connection).await?;
    Ok(rows.into_iter().collect())
}

/// In place of one of the same name.
pub(crate) async fn put(
    connection: &mut PgConnection,
    solution: &StoredSolution,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO solution (name, publisher, version, managed, content)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET publisher = excluded.publisher,
             version = excluded.version, managed = excluded.managed, content = excluded.content,
             import_time = now()",
    )
    .bind(&solution.name)
    .bind(&solution.publisher)
    .bind(&solution.version)
    .bind(solution.managed)
    .bind(&solution.content)
    .execute(connection)
    .await?;
    Ok(())
}
