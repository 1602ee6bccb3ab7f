//! What a map has done and has left to do (spec DW-65).

use std::time::Duration;

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

/// How a map stands.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) map: String,
    pub(crate) counters: MapCounters,
    pub(crate) last_error: Option<SyncError>,
    /// Both sides know of its present state.
    pub(crate) is_told: bool,
}

/// How maps stand; all of them where `map` is empty.
pub(crate) async fn list(connection: &mut PgConnection, map: &str) -> Result<Vec<Report>, Error> {
    let rows = sqlx::query(
        "SELECT map_report.map, to_platform_count, to_finance_and_operations_count, queued_record_count,
                skipped_count,
                (extract(epoch FROM now() - to_platform_waiting_since) * 1000)::bigint AS platform_lag,
                (extract(epoch FROM now() - to_finance_and_operations_waiting_since) * 1000)::bigint
                    AS finance_lag,
                CASE WHEN state IN ('RUNNING', 'RESUMING') THEN to_platform_heartbeat_time END
                    AS platform_heartbeat,
                CASE WHEN state IN ('RUNNING', 'RESUMING')
                    THEN to_finance_and_operations_heartbeat_time END AS finance_heartbeat,
                last_error,
                (SELECT count(*) FROM failed_change
                 WHERE failed_change.map = map_report.map AND retry_state <> 3) AS failed,
                (SELECT count(*) FROM map_configuration
                 WHERE map_configuration.map = known.name AND map_configuration.epoch = known.epoch)
                    AS told
         FROM map_report JOIN map AS known ON known.name = map_report.map
         WHERE $1 = '' OR map_report.map = $1",
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
            "UPDATE map_report
             SET to_finance_and_operations_count = to_finance_and_operations_count + $2
             WHERE map = $1"
        }
        Side::Platform | Side::Unspecified => {
            "UPDATE map_report SET to_platform_count = to_platform_count + $2 WHERE map = $1"
        }
    };
    sqlx::query(sql).bind(map).bind(rows).execute(connection).await?;
    Ok(())
}

/// Says what waits to go from `source`.
pub(crate) async fn waiting(
    connection: &mut PgConnection,
    map: &str,
    source: Side,
    waiting: Waiting,
) -> Result<(), Error> {
    let sql = match source {
        Side::FinanceAndOperations => {
            "UPDATE map_report SET to_platform_waiting_since = $2 WHERE map = $1"
        }
        Side::Platform | Side::Unspecified => {
            "UPDATE map_report SET to_finance_and_operations_waiting_since = $2 WHERE map = $1"
        }
    };
    sqlx::query(sql).bind(map).bind(waiting.since).execute(connection).await?;
    Ok(())
}

/// Says that whatever was changed on `source` before `seen` has been taken, of these maps.
pub(crate) async fn beat(
    connection: &mut PgConnection,
    maps: &[String],
    source: Side,
    seen: DateTime<Utc>,
) -> Result<(), Error> {
    // Others write rows of several maps as well: in one order.
    let sql = match source {
        Side::FinanceAndOperations => {
            "WITH beats AS (SELECT map FROM map_report WHERE map = ANY($1) ORDER BY map FOR UPDATE)
             UPDATE map_report SET to_platform_heartbeat_time = $2 FROM beats
             WHERE map_report.map = beats.map"
        }
        Side::Platform | Side::Unspecified => {
            "WITH beats AS (SELECT map FROM map_report WHERE map = ANY($1) ORDER BY map FOR UPDATE)
             UPDATE map_report SET to_finance_and_operations_heartbeat_time = $2 FROM beats
             WHERE map_report.map = beats.map"
        }
    };
    sqlx::query(sql).bind(maps).bind(seen).execute(connection).await?;
    Ok(())
}

/// Running maps of which not everything has been taken that was changed on `source` so long ago, and since when.
pub(crate) async fn behind(
    connection: &mut PgConnection,
    source: Side,
    age: Duration,
) -> Result<Vec<(String, DateTime<Utc>)>, Error> {
    let query = sqlx::query_as(
        "SELECT name, since FROM map JOIN map_report ON map_report.map = name
         CROSS JOIN LATERAL (SELECT greatest(state_change_time,
             CASE WHEN $2 THEN to_platform_heartbeat_time
                 ELSE to_finance_and_operations_heartbeat_time END)) AS it(since)
         WHERE state = 'RUNNING' AND since < now() - make_interval(secs => $1) ORDER BY name",
    );
    let to_platform = source == Side::FinanceAndOperations;
    Ok(query.bind(age.as_secs_f64()).bind(to_platform).fetch_all(connection).await?)
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
             to_finance_and_operations_waiting_since = NULL, to_platform_heartbeat_time = NULL,
             to_finance_and_operations_heartbeat_time = NULL, last_error = NULL
         WHERE map = $1",
    )
    .bind(map)
    .execute(connection)
    .await?;
    Ok(())
}

fn read(row: &PgRow) -> Result<Report, Error> {
    const SIDES: i64 = 2;
    let error: Option<Vec<u8>> = row.try_get("last_error")?;
    let error = error.map(|it| SyncError::decode(&*it)).transpose();
    let lag = |it: Option<i64>| Some(names::duration(it.unwrap_or(0).max(0)));
    let heartbeat = |column| -> Result<_, Error> {
        let at: Option<DateTime<Utc>> = row.try_get(column)?;
        Ok(at.map(names::timestamp))
    };
    let counters = MapCounters {
        queued_record_count: row.try_get("queued_record_count")?,
        skipped_change_count: row.try_get("skipped_count")?,
        catch_up_error_count: row.try_get("failed")?,
        to_platform_count: row.try_get("to_platform_count")?,
        to_finance_and_operations_count: row.try_get("to_finance_and_operations_count")?,
        to_platform_lag: lag(row.try_get("platform_lag")?),
        to_finance_and_operations_lag: lag(row.try_get("finance_lag")?),
        to_platform_heartbeat_time: heartbeat("platform_heartbeat")?,
        to_finance_and_operations_heartbeat_time: heartbeat("finance_heartbeat")?,
    };
    Ok(Report {
        map: row.try_get("map")?,
        counters,
        last_error: error.map_err(|it| Error::Stored(it.to_string()))?,
        is_told: row.try_get::<i64, _>("told")? == SIDES,
    })
}
