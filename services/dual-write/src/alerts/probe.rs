//! Half-open: a map that was paused because a side failed is tried with one waiting change, and resumed when
//! that side would take it.
//!
//! What is tried is not kept: the other side runs its rules and constraints over the change and is then told
//! to forget it. So nothing arrives out of order, and whoever dies on the way leaves nothing behind.

use std::time::{Duration, Instant};

use proto::dual_write::v1::{MapState, Side, SyncError};
use proto::query::v1 as wire;
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};
use tonic::Status;

use super::rule::LONGEST_PROBE_DELAY;
use super::{RULES, act, store};
use crate::core::Core;
use crate::error::Error;
use crate::follow::{Images, refusal, translate};
use crate::maps::ActiveMap;
use crate::peers::{asked, other};
use crate::store::activity::Activity;
use crate::store::{positions, reports};

/// For one change.
const TIME: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Due {
    map: String,
    alert: Option<i64>,
    rule: Option<String>,
    delay_milliseconds: i64,
}

/// Tries what is to be tried by now.
pub(super) async fn probe_due(core: &Core) -> Result<(), Error> {
    let due: Vec<Due> = {
        let mut connection = core.store.pool().acquire().await?;
        sqlx::query_as(
            "SELECT probe.map, probe.alert, alert.rule, probe.delay_milliseconds
             FROM probe LEFT JOIN alert ON alert.number = probe.alert
             WHERE probe.next_time <= clock_timestamp() ORDER BY probe.next_time",
        )
        .fetch_all(&mut *connection)
        .await?
    };
    for it in due {
        probe(core, &it).await?;
    }
    Ok(())
}

async fn probe(core: &Core, due: &Due) -> Result<(), Error> {
    let Some(map) = core.maps.get(&due.map) else { return forget(core, due, false).await };
    match map.state() {
        // It waits for both sides to be told.
        MapState::Pausing => return Ok(()),
        MapState::Paused => {}
        MapState::Unspecified
        | MapState::NotRunning
        | MapState::Initializing
        | MapState::Running
        | MapState::Resuming
        | MapState::Stopping => return forget(core, due, false).await,
    }
    match try_one(core, &map).await? {
        Ok(()) => resume(core, due).await,
        Err(error) => {
            tracing::info!(map = map.name, kind = error.kind, "the other side is not back yet");
            put_off(core, due, &error).await
        }
    }
}

async fn resume(core: &Core, due: &Due) -> Result<(), Error> {
    let actor = due.rule.as_ref().map(|it| format!("{RULES}/{it}")).unwrap_or_default();
    let message = "A change would get through: what waits is caught up.";
    let detail = due.alert.map_or_else(|| json!({}), |it| json!({ "alertNumber": it }));
    let activity = Activity::new("MapResumed", message).with(detail);
    let from = [MapState::Paused];
    let resumed =
        act::transition(core, &due.map, &from, MapState::Resuming, &actor, activity).await?;
    forget(core, due, resumed).await
}

/// Somebody resumed or stopped the map, or this did.
async fn forget(core: &Core, due: &Due, resumed: bool) -> Result<(), Error> {
    let mut transaction = core.store.begin().await?;
    if resumed {
        sqlx::query("UPDATE alert SET auto_resume_time = clock_timestamp() WHERE number = $1")
            .bind(due.alert)
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::query("DELETE FROM probe WHERE map = $1 AND alert IS NOT DISTINCT FROM $2")
        .bind(&due.map)
        .bind(due.alert)
        .execute(&mut *transaction)
        .await?;
    Ok(transaction.commit().await?)
}

async fn put_off(core: &Core, due: &Due, error: &SyncError) -> Result<(), Error> {
    let delay = doubled(store::span(due.delay_milliseconds));
    let mut connection = core.store.pool().acquire().await?;
    sqlx::query(
        "UPDATE probe SET delay_milliseconds = $3,
             next_time = clock_timestamp() + $3 * interval '1 millisecond'
         WHERE map = $1 AND alert IS NOT DISTINCT FROM $2",
    )
    .bind(&due.map)
    .bind(due.alert)
    .bind(store::milliseconds(delay))
    .execute(&mut *connection)
    .await?;
    reports::last_error(&mut connection, &due.map, Some(error)).await
}

fn doubled(delay: Duration) -> Duration {
    delay.saturating_mul(2).min(LONGEST_PROBE_DELAY)
}

/// Has both sides say whether they would take the first change that waits for them.
async fn try_one(core: &Core, map: &ActiveMap) -> Result<Result<(), SyncError>, Error> {
    let positions = {
        let mut connection = core.store.pool().acquire().await?;
        positions::load(&mut connection, &map.name).await?
    };
    for source in [Side::FinanceAndOperations, Side::Platform] {
        let position = positions.iter().find(|it| it.side == source);
        let after = position.map(|it| it.position.as_str());
        if let Err(error) = try_side(core, map, source, after).await {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

async fn try_side(
    core: &Core,
    map: &ActiveMap,
    source: Side,
    after: Option<&str>,
) -> Result<(), SyncError> {
    let target = other(source);
    let away = |side| move |status: Status| told(core, side, &status);
    let waiting = match after {
        Some(after) => first_waiting(core, map, source, after).await.map_err(away(source))?,
        None => None,
    };
    let row = match (&map.compiled, &waiting) {
        (Some(compiled), Some(row)) => {
            translate(map, compiled, source, (row, Images::Current)).map_err(|it| *it)?
        }
        _ => None,
    };
    let Some(row) = row else {
        let mut sharing = core.sides.of(target).sharing();
        let answer = sharing.get_log_position(asked(wire::GetLogPositionRequest {})).await;
        return answer.map(drop).map_err(away(target));
    };
    let begun = core.sides.of(target).begin(Instant::now() + TIME).await;
    let mut transaction = begun.map_err(away(target))?;
    let applied = transaction.apply(vec![row], &uuid::Uuid::new_v4().to_string()).await;
    // Dropped, so that nothing of it stays.
    applied.map(drop).map_err(away(target))
}

/// The first row that waits to go from `source`.
async fn first_waiting(
    core: &Core,
    map: &ActiveMap,
    source: Side,
    after: &str,
) -> Result<Option<wire::SharedRow>, Status> {
    let request = wire::ListTouchedRowsRequest {
        map: map.name.clone(),
        after_position: after.to_owned(),
        page_size: 1,
        ..Default::default()
    };
    let mut sharing = core.sides.of(source).sharing();
    let rows = sharing.list_touched_rows(asked(request)).await?.into_inner().rows;
    Ok(rows.into_iter().next().and_then(|it| it.row))
}

fn told(core: &Core, side: Side, status: &Status) -> SyncError {
    let correlation = uuid::Uuid::new_v4().simple().to_string();
    refusal::sync_error(status, side, &core.config.web_api_url, &correlation)
}

impl FromRow<'_, PgRow> for Due {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            map: row.try_get("map")?,
            alert: row.try_get("alert")?,
            rule: row.try_get("rule")?,
            delay_milliseconds: row.try_get("delay_milliseconds")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        let minutes = |it: u64| Duration::from_secs(it * 60);
        assert_eq!(doubled(minutes(1)), minutes(2));
        assert_eq!(doubled(minutes(40)), minutes(60));
        assert_eq!(doubled(minutes(60)), minutes(60));
    }
}
