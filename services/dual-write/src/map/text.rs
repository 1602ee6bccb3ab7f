//! What people are told, in the original's words (spec A7.4, A11).

use proto::query::v1::{ApplyValue, Reference, apply_value, value};

use super::schema::TableSchema;
use super::value::display;

/// A lookup that found nothing, with the query that shows it.
pub(crate) fn lookup_miss(field: &str, sought: &str, probe_url: &str) -> String {
    format!(
        "Couldn't resolve the guid for the field: {field}. The lookup was not found: {sought}. Try \
         this URL(s) to check if the reference data exists: {probe_url}"
    )
}

/// What one leg of an initial sync has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct LegCounts {
    pub(crate) exported: i64,
    pub(crate) errors: i64,
    pub(crate) inserted: i64,
    pub(crate) updated: i64,
}

/// How an initial sync ended, leg by leg. `status` is `Completed`, `Warning` or `Error`.
pub(crate) fn initial_sync_completed(
    status: &str,
    legs: &[(&str, &str, LegCounts)],
    details: &str,
) -> String {
    let legs = legs.iter().map(|(from, to, counts)| {
        let LegCounts { exported, errors, inserted, updated } = counts;
        format!(
            "Executed leg: From {from} to {to} with exported records count: {exported}, \
             ImportRecordsErrorCount: {errors}, ImportRecordsInsertedCount: {inserted} and \
             ImportRecordsUpdatedCount: {updated}"
        )
    });
    let legs: Vec<String> = legs.collect();
    format!(
        "Dual write Initial Sync completed with status: {status}. Following are the details: {} \
         ErrorsDetails: {details}",
        legs.join(" ")
    )
}

/// A map needs a newer solution than there is.
pub(crate) fn version_mismatch(map: &str, solution: &str, have: &str, need: &str) -> String {
    format!(
        "{map} : Dual write failure - Dynamics 365 for Sales solution '{solution}' has version mismatch. \
         Version: '{have}' Required version: '{need}'"
    )
}

/// Path of a Web API query that shows whether the row of a reference exists. Values are what the
/// caller wrote; show it to nobody who may not see them.
pub(crate) fn probe_path(target: &TableSchema, reference: &Reference) -> String {
    let conditions: Vec<String> = reference.key.iter().filter_map(condition).collect();
    let filter = encoded(&conditions.join(" and "));
    format!("/api/data/v9.2/{}?$filter={filter}", target.set_name)
}

fn condition(key: &ApplyValue) -> Option<String> {
    match key.content.as_ref()? {
        apply_value::Content::Value(it) => Some(format!("{} eq {}", key.column, literal(it))),
        apply_value::Content::Reference(it) => {
            let inner = it.key.iter().filter_map(condition);
            let inner: Vec<String> = inner.map(|it| format!("{}/{it}", key.column)).collect();
            (!inner.is_empty()).then(|| inner.join(" and "))
        }
    }
}

fn literal(it: &proto::query::v1::Value) -> String {
    match &it.kind {
        None | Some(value::Kind::NullValue(_)) => "null".to_owned(),
        Some(value::Kind::StringValue(text)) => format!("'{}'", text.replace('\'', "''")),
        Some(_) => display(it),
    }
}

/// Everything but what needs no encoding in a query.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b'\'' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
