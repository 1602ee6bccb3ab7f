//! What a map has done and has left to do (spec DW-65).

use chrono::{DateTime, Utc};
use prost::Message as _;
use proto::dual_write::v1::{MapCounters, RetryState, Side, SyncError};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use crate::error::Error;
use crate::names;

/// What is waiting for one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// When the oldest of it was made; `None`: nothing waits.
    pub(crate) since: Option<DateTime<Utc>>,
}

/// Counters and last errors, by map; all of them where `map` is empty.
pub(crate) async fn list(
    connection: &mut PgConnection,
    map: &str,
) -> Result<Vec<(String, MapCounters, Option<SyncError>)>, Error> {
    let rows = sqlx::query(
        "SELECT map, to_platform_count, to_finance_and_operations_count, queued_record_count,
                skipped_count,
                (extract(epoch FROM now() - to_platform_waiting_since) * 1000)::bigint AS platform_lag,
                (extract(epoch FROM now() - to_finance_and_operations_waiting_since) * 1000)::bigint
                    AS finance_lag,
                heartbeat_time, last_error,
                (SELECT count(*) FROM failed_change
                 WHERE failed_change.map = map_report.map AND retry_state <> 3) AS failed
         FROM map_report WHERE $1 = '' OR map = $1",
    )
    .bind(map)
    .bind(RetryState::Completed as i32)
    .fetch_all(connection)
    .await?;
    rows.iter().map(read).collect()
}

/// Adds rows that reached the other side. `target` is the side that they went to.
pub(crate) async fn add(
    connection: &mut PgConnection,
    map: &str,
    target: Side,
    rows: i64,
) -> Result<(), Error> {
    let sql = match target {
        Side::FinanceAndOperations => {
            "UPDATE map_report SET heartbeat_time = now(),
                 to_finance_and_operations_count = to_finance_and_operations_count + $2
             WHERE map = $1"
        }
        Side::Platform | Side::Unspecified => {
            "UPDATE map_report SET heartbeat_time = now(), to_platform_count = to_platform_count + $2
             WHERE map = $1"
        }
    };
    sqlx::query(sql).bind(map).bind(rows).execute(connection).await?;
    Ok(())
}

/// Says what waits to go from `source`, and that somebody looked.
pub(crate) async fn waiting(
    connection: &mut PgConnection,
    map: &str,
    source: Side,
    waiting: Waiting,
) -> Result<(), Error> {
    let sql = match source {
        Side::FinanceAndOperations => {
            "UPDATE map_report SET heartbeat_time = now(), to_platform_waiting_since = $2
             WHERE map = $1"
        }
        Side::Platform | Side::Unspecified => {
            "UPDATE map_report SET heartbeat_time = now(), to_finance_and_operations_waiting_since = $2
             WHERE map = $1"
        }
    };
    sqlx::query(sql).bind(map).bind(waiting.since).execute(connection).await?;
    Ok(())
}

/// Adds changes that nobody is told of, because whoever wrote them said so.
pub(crate) async fn skipped(
    connection: &mut PgConnection,
    map: &str,
    changes: i64,
) -> Result<(), Error> {
    if changes > 0 {
        sqlx::query("UPDATE map_report SET skipped_count = skipped_count + $2 WHERE map = $1")
            .bind(map)
            .bind(changes)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Says how many changes are queued.
pub(crate) async fn queued(
    connection: &mut PgConnection,
    map: &str,
    count: i64,
) -> Result<(), Error> {
    sqlx::query("UPDATE map_report SET queued_record_count = $2 WHERE map = $1")
        .bind(map)
        .bind(count)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn last_error(
    connection: &mut PgConnection,
    map: &str,
    error: Option<&SyncError>,
) -> Result<(), Error> {
    sqlx::query("UPDATE map_report SET last_error = $2 WHERE map = $1")
        .bind(map)
        .bind(error.map(prost::Message::encode_to_vec))
        .execute(connection)
        .await?;
    Ok(())
}

/// As of a map that starts.
pub(crate) async fn reset(connection: &mut PgConnection, map: &str) -> Result<(), Error> {
    sqlx::query(
        "UPDATE map_report SET to_platform_count = 0, to_finance_and_operations_count = 0,
             queued_record_count = 0, skipped_count = 0, to_platform_waiting_since = NULL,
             to_finance_and_operations_waiting_since = NULL, last_error = NULL
         WHERE map = $1",
    )
    .bind(map)
    .execute(connection)
    .await?;
    Ok(())
}

fn read(row: &PgRow) -> Result<(String, MapCounters, Option<SyncError>), Error> {
    let heartbeat: Option<DateTime<Utc>> = row.try_get("heartbeat_time")?;
    let error: Option<Vec<u8>> = row.try_get("last_error")?;
    let error = error.map(|it| SyncError::decode(&*it)).transpose();
    let lag = |it: Option<i64>| Some(names::duration(it.unwrap_or(0).max(0)));
    let counters = MapCounters {
        queued_record_count: row.try_get("queued_record_count")?,
        skipped_change_count: row.try_get("skipped_count")?,
        catch_up_error_count: row.try_get("failed")?,
        to_platform_count: row.try_get("to_platform_count")?,
        to_finance_and_operations_count: row.try_get("to_finance_and_operations_count")?,
        to_platform_lag: lag(row.try_get("platform_lag")?),
        to_finance_and_operations_lag: lag(row.try_get("finance_lag")?),
        heartbeat_time: heartbeat.map(names::timestamp),
    };
    Ok((row.try_get("map")?, counters, error.map_err(|it| Error::Stored(it.to_string()))?))
}
