//! One row, by its id or an alternate key.

use axum::http::header::ETAG;
use odata::{Key, QueryOptions, SystemOption};
use proto::query::v1 as pb;
use rpc::ErrorReason;

use super::options::{refuse_later, refuse_of_collections};
use super::page::context;
use crate::Core;
use crate::error::GatewayError;
use crate::http::{Ask, Response, json, not_modified, quoted};
use crate::metadata::Table;
use crate::translate;

/// How a row begins, since the version is asked for first.
const ROW_START: &[u8] = b"{\"@odata.etag\":";

/// `GET set(key)`.
pub(crate) async fn record(
    core: &Core,
    ask: &Ask,
    table: &Table,
    key: &Key,
    options: &QueryOptions,
) -> Result<Response, GatewayError> {
    refuse_later(options)?;
    refuse_of_collections(options)?;
    let key = translate::row_key(table, key)?;
    let selection = translate::select(table, options.get(SystemOption::Select))?;
    let request = pb::RetrieveRequest {
        entity_name: table.external_name.clone(),
        key: Some(key.to_message()),
        columns: translate::outputs(table, &selection, &ask.prefer.annotations),
        format: pb::RowFormat::Json.into(),
    };
    let batch = core.providers.retrieve(ask.call(), table.source, request).await;
    let batch = batch.map_err(|status| match rpc::reason(&status) {
        Some(ErrorReason::RecordNotFound) => key.not_found(table),
        _ => GatewayError::of_provider(&status, table),
    })?;
    let Some(pb::row_batch::Rows::Json(row)) = batch.rows else {
        tracing::error!(table = table.logical_name, "a provider wrote no JSON row");
        return Err(GatewayError::Internal);
    };
    let etag = etag(&row);
    if let (Some(etag), Some(known)) = (&etag, &ask.if_none_match)
        && ask.prefer.annotations.is_empty()
        && matches_any(known, etag)
    {
        return Ok(not_modified(etag));
    }
    let context = format!("{}/$entity", context(&ask.root, table, &selection.names));
    let start = format!("{{\"@odata.context\":{},", quoted(&context));
    let members = row.get(1..).unwrap_or_default();
    let mut body = Vec::with_capacity(start.len() + members.len());
    body.extend_from_slice(start.as_bytes());
    body.extend_from_slice(members);
    let mut response = json(body);
    let headers = response.headers_mut();
    if let Some(Ok(etag)) = etag.map(TryInto::try_into) {
        headers.insert(ETAG, etag);
    }
    if let Some(Ok(applied)) = ask.prefer.applied(false).map(TryInto::try_into) {
        headers.insert("preference-applied", applied);
    }
    Ok(response)
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
    fn versions_compare_weakly() {
        let check = |list, expected| assert_eq!(matches_any(list, "W/\"12\""), expected, "{list}");
        check("W/\"12\"", true);
        check("\"12\"", true);
        check("W/\"1\", W/\"12\"", true);
        check("*", true);
        check("W/\"1\"", false);
    }
}
