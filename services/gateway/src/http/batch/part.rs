//! A request of a batch as a request of its own.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use odata::{BatchMethod, BatchRequest, BatchTarget, Resource};

use super::super::routes::serve_request;
use super::answer::Part;
use super::{Batch, CLIENT_REQUEST_ID, Within};
use crate::callers::ACTS_AS;
use crate::error::GatewayError;
use crate::translate::{self, RowKey};
use crate::write::RowRef;

/// Headers that say as whom the sender acts.
pub(super) const OTHER_USER: [HeaderName; 3] = [
    HeaderName::from_static(ACTS_AS[0]),
    HeaderName::from_static(ACTS_AS[1]),
    HeaderName::from_static(ACTS_AS[2]),
];
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// What only the batch itself says.
const OUTER: [HeaderName; 5] = [AUTHORIZATION, HOST, FORWARDED, CONTENT_LENGTH, TRANSFER_ENCODING];

/// Runs a request that is in no change set. Answers whether it succeeded.
pub(super) async fn run(batch: &mut Batch<'_>, request: &BatchRequest<'_>) -> bool {
    let number = batch.number();
    let part = served(batch, request, number).await;
    let part = batch.collect(part).await;
    remember(batch, request, &part);
    batch.answers.push(&part, request.content_id);
    part.succeeded()
}

/// Later requests may name the row by the request's id.
fn remember(batch: &mut Batch<'_>, request: &BatchRequest<'_>, part: &Part) {
    let Some(id) = request.content_id else { return };
    let path = part.row().and_then(|it| it.strip_prefix(&batch.ask.root));
    let resource = path.and_then(|it| Resource::parse(it.trim_start_matches('/')).ok());
    if let Some(Resource::Named { name, key, .. }) = resource
        && let Some(table) = batch.snapshot.by_set(&name)
        && let Ok(key) = translate::row_key(table, &key)
    {
        batch.rows.insert(id.to_owned(), (Arc::clone(table), RowRef::Key(key)));
    }
}

async fn served(
    batch: &Batch<'_>,
    request: &BatchRequest<'_>,
    number: usize,
) -> Result<super::Response, GatewayError> {
    let mut parts = parts(batch, request, number)?;
    parts.extensions.insert(Within);
    let body = Body::from(Bytes::copy_from_slice(request.body));
    let (deadline, request_id) = (batch.ask.deadline.clone(), &batch.ask.request_id);
    if Instant::now() >= deadline.at() {
        return Err(GatewayError::Timeout);
    }
    serve_request(batch.core, &parts, body, request_id, deadline).await
}

fn parts(
    batch: &Batch<'_>,
    request: &BatchRequest<'_>,
    number: usize,
) -> Result<Parts, GatewayError> {
    let path = path(batch, &request.target)?;
    let built = Request::builder().method(method(request.method)).uri(path).body(());
    let (mut parts, ()) =
        built.map_err(|_| invalid("The URL of a request cannot be read."))?.into_parts();
    parts.headers = headers(batch, request, number)?;
    Ok(parts)
}

/// Those that the request would have alone: by the sender of the batch, for the same host.
pub(super) fn headers(
    batch: &Batch<'_>,
    request: &BatchRequest<'_>,
    number: usize,
) -> Result<HeaderMap, GatewayError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        else {
            return Err(invalid("A header of a request cannot be read."));
        };
        if !OUTER.contains(&name) {
            headers.append(name, value);
        }
    }
    let own_user = OTHER_USER.iter().any(|it| headers.contains_key(it));
    let others = OTHER_USER.into_iter().filter(|_| !own_user);
    for name in [AUTHORIZATION, HOST, FORWARDED].into_iter().chain(others) {
        for value in batch.outer.headers.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
    if !headers.contains_key(CLIENT_REQUEST_ID)
        && let Some(id) = batch.name_of(number)
        && let Ok(id) = HeaderValue::try_from(id)
    {
        headers.insert(CLIENT_REQUEST_ID, id);
    }
    Ok(headers)
}

/// As the request line of a request of its own would have it.
fn path(batch: &Batch<'_>, target: &BatchTarget<'_>) -> Result<String, GatewayError> {
    match target {
        BatchTarget::Rooted(path) => Ok(escaped(path)),
        BatchTarget::Relative(path) => Ok(escaped(&format!("{}/{path}", root(batch)))),
        BatchTarget::Reference { content_id, rest } => {
            let unknown = || GatewayError::UnknownContentId((*content_id).to_owned());
            match batch.rows.get(*content_id).ok_or_else(unknown)? {
                (table, RowRef::Key(RowKey::Id(id))) => {
                    Ok(escaped(&format!("{}/{}({id}){rest}", root(batch), table.set_name)))
                }
                _ => Err(unknown()),
            }
        }
    }
}

/// `/api/data/v9.2`
fn root<'b>(batch: &'b Batch<'_>) -> &'b str {
    let path = batch.outer.uri.path().trim_end_matches('/');
    path.rsplit_once('/').map_or(path, |(root, _)| root)
}

/// Clients write what must not stand in a request line: spaces, quotes, letters beyond ASCII.
pub(super) fn escaped(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let mut text = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'\\' | b'^' | ..=b' ' | 0x7f.. => {
                text.push_str(&format!("%{byte:02X}"));
            }
            byte => text.push(char::from(byte)),
        }
    }
    text
}

pub(super) fn method(method: BatchMethod) -> Method {
    match method {
        BatchMethod::Get => Method::GET,
        BatchMethod::Post => Method::POST,
        BatchMethod::Patch => Method::PATCH,
        BatchMethod::Put => Method::PUT,
        BatchMethod::Delete => Method::DELETE,
    }
}

fn invalid(message: &str) -> GatewayError {
    GatewayError::InvalidQuery(message.to_owned())
}
