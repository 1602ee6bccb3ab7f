//! Pausing, resuming and stopping maps (spec A5, A17).

use std::fmt::Display;
use std::sync::Arc;

use proto::dual_write::v1::{MapState, ResumeMode, Side};
use proto::query::v1::ListConfiguredMapsRequest;
use serde::Serialize;
use sqlx::PgConnection;

use super::{check_names, check_states};
use crate::core::Core;
use crate::error::Error;
use crate::follow;
use crate::maps::{change_state, configure};
use crate::peers::asked;
use crate::store::activity::Activity;
use crate::store::{self, maps::StoredMap};

const BOTH: [Side; 2] = [Side::FinanceAndOperations, Side::Platform];

/// Puts all of them where changes wait.
pub(crate) async fn pause(
    connection: &mut PgConnection,
    names: &[String],
    actor: &str,
) -> Result<(), Error> {
    check_names("names", names.iter().map(String::as_str))?;
    let maps = store::maps::lock_all(&mut *connection, names).await?;
    let from = [MapState::Running];
    check_states(&maps, &from, "only what is running can be paused")?;
    let activity = Activity::new("MapPausing", "Changes will wait in the queue.");
    for name in names {
        let to = MapState::Pausing;
        change_state(&mut *connection, name, &from, to, actor, &activity).await?;
    }
    Ok(())
}

/// Replays what waited, or skips it in one of two ways.
pub(crate) async fn resume(
    core: &Arc<Core>,
    connection: &mut PgConnection,
    names: &[String],
    mode: ResumeMode,
    acknowledged: bool,
    actor: &str,
) -> Result<(), Error> {
    check_names("names", names.iter().map(String::as_str))?;
    if mode == ResumeMode::SkipToLiveAndDiscard && !acknowledged {
        let message = "what is queued will be thrown away; say that it may".to_owned();
        return Err(Error::Confirmation { field: "acknowledged", message });
    }
    let maps = store::maps::lock_all(&mut *connection, names).await?;
    let from = [MapState::Paused, MapState::Resuming];
    check_states(&maps, &from, "only what is paused or resuming can be resumed")?;
    for map in &maps {
        let (name, state) = (&map.map.name, map.map.state());
        match mode {
            ResumeMode::Unspecified => return Err(Error::invalid("mode", "is missing")),
            ResumeMode::CatchUp if state == MapState::Resuming => {}
            ResumeMode::CatchUp => {
                let activity = Activity::new("MapResuming", "What waited is replayed.");
                let to = MapState::Resuming;
                change_state(&mut *connection, name, &from, to, actor, &activity).await?;
            }
            ResumeMode::SkipToLiveAndPreserve => {
                check_known(core, map).await?;
                let skipped = follow::preserve_queue(core, name, &mut *connection).await?;
                let message = "Live at once; what waited became catch-up errors, to be retried.";
                let activity = of_skipped("QueuePreserved", message, skipped)?;
                go_live(&mut *connection, name, &from, actor, &activity).await?;
            }
            ResumeMode::SkipToLiveAndDiscard => {
                check_known(core, map).await?;
                let skipped = follow::discard_queue(core, name, &mut *connection).await?;
                let message = "Live at once; what waited was thrown away: the sides may differ, a \
                               reconciliation shows where.";
                let activity = of_skipped("QueueDiscarded", message, skipped)?;
                go_live(&mut *connection, name, &from, actor, &activity).await?;
            }
        }
    }
    Ok(())
}

fn of_skipped(
    kind: &'static str,
    message: &str,
    skipped: impl Display + Serialize,
) -> Result<Activity, Error> {
    let message = format!("{message} Records: {skipped}.");
    let detail = serde_json::to_value(skipped).map_err(|it| Error::Stored(it.to_string()))?;
    Ok(Activity::new(kind, message).with(detail))
}

/// What is known of a map in memory is what is locked.
async fn check_known(core: &Core, stored: &StoredMap) -> Result<(), Error> {
    core.maps.refresh(&core.store).await?;
    let active = core.maps.get(&stored.map.name);
    active.filter(|it| it.epoch == stored.epoch).map(drop).ok_or(Error::Busy)
}

async fn go_live(
    connection: &mut PgConnection,
    name: &str,
    from: &[MapState],
    actor: &str,
    activity: &Activity,
) -> Result<(), Error> {
    change_state(connection, name, from, MapState::Running, actor, activity).await
}

/// What has to be true before maps are stopped: that both sides answer, and nothing is lost that
/// nobody knows of.
pub(crate) async fn check_stop(
    core: &Arc<Core>,
    names: &[String],
    force: bool,
    acknowledged: bool,
) -> Result<(), Error> {
    check_names("names", names.iter().map(String::as_str))?;
    let mut connection = core.store.pool().acquire().await?;
    let mut maps = Vec::with_capacity(names.len());
    for name in names {
        maps.push(store::maps::get(&mut connection, name).await?);
    }
    drop(connection);
    if !force {
        check_states(&maps, &STOPPABLE, "it cannot be stopped, unless by force")?;
        for side in BOTH {
            let request = asked(ListConfiguredMapsRequest { page_size: 1, ..Default::default() });
            let mut client = core.sides.of(side).sharing();
            client.list_configured_maps(request).await.map_err(|it| Error::of_side(side, it))?;
        }
    }
    if acknowledged {
        return Ok(());
    }
    for map in maps.iter().filter(|it| QUEUING.contains(&it.map.state())) {
        let name = &map.map.name;
        let waits = match follow::queue_length(core, name).await {
            Ok(0) => continue,
            Ok(count) => format!("{count} queued records"),
            // A side that does not answer may hold some.
            Err(_) if force => "queued records".to_owned(),
            Err(error) => return Err(error),
        };
        let message = format!("{waits} of `{name}` will be lost; say that they may");
        return Err(Error::Confirmation { field: "acknowledged", message });
    }
    Ok(())
}

const STOPPABLE: [MapState; 5] = [
    MapState::Running,
    MapState::Pausing,
    MapState::Paused,
    MapState::Resuming,
    MapState::Stopping,
];
const QUEUING: [MapState; 3] = [MapState::Pausing, MapState::Paused, MapState::Resuming];

/// Stops all of them. By force they are stopped at once, and what the sides still hold is taken away
/// when they answer.
pub(crate) async fn stop(
    connection: &mut PgConnection,
    names: &[String],
    force: bool,
    actor: &str,
) -> Result<(), Error> {
    let maps = store::maps::lock_all(&mut *connection, names).await?;
    if !force {
        check_states(&maps, &STOPPABLE, "it cannot be stopped, unless by force")?;
    }
    for map in &maps {
        let (name, state) = (&map.map.name, map.map.state());
        let (to, activity) = match force {
            true => (MapState::NotRunning, Activity::new("MapStopped", "Stopped by force.")),
            false => (MapState::Stopping, Activity::new("MapStopping", "Taken off both sides.")),
        };
        if state == to {
            continue;
        }
        change_state(&mut *connection, name, &[state], to, actor, &activity).await?;
    }
    Ok(())
}

/// Has both sides told of maps whose change is committed, as far as they answer.
pub(crate) async fn finish(core: &Core, names: &[String]) -> Result<(), Error> {
    core.maps.refresh(&core.store).await?;
    for name in names {
        configure::both(core, name).await;
        core.maps.settle(core, name).await?;
    }
    Ok(())
}
