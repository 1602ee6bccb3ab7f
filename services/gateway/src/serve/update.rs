//! `PATCH` of a catalog row, which makes a data entity visible, hides it, or reads it again.

use axum::body::{Body, to_bytes};
use axum::http::HeaderValue;
use odata::Key;
use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use rpc::ErrorReason;
use serde_json::{Map, Value};

use crate::Core;
use crate::error::GatewayError;
use crate::http::{Ask, Response, no_content};
use crate::metadata::{Column, ColumnKind, Table};
use crate::translate::{self, RowKey};

const MAX_BODY: usize = 64 * 1024;

/// Changes the row's properties that the body names.
pub(crate) async fn update(
    core: &Core,
    ask: &Ask,
    table: &Table,
    key: &Key,
    body: Body,
) -> Result<Response, GatewayError> {
    let key = translate::row_key(table, key)?;
    if ask.if_none_match.as_deref() == Some("*") {
        return Err(GatewayError::RecordExists);
    }
    // Only administrators change the catalog, so nobody else's body is worth reading.
    if !ask.session.administrator {
        return Err(GatewayError::missing_privilege(table, "write"));
    }
    let body = tokio::time::timeout_at(ask.deadline.into(), read(table, body));
    let body = body.await.map_err(|_| GatewayError::Timeout)??;
    let values = values(table, &key, &body)?;
    let request = pb::UpdateRequest {
        entity_name: table.external_name.clone(),
        key: Some(key.to_message()),
        values,
        etag: ask.if_match.clone().filter(|it| it != "*").unwrap_or_default(),
        idempotency_key: ask.request_id.clone(),
    };
    let updated = core.providers.update(ask.call(), table.source, request).await;
    updated.map_err(|status| match rpc::reason(&status) {
        Some(ErrorReason::RecordNotFound | ErrorReason::EntityNotFound) => key.not_found(table),
        _ => GatewayError::of_provider(&status, table),
    })?;
    // The client's next request may well be for the table that it has just made visible.
    if let Err(status) = core.metadata.refresh_catalog(ask.deadline).await {
        tracing::warn!(error = %status, "the catalog changed but could not be read again");
    }
    let mut response = no_content();
    if let RowKey::Id(id) = key
        && let Ok(url) = HeaderValue::try_from(format!("{}/{}({id})", ask.root, table.set_name))
    {
        response.headers_mut().insert("odata-entityid", url);
    }
    Ok(response)
}

async fn read(table: &Table, body: Body) -> Result<Map<String, Value>, GatewayError> {
    let bytes = to_bytes(body, MAX_BODY).await.map_err(|_| GatewayError::BodyTooLarge(MAX_BODY))?;
    serde_json::from_slice(&bytes).map_err(|error| payload(table, error.to_string()))
}

fn values(
    table: &Table,
    key: &RowKey,
    body: &Map<String, Value>,
) -> Result<Vec<pb::FieldValue>, GatewayError> {
    let mut values = Vec::with_capacity(body.len());
    for (name, value) in body.iter().filter(|(name, _)| !name.contains('@')) {
        let column = table.by_property(name);
        let column = column.ok_or_else(|| GatewayError::unknown_column(table, name))?;
        if is_own_id(table, column, key, value) {
            continue;
        }
        let field = column.field().filter(|_| column.valid_for_update);
        let field = field
            .ok_or_else(|| payload(table, format!("The property '{name}' cannot be updated.")))?;
        let value = typed(column, value).ok_or_else(|| {
            let detail =
                format!("The property '{name}' takes a value of type '{}'.", column.edm_type());
            payload(table, detail)
        })?;
        values.push(pb::FieldValue { field: field.to_owned(), value: Some(value) });
    }
    if values.is_empty() {
        return Err(payload(table, "The body names no property to update.".to_owned()));
    }
    Ok(values)
}

/// Clients may send the row's id along with its values.
fn is_own_id(table: &Table, column: &Column, key: &RowKey, value: &Value) -> bool {
    let given = value.as_str().and_then(|it| it.parse::<uuid::Uuid>().ok());
    column.logical_name == table.primary_id
        && matches!((key, given), (RowKey::Id(id), Some(given)) if *id == given)
}

/// The kinds of value that catalog rows can be changed to.
fn typed(column: &Column, value: &Value) -> Option<pb::Value> {
    let kind = match (&column.kind, value) {
        (ColumnKind::Boolean, Value::Bool(flag)) => Kind::BoolValue(*flag),
        (ColumnKind::Text, Value::String(text)) => Kind::StringValue(text.clone()),
        _ => return None,
    };
    Some(pb::Value { kind: Some(kind) })
}

fn payload(table: &Table, detail: String) -> GatewayError {
    GatewayError::Payload { set: table.set_name.clone(), detail }
}
