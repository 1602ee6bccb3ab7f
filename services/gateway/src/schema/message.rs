//! Which messages tables take: `sdkmessages` and `sdkmessagefilters`.

use serde_json::{Value, json};

use super::parts::id;
use crate::metadata::{Snapshot, Source, Table};

const READ: [&str; 2] = ["Retrieve", "RetrieveMultiple"];
const WRITE: &str = "Update";

/// The messages there are.
pub(super) fn messages() -> impl Iterator<Item = Value> {
    READ.into_iter().chain([WRITE]).map(message)
}

/// One for each table and message that it takes.
pub(super) fn filters(snapshot: &Snapshot) -> impl Iterator<Item = Value> + '_ {
    snapshot.tables.iter().flat_map(|table| {
        taken(table).map(|name| {
            json!({
                "sdkmessagefilterid": id("sdkmessagefilter", &[&table.logical_name, name]),
                "primaryobjecttypecode": table.logical_name,
                "secondaryobjecttypecode": "none",
                "iscustomprocessingstepallowed": false,
                "_sdkmessageid_value": id("sdkmessage", &[name]),
                "sdkmessageid": message(name),
            })
        })
    })
}

fn message(name: &str) -> Value {
    json!({
        "sdkmessageid": id("sdkmessage", &[name]),
        "name": name,
        "isprivate": false,
        "isactive": true,
    })
}

fn taken(table: &Table) -> impl Iterator<Item = &'static str> + use<> {
    let writes = (table.source == Source::Catalog).then_some(WRITE);
    READ.into_iter().chain(writes)
}
