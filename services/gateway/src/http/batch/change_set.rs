//! A change set of a batch: requests that succeed or fail as one.

use std::sync::Arc;

use axum::http::Method;
use odata::{BatchRequest, BatchTarget};

use super::super::ask::Ask;
use super::answer::Part;
use super::{Batch, part};
use crate::error::GatewayError;
use crate::serve;
use crate::translate::RowKey;
use crate::write::{self, Asked, ChangeSet, Failed, Outcome, Planned, RowRef};

const PREFIX: &str = "/api/data/";

/// A request, and what it will have done.
struct Member {
    ask: Ask,
    method: Method,
    /// From behind the service root.
    url: String,
    planned: Planned,
}

impl Member {
    fn asked<'a>(&'a self, request: &BatchRequest<'a>) -> Asked<'a> {
        asked(&self.method, &self.url, request)
    }
}

/// A failure, and the request that failed.
struct Refused {
    at: Option<usize>,
    error: GatewayError,
}

/// Runs all requests or none. Answers whether they were run. A failure is one answer for all.
pub(super) async fn run(batch: &mut Batch<'_>, requests: &[BatchRequest<'_>]) -> bool {
    match answers(batch, requests).await {
        Ok(parts) => {
            let ids = requests.iter().map(|it| it.content_id);
            batch.answers.push_all(parts.iter().zip(ids));
            true
        }
        Err(Refused { at, error }) => {
            let content_id = at.and_then(|it| requests.get(it)).and_then(|it| it.content_id);
            let part = batch.collect(Err(error)).await;
            batch.answers.push(&part, content_id);
            false
        }
    }
}

async fn answers(
    batch: &mut Batch<'_>,
    requests: &[BatchRequest<'_>],
) -> Result<Vec<Part>, Refused> {
    let (members, changes) = plan(batch, requests)?;
    let Batch { core, ask, snapshot, .. } = *batch;
    // The first request stands for all of them.
    let name = members.first().and_then(|it| it.ask.client_request_id.as_deref());
    let asked = members.iter().zip(requests).map(|(it, request)| (&it.ask, it.asked(request)));
    let once = write::once(name, asked);
    let outcomes = serve::execute(core, ask, snapshot, changes, once).await;
    let outcomes = outcomes.map_err(|Failed { step, error }| {
        let at = step.and_then(|it| members.iter().position(|at| at.planned.steps.contains(&it)));
        Refused { at, error }
    })?;
    let mut parts = Vec::with_capacity(members.len());
    for (request, Member { ask, planned, .. }) in requests.iter().zip(&members) {
        remember(batch, request, planned, &outcomes);
        let answer = serve::written(core, ask, snapshot, planned, &outcomes).await;
        parts.push(batch.collect(answer).await);
    }
    Ok(parts)
}

fn plan(
    batch: &mut Batch<'_>,
    requests: &[BatchRequest<'_>],
) -> Result<(Vec<Member>, ChangeSet), Refused> {
    let mut changes = ChangeSet::default();
    let mut members = Vec::with_capacity(requests.len());
    let mut rows = batch.rows.clone();
    for (at, request) in requests.iter().enumerate() {
        let refused = |error| Refused { at: Some(at), error };
        let number = batch.number();
        let ask = ask(batch, request, number).map_err(refused)?;
        let url = url(request).map_err(refused)?;
        let method = part::method(request.method);
        let asked = asked(&method, &url, request);
        let planned = write::plan(&ask, batch.snapshot, asked, &rows, &mut changes);
        let planned = planned.map_err(refused)?;
        if let (Some(id), Some((table, row))) = (request.content_id, &planned.row) {
            rows.insert(id.to_owned(), (Arc::clone(table), row.clone()));
        }
        members.push(Member { ask, method, url, planned });
    }
    Ok((members, changes))
}

fn asked<'a>(method: &'a Method, url: &'a str, request: &BatchRequest<'a>) -> Asked<'a> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    Asked { method, path, query, body: request.body }
}

/// What the request's headers say. All of a change set is written by one user.
fn ask(batch: &Batch<'_>, request: &BatchRequest<'_>, number: usize) -> Result<Ask, GatewayError> {
    if part::OTHER_USER.iter().any(|it| request.header(it.as_str()).is_some()) {
        let message = "A request of a change set cannot act as another user; the batch can.";
        return Err(GatewayError::InvalidQuery(message.to_owned()));
    }
    let headers = part::headers(batch, request, number)?;
    let Ask { session, deadline, root, request_id, .. } = batch.ask;
    Ask::new(&headers, Arc::clone(session), deadline.clone(), root.clone(), request_id)
}

/// From behind the service root.
fn url(request: &BatchRequest<'_>) -> Result<String, GatewayError> {
    Ok(part::escaped(&match request.target {
        BatchTarget::Relative(url) => url.to_owned(),
        BatchTarget::Reference { content_id, rest } => format!("${content_id}{rest}"),
        BatchTarget::Rooted(full) => {
            let url = full.strip_prefix(PREFIX).and_then(|it| it.split_once('/'));
            let unknown = || GatewayError::NoRoute(full.to_owned());
            url.ok_or_else(unknown)?.1.to_owned()
        }
    }))
}

/// Later requests may name the row by the request's id.
fn remember(
    batch: &mut Batch<'_>,
    request: &BatchRequest<'_>,
    planned: &Planned,
    outcomes: &[Outcome],
) {
    let (Some(content_id), Some((table, row))) = (request.content_id, &planned.row) else { return };
    let key = match row {
        RowRef::Key(key) => Some(key.clone()),
        RowRef::Step(at) => outcomes.get(*at).and_then(|it| it.id).map(RowKey::Id),
    };
    if let Some(key) = key {
        batch.rows.insert(content_id.to_owned(), (Arc::clone(table), RowRef::Key(key)));
    }
}
