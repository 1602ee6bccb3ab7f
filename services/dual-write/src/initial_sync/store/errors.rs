//! Rows that a run could not copy, and trying them again.

use prost::Message as _;
use proto::dual_write::v1::{self as pb, RetryState, Side};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::number;
use crate::initial_sync::model::{RowError, decoded};

/// A stored error.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredError {
    pub(crate) id: i64,
    pub(crate) leg: i32,
    pub(crate) record: pb::Record,
    pub(crate) error: pb::SyncError,
    pub(crate) retry_state: RetryState,
}

/// Which errors are wanted; empty or unset: all.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorFilter {
    pub(crate) kind: i32,
    pub(crate) company: String,
    pub(crate) retry_state: i32,
}

pub(crate) async fn add_errors(
    conn: &mut PgConnection,
    run: i64,
    leg: i32,
    errors: &[RowError],
) -> sqlx::Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    let ids: Vec<&[u8]> = errors.iter().map(|it| &*it.record.record_id).collect();
    let companies: Vec<&str> = errors.iter().map(|it| &*it.record.company).collect();
    let records: Vec<Vec<u8>> = errors.iter().map(RowError::record_bytes).collect();
    let encoded: Vec<Vec<u8>> = errors.iter().map(RowError::error_bytes).collect();
    let kinds: Vec<i16> = errors.iter().map(|it| number(it.error.kind)).collect();
    let retryable: Vec<bool> = errors.iter().map(|it| it.error.retryable).collect();
    sqlx::query(
        "INSERT INTO initial_sync_error
             (run, leg, record_id, company, record, error, kind, retryable)
         SELECT $1, $2, t.* FROM unnest(
             $3::bytea[], $4::text[], $5::bytea[], $6::bytea[], $7::smallint[], $8::boolean[]
         ) AS t",
    )
    .bind(run)
    .bind(leg)
    .bind(ids)
    .bind(companies)
    .bind(records)
    .bind(encoded)
    .bind(kinds)
    .bind(retryable)
    .execute(conn)
    .await?;
    Ok(())
}

/// The first five.
pub(crate) async fn first_errors(
    conn: &mut PgConnection,
    run: i64,
) -> sqlx::Result<Vec<pb::SyncError>> {
    let found: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT error FROM initial_sync_error WHERE run = $1 ORDER BY id LIMIT 5",
    )
    .bind(run)
    .fetch_all(conn)
    .await?;
    Ok(found.iter().map(|it| decoded(it)).collect())
}

/// Oldest first, behind `after`.
pub(crate) async fn list_errors(
    conn: &mut PgConnection,
    run: i64,
    filter: &ErrorFilter,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<StoredError>> {
    sqlx::query(
        "SELECT id, leg, record, error, retry_state FROM initial_sync_error
         WHERE run = $1 AND id > $2 AND ($3 = 0 OR kind = $3) AND ($4 = '' OR company = $4)
             AND ($5 = 0 OR retry_state = $5)
         ORDER BY id LIMIT $6",
    )
    .bind(run)
    .bind(after)
    .bind(number(filter.kind))
    .bind(&filter.company)
    .bind(number(filter.retry_state))
    .bind(limit)
    .map(stored)
    .fetch_all(conn)
    .await
}

/// Rows of a company and direction that failed in a run and still do, behind `after`: id and row.
pub(crate) async fn failed_rows(
    conn: &mut PgConnection,
    run: i64,
    company: &str,
    source: Side,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<(i64, Vec<u8>)>> {
    sqlx::query_as(
        "SELECT e.id, e.record_id FROM initial_sync_error e
         JOIN initial_sync_leg l ON l.run = e.run AND l.number = e.leg
         WHERE e.run = $1 AND l.company = $2 AND l.source = $3 AND e.id > $4 AND e.retry_state <> 3
         ORDER BY e.id LIMIT $5",
    )
    .bind(run)
    .bind(company)
    .bind(number(source))
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// How many those are.
pub(crate) async fn count_failed(
    conn: &mut PgConnection,
    run: i64,
    company: &str,
    source: Side,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM initial_sync_error e
         JOIN initial_sync_leg l ON l.run = e.run AND l.number = e.leg
         WHERE e.run = $1 AND l.company = $2 AND l.source = $3 AND e.retry_state <> 3",
    )
    .bind(run)
    .bind(company)
    .bind(number(source))
    .fetch_one(conn)
    .await
}

/// How many of these there are of the run.
pub(crate) async fn count_errors(
    conn: &mut PgConnection,
    run: i64,
    ids: &[i64],
) -> sqlx::Result<usize> {
    let count = "SELECT count(*) FROM initial_sync_error WHERE run = $1 AND id = ANY($2)";
    let count: i64 = sqlx::query_scalar(count).bind(run).bind(ids).fetch_one(conn).await?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Asks for errors to be tried again: these, or all that can help. How many.
pub(crate) async fn queue_retries(
    conn: &mut PgConnection,
    run: i64,
    ids: Option<&[i64]>,
) -> sqlx::Result<i64> {
    let queued = sqlx::query(
        "UPDATE initial_sync_error SET retry_state = 2
         WHERE run = $1 AND retry_state IN (1, 4) AND (($2::bigint[] IS NULL AND retryable) OR id = ANY($2))",
    );
    let queued = queued.bind(run).bind(ids).execute(conn).await?.rows_affected();
    Ok(i64::try_from(queued).unwrap_or(i64::MAX))
}

/// Errors of a run that are to be tried again, oldest first.
pub(crate) async fn queued_errors(
    conn: &mut PgConnection,
    run: i64,
    limit: i64,
) -> sqlx::Result<Vec<StoredError>> {
    sqlx::query(
        "SELECT id, leg, record, error, retry_state FROM initial_sync_error
         WHERE run = $1 AND retry_state = 2 ORDER BY id LIMIT $2",
    )
    .bind(run)
    .bind(limit)
    .map(stored)
    .fetch_all(conn)
    .await
}

/// Notes that rows were copied after all.
pub(crate) async fn mended(conn: &mut PgConnection, ids: &[i64]) -> sqlx::Result<()> {
    sqlx::query("UPDATE initial_sync_error SET retry_state = 3 WHERE id = ANY($1)")
        .bind(ids)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes that a row failed again, and why.
pub(crate) async fn retried(
    conn: &mut PgConnection,
    id: i64,
    error: &pb::SyncError,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE initial_sync_error SET retry_state = 4, error = $2, kind = $3, retryable = $4
         WHERE id = $1",
    )
    .bind(id)
    .bind(error.encode_to_vec())
    .bind(number(error.kind))
    .bind(error.retryable)
    .execute(conn)
    .await?;
    Ok(())
}

/// How many errors are not mended.
pub(crate) async fn open_errors(conn: &mut PgConnection, run: i64) -> sqlx::Result<i64> {
    let open = "SELECT count(*) FROM initial_sync_error WHERE run = $1 AND retry_state <> 3";
    sqlx::query_scalar(open).bind(run).fetch_one(conn).await
}

fn stored(row: PgRow) -> StoredError {
    let (record, error): (Vec<u8>, Vec<u8>) = (row.get("record"), row.get("error"));
    StoredError {
        id: row.get("id"),
        leg: row.get("leg"),
        record: decoded(&record),
        error: decoded(&error),
        retry_state: RetryState::try_from(i32::from(row.get::<i16, _>("retry_state")))
            .unwrap_or_default(),
    }
}
