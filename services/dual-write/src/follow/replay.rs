//! Replays a queue change by change, in the order of the commits, each row as it was after each change
//! (spec DW-40).
//!
//! What has been replayed is noted with the stretch of the log that it is counted in, so that nobody replays
//! an old image over a newer one after a crash.

use std::collections::HashSet;

use proto::dual_write::v1::{Side, SyncError};
use sqlx::PgConnection;

use super::change::{Change, RowIdentity};
use super::deliver::{BATCH, Delivery, Outcome, Stop};
use super::window::Merge;
use super::{current, failures, refusal};
use crate::core::Core;
use crate::error::Error;
use crate::peers::other;

/// How far the replay of a map has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) until: String,
    pub(super) done: i64,
}

/// Where to go on behind `after`. A stretch that was begun is finished first, as it was begun, unless the map has
/// been paused since: then it goes on to `until`.
pub(super) async fn begin(
    connection: &mut PgConnection,
    map: &str,
    side: Side,
    after: &str,
    until: &str,
) -> Result<Progress, Error> {
    let side = i16::try_from(side as i32).unwrap_or_default();
    let (until, done) = sqlx::query_as(
        "INSERT INTO replay AS r (map, side, after_position, until_position)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (map, side) DO UPDATE SET
             done_change = CASE WHEN r.after_position = $3 THEN r.done_change ELSE 0 END,
             until_position = CASE
                 WHEN r.after_position = $3
                     AND r.begin_time >= (SELECT state_change_time FROM map WHERE name = $1)
                 THEN r.until_position ELSE $4 END,
             begin_time = clock_timestamp(),
             end_time = NULL,
             after_position = $3
         RETURNING until_position, done_change",
    )
    .bind(map)
    .bind(side)
    .bind(after)
    .bind(until)
    .fetch_one(connection)
    .await?;
    Ok(Progress { until, done })
}

/// Changes up to this one have been replayed, of those behind `after`; 0: none.
pub(super) async fn done(
    connection: &mut PgConnection,
    map: &str,
    side: Side,
    after: &str,
) -> Result<i64, Error> {
    let done: Option<i64> = sqlx::query_scalar(
        "SELECT done_change FROM replay WHERE map = $1 AND side = $2 AND after_position = $3",
    )
    .bind(map)
    .bind(i16::try_from(side as i32).unwrap_or_default())
    .bind(after)
    .fetch_optional(connection)
    .await?;
    Ok(done.unwrap_or_default())
}

/// The stretch is over, and nothing of it counts any more.
pub(super) async fn forget(
    connection: &mut PgConnection,
    map: &str,
    side: Side,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM replay WHERE map = $1 AND side = $2")
        .bind(map)
        .bind(i16::try_from(side as i32).unwrap_or_default())
        .execute(connection)
        .await?;
    Ok(())
}

/// The stretch is over: what waited when the map began to resume has been replayed.
pub(super) async fn end(connection: &mut PgConnection, map: &str, side: Side) -> Result<(), Error> {
    sqlx::query("UPDATE replay SET end_time = clock_timestamp() WHERE map = $1 AND side = $2")
        .bind(map)
        .bind(i16::try_from(side as i32).unwrap_or_default())
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes what goes over in one transaction: changes of rows that differ, as one transaction that holds two
/// states of a row would leave the last.
pub(super) async fn take(core: &Core, merge: &mut Merge, source: Side) -> Vec<Change> {
    let (mut batch, mut rows) = (Vec::new(), HashSet::new());
    while batch.len() < BATCH {
        let Some(next) = merge.front(core).await else { break };
        let row = next.identity(source);
        let fresh = rows.insert((row.map.clone(), row.record_id));
        if !(rows.insert((row.map, row.key_digest)) && fresh) {
            break;
        }
        batch.extend(merge.take());
    }
    batch
}

/// Replays changes of rows that differ. False where somebody holds a row: nothing may go past it.
pub(super) async fn replay(core: &Core, source: Side, batch: Vec<Change>) -> Result<bool, Stop> {
    let (mut behind, mut free) = (Vec::new(), Vec::new());
    // What rules made of a row is no state that somebody gave it: at the end of the replay it goes over as it is.
    let (mut done, batch): (Vec<Change>, Vec<Change>) =
        batch.into_iter().partition(|it| it.row.correction);
    let mut connection = core.store.pool().acquire().await.map_err(Error::from)?;
    for change in batch {
        let row: RowIdentity = change.identity(source);
        match failures::first_open(&mut connection, source, &row).await? {
            // Its own failure, from before a crash, is no reason to wait; nor is one of a state that this
            // change replaces.
            Some(first) if first.holds(change.number) => {
                let error = waits(&first);
                behind.push((change, error));
            }
            _ => free.push(change),
        }
    }
    drop(connection);
    let delivery = Delivery::new(core, source);
    let outcomes = delivery.deliver(&free.iter().collect::<Vec<_>>()).await?;
    let mut refused = Vec::new();
    let mut busy = false;
    let held = outcomes.iter().position(|it| matches!(it, Outcome::Busy));
    let held = held.and_then(|it| free.get(it)).map_or(i64::MAX, |it| it.number);
    for (change, outcome) in free.into_iter().zip(outcomes) {
        match outcome {
            Outcome::Through => {
                core.maps.count(&change.map.name, other(source), 1);
                done.push(change);
            }
            Outcome::Nothing => done.push(change),
            Outcome::Refused(error) => refused.push((change, *error)),
            Outcome::Busy => busy = true,
        }
    }
    note(core, source, held, &done, &refused, &behind).await?;
    current::report(core, source, &refused).await;
    Ok(!busy)
}

/// Notes what is done before the first change that somebody holds. What is done behind it is done again.
async fn note(
    core: &Core,
    source: Side,
    held: i64,
    done: &[Change],
    refused: &[(Change, SyncError)],
    behind: &[(Change, SyncError)],
) -> Result<(), Error> {
    let mut transaction = core.store.begin().await?;
    let kept = refused.iter().chain(behind);
    let kept: Vec<_> =
        kept.map(|(change, error)| current::failed(source, change, error.clone())).collect();
    failures::store_all(&mut transaction, &kept).await?;
    let failed = refused.iter().chain(behind).map(|(it, _)| it);
    let side = i16::try_from(source as i32).unwrap_or_default();
    for change in done.iter().chain(failed).filter(|it| it.number < held) {
        sqlx::query(
            "UPDATE replay SET done_change = greatest(done_change, $3) WHERE map = $1 AND side = $2",
        )
        .bind(&change.map.name)
        .bind(side)
        .bind(change.number)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// A change that waits behind another one fails like that one.
fn waits(first: &failures::Stored) -> SyncError {
    let error = refusal::own_error(first.kind(), format!("waits behind {}", first.name()));
    let help = "It goes with the change that it waits behind.".to_owned();
    SyncError { help, attempt_count: 0, ..error }
}
