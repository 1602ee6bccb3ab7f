//! One row, by its id, an alternate key or a path; and single properties of it.

use axum::body::Bytes;
use axum::http::header::ETAG;
use odata::{QueryOptions, SystemOption};
use proto::query::v1 as pb;
use serde::de::IgnoredAny;

use super::explain;
use super::page::{context, rows_of};
use super::path::{Reached, Row};
use super::references::References;
use crate::Core;
use crate::error::GatewayError;
use crate::http::{Ask, Preferences, Response, json, no_content, not_modified, quoted};
use crate::metadata::Snapshot;
use crate::odata_read;
use crate::query::{self, Read};

/// How a row begins, since the version is asked for first.
const ROW_START: &[u8] = b"{\"@odata.etag\":";

/// `GET set(key)`, `GET set(key)/navigation`.
pub(crate) async fn record(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    row: &Row,
    options: &QueryOptions,
) -> Result<Response, GatewayError> {
    let table = &row.place.table;
    let mut request = odata_read::record(snapshot, &row.place, options, &ask.prefer)?;
    if ask.prefer.explain {
        return explain::explain(core, ask, snapshot, &request.read).await;
    }
    if row.key.is_some() {
        // The key says it all.
        request.read.tree.criteria = None;
    }
    let Some(found) = read(core, ask, snapshot, row, &request.read).await? else {
        return Ok(no_content());
    };
    let references = References::expanded(&request.read, table, snapshot, &ask.root);
    let found = references.rewrite(found)?;
    let etag = etag(&found);
    if let (Some(etag), Some(known)) = (&etag, &ask.if_none_match)
        && ask.prefer.annotations.is_empty()
        && request.read.expands.is_empty()
        && matches_any(known, etag)
    {
        return Ok(not_modified(etag));
    }
    let context = format!("{}/$entity", context(&ask.root, table, &request.names));
    let mut response = with_context(&context, &found);
    let headers = response.headers_mut();
    if let Some(Ok(etag)) = etag.map(TryInto::try_into) {
        headers.insert(ETAG, etag);
    }
    if let Some(Ok(applied)) = ask.prefer.applied(false).map(TryInto::try_into) {
        headers.insert("preference-applied", applied);
    }
    Ok(response)
}

/// `GET set(key)/property`; 204 where it is null.
pub(crate) async fn property(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    (row, name): (&Row, &str),
    options: &QueryOptions,
) -> Result<Response, GatewayError> {
    refuse_shape(options)?;
    let table = &row.place.table;
    let column = table.by_property(name);
    let column = column.ok_or_else(|| GatewayError::unknown_column(table, name))?;
    let mut prefer = Preferences::default();
    prefer.numbers_as_strings = ask.prefer.numbers_as_strings;
    let wanted = odata_read::columns_of(&row.place, &[&column.logical_name], &prefer);
    if ask.prefer.explain {
        return explain::explain(core, ask, snapshot, &wanted).await;
    }
    let Some(found) = read(core, ask, snapshot, row, &wanted).await? else {
        return Ok(no_content());
    };
    let value = member(&found, name).unwrap_or(b"null");
    if value == b"null" {
        return Ok(no_content());
    }
    let id = member(&found, &table.primary_id).and_then(|it| serde_json::from_slice(it).ok());
    let id: String = id.unwrap_or_default();
    let context = format!("{}/$metadata#{}({id})/{name}", ask.root, table.set_name);
    let mut body = format!("{{\"@odata.context\":{},\"value\":", quoted(&context)).into_bytes();
    body.extend_from_slice(value);
    body.push(b'}');
    Ok(json(body))
}

/// `GET set(key)/navigation/$ref`.
pub(crate) async fn reference(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    row: &Row,
    options: &QueryOptions,
) -> Result<Response, GatewayError> {
    refuse_shape(options)?;
    let table = &row.place.table;
    let wanted = odata_read::columns_of(&row.place, &[&table.primary_id], &Preferences::default());
    if ask.prefer.explain {
        return explain::explain(core, ask, snapshot, &wanted).await;
    }
    let Some(found) = read(core, ask, snapshot, row, &wanted).await? else {
        return Ok(no_content());
    };
    let address = References::of_rows(table, &ask.root).rewrite(found)?;
    Ok(with_context(&format!("{}/$metadata#$ref", ask.root), &address))
}

