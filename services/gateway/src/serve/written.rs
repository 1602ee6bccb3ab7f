//! Answers to requests that wrote.

use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use odata::{Key, Literal, QueryOptions};
use uuid::Uuid;

use super::action;
use super::path::{Target, walk};
use super::record::record;
use crate::Core;
use crate::error::{GatewayError, NAMESPACE};
use crate::http::{Ask, Response, json, no_content, quoted};
use crate::metadata::{Snapshot, Table};
use crate::write::{Outcome, Planned, Reply};

const ENTITY_ID: &str = "odata-entityid";
const APPLIED: &str = "preference-applied";

/// Answers one request, once all is done. `outcomes` are those of the whole change set.
pub(crate) async fn written(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    planned: &Planned,
    outcomes: &[Outcome],
) -> Result<Response, GatewayError> {
    match &planned.reply {
        Reply::Done => Ok(no_content()),
        Reply::Row { step, table, options } => {
            let outcome = outcomes.get(*step).ok_or(GatewayError::Internal)?;
            Ok(row(core, ask, snapshot, table, options, outcome).await)
        }
        Reply::Ids { message, steps } => {
            let ids = steps.iter().map(|it| outcomes.get(*it).and_then(|it| it.id));
            let ids = ids.collect::<Option<Vec<_>>>().ok_or(GatewayError::Internal)?;
            let ids: Vec<_> = ids.into_iter().map(|it| format!("\"{it}\"")).collect();
            let context = format!("{}/$metadata#{NAMESPACE}.{message}Response", ask.root);
            let (context, ids) = (quoted(&context), ids.join(","));
            Ok(json(format!("{{\"@odata.context\":{context},\"Ids\":[{ids}]}}")))
        }
        Reply::Result { step, action, result } => {
            let outcome = outcomes.get(*step).ok_or(GatewayError::Internal)?;
            action::result(ask, action, *result, outcome.result.as_ref())
        }
    }
}

async fn row(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    table: &std::sync::Arc<Table>,
    options: &QueryOptions,
    outcome: &Outcome,
) -> Response {
    let found = match outcome.id.filter(|_| ask.prefer.representation) {
        Some(id) => representation(core, ask, snapshot, table, options, id).await,
        None => None,
    };
    let mut response = match found {
        Some(mut response) => {
            if outcome.created {
                *response.status_mut() = StatusCode::CREATED;
            }
            response
        }
        None => no_content(),
    };
    let headers = response.headers_mut();
    if let Some(id) = outcome.id
        && let Ok(url) = HeaderValue::try_from(format!("{}/{}({id})", ask.root, table.set_name))
    {
        if outcome.created {
            headers.insert(LOCATION, url.clone());
        }
        headers.insert(ENTITY_ID, url);
    }
    if let Some(etag) = outcome.etag.as_deref().filter(|it| !it.is_empty())
        && let Ok(etag) = HeaderValue::try_from(etag)
        && !headers.contains_key(ETAG)
    {
        headers.insert(ETAG, etag);
    }
    response
}

/// The row as it is now. Absent where it cannot be had, which does not undo what was done: the caller may
/// write more than it may read, or a store has gone away since.
async fn representation(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    table: &std::sync::Arc<Table>,
    options: &QueryOptions,
    id: Uuid,
) -> Option<Response> {
    let mut ask = ask.clone();
    ask.if_none_match = None;
    ask.prefer.explain = false;
    let key = Key::Single(Literal::Guid(id));
    let Ok(Target::Row(row)) = walk(snapshot, table, key, &[]) else { return None };
    let answer = record(core, &ask, snapshot, &row, options).await;
    match answer {
        Ok(mut response) => {
            let headers = response.headers_mut();
            let others = headers.get(APPLIED).and_then(|it| it.to_str().ok());
            let applied = "return=representation".to_owned();
            let applied = others.map_or(applied.clone(), |it| format!("{applied},{it}"));
            if let Ok(applied) = HeaderValue::try_from(applied) {
                headers.insert(APPLIED, applied);
            }
            Some(response)
        }
        Err(error) => {
            let table = table.logical_name.as_str();
            tracing::info!(table, %error, "a row was written, but cannot be shown");
            None
        }
    }
}
