//! Failed changes that are tried again, and those that are given up.

use prost::Message as _;
use proto::dual_write::v1 as pb;
use sqlx::PgConnection;

use super::listing::{CHOSEN, Choice, bind_choice};
use super::{COLUMNS, Stored, number};
use crate::error::Error;

/// Retries of one map that wait at a time (spec DW-60).
const MOST_REQUESTS: i64 = 5;
/// Changes of one retry.
pub(crate) const MOST_CHANGES: i64 = 10_000;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) queued: i64,
    pub(crate) skipped: i64,
}

/// A request that is not over.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: i64,
    pub(crate) map: String,
}

/// Queues failed changes to be tried again.
pub(crate) async fn ask(connection: &mut PgConnection, choice: &Choice) -> Result<Asked, Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('retries of ' || $1, 0))")
        .bind(&choice.map)
        .execute(&mut *connection)
        .await?;
    let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM retry_request WHERE map = $1")
        .bind(&choice.map)
        .fetch_one(&mut *connection)
        .await?;
    if waiting >= MOST_REQUESTS {
        return Err(too_many());
    }
    let sql = format!(
        "SELECT count(*) FROM failed_change
         WHERE {CHOSEN} AND retry_state <> 3 AND kind IN (9, 10)"
    );
    let query = bind_choice!(sqlx::query_scalar(sqlx::AssertSqlSafe(sql)), choice);
    let skipped: i64 = query.fetch_one(&mut *connection).await?;
    let request: i64 =
        sqlx::query_scalar("INSERT INTO retry_request (map) VALUES ($1) RETURNING id")
            .bind(&choice.map)
            .fetch_one(&mut *connection)
            .await?;
    let sql = format!(
        "UPDATE failed_change SET retry_state = 2, retry = $9 WHERE id IN (
             SELECT id FROM failed_change
             WHERE {CHOSEN} AND retry_state NOT IN (2, 3) AND kind NOT IN (9, 10)
             ORDER BY id LIMIT $10)"
    );
    let query = bind_choice!(sqlx::query(sqlx::AssertSqlSafe(sql)), choice);
    let updated = query.bind(request).bind(MOST_CHANGES).execute(&mut *connection).await?;
    let queued = i64::try_from(updated.rows_affected()).unwrap_or(i64::MAX);
    if queued == 0 {
        over(connection, request).await?;
    }
    Ok(Asked { queued, skipped })
}

fn too_many() -> Error {
    let allowed = usize::try_from(MOST_REQUESTS).unwrap_or_default();
    Error::Limit {
        limit: "retries",
        allowed,
        actual: allowed.saturating_add(1),
        message: format!(
            "{MOST_REQUESTS} retries of the map wait already; ask again when one is over"
        ),
    }
}

/// The oldest request of one of these maps.
pub(crate) async fn next(
    connection: &mut PgConnection,
    maps: &[String],
) -> Result<Option<Waiting>, Error> {
    let found: Option<(i64, String)> = sqlx::query_as(
        "SELECT id, map FROM retry_request WHERE map = ANY ($1) ORDER BY id LIMIT 1",
    )
    .bind(maps)
    .fetch_optional(connection)
    .await?;
    Ok(found.map(|(id, map)| Waiting { id, map }))
}

/// What it has left to do, oldest first.
pub(crate) async fn waiting(
    connection: &mut PgConnection,
    request: i64,
    limit: i64,
) -> Result<Vec<Stored>, Error> {
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM failed_change
         WHERE retry = $1 AND retry_state = 2 ORDER BY id LIMIT $2"
    )))
    .bind(request)
    .bind(limit)
    .fetch_all(connection)
    .await?)
}

/// Nothing is left of it.
pub(crate) async fn over(connection: &mut PgConnection, request: i64) -> Result<(), Error> {
    sqlx::query("DELETE FROM retry_request WHERE id = $1")
        .bind(request)
        .execute(connection)
        .await?;
    Ok(())
}

/// It was tried again in vain.
pub(crate) async fn failed(
    connection: &mut PgConnection,
    stored: &Stored,
    error: &pb::SyncError,
) -> Result<(), Error> {
    let before = stored.message.error.as_ref().map_or(0, |it| it.attempt_count);
    let error = pb::SyncError { attempt_count: before.saturating_add(1), ..error.clone() };
    sqlx::query(
        "UPDATE failed_change SET retry_state = 4, retry = NULL, kind = $2, error = $3
         WHERE id = $1 AND retry_state = 2",
    )
    .bind(stored.id)
    .bind(number(error.kind))
    .bind(error.encode_to_vec())
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives up the first [`MOST_CHANGES`] of them.
pub(crate) async fn dismiss(
    connection: &mut PgConnection,
    choice: &Choice,
) -> Result<Vec<Stored>, Error> {
    let sql = format!(
        "DELETE FROM failed_change WHERE id IN (
             SELECT id FROM failed_change WHERE {CHOSEN} ORDER BY id LIMIT $9)
         RETURNING {COLUMNS}"
    );
    let query = bind_choice!(sqlx::query_as(sqlx::AssertSqlSafe(sql)), choice);
    Ok(query.bind(MOST_CHANGES).fetch_all(connection).await?)
}
