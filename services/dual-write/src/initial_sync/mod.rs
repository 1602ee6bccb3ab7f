//! Copies of the rows that are there before a map goes live (spec A7).
//!
//! A *run* has *legs*, one company in one direction each; a leg is cut into *ranges* of keys. [`run`] is the one
//! worker of all processes: it takes up runs in the `order` in which their maps need each other, and each goes
//! through the `stage`s. `prepare` lays a run out, `leg` cuts and copies, `copy` compares and writes a range,
//! `patch` fills in lookups that pointed at rows not yet there, `retry` copies rows again that failed.
//! `store` remembers: a process that dies costs the ranges that it was at.

pub(crate) mod actions;
mod apply;
mod copy;
mod failure;
mod gone;
mod leg;
pub(crate) mod model;
mod order;
mod patch;
mod prepare;
pub(crate) mod progress;
mod report;
mod retry;
mod source;
mod stage;
pub(crate) mod store;
#[cfg(test)]
mod tests;
mod work;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use proto::dual_write::v1::{InitialSyncMode, InitialSyncState, MapState, Side};
use sqlx::PgConnection;
use tokio::task::JoinSet;

use crate::core::Core;
use crate::error::Error;
use crate::map::CompiledMap;
use crate::map::depend;
use crate::maps::ActiveMap;
use model::Run;
use order::Needs;
pub(crate) use stage::settle;
use store::New;

/// How often it is looked whether there is something to do.
const TICK: Duration = Duration::from_millis(250);
/// After the own store was away.
const PAUSE: Duration = Duration::from_secs(2);
/// Runs that are worked on at once.
const MOST_RUNS: usize = 4;

/// How a run is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// Unspecified: what changed since the last run, where that is known; else everything.
    pub(crate) mode: InitialSyncMode,
    /// Whose values stay; unspecified: the platform's.
    pub(crate) master: Side,
    /// Only these; empty: all of the link.
    pub(crate) companies: &'a [String],
    /// `users/…`.
    pub(crate) actor: &'a str,
}

/// Begins a run of a map, which is or becomes `INITIALIZING` in the same transaction, and answers its name. What
/// is still open of the map is cancelled: it was begun before the map was stopped.
pub(crate) async fn begin(
    map: &ActiveMap,
    wanted: Wanted<'_>,
    conn: &mut PgConnection,
) -> Result<String, Error> {
    store::cancel_open(&mut *conn, &map.name).await?;
    let last = store::find_last(&mut *conn, &map.name).await?;
    let companies = match wanted.companies {
        [] => &map.link.companies,
        given => given,
    };
    let previous = last.filter(|it| covers(it, map, companies)).map(|it| it.id);
    let master = match wanted.master {
        Side::FinanceAndOperations => Side::FinanceAndOperations,
        Side::Platform | Side::Unspecified => Side::Platform,
    };
    let new = New {
        map: &map.name,
        mode: wanted.mode,
        master,
        companies,
        previous,
        actor: wanted.actor,
        version: &map.table_map.active_version,
    };
    Ok(store::begin(conn, new).await?)
}

/// Whether a run copied all that another one would, so that what changed since is enough.
fn covers(last: &Run, map: &ActiveMap, companies: &[String]) -> bool {
    use InitialSyncState as S;
    let copied = |it: &String| last.companies.iter().any(|one| one.eq_ignore_ascii_case(it));
    matches!(last.state, S::Completed | S::CompletedWithErrors)
        && last.prepared
        && last.version == map.table_map.active_version
        && companies.iter().all(copied)
}

/// Works on runs, for ever.
pub(crate) async fn run(core: Arc<Core>) {
    loop {
        let mut leader = core.store.leader("initial-sync").await;
        tokio::select! {
            () = leader.lost() => {}
            () = supervise(&core) => {}
        }
    }
}

async fn supervise(core: &Arc<Core>) {
    let mut tasks = JoinSet::new();
    let mut busy = HashSet::new();
    loop {
        if let Err(error) = look(core, &mut tasks, &mut busy).await {
            tracing::warn!(%error, "cannot look after initial syncs; trying again");
            tokio::time::sleep(PAUSE).await;
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            Some(ended) = tasks.join_next() => match ended {
                Ok(run) => { busy.remove(&run); }
                Err(error) => {
                    tracing::error!(%error, "the work on an initial sync broke off");
                    // Which one is not told: those still at work are known by their tasks.
                    tasks.abort_all();
                    while tasks.join_next().await.is_some() {}
                    busy.clear();
                }
            },
        }
    }
}