/// What shapes a whole row means nothing for a part of it.
fn refuse_shape(options: &QueryOptions) -> Result<(), GatewayError> {
    odata_read::refuse_of_collections(options)?;
    for option in [SystemOption::Select, SystemOption::Expand] {
        if options.get(option).is_some() {
            let name = option.name();
            let message = format!("The query parameter '{name}' is not supported here.");
            return Err(GatewayError::InvalidQuery(message));
        }
    }
    Ok(())
}

/// The row; `None` where another row leads nowhere.
async fn read(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    row: &Row,
    wanted: &Read,
) -> Result<Option<Bytes>, GatewayError> {
    if let Some(key) = &row.key {
        return query::record(core, ask, snapshot, wanted, key).await.map(Some);
    }
    let mut wanted = wanted.clone();
    wanted.tree.page = Some(pb::Page { size: 1, ..Default::default() });
    let rows = query::page(core, ask, snapshot, &wanted, pb::RowFormat::Json).await?;
    let found = rows_of(&rows.first)?;
    if !found.is_empty() {
        return Ok(Some(found));
    }
    match &row.reached {
        Reached::ByKey(_) => Err(row.not_found()),
        Reached::From(parent) => {
            require(core, ask, snapshot, parent).await?;
            Ok(None)
        }
    }
}

/// Makes sure that a row is there that leads nowhere.
pub(super) async fn require(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    row: &Row,
) -> Result<(), GatewayError> {
    let id = row.place.table.primary_id.clone();
    let wanted = odata_read::columns_of(&row.place, &[&id], &Preferences::default());
    match Box::pin(read(core, ask, snapshot, row, &wanted)).await? {
        Some(_) => Ok(()),
        None => Err(row.not_found()),
    }
}

fn with_context(context: &str, row: &[u8]) -> Response {
    let start = format!("{{\"@odata.context\":{},", quoted(context));
    let members = row.get(1..).unwrap_or_default();
    let mut body = Vec::with_capacity(start.len() + members.len());
    body.extend_from_slice(start.as_bytes());
    body.extend_from_slice(members);
    json(body)
}

/// The value of a member, as it is written.
fn member<'r>(row: &'r [u8], name: &str) -> Option<&'r [u8]> {
    let mut rest = row.strip_prefix(b"{")?;
    loop {
        let mut key = serde_json::Deserializer::from_slice(rest).into_iter::<String>();
        let found = key.next()?.ok()? == name;
        rest = rest.get(key.byte_offset()..)?.strip_prefix(b":")?;
        let mut value = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        value.next()?.ok()?;
        let (value, behind) = rest.split_at_checked(value.byte_offset())?;
        if found {
            return Some(value);
        }
        rest = behind.strip_prefix(b",")?;
    }
}

/// The row's version, without reading the rest of the row.
fn etag(row: &[u8]) -> Option<String> {
    let rest = row.strip_prefix(ROW_START)?;
    let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Option<String>>();
    values.next()?.ok()?
}

/// Weak comparison with one of a list of entity tags, or with any.
fn matches_any(list: &str, etag: &str) -> bool {
    let strong = |it: &str| it.trim().trim_start_matches("W/").to_owned();
    list.trim() == "*" || list.split(',').any(|it| strong(it) == strong(etag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_rows_start() {
        let check = |row: &str, expected: Option<&str>| {
            assert_eq!(etag(row.as_bytes()).as_deref(), expected, "{row}");
        };
        check(r#"{"@odata.etag":"W/\"12\"","a":1}"#, Some("W/\"12\""));
        check(r#"{"@odata.etag":null,"a":1}"#, None);
        check(r#"{"a":1}"#, None);
        check(r#"{"@odata.etag":"#, None);
    }

    #[test]
    fn values_are_taken_as_they_are_written() {
        let row =
            r#"{"@odata.etag":"W/\"1\"","a":12345678901234567890.10,"b":null,"c":{"a":1},"d":"x"}"#;
        let check = |name: &str, expected: Option<&str>| {
            let value = member(row.as_bytes(), name);
            assert_eq!(value.map(|it| str::from_utf8(it).unwrap()), expected, "{name}");
        };
        check("a", Some("12345678901234567890.10"));
        check("b", Some("null"));
        check("c", Some("{\"a\":1}"));
        check("d", Some("\"x\""));
        check("e", None);
        assert_eq!(member(b"{}", "a"), None);
    }

    #[test]
    fn versions_compare_weakly() {
        let check = |list, expected| assert_eq!(matches_any(list, "W/\"12\""), expected, "{list}");
        check("W/\"12\"", true);
        check("\"12\"", true);
        check("W/\"1\", W/\"12\"", true);
        check("*", true);
        check("W/\"1\"", false);
    }
}
