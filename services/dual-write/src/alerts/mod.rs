//! Watches failures, and does what rules say when there are too many (spec DW-42, DW-43).
//!
//! [`report`] is where failures come in: it counts them, decides at once whether a rule fires, and does what
//! the rule says. What is left to do afterwards ([`run`]) is done from the store by one process, whichever
//! dies: actions that were begun, telling people (`deliver`), and trying a paused map again (`probe`).

mod act;
mod deliver;
mod mail;
mod probe;
mod rule;
pub(crate) mod store;
#[cfg(test)]
mod tests;
mod verbose;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proto::dual_write::v1::{self as pb, MapState, Side};

use crate::core::Core;
use crate::error::Error;
use crate::maps::ActiveMap;
use crate::metrics::Metrics;
use crate::store::reports;
pub(crate) use rule::{RULES, Rule, id_in};
use store::Alert;

/// How long somebody waits to be told, at most, when nothing is wrong.
const BEAT: Duration = Duration::from_secs(1);

/// A row, or a whole transaction, did not get to the other side.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// `maps/…`.
    pub(crate) map: String,
    /// The side that was written.
    pub(crate) source: Side,
    pub(crate) error: pb::SyncError,
    /// Absent where it was the whole.
    pub(crate) record: Option<pb::Record>,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reported {
    /// All maps that failed queue from now on: what failed may be run again, and will not fail on them.
    pub(crate) queued: bool,
}

/// Counts failures and has rules fire that they are too many for. A store that does not answer is logged:
/// whoever reports has a failure to tell of already.
pub(crate) async fn report(core: &Core, failures: &[Failure]) -> Reported {
    let mut by_map: BTreeMap<&str, Vec<&Failure>> = BTreeMap::new();
    for failure in failures {
        by_map.entry(&failure.map).or_default().push(failure);
    }
    let mut queued = !by_map.is_empty();
    for (map, failures) in by_map {
        if let Err(error) = report_map(core, map, &failures).await {
            tracing::warn!(%error, map, "failures cannot be counted");
        }
        queued &= core.maps.get(map).is_some_and(|it| queues(&it));
    }
    Reported { queued }
}

/// Does what is left to do, for as long as it is polled.
pub(crate) async fn run(core: Arc<Core>) {
    let metrics = Metrics::new();
    loop {
        let mut leader = core.store.leader("alerts").await;
        tokio::select! {
            () = leader.lost() => {}
            () = work(&core, &metrics) => {}
        }
        metrics.forget();
    }
}

/// Whoever is told may take their time: nothing else waits for it.
async fn work(core: &Core, metrics: &Metrics) {
    tokio::join!(watch_all(core, metrics), deliver_all(core));
}

async fn watch_all(core: &Core, metrics: &Metrics) {
    let mut beats = beats();
    loop {
        beats.tick().await;
        metrics.observe(core).await;
        if let Err(error) = watch(core).await {
            tracing::warn!(%error, "what alerts do waits");
        }
    }
}

async fn deliver_all(core: &Core) {
    let mut beats = beats();
    loop {
        beats.tick().await;
        if let Err(error) = deliver::deliver_due(core).await {
            tracing::warn!(%error, "what alerts tell waits");
        }
    }
}

fn beats() -> tokio::time::Interval {
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    beats
}

async fn watch(core: &Core) -> Result<(), Error> {
    let left = {
        let mut connection = core.store.pool().acquire().await?;
        store::forget_failures(&mut connection).await?;
        store::to_act(&mut connection).await?
    };
    for alert in left {
        act::act(core, &alert).await?;
    }
    probe::probe_due(core).await
}

async fn report_map(core: &Core, map: &str, failures: &[&Failure]) -> Result<(), Error> {
    let Some(active) = core.maps.get(map) else { return Ok(()) };
    let Some(last) = failures.last() else { return Ok(()) };
    let fired = count(core, &active, failures).await?;
    let mut connection = core.store.pool().acquire().await?;
    reports::last_error(&mut connection, map, Some(&last.error)).await?;
    if active.table_map.debug {
        verbose::record(&mut connection, &active, failures).await?;
    }
    drop(connection);
    for alert in fired {
        act::act(core, &alert).await?;
    }
    act::queue_when_away(core, map, failures).await
}

/// Counts failures of a map, and has rules fire.
async fn count(core: &Core, map: &ActiveMap, failures: &[&Failure]) -> Result<Vec<Alert>, Error> {
    let kinds: Vec<i32> = failures.iter().map(|it| it.error.kind).collect();
    crate::metrics::failed(&map.name, &kinds);
    // First, so that of those who count at the same time the last one sees them all.
    store::count_failures(&mut *core.store.pool().acquire().await?, &map.name, &kinds).await?;
    let mut transaction = core.store.begin().await?;
    let runs = map.table_map.state() == MapState::Running;
    let mut fired = Vec::new();
    for rule in store::rules(&mut transaction, None, i64::MAX).await? {
        let counted = failures.iter().rfind(|it| rule.counts(&map.name, it.error.kind));
        let Some(last) = counted else { continue };
        let standing = store::standing(&mut transaction, &rule, &map.name, runs).await?;
        if !rule.fires(standing) {
            continue;
        }
        // Again, with nobody else who counts at the same time.
        let Some(rule) = store::lock_rule(&mut transaction, &rule.id).await? else { continue };
        let standing = store::standing(&mut transaction, &rule, &map.name, runs).await?;
        if rule.counts(&map.name, last.error.kind) && rule.fires(standing) {
            let failures = standing.failures;
            let number =
                store::fire(&mut transaction, &rule, &map.name, failures, &last.error).await?;
            fired.extend(store::alert(&mut transaction, number).await?);
        }
    }
    transaction.commit().await?;
    Ok(fired)
}

/// Changes of its rows wait in the log now, and no user waits for the other side.
fn queues(map: &ActiveMap) -> bool {
    matches!(map.table_map.state(), MapState::Pausing | MapState::Paused | MapState::Resuming)
}

impl Alert {
    /// `alertRules/…/alerts/5`.
    pub(crate) fn name(&self) -> String {
        format!("{RULES}/{}/alerts/{}", self.rule, self.number)
    }
}