/// Takes up what can be taken up.
async fn look(
    core: &Arc<Core>,
    tasks: &mut JoinSet<i64>,
    busy: &mut HashSet<i64>,
) -> Result<(), Error> {
    let mut conn = core.store.pool().acquire().await?;
    let open = store::open_runs(&mut conn).await?;
    let retries = store::with_retries(&mut conn).await?;
    drop(conn);
    settle_all(core, &open).await?;
    let needs = needs(core);
    let ready = open.iter().filter(|it| is_ready(it, &open, &needs));
    let retries = retries.iter().filter(|it| can_retry(core, it));
    for run in ready.chain(retries) {
        if tasks.len() >= MOST_RUNS {
            break;
        }
        if !busy.insert(run.id) {
            continue;
        }
        let (core, run) = (Arc::clone(core), run.clone());
        tasks.spawn(async move {
            let id = run.id;
            if let Err(error) = stage::advance(&core, run).await {
                tracing::warn!(%error, "an initial sync is interrupted; it goes on");
                tokio::time::sleep(PAUSE).await;
            }
            id
        });
    }
    Ok(())
}

/// Maps whose run ended when nobody could tell them.
async fn settle_all(core: &Core, open: &[Run]) -> Result<(), Error> {
    for map in core.maps.all() {
        let is_open = open.iter().any(|it| it.map == map.name);
        if map.state() == MapState::Initializing && !is_open {
            settle(core, &map.name).await?;
        }
    }
    Ok(())
}

fn can_retry(core: &Core, run: &Run) -> bool {
    core.maps.get(&run.map).is_some_and(|it| retry::is_possible(it.state()))
}

fn needs(core: &Core) -> Needs {
    let maps = core.maps.all();
    let compiled: Vec<Arc<CompiledMap>> =
        maps.iter().filter_map(|it| it.compiled.clone()).collect();
    let mut needs = Needs::default();
    for map in &maps {
        let found = depend::required_maps(&map.name, compiled.iter().map(|it| &**it));
        let found = found.into_iter().map(str::to_owned);
        let all: Vec<String> = found.chain(map.version.required_maps.iter().cloned()).collect();
        needs.insert(&map.name, &all);
    }
    needs
}

/// Whether nothing that the run needs is still under way.
fn is_ready(run: &Run, open: &[Run], needs: &Needs) -> bool {
    let maps = |of: &BTreeSet<&str>, test: &dyn Fn(&Run) -> bool| {
        open.iter().filter(|it| of.contains(it.map.as_str())).any(test)
    };
    match run.state {
        InitialSyncState::PatchingLookups => {
            !maps(&needs.circle(&run.map), &|it| !it.is_past_copying())
        }
        _ => !maps(&needs.before(&run.map), &|_| true),
    }
}

#[cfg(test)]
mod readiness {
    use super::*;
    use crate::initial_sync::model::Positions;

    fn run(map: &str, state: InitialSyncState) -> Run {
        Run {
            id: 0,
            map: map.to_owned(),
            name: String::new(),
            state,
            mode: InitialSyncMode::Full,
            master: Side::Platform,
            companies: Vec::new(),
            positions: Positions::default(),
            previous: None,
            prepared: false,
            warnings: Vec::new(),
            failure: None,
            actor: String::new(),
            version: String::new(),
            revision: 1,
            start_time: None,
            end_time: None,
        }
    }

    #[test]
    fn a_run_waits_for_those_it_needs() {
        let mut needs = Needs::default();
        needs.insert("orders", &["customers".to_owned()]);
        needs.insert("customers", &["contacts".to_owned()]);
        needs.insert("contacts", &["customers".to_owned()]);
        let orders = run("orders", InitialSyncState::Pending);
        let customers = run("customers", InitialSyncState::PatchingLookups);
        let contacts = run("contacts", InitialSyncState::Running);
        let open = [orders.clone(), customers.clone(), contacts.clone()];
        assert!(!is_ready(&orders, &open, &needs));
        assert!(is_ready(&contacts, &open, &needs));
        assert!(!is_ready(&customers, &open, &needs), "its circle still copies");
        let past = run("contacts", InitialSyncState::PatchingLookups);
        assert!(is_ready(&customers, &[orders.clone(), customers.clone(), past], &needs));
        assert!(is_ready(&orders, std::slice::from_ref(&orders), &needs));
    }
}
