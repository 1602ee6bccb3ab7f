//! Runs and their legs.

use chrono::{DateTime, Utc};
use prost::Message as _;
use proto::dual_write::v1::{self as pb, InitialSyncMode, InitialSyncState, Side};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::{mode, number, side, state};
use crate::initial_sync::model::{Counts, Leg, Positions, Run, decoded};

/// Runs that meet a condition.
macro_rules! runs {
    ($condition:literal) => {
        concat!(
            "SELECT id, map, name, state, mode, master, companies, finance_and_operations_position,
                 platform_position, previous, prepared, warnings, failure, actor, version, revision,
                 start_time, end_time
             FROM initial_sync ",
            $condition
        )
    };
}

/// A run to be.
#[derive(Clone, Debug)]
pub(crate) struct New<'a> {
    pub(crate) map: &'a str,
    pub(crate) mode: InitialSyncMode,
    pub(crate) master: Side,
    pub(crate) companies: &'a [String],
    pub(crate) previous: Option<i64>,
    pub(crate) actor: &'a str,
    pub(crate) version: &'a str,
}

/// Stores a run and answers its name. Another open run of the map is a unique violation.
pub(crate) async fn begin(conn: &mut PgConnection, new: New<'_>) -> sqlx::Result<String> {
    sqlx::query_scalar(
        "INSERT INTO initial_sync (map, name, state, mode, master, companies, previous, actor, version)
         SELECT $1, $1 || '/initialSyncs/' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD') || '-' || (
                 SELECT count(*) + 1 FROM initial_sync
                 WHERE map = $1 AND create_time >= date_trunc('day', now(), 'UTC')
             ), $2, $3, $4, $5, $6, $7, $8
         RETURNING name",
    )
    .bind(new.map)
    .bind(number(InitialSyncState::Pending))
    .bind(number(new.mode))
    .bind(number(new.master))
    .bind(new.companies)
    .bind(new.previous)
    .bind(new.actor)
    .bind(new.version)
    .fetch_one(conn)
    .await
}

pub(crate) async fn by_name(conn: &mut PgConnection, name: &str) -> sqlx::Result<Option<Run>> {
    sqlx::query(runs!("WHERE name = $1")).bind(name).map(run).fetch_optional(conn).await
}

/// The newest run of a map.
pub(crate) async fn find_last(conn: &mut PgConnection, map: &str) -> sqlx::Result<Option<Run>> {
    let found = sqlx::query(runs!("WHERE map = $1 ORDER BY id DESC LIMIT 1"));
    found.bind(map).map(run).fetch_optional(conn).await
}

/// Where the logs were when the run began from which an incremental one counts.
pub(crate) async fn since(conn: &mut PgConnection, run: &Run) -> sqlx::Result<Positions> {
    let found = sqlx::query(runs!("WHERE id = $1"));
    let found = found.bind(run.previous).map(self::run).fetch_optional(conn).await?;
    Ok(found.map(|it| it.positions).unwrap_or_default())
}

/// Cancels what is still open of a map. How many that were.
pub(crate) async fn cancel_open(conn: &mut PgConnection, map: &str) -> sqlx::Result<u64> {
    let cancelled = sqlx::query(
        "UPDATE initial_sync SET state = 7, end_time = now(), revision = revision + 1
         WHERE map = $1 AND state IN (1, 2, 3)",
    );
    Ok(cancelled.bind(map).execute(conn).await?.rows_affected())
}

/// Newest first, behind `before`; of one map or of all.
pub(crate) async fn list(
    conn: &mut PgConnection,
    map: Option<&str>,
    before: Option<i64>,
    limit: i64,
) -> sqlx::Result<Vec<Run>> {
    let found = sqlx::query(runs!(
        "WHERE ($1::text IS NULL OR map = $1) AND ($2::bigint IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3"
    ));
    found.bind(map).bind(before).bind(limit).map(run).fetch_all(conn).await
}

/// Runs that have not ended, in the order in which they were asked for.
pub(crate) async fn open_runs(conn: &mut PgConnection) -> sqlx::Result<Vec<Run>> {
    sqlx::query(runs!("WHERE state IN (1, 2, 3) ORDER BY id")).map(run).fetch_all(conn).await
}

