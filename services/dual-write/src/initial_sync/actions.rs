//! What people do with runs, each within a transaction that answers it.

use proto::dual_write::v1::{InitialSyncState, MapState, TableMap};
use sqlx::PgConnection;

use super::model::Run;
use super::{Wanted, begin, store};
use crate::core::Core;
use crate::error::Error;
use crate::maps::actions::requirements;
use crate::maps::change_state;
use crate::names;
use crate::store::activity::Activity;

/// The run of this name.
pub(crate) async fn get(conn: &mut PgConnection, name: &str) -> Result<Run, Error> {
    let found = store::by_name(conn, name).await?;
    found.ok_or_else(|| Error::NotFound(names::shown(name)))
}

/// Begins a run of a map that is stopped, or whose last run has ended without taking it live.
pub(crate) async fn create(
    core: &Core,
    conn: &mut PgConnection,
    map: &str,
    wanted: Wanted<'_>,
) -> Result<String, Error> {
    let stored = crate::store::maps::lock(&mut *conn, map).await?;
    if let Some(open) = store::find_last(&mut *conn, map).await?.filter(Run::is_open) {
        return Err(refused(&open, "is under way; cancel it, or wait for its end"));
    }
    let active = core.maps.get(map).ok_or(Error::NotLinked)?;
    let linked =
        |it: &&String| active.link.companies.iter().any(|one| one.eq_ignore_ascii_case(it));
    if let Some(stranger) = wanted.companies.iter().find(|it| !linked(it)) {
        return Err(Error::invalid(
            "companies",
            format!("`{}` is not linked", names::shown(stranger)),
        ));
    }
    initialize(conn, &stored.map, wanted.actor).await?;
    begin(&active, wanted, conn).await
}

/// Goes on with a failed run.
pub(crate) async fn resume(conn: &mut PgConnection, name: &str, actor: &str) -> Result<(), Error> {
    let run = get(&mut *conn, name).await?;
    let stored = crate::store::maps::lock(&mut *conn, &run.map).await?;
    let last = store::find_last(&mut *conn, &run.map).await?;
    if last.is_none_or(|it| it.id != run.id) {
        return Err(refused(&run, "is not the map's last run"));
    }
    if !store::resume(&mut *conn, run.id).await? {
        return Err(refused(&run, "did not fail"));
    }
    initialize(conn, &stored.map, actor).await
}

/// Ends a run; the map follows.
pub(crate) async fn cancel(conn: &mut PgConnection, name: &str) -> Result<Run, Error> {
    let run = get(&mut *conn, name).await?;
    // The map first, as whoever begins a run does.
    crate::store::maps::lock(&mut *conn, &run.map).await?;
    if !store::end(&mut *conn, run.id, InitialSyncState::Cancelled, None).await? {
        return Err(refused(&run, "has ended"));
    }
    store::drop_ranges(conn, run.id).await?;
    Ok(run)
}

/// Takes a run with errors as good; the map follows.
pub(crate) async fn accept(conn: &mut PgConnection, name: &str) -> Result<Run, Error> {
    let run = get(&mut *conn, name).await?;
    crate::store::maps::lock(&mut *conn, &run.map).await?;
    if !store::accept(conn, run.id, true).await? {
        return Err(refused(&run, "did not end with errors"));
    }
    Ok(run)
}

/// Has failed rows copied again: these, or without any all that can help. How many.
pub(crate) async fn retry(
    conn: &mut PgConnection,
    parent: &str,
    errors: &[String],
) -> Result<i64, Error> {
    const MOST: usize = 1_000;
    let run = get(&mut *conn, parent).await?;
    if errors.len() > MOST {
        return Err(Error::invalid("names", format!("takes at most {MOST}")));
    }
    let id = |name: &String| {
        let id = name.strip_prefix(parent).and_then(|it| it.strip_prefix("/errors/"));
        let id = id.and_then(|it| it.parse().ok());
        id.ok_or_else(|| Error::NotFound(names::shown(name)))
    };
    let mut ids: Vec<i64> = errors.iter().map(id).collect::<Result<_, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    if store::count_errors(&mut *conn, run.id, &ids).await? != ids.len() {
        return Err(Error::NotFound(format!("{}/errors", names::shown(parent))));
    }
    let ids = (!ids.is_empty()).then_some(&*ids);
    Ok(store::queue_retries(conn, run.id, ids).await?)
}

/// The map begins to initialize. If it does already, it does so anew: whoever is about to end it for the run before
/// comes too late.
async fn initialize(conn: &mut PgConnection, map: &TableMap, actor: &str) -> Result<(), Error> {
    requirements::check(&mut *conn, map).await?;
    let activity = Activity::new("MapStarted", "Started; what is there is copied.");
    let from = [MapState::NotRunning, MapState::Initializing];
    change_state(conn, &map.name, &from, MapState::Initializing, actor, &activity).await
}

fn refused(run: &Run, why: &str) -> Error {
    let state = run.state.as_str_name();
    Error::StateText {
        resource: run.name.clone(),
        state: state.strip_prefix("INITIAL_SYNC_STATE_").unwrap_or(state),
        message: format!("the initial sync `{}` {why}", run.name),
    }
}
