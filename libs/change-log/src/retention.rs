//! Forgetting what is older than anybody was promised.

use std::time::Duration;

use sqlx::postgres::PgConnection;

use crate::error::Error;

/// Marks are no closer to each other than this.
const MARK_EVERY: Duration = Duration::from_secs(600);
/// Deleted by one statement, so that none takes long.
const BATCH: i64 = 5_000;

/// How long changes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention(pub Duration);

const MARK: &str = "
    INSERT INTO tombolo.change_log_mark (at)
    SELECT now() WHERE NOT EXISTS (
        SELECT FROM tombolo.change_log_mark WHERE at > now() - make_interval(secs => $1))";

/// The newest mark that is old enough becomes the first. What goes is committed before entries do, so
/// that a reader never finds part of its window gone. What the other side of a map has not taken yet
/// waits there, however old it is.
const ADVANCE: &str = "
    DELETE FROM tombolo.change_log_mark WHERE at < (
        SELECT max(at) FROM tombolo.change_log_mark AS mark
        WHERE at <= clock_timestamp() - make_interval(secs => $1) AND NOT EXISTS (
            SELECT FROM tombolo.dual_write_map
            WHERE pg_snapshot_xmin(acknowledged_snapshot) < pg_snapshot_xmin(mark.snapshot)))";

/// Marks of transactions whose entries are gone.
const FORGET_SHARED: &str = "
    DELETE FROM tombolo.dual_write_shared WHERE xid < (
        SELECT pg_snapshot_xmin(snapshot) FROM tombolo.change_log_mark ORDER BY at LIMIT 1)";

/// Every relation of which there are entries, found by leaps over the index.
const RELATIONS: &str = "
    WITH RECURSIVE found AS (
        (SELECT relation FROM tombolo.change_log ORDER BY relation LIMIT 1)
        UNION ALL
        SELECT (
            SELECT relation FROM tombolo.change_log
            WHERE relation > found.relation ORDER BY relation LIMIT 1
        ) FROM found WHERE found.relation IS NOT NULL
    )
    SELECT relation FROM found WHERE relation IS NOT NULL";

const DELETE: &str = "
    DELETE FROM tombolo.change_log WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM tombolo.change_log WHERE relation = $1 AND xid < (
            SELECT pg_snapshot_xmin(snapshot) FROM tombolo.change_log_mark ORDER BY at LIMIT 1)
        ORDER BY xid LIMIT $2
    ))";

/// Sets a mark when the last one is some minutes old, and deletes, in small batches, what is older
/// than `retention`. Returns how many entries went. To be called every few minutes.
///
/// # Errors
///
/// The database's own.
pub async fn retain(connection: &mut PgConnection, retention: Retention) -> Result<u64, Error> {
    let mark = sqlx::query(MARK).bind(MARK_EVERY.min(retention.0).as_secs_f64());
    mark.execute(&mut *connection).await.map_err(Error::of)?;
    let advance = sqlx::query(ADVANCE).bind(retention.0.as_secs_f64());
    advance.execute(&mut *connection).await.map_err(Error::of)?;
    let relations: Vec<String> =
        sqlx::query_scalar(RELATIONS).fetch_all(&mut *connection).await.map_err(Error::of)?;
    let mut deleted = 0;
    for relation in relations {
        loop {
            let batch = sqlx::query(DELETE).bind(&relation).bind(BATCH);
            let gone = batch.execute(&mut *connection).await.map_err(Error::of)?.rows_affected();
            deleted += gone;
            if gone < BATCH.unsigned_abs() {
                break;
            }
        }
    }
    sqlx::query(FORGET_SHARED).execute(&mut *connection).await.map_err(Error::of)?;
    Ok(deleted)
}