/// Ended runs of which rows are to be tried again.
pub(crate) async fn with_retries(conn: &mut PgConnection) -> sqlx::Result<Vec<Run>> {
    let found = sqlx::query(runs!(
        "WHERE state IN (4, 5, 6, 7) AND id IN (
             SELECT run FROM initial_sync_error WHERE retry_state = 2
         ) ORDER BY id"
    ));
    found.map(run).fetch_all(conn).await
}

/// Notes that something of the run changes; false where it has ended, or goes on, in the meantime.
pub(crate) async fn touch(conn: &mut PgConnection, run: i64, is_open: bool) -> sqlx::Result<bool> {
    let touched = sqlx::query(
        "UPDATE initial_sync SET revision = revision + 1
         WHERE id = $1 AND (state IN (1, 2, 3)) = $2",
    );
    Ok(touched.bind(run).bind(is_open).execute(conn).await?.rows_affected() == 1)
}

/// Notes where the logs are, and the legs. False where the run has ended in the meantime.
pub(crate) async fn prepare(
    conn: &mut PgConnection,
    run: &Run,
    legs: &[Leg],
) -> sqlx::Result<bool> {
    let prepared = sqlx::query(
        "UPDATE initial_sync SET prepared = true, state = $2, mode = $3, warnings = $4,
             finance_and_operations_position = $5, platform_position = $6,
             start_time = coalesce(start_time, now()), revision = revision + 1
         WHERE id = $1 AND state IN (1, 2)",
    )
    .bind(run.id)
    .bind(number(InitialSyncState::Running))
    .bind(number(run.mode))
    .bind(&run.warnings)
    .bind(&run.positions.finance_and_operations)
    .bind(&run.positions.platform)
    .execute(&mut *conn)
    .await?;
    if prepared.rows_affected() == 0 {
        return Ok(false);
    }
    for leg in legs {
        sqlx::query(
            "INSERT INTO initial_sync_leg
                 (run, number, project, company, source, state, until_position, total_count)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(run.id)
        .bind(leg.number)
        .bind(leg.project)
        .bind(&leg.company)
        .bind(number(leg.source))
        .bind(number(leg.state))
        .bind(&leg.until_position)
        .bind(leg.counts.total)
        .execute(&mut *conn)
        .await?;
    }
    Ok(true)
}

/// Forgets what was copied, so that the run is prepared anew.
pub(crate) async fn clear_legs(conn: &mut PgConnection, run: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM initial_sync_leg WHERE run = $1")
        .bind(run)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "UPDATE initial_sync SET prepared = false, revision = revision + 1,
             finance_and_operations_position = NULL, platform_position = NULL WHERE id = $1",
    )
    .bind(run)
    .execute(conn)
    .await?;
    Ok(())
}

/// Goes on to another open state. False where the run has ended in the meantime.
pub(crate) async fn set_state(
    conn: &mut PgConnection,
    run: i64,
    state: InitialSyncState,
) -> sqlx::Result<bool> {
    let moved = sqlx::query(
        "UPDATE initial_sync SET state = $2, revision = revision + 1,
             start_time = coalesce(start_time, now())
         WHERE id = $1 AND state IN (1, 2, 3)",
    );
    Ok(moved.bind(run).bind(number(state)).execute(conn).await?.rows_affected() == 1)
}

/// Ends an open run. False where it has ended already.
pub(crate) async fn end(
    conn: &mut PgConnection,
    run: i64,
    state: InitialSyncState,
    failure: Option<&pb::SyncError>,
) -> sqlx::Result<bool> {
    let ended = sqlx::query(
        "UPDATE initial_sync SET state = $2, failure = $3, end_time = now(), revision = revision + 1
         WHERE id = $1 AND state IN (1, 2, 3)",
    )
    .bind(run)
    .bind(number(state))
    .bind(failure.map(pb::SyncError::encode_to_vec))
    .execute(&mut *conn)
    .await?;
    if ended.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("UPDATE initial_sync_leg SET state = $2 WHERE run = $1 AND state IN (1, 2, 3)")
        .bind(run)
        .bind(number(state))
        .execute(conn)
        .await?;
    Ok(true)
}

/// Opens a failed run again. False unless it failed.
pub(crate) async fn resume(conn: &mut PgConnection, run: i64) -> sqlx::Result<bool> {
    let resumed = sqlx::query(
        "UPDATE initial_sync SET state = 1, failure = NULL, end_time = NULL, revision = revision + 1
         WHERE id = $1 AND state = 6",
    );
    if resumed.bind(run).execute(&mut *conn).await?.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("UPDATE initial_sync_leg SET state = 1 WHERE run = $1 AND state = 6")
        .bind(run)
        .execute(conn)
        .await?;
    Ok(true)
}

