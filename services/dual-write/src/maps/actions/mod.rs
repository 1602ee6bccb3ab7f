//! What people do with maps. Every write is one transaction; the bulk ones change all maps or none.

pub(crate) mod define;
pub(crate) mod inspect;
pub(crate) mod links;
pub(crate) mod requirements;
pub(crate) mod settings;
pub(crate) mod solutions;
pub(crate) mod start;
pub(crate) mod states;

use std::collections::{BTreeMap, BTreeSet};

use proto::dual_write::v1::{MapState, TableMap};
use sqlx::PgConnection;

use crate::error::Error;
use crate::names;
use crate::store::{self, maps::StoredMap};

/// Maps of one bulk method.
const MOST: usize = 200;

/// Maps with what they have done, in this order.
pub(crate) async fn shown(
    connection: &mut PgConnection,
    names: &[String],
) -> Result<Vec<TableMap>, Error> {
    let mut maps = Vec::with_capacity(names.len());
    for name in names {
        maps.push(store::maps::get(&mut *connection, name).await?.map);
    }
    with_reports(connection, maps).await
}

/// The same of maps that were read. One is shown as running as soon as both sides know it.
pub(crate) async fn with_reports(
    connection: &mut PgConnection,
    mut maps: Vec<TableMap>,
) -> Result<Vec<TableMap>, Error> {
    let only = match maps.as_slice() {
        [one] => one.name.clone(),
        _ => String::new(),
    };
    let reports = store::reports::list(connection, &only).await?;
    let mut reports: BTreeMap<_, _> = reports.into_iter().map(|it| (it.map.clone(), it)).collect();
    for map in &mut maps {
        let Some(report) = reports.remove(&map.name) else { continue };
        map.counters = Some(report.counters);
        map.last_error = report.last_error;
        if map.state() == MapState::Running && !report.is_told {
            // A save may still go behind the queue, and not over both sides.
            map.set_state(MapState::Resuming);
        }
    }
    Ok(maps)
}

/// One map with what it has done.
pub(crate) async fn shown_one(
    connection: &mut PgConnection,
    name: &str,
) -> Result<TableMap, Error> {
    let maps = shown(connection, &[name.to_owned()]).await?;
    maps.into_iter().next().ok_or_else(|| Error::NotFound(names::shown(name)))
}

/// Refuses a list that is empty or too long, or names what is no map, or one twice.
fn check_names<'n>(field: &'static str, given: impl Iterator<Item = &'n str>) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for name in given {
        names::check_map(name)?;
        if !seen.insert(name) {
            return Err(Error::invalid(field, format!("names `{name}` twice")));
        }
    }
    match seen.len() {
        0 => Err(Error::invalid(field, "names no map")),
        count if count > MOST => {
            let reason = format!("names {count} maps; it takes {MOST} at most");
            Err(Error::invalid(field, reason))
        }
        _ => Ok(()),
    }
}

/// Refuses all where one map is not in one of these states.
fn check_states(maps: &[StoredMap], of: &[MapState], needed: &'static str) -> Result<(), Error> {
    let Some(other) = maps.iter().find(|it| !of.contains(&it.map.state())) else { return Ok(()) };
    Err(Error::State { resource: other.map.name.clone(), state: other.map.state(), needed })
}

/// Refuses when the map was changed since it was read.
fn check_etag(map: &TableMap, etag: &str) -> Result<(), Error> {
    check_etag_of(&map.name, &map.etag, etag)
}

fn check_etag_of(name: &str, held: &str, given: &str) -> Result<(), Error> {
    match given.is_empty() || given == held {
        true => Ok(()),
        false => Err(Error::VersionMismatch(name.to_owned())),
    }
}

fn check_stopped(map: &TableMap) -> Result<(), Error> {
    match map.state() {
        MapState::NotRunning => Ok(()),
        state => {
            let needed = "stop it first";
            Err(Error::State { resource: map.name.clone(), state, needed })
        }
    }
}
