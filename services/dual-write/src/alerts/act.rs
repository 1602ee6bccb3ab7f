//! What is done to a map that fails too often.

use std::time::Duration;

use proto::dual_write::v1::{AlertAction, MapState, SyncErrorKind, SyncMode};
use serde_json::json;
use sqlx::PgConnection;

use super::store::{self, Alert};
use super::{Failure, RULES};
use crate::core::Core;
use crate::error::Error;
use crate::maps::{ActiveMap, Transition};
use crate::store::activity::Activity;

/// Until a side that was away is tried for the first time.
const AWAY_DELAY: Duration = Duration::from_secs(5);

/// Does what the rule says. Whoever died on the way left it to the next: done twice, it is done once.
pub(super) async fn act(core: &Core, alert: &Alert) -> Result<(), Error> {
    let wanted = alert.wanted_action.try_into().unwrap_or(AlertAction::None);
    let done = match wanted {
        AlertAction::Pause if pause(core, alert).await? => AlertAction::Pause,
        AlertAction::Stop if stop(core, alert).await? => AlertAction::Stop,
        AlertAction::Pause | AlertAction::Stop | AlertAction::None | AlertAction::Unspecified => {
            AlertAction::None
        }
    };
    let mut transaction = core.store.begin().await?;
    if !store::acted(&mut transaction, alert.number, done).await? {
        return Ok(());
    }
    if done == AlertAction::Pause
        && let Some(rule) = store::rule(&mut transaction, &alert.rule).await?
        && let Some(delay) = rule.probe_delay
    {
        probe_later(&mut transaction, &alert.map, Some(alert.number), delay).await?;
    }
    if done == AlertAction::None {
        let fired = activity(alert, "AlertFired", "fired");
        fired.record(&mut transaction, &alert.map, &actor(alert)).await?;
    }
    Ok(transaction.commit().await?)
}

/// A map that is to queue when a side is away is paused when one is, and tried again soon (`SyncMode`).
pub(super) async fn queue_when_away(
    core: &Core,
    map: &str,
    failures: &[&Failure],
) -> Result<(), Error> {
    let Some(active) = core.maps.get(map) else { return Ok(()) };
    let queues = active.table_map.sync_mode() == SyncMode::LiveOrQueue;
    let runs = active.table_map.state() == MapState::Running;
    let Some(away) = failures.iter().find(|it| is_away(it.error.kind())) else { return Ok(()) };
    if !queues || !runs {
        return Ok(());
    }
    let kind = away.error.kind().as_str_name();
    let message = "A side does not answer: changes wait in the queue until it does.";
    let activity = Activity::new("MapPaused", message).with(json!({ "errorKind": kind }));
    if !transition(core, map, &[MapState::Running], MapState::Pausing, "", activity).await? {
        return Ok(());
    }
    let mut connection = core.store.pool().acquire().await?;
    probe_later(&mut connection, map, None, AWAY_DELAY).await
}

/// Has one change be tried after a while.
async fn probe_later(
    connection: &mut PgConnection,
    map: &str,
    alert: Option<i64>,
    delay: Duration,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO probe (map, alert, delay_milliseconds, next_time)
         VALUES ($1, $2, $3, clock_timestamp() + $3 * interval '1 millisecond')
         ON CONFLICT (map) DO UPDATE SET alert = excluded.alert,
             delay_milliseconds = excluded.delay_milliseconds, next_time = excluded.next_time",
    )
    .bind(map)
    .bind(alert)
    .bind(store::milliseconds(delay))
    .execute(connection)
    .await?;
    Ok(())
}

/// Answers whether it is paused, by this or already.
async fn pause(core: &Core, alert: &Alert) -> Result<bool, Error> {
    let activity = activity(alert, "MapPaused", "paused the map");
    let from = [MapState::Running];
    let paused =
        transition(core, &alert.map, &from, MapState::Pausing, &actor(alert), activity).await?;
    Ok(paused || core.maps.get(&alert.map).is_some_and(|it| is_paused(&it)))
}

/// Answers whether it is stopped, by this or already.
async fn stop(core: &Core, alert: &Alert) -> Result<bool, Error> {
    let activity = activity(alert, "MapStopped", "stopped the map");
    let from = [MapState::Running, MapState::Pausing, MapState::Paused, MapState::Resuming];
    let stopped =
        transition(core, &alert.map, &from, MapState::Stopping, &actor(alert), activity).await?;
    Ok(stopped || core.maps.get(&alert.map).is_some_and(|it| is_stopped(&it)))
}

/// Answers whether the map was in one of the states.
pub(super) async fn transition(
    core: &Core,
    map: &str,
    from: &[MapState],
    to: MapState,
    actor: &str,
    activity: Activity,
) -> Result<bool, Error> {
    let change = Transition { map, epoch: None, from, to, actor, activity };
    match core.maps.transition(core, change).await {
        Ok(_) => Ok(true),
        // It is in another state, or gone: somebody else was faster.
        Err(Error::State { .. } | Error::StateText { .. } | Error::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn activity(alert: &Alert, kind: &'static str, did: &str) -> Activity {
    let message =
        format!("{RULES}/{} {did}: {} failures within its window.", alert.rule, alert.error_count);
    Activity::new(kind, message).with(json!({ "alert": alert.name() }))
}

fn actor(alert: &Alert) -> String {
    format!("{RULES}/{}", alert.rule)
}

/// The side is away, rather than refusing something.
fn is_away(kind: SyncErrorKind) -> bool {
    matches!(
        kind,
        SyncErrorKind::BadGateway
            | SyncErrorKind::Unavailable
            | SyncErrorKind::Throttled
            | SyncErrorKind::Timeout
    )
}

fn is_paused(map: &ActiveMap) -> bool {
    matches!(map.table_map.state(), MapState::Pausing | MapState::Paused)
}

fn is_stopped(map: &ActiveMap) -> bool {
    matches!(map.table_map.state(), MapState::Stopping | MapState::NotRunning)
}
