//! What goes on as long as the process lives.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use proto::dual_write::v1::MapState;
use sqlx::postgres::PgListener;
use tokio::time::MissedTickBehavior;

use super::configure;
use crate::core::Core;
use crate::error::Error;
use crate::maps::Transition;
use crate::store::activity::Activity;
use crate::store::{self};

const CHANNEL: &str = "dual_write_maps";
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LAST_DELAY: Duration = Duration::from_secs(5);
/// How old the maps may get where nothing can be heard, as behind some connection poolers.
const POLL: Duration = Duration::from_secs(1);
/// A side that did not answer is asked again after this.
const ROUND: Duration = Duration::from_secs(2);

/// Follows maps and tables, and keeps both sides told of them.
pub(crate) async fn run(core: Arc<Core>) {
    tokio::join!(core.maps.tables.follow(), hear(&core), ask(&core), keep_told(&core));
}

async fn hear(core: &Core) {
    let mut delay = FIRST_DELAY;
    loop {
        if let Err(error) = listen(core, &mut delay).await {
            tracing::warn!(%error, "cannot hear of maps; trying again");
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LAST_DELAY);
    }
}

async fn listen(core: &Core, delay: &mut Duration) -> Result<(), Error> {
    let mut listener = PgListener::connect(core.store.url()).await?;
    listener.listen(CHANNEL).await?;
    *delay = FIRST_DELAY;
    // What changed while nobody listened was not told.
    core.maps.refresh(&core.store).await?;
    while listener.try_recv().await?.is_some() {
        core.maps.refresh(&core.store).await?;
    }
    Ok(())
}

/// Reads what is new of maps and tables, and writes counts down.
async fn ask(core: &Core) {
    let mut ticks = tokio::time::interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = core.maps.tables.news.notified() => {}
        }
        if let Err(error) = core.maps.refresh(&core.store).await {
            tracing::debug!(%error, "cannot ask for maps");
        }
        if let Err(error) = core.maps.counters.flush(&core.store).await {
            tracing::debug!(%error, "cannot write counts down");
        }
    }
}

/// One process tells the sides what they did not hear.
async fn keep_told(core: &Core) {
    loop {
        let mut leader = core.store.leader("maps").await;
        tokio::select! {
            () = leader.lost() => {}
            () = rounds(core) => {}
        }
    }
}

async fn rounds(core: &Core) {
    let mut changes = core.maps.subscribe();
    loop {
        if let Err(error) = round(core).await {
            tracing::warn!(%error, "cannot see what the sides hold; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            // The registry outlives every task.
            _ = changes.changed() => {}
        }
    }
}

async fn round(core: &Core) -> Result<(), Error> {
    let held = {
        let mut connection = core.store.pool().acquire().await?;
        store::configurations::all(&mut connection).await?
    };
    for (name, side, acknowledged) in held {
        let active = core.maps.get(&name).filter(|it| it.is_configured());
        let is_told = active.as_ref().is_some_and(|it| it.epoch == acknowledged.epoch);
        let is_other = active.is_some_and(|it| {
            it.compiled.is_some() && it.side(side).encode_to_vec() != acknowledged.map_side
        });
        if is_told && is_other {
            // The tables have changed, and what is under way must not be read as what comes.
            renew(core, &name).await?;
        }
        if (!is_told || is_other)
            && let Err(error) = configure::one(core, &name, side).await
        {
            tracing::warn!(map = name, ?side, %error, "a side could not be told of a map");
        }
    }
    for map in core.maps.all() {
        match map.state() {
            MapState::Pausing | MapState::Stopping => core.maps.settle(core, &map.name).await?,
            MapState::Running if map.compiled.is_none() && core.maps.tables.get().is_ok() => {
                pause_misfit(core, &map.name, map.problem.as_deref()).await?;
            }
            _ => {}
        }
    }
    store::idempotency::forget(&mut *core.store.pool().acquire().await?).await
}

async fn renew(core: &Core, name: &str) -> Result<(), Error> {
    let mut connection = core.store.pool().acquire().await?;
    store::maps::renew_epoch(&mut connection, name).await?;
    drop(connection);
    core.maps.refresh(&core.store).await
}

/// A running map whose tables have changed so that it means nothing any more: its changes wait.
async fn pause_misfit(core: &Core, name: &str, problem: Option<&str>) -> Result<(), Error> {
    let message = format!(
        "The map does not fit the tables any more, and its changes wait: {}",
        problem.unwrap_or_default()
    );
    let activity = Activity::new("MapMisfit", message);
    let change = Transition {
        map: name,
        epoch: None,
        from: &[MapState::Running],
        to: MapState::Pausing,
        actor: "",
        activity,
    };
    core.maps.transition(core, change).await.map(drop)
}
