//! `$batch`: several requests in one, one after the other (spec lifecycle-and-web-api §2.7).
//!
//! All of the body is read before anything of it runs. Each request is then served as one of its own
//! ([`part`]), and each change set by one execution ([`change_set`]); what they answer is collected in
//! memory, within a bound, and written as multipart ([`answer`]).

mod answer;
mod change_set;
mod part;

use std::time::Instant;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use http_body_util::LengthLimitError;
use odata::{BatchError, BatchPart, parse_batch};

use self::answer::{Answers, Part};
use super::ask::Ask;
use super::errors;
use super::respond::Response;
use crate::Core;
use crate::entry_point::EntryPoint;
use crate::error::GatewayError;
use crate::metadata::Snapshot;
use crate::serve::CutOff;
use crate::write::References;

/// Bytes of a batch at most.
const MAX_BODY: usize = 32 << 20;
/// Bytes of all its answers at most: none of them is sent before the last is there.
const MAX_ANSWERS: usize = 64 << 20;
/// How a client names its request, to have it done once.
const CLIENT_REQUEST_ID: &str = "x-ms-client-request-id";

/// Marks a request as one of a batch.
#[derive(Clone, Copy)]
struct Within;

/// A batch that runs.
struct Batch<'a> {
    core: &'a Core,
    ask: &'a Ask,
    snapshot: &'a Snapshot,
    outer: &'a Parts,
    answers: Answers,
    /// Requests so far, those of change sets included.
    requests: usize,
    /// Rows, by the ids of the requests that were about them.
    rows: References,
}

/// Runs the requests of a batch in their order.
pub(super) async fn batch(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    outer: &Parts,
    body: Body,
) -> Result<Response, GatewayError> {
    if outer.method != Method::POST {
        let (method, resource) = (outer.method.to_string(), "$batch".to_owned());
        return Err(GatewayError::MethodNotAllowed { method, resource, allow: "POST" });
    }
    if outer.extensions.get::<Within>().is_some() {
        return Err(BatchError::Nested.into());
    }
    let body = collect(body, MAX_BODY, ask.deadline.at()).await?;
    let body = body.ok_or(GatewayError::BodyTooLarge(MAX_BODY))?;
    let content_type = outer.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let parts = parse_batch(content_type.unwrap_or_default(), &body)?;
    let goes_on = continues_on_error(&outer.headers);
    let (answers, rows) = (Answers::new(), References::new());
    let mut batch = Batch { core, ask, snapshot, outer, answers, requests: 0, rows };
    let mut status = StatusCode::OK;
    for part in &parts {
        let succeeded = match part {
            BatchPart::Request(request) => {
                EntryPoint::BatchRequest.enter();
                part::run(&mut batch, request).await
            }
            BatchPart::ChangeSet(requests) => {
                EntryPoint::BatchChangeSet.enter();
                change_set::run(&mut batch, requests).await
            }
        };
        if !succeeded && !goes_on {
            status = StatusCode::BAD_REQUEST;
            break;
        }
    }
    Ok(batch.answers.finish(status, goes_on))
}

impl Batch<'_> {
    /// The next request's number, from 1.
    fn number(&mut self) -> usize {
        self.requests += 1;
        self.requests
    }

    /// What the client calls the request of this number, if it gave the batch a name.
    fn name_of(&self, number: usize) -> Option<String> {
        let batch = self.outer.headers.get(CLIENT_REQUEST_ID)?.to_str().ok()?;
        Some(format!("{batch}:{number}"))
    }

    /// Collects an answer. One that does not fit is replaced by saying so.
    async fn collect(&self, answer: Result<Response, GatewayError>) -> Part {
        let refused = |error| errors::response(&error, &self.core.config, &self.ask.request_id);
        let response = answer.unwrap_or_else(refused);
        let (head, body) = response.into_parts();
        let room = MAX_ANSWERS.saturating_sub(self.answers.len());
        let error = match collect(body, room, self.ask.deadline.at()).await {
            Ok(Some(body)) => return Part { head, body, request_id: self.ask.request_id.clone() },
            Ok(None) => GatewayError::InvalidQuery(format!(
                "The answers of the batch are larger than {MAX_ANSWERS} bytes; ask for less, or one \
                 by one."
            )),
            Err(error) => error,
        };
        let (head, body) = refused(error).into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        Part { head, body, request_id: self.ask.request_id.clone() }
    }
}

/// All of a body, unless it is larger.
async fn collect(
    body: Body,
    limit: usize,
    deadline: Instant,
) -> Result<Option<Bytes>, GatewayError> {
    let collected = tokio::time::timeout_at(deadline.into(), to_bytes(body, limit)).await;
    match collected.map_err(|_| GatewayError::Timeout)? {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) => why(error),
    }
}

/// Why a body could not be collected: it is larger, or what made it says so.
fn why(error: axum::Error) -> Result<Option<Bytes>, GatewayError> {
    let mut cause = error.into_inner();
    loop {
        cause = match cause.downcast::<axum::Error>() {
            Ok(wrapped) => wrapped.into_inner(),
            Err(cause) if cause.is::<LengthLimitError>() => return Ok(None),
            Err(cause) => {
                return Err(match cause.downcast::<CutOff>() {
                    Ok(cut_off) => cut_off.0,
                    Err(error) => {
                        tracing::warn!(%error, "a body ended before it was whole");
                        GatewayError::Internal
                    }
                });
            }
        };
    }
}

fn continues_on_error(headers: &HeaderMap) -> bool {
    let lines = headers.get_all("prefer").iter().filter_map(|it| it.to_str().ok());
    lines.flat_map(|it| it.split(',')).any(|it| {
        let it = it.trim().to_ascii_lowercase();
        let name = it.strip_prefix("odata.").unwrap_or(&it);
        matches!(name, "continue-on-error" | "continue-on-error=true")
    })
}
