//! `$ref`: rows as the addresses of themselves. Rows come finished from the providers with nothing
//! but their version and their id; what is written instead is found by the members' names, which no
//! value can look like, since quotes within values are escaped.

use std::sync::Arc;

use axum::body::Bytes;

use super::page::context;
use crate::error::GatewayError;
use crate::http::quoted;
use crate::metadata::{Snapshot, Table};
use crate::query::{Expand, Read};

/// What of a page becomes addresses.
#[derive(Debug, Default)]
pub(super) struct References {
    /// The rows themselves.
    rows: Option<Address>,
    /// Objects under these members.
    members: Vec<(String, Address)>,
}

#[derive(Debug)]
struct Address {
    /// How a row's own id is called.
    id: String,
    /// Of its entity set.
    url: String,
}

impl Address {
    fn new(table: &Table, root: &str) -> Self {
        Self { id: table.primary_id.clone(), url: format!("{root}/{}", table.set_name) }
    }

    /// `{"@odata.etag":..,"id":"guid"}` as an address; none for any other object.
    fn write(&self, object: &[u8]) -> Option<String> {
        let row: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(object).ok()?;
        let known = |it: &String| *it == self.id || it == "@odata.etag";
        if !row.keys().all(known) {
            return None;
        }
        let id = row.get(&self.id)?.as_str()?;
        Some(format!("{{\"@odata.id\":{}}}", quoted(&format!("{}({id})", self.url))))
    }
}

impl References {
    pub(super) fn of_rows(table: &Table, root: &str) -> Self {
        Self { rows: Some(Address::new(table, root)), members: Vec::new() }
    }

    /// Those of a read's expands that are asked for as addresses.
    pub(super) fn expanded(
        read: &Read,
        table: &Arc<Table>,
        snapshot: &Snapshot,
        root: &str,
    ) -> Self {
        let mut members = Vec::new();
        collect(&read.expands, table, snapshot, root, &mut members);
        Self { rows: None, members }
    }

    pub(super) fn context(&self, root: &str, table: &Table, names: &[String]) -> String {
        match self.rows {
            Some(_) => format!("{root}/$metadata#Collection($ref)"),
            None => context(root, table, names),
        }
    }

    /// Rewrites finished rows.
    pub(super) fn rewrite(&self, rows: Bytes) -> Result<Bytes, GatewayError> {
        if let Some(address) = &self.rows {
            return rewrite_rows(address, &rows);
        }
        let rewritten = self.members.iter().fold(rows, |rows, (name, address)| {
            rewrite_members(&rows, &format!("{}:{{", quoted(name)), address).unwrap_or(rows)
        });
        Ok(rewritten)
    }
}

fn collect(
    expands: &[Expand],
    table: &Table,
    snapshot: &Snapshot,
    root: &str,
    members: &mut Vec<(String, Address)>,
) {
    for expand in expands {
        let navigation = table.navigation(&expand.navigation);
        let Some(target) = navigation.and_then(|it| snapshot.by_name(&it.target)) else { continue };
        if expand.references_only {
            members.push((expand.navigation.clone(), Address::new(target, root)));
        }
        collect(&expand.expands, target, snapshot, root, members);
    }
}

fn rewrite_rows(address: &Address, rows: &[u8]) -> Result<Bytes, GatewayError> {
    let mut out = String::new();
    for object in objects(rows) {
        let text = address.write(object).ok_or_else(|| {
            tracing::error!("a row came without its id where only that was asked for");
            GatewayError::Internal
        })?;
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&text);
    }
    Ok(out.into())
}

/// Objects without objects in them, with commas between them.
fn objects(rows: &[u8]) -> impl Iterator<Item = &[u8]> {
    rows.split_inclusive(|it| *it == b'}').map(|it| it.strip_prefix(b",").unwrap_or(it))
}

/// `start`: the member's name, a colon and an opening brace. Nothing where there is nothing to do.
fn rewrite_members(rows: &Bytes, start: &str, address: &Address) -> Option<Bytes> {
    let brace = start.len().checked_sub(1)?;
    let mut out = Vec::with_capacity(rows.len());
    let mut rest: &[u8] = rows;
    let mut found = false;
    while let Some(at) = position(rest, start.as_bytes()) {
        let (before, object) = rest.split_at_checked(at + brace)?;
        let end = object.iter().position(|it| *it == b'}')? + 1;
        let (object, behind) = object.split_at_checked(end)?;
        out.extend_from_slice(before);
        match address.write(object) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => out.extend_from_slice(object),
        }
        found = true;
        rest = behind;
    }
    out.extend_from_slice(rest);
    found.then(|| out.into())
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|it| it == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Address {
        Address { id: "contactid".into(), url: "http://h/contacts".into() }
    }

    #[test]
    fn api_14_expanded_references_are_addresses() {
        let rows = r#"{"a":"\"nav\":{","nav":{"@odata.etag":"W/\"5\"","contactid":"7"},"b":1},{"nav":null}"#;
        let references = References { rows: None, members: vec![("nav".into(), address())] };
        let expected =
            r#"{"a":"\"nav\":{","nav":{"@odata.id":"http://h/contacts(7)"},"b":1},{"nav":null}"#;
        assert_eq!(references.rewrite(Bytes::from(rows)).unwrap(), expected);
        let others = r#"{"nav":{"contactid":"7","name":"x"}}"#;
        assert_eq!(references.rewrite(Bytes::from(others)).unwrap(), others);
    }

    #[test]
    fn rows_become_addresses() {
        let references = References { rows: Some(address()), members: Vec::new() };
        let rows = r#"{"@odata.etag":"W/\"5\"","contactid":"7"},{"contactid":"8"}"#;
        let expected =
            r#"{"@odata.id":"http://h/contacts(7)"},{"@odata.id":"http://h/contacts(8)"}"#;
        assert_eq!(references.rewrite(Bytes::from(rows)).unwrap(), expected);
        assert_eq!(references.rewrite(Bytes::new()).unwrap(), "");
        assert!(references.rewrite(Bytes::from(r#"{"name":"x"}"#)).is_err());
    }
}