/// Takes a run with errors as completed. False unless it ended with errors.
pub(crate) async fn accept(conn: &mut PgConnection, run: i64, by_hand: bool) -> sqlx::Result<bool> {
    let accepted = sqlx::query(
        "UPDATE initial_sync SET state = 4, accepted = $2, revision = revision + 1
         WHERE id = $1 AND state = 5",
    );
    Ok(accepted.bind(run).bind(by_hand).execute(conn).await?.rows_affected() == 1)
}

pub(crate) async fn legs(conn: &mut PgConnection, run: i64) -> sqlx::Result<Vec<Leg>> {
    sqlx::query(
        "SELECT number, project, company, source, state, until_position, total_count, exported_count,
             inserted_count, updated_count, unchanged_count, error_count
         FROM initial_sync_leg WHERE run = $1 ORDER BY number",
    )
    .bind(run)
    .map(leg)
    .fetch_all(conn)
    .await
}

pub(crate) async fn set_leg_state(
    conn: &mut PgConnection,
    run: i64,
    leg: i32,
    state: InitialSyncState,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE initial_sync_leg SET state = $3 WHERE run = $1 AND number = $2")
        .bind(run)
        .bind(leg)
        .bind(number(state))
        .execute(conn)
        .await?;
    Ok(())
}

/// Adds to a leg's counts; the total is not added to.
pub(crate) async fn add_to_leg(
    conn: &mut PgConnection,
    run: i64,
    leg: i32,
    counts: Counts,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE initial_sync_leg SET exported_count = exported_count + $3,
             inserted_count = inserted_count + $4, updated_count = updated_count + $5,
             unchanged_count = unchanged_count + $6, error_count = error_count + $7
         WHERE run = $1 AND number = $2",
    )
    .bind(run)
    .bind(leg)
    .bind(counts.exported)
    .bind(counts.inserted)
    .bind(counts.updated)
    .bind(counts.unchanged)
    .bind(counts.errors)
    .execute(conn)
    .await?;
    Ok(())
}

/// How many rows were done within the last minute, and how many seconds of it the run was at work.
pub(crate) async fn recent_rows(conn: &mut PgConnection, run: i64) -> sqlx::Result<(i64, f64)> {
    sqlx::query_as(
        "SELECT coalesce(sum(g.row_count), 0)::bigint,
             extract(epoch FROM now() - greatest(now() - interval '1 minute', r.start_time))::float8
         FROM initial_sync r
         LEFT JOIN initial_sync_range g ON g.run = r.id AND g.done_time > now() - interval '1 minute'
         WHERE r.id = $1 GROUP BY r.start_time",
    )
    .bind(run)
    .fetch_one(conn)
    .await
}

fn run(row: PgRow) -> Run {
    let failure: Option<Vec<u8>> = row.get("failure");
    Run {
        id: row.get("id"),
        map: row.get("map"),
        name: row.get("name"),
        state: state(row.get("state")),
        mode: mode(row.get("mode")),
        master: side(row.get("master")),
        companies: row.get("companies"),
        positions: Positions {
            finance_and_operations: row.get("finance_and_operations_position"),
            platform: row.get("platform_position"),
        },
        previous: row.get("previous"),
        prepared: row.get("prepared"),
        warnings: row.get("warnings"),
        failure: failure.as_deref().map(decoded),
        actor: row.get("actor"),
        version: row.get("version"),
        revision: row.get("revision"),
        start_time: row.get::<Option<DateTime<Utc>>, _>("start_time"),
        end_time: row.get::<Option<DateTime<Utc>>, _>("end_time"),
    }
}

fn leg(row: PgRow) -> Leg {
    Leg {
        number: row.get("number"),
        project: row.get::<Uuid, _>("project"),
        company: row.get("company"),
        source: side(row.get("source")),
        state: state(row.get("state")),
        until_position: row.get("until_position"),
        counts: Counts {
            total: row.get("total_count"),
            exported: row.get("exported_count"),
            inserted: row.get("inserted_count"),
            updated: row.get("updated_count"),
            unchanged: row.get("unchanged_count"),
            errors: row.get("error_count"),
        },
    }
}
