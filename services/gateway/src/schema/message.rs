//! Which messages tables take: `sdkmessages` and `sdkmessagefilters`. Clients ask these whether they may
//! send many rows at once (spec lifecycle-and-web-api §2.9).

use proto::query::v1::{ActionDefinition, ActionTarget};
use serde_json::{Value, json};

use super::parts::id;
use crate::metadata::{Snapshot, Source, Table};

const READ: [&str; 2] = ["Retrieve", "RetrieveMultiple"];
const CREATE: [&str; 2] = ["Create", "CreateMultiple"];
const UPDATE: [&str; 2] = ["Update", "UpdateMultiple"];
const UPSERT: [&str; 2] = ["Upsert", "UpsertMultiple"];
const DELETE: [&str; 1] = ["Delete"];

/// The messages there are.
pub(super) fn messages(snapshot: &Snapshot) -> impl Iterator<Item = Value> + '_ {
    let lists: [&[&str]; 5] = [&READ, &CREATE, &UPDATE, &UPSERT, &DELETE];
    let own = snapshot.tables.iter().flat_map(|it| &it.definition.actions);
    let own = own.map(|it| message(&it.unique_name, true));
    lists.into_iter().flatten().map(|it| message(it, false)).chain(own)
}

/// One for each table and message that it takes, and for each action.
pub(super) fn filters(snapshot: &Snapshot) -> impl Iterator<Item = Value> + '_ {
    snapshot.tables.iter().flat_map(|table| {
        let name = table.logical_name.as_str();
        let general = taken(table).map(move |it| filter(name, it, false));
        let own = table.definition.actions.iter();
        general.chain(own.map(move |it| filter(owner(table, it), &it.unique_name, true)))
    })
}

fn filter(table: &str, name: &str, is_custom: bool) -> Value {
    json!({
        "sdkmessagefilterid": id("sdkmessagefilter", &[table, name]),
        "primaryobjecttypecode": table,
        "secondaryobjecttypecode": "none",
        "iscustomprocessingstepallowed": false,
        "_sdkmessageid_value": id("sdkmessage", &[name]),
        "sdkmessageid": message(name, is_custom),
    })
}

fn message(name: &str, is_custom: bool) -> Value {
    json!({
        "sdkmessageid": id("sdkmessage", &[name]),
        "name": name,
        "isprivate": false,
        "isactive": true,
        "customizationlevel": i32::from(is_custom),
    })
}

fn owner<'t>(table: &'t Table, action: &ActionDefinition) -> &'t str {
    match action.target() {
        ActionTarget::Entity | ActionTarget::EntityCollection => &table.logical_name,
        ActionTarget::Global | ActionTarget::Unspecified => "none",
    }
}

fn taken(table: &Table) -> impl Iterator<Item = &'static str> + use<> {
    // Of the catalog's list, single rows can be changed, and that is all.
    let listed = table.source == Source::Catalog;
    let columns = &table.definition.columns;
    let creates = !listed && columns.iter().any(|it| it.valid_for_create);
    let updates = !listed && columns.iter().any(|it| it.valid_for_update);
    let names = |wanted: bool, names: &'static [&'static str]| {
        names.iter().copied().filter(move |_| wanted)
    };
    names(true, &READ)
        .chain(names(creates, &CREATE))
        .chain(names(updates, &UPDATE))
        .chain(names(listed, &["Update"]))
        .chain(names(creates && updates, &UPSERT))
        .chain(names(creates || updates, &DELETE))
}
