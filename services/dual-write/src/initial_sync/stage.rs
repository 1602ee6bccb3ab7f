//! What a run goes through: prepared and copied, lookups filled in, ended. Each stage can be begun again after a
//! process died in it.

use std::sync::Arc;

use proto::dual_write::v1::{self as pb, InitialSyncState, MapState};
use serde_json::json;

use super::failure::Stop;
use super::model::{Leg, Run, project_name, sum};
use super::work::Work;
use super::{leg, patch, prepare, report, retry, store};
use crate::core::Core;
use crate::error::Error;
use crate::maps::Transition;
use crate::store::activity::{self, Activity};
use crate::store::maps::StoredMap;

/// Does what is next for a run. An error is the own store's, and it is begun again.
pub(super) async fn advance(core: &Arc<Core>, run: Run) -> Result<(), Error> {
    // The map as it was when the run was begun, or newer.
    core.maps.refresh(&core.store).await?;
    match attempt(core, &run).await {
        Ok(()) => Ok(()),
        Err(Stop::Store(error)) => Err(error),
        Err(Stop::Ended) if run.is_open() => {
            end(core, &run, InitialSyncState::Cancelled, None).await
        }
        Err(Stop::Ended) => Ok(()),
        Err(Stop::Failed(failure)) if run.is_open() => {
            tracing::warn!(run = run.name, failure = failure.message, "an initial sync failed");
            end(core, &run, InitialSyncState::Failed, Some(&failure)).await
        }
        // Rows that are tried again stay queued.
        Err(Stop::Failed(failure)) => {
            tracing::warn!(run = run.name, failure = failure.message, "rows could not be retried");
            Ok(())
        }
    }
}

async fn attempt(core: &Arc<Core>, run: &Run) -> Result<(), Stop> {
    let mut work = Work::new(core, run.clone()).await?;
    match run.state {
        InitialSyncState::Pending | InitialSyncState::Running => {
            prepare::run(&mut work).await?;
            let work = Work::new(core, reread(core, run).await?).await?;
            copy(&work).await
        }
        InitialSyncState::PatchingLookups => fill_in(&work).await,
        InitialSyncState::Completed
        | InitialSyncState::CompletedWithErrors
        | InitialSyncState::Failed
        | InitialSyncState::Cancelled
        | InitialSyncState::Unspecified => retry::run(&work).await,
    }
}

async fn reread(core: &Core, run: &Run) -> Result<Run, Stop> {
    let mut conn = core.store.pool().acquire().await?;
    store::by_name(&mut conn, &run.name).await?.ok_or(Stop::Ended)
}

async fn legs(work: &Work) -> Result<Vec<Leg>, Stop> {
    Ok(store::legs(&mut *work.conn().await?, work.run.id).await?)
}

async fn copy(work: &Work) -> Result<(), Stop> {
    for leg in legs(work).await? {
        if leg.state != InitialSyncState::Completed {
            leg::run(work, &leg).await?;
        }
    }
    let mut change = work.change().await?;
    store::set_state(&mut change, work.run.id, InitialSyncState::PatchingLookups).await?;
    change.commit().await?;
    Ok(())
}

async fn fill_in(work: &Work) -> Result<(), Stop> {
    for leg in legs(work).await? {
        patch::run(work, &leg).await?;
    }
    work.check()?;
    let errors = sum(&legs(work).await?).errors;
    let state = match errors {
        0 => InitialSyncState::Completed,
        _ => InitialSyncState::CompletedWithErrors,
    };
    Ok(end(&work.core, &work.run, state, None).await?)
}

/// Ends a run and tells of it; the map follows with [`settle`].
async fn end(
    core: &Core,
    run: &Run,
    state: InitialSyncState,
    failure: Option<&pb::SyncError>,
) -> Result<(), Error> {
    let mut change = core.store.begin().await?;
    let legs = store::legs(&mut change, run.id).await?;
    let mut errors = store::first_errors(&mut change, run.id).await?;
    errors.extend(failure.cloned());
    if !store::end(&mut change, run.id, state, failure).await? {
        return Ok(());
    }
    // A run that may be resumed needs its ranges.
    if state != InitialSyncState::Failed {
        store::drop_ranges(&mut change, run.id).await?;
    }
    let message = summary(core, run, state, &legs, &errors);
    let projects: Vec<String> = legs.iter().map(|it| project_name(it.project)).collect();
    let detail = json!({ "initial_sync": run.name, "projects": projects });
    tracing::info!(run = run.name, message, "an initial sync ended");
    activity::record(&mut change, &run.map, "InitialSyncEnded", &message, "", detail).await?;
    change.commit().await?;
    commit::step("initial-sync:ended");
    settle(core, &run.map).await
}

fn summary(
    core: &Core,
    run: &Run,
    state: InitialSyncState,
    legs: &[Leg],
    errors: &[pb::SyncError],
) -> String {
    let active = core.maps.get(&run.map);
    let table_map = active.map(|it| it.table_map.clone()).unwrap_or_default();
    let tables = report::Tables {
        entity: &table_map.finance_and_operations_entity,
        table: &table_map.platform_table,
        lookups: 0,
    };
    report::summary(state, tables, legs, errors)
}

/// Has a map follow its last run: live after a copy, stopped after a failure. Nothing where the run has not
/// ended, or ended before the map began to initialize.
pub(crate) async fn settle(core: &Core, map: &str) -> Result<(), Error> {
    let mut conn = core.store.pool().acquire().await?;
    let StoredMap { map: stored, epoch } = crate::store::maps::get(&mut conn, map).await?;
    let last = store::find_last(&mut conn, map).await?;
    drop(conn);
    let Some(last) = last.filter(|_| stored.state() == MapState::Initializing) else {
        return Ok(());
    };
    let began = stored.state_change_time.unwrap_or_default();
    let ended = last.end_time.map(|it| it.timestamp_micros()).unwrap_or_default();
    if ended < began.seconds * 1_000_000 + i64::from(began.nanos / 1_000) {
        return Ok(());
    }
    let (to, activity) = match last.state {
        InitialSyncState::Completed => {
            let message = "The rows are copied; what was changed meanwhile follows.";
            (MapState::Resuming, Activity::new("MapCopied", message))
        }
        InitialSyncState::Failed => {
            let message = "The initial sync failed; it can be resumed.";
            (MapState::NotRunning, Activity::new("MapStopped", message))
        }
        InitialSyncState::Cancelled => {
            let message = "The initial sync was cancelled.";
            (MapState::NotRunning, Activity::new("MapStopped", message))
        }
        InitialSyncState::CompletedWithErrors
        | InitialSyncState::Pending
        | InitialSyncState::Running
        | InitialSyncState::PatchingLookups
        | InitialSyncState::Unspecified => return Ok(()),
    };
    let activity = activity.with(json!({ "initial_sync": last.name }));
    let change = Transition {
        map,
        // Whoever resumes a failed run in between begins another initialization.
        epoch: Some(epoch),
        from: &[MapState::Initializing],
        to,
        actor: &last.actor,
        activity,
    };
    match core.maps.transition(core, change).await {
        // Somebody else has moved it on.
        Ok(_) | Err(Error::State { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
