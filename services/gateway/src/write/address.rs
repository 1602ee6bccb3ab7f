//! Addresses of rows, as bodies and queries write them.

use std::sync::Arc;

use odata::{Key, Resource};

use super::change_set::RowRef;
use super::plan::Scene;
use crate::error::GatewayError;
use crate::metadata::{Column, Snapshot, Table};
use crate::translate::{self, RowKey};

const API: &str = "/api/data/";

/// The row at an address: `contacts(..)`, with a slash or all of the URL before it, or a Content-ID.
pub(super) fn row(scene: Scene<'_>, address: &str) -> Result<(Arc<Table>, RowRef), GatewayError> {
    let path = within(address, &scene.ask.root).ok_or_else(|| invalid(address))?;
    let path = path.trim_matches('/');
    if let Some(id) = path.strip_prefix('$') {
        let row = scene.references.get(id);
        return row.cloned().ok_or_else(|| GatewayError::UnknownContentId(id.to_owned()));
    }
    let Ok(Resource::Named { name, key, tail }) = Resource::parse(path) else {
        return Err(invalid(address));
    };
    if !tail.is_empty() || key == Key::Absent {
        return Err(invalid(address));
    }
    let table = table(scene.snapshot, &name)?;
    Ok((Arc::clone(table), RowRef::Key(key_of(table, &key)?)))
}

/// The row of this table at an address.
pub(super) fn row_of(
    scene: Scene<'_>,
    table: &Table,
    address: &str,
) -> Result<RowRef, GatewayError> {
    let (found, row) = row(scene, address)?;
    if found.logical_name == table.logical_name {
        return Ok(row);
    }
    let detail = format!(
        "'{address}' is a row of '{}', where one of '{}' is needed.",
        found.logical_name, table.logical_name
    );
    Err(GatewayError::Payload { set: table.set_name.clone(), detail })
}

pub(super) fn table<'s>(
    snapshot: &'s Snapshot,
    set_name: &str,
) -> Result<&'s Arc<Table>, GatewayError> {
    snapshot.by_set(set_name).ok_or_else(|| GatewayError::UnknownSegment(set_name.to_owned()))
}

/// What stands in the parentheses behind an entity set.
pub(super) fn key_of(table: &Table, key: &Key) -> Result<RowKey, GatewayError> {
    let by_lookup = |name: &str| table.by_property(name).is_some_and(Column::is_lookup);
    translate::row_key(table, key).map_err(|error| match key {
        // Which row that is takes reading others.
        Key::Named(pairs) if pairs.iter().any(|(name, _)| by_lookup(name)) => {
            GatewayError::NotOffered("Writing to a row that is named by a lookup".to_owned())
        }
        Key::Parameters(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(name, it)| format!("{name}={it}")).collect();
            GatewayError::BadKey { key: pairs.join(","), table: table.logical_name.clone() }
        }
        _ => error,
    })
}

/// The table of this logical name.
pub(super) fn table_named(snapshot: &Snapshot, name: &str) -> Result<Arc<Table>, GatewayError> {
    let table = snapshot.by_name(name).cloned();
    table.ok_or_else(|| GatewayError::UnknownTable(name.to_owned()))
}

/// What stands behind the service root. Another version's root is as good; another server is not.
fn within<'a>(address: &'a str, root: &str) -> Option<&'a str> {
    let authority = |url: &'a str| url.split_once("://").map(|(_, rest)| rest);
    let rooted = match authority(address) {
        None => address,
        Some(rest) => {
            let (server, path) = rest.split_at_checked(rest.find('/')?)?;
            let own = root.split_once("://")?.1.split('/').next()?;
            server.eq_ignore_ascii_case(own).then_some(path)?
        }
    };
    match rooted.strip_prefix(API) {
        Some(versioned) => versioned.split_once('/').map(|(_, path)| path),
        None if rooted.len() == address.len() => Some(rooted),
        None => None,
    }
}

fn invalid(address: &str) -> GatewayError {
    let address: String = address.chars().take(200).collect();
    GatewayError::InvalidQuery(format!("'{address}' is not the address of a row."))
}
