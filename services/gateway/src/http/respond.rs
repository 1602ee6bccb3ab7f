//! Answers and the headers that every one of them carries.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use futures::Stream;

use crate::limits::{Held, Turn};

pub(crate) type Response = axum::http::Response<Body>;

pub(super) const JSON: HeaderValue =
    HeaderValue::from_static("application/json; odata.metadata=minimal");
pub(super) const JSON_WITH_STRINGS: HeaderValue =
    HeaderValue::from_static("application/json; odata.metadata=minimal; IEEE754Compatible=true");
const REMAINING_REQUESTS: HeaderName =
    HeaderName::from_static("x-ms-ratelimit-burst-remaining-xrm-requests");
const REMAINING_SECONDS: HeaderName =
    HeaderName::from_static("x-ms-ratelimit-time-remaining-xrm-requests");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Ids that clients give their requests, to find them again.
const ECHOED: [&str; 2] = ["x-ms-client-request-id", "x-ms-correlation-id"];
/// Names under which clients look for ours.
const REQUEST_ID: [&str; 3] = ["x-ms-service-request-id", "req_id", "x-ms-request-id"];

/// A JSON body.
pub(crate) fn json(body: impl Into<Body>) -> Response {
    with_body(JSON, body.into())
}

/// A text body.
pub(crate) fn plain(body: String) -> Response {
    with_body(TEXT, body.into())
}

/// A JSON body that comes in pieces.
pub(crate) fn stream<E>(pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Response
where
    E: std::error::Error + Send + Sync + 'static,
{
    json(Body::from_stream(pieces))
}

/// 204.
pub(crate) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// 304 with the version that has not changed.
pub(crate) fn not_modified(etag: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    if let Ok(etag) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

/// Says what is left of the user's limits, and goes on with the request until the answer is given.
pub(super) fn limited(response: Response, turn: Turn) -> Response {
    let Some(remaining) = turn.remaining() else { return response };
    let mut response = response.map(|body| Body::new(Held::new(body, turn)));
    let headers = response.headers_mut();
    headers.insert(REMAINING_REQUESTS, HeaderValue::from(remaining.requests));
    let seconds = format!("{:.2}", remaining.execution.as_secs_f64());
    if let Ok(seconds) = HeaderValue::try_from(seconds) {
        headers.insert(REMAINING_SECONDS, seconds);
    }
    response
}

/// Text as a JSON string, with its quotes.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Adds what every answer carries.
pub(super) fn finish(mut response: Response, request: &HeaderMap, request_id: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert("odata-version", HeaderValue::from_static("4.0"));
    if let Ok(id) = HeaderValue::try_from(request_id) {
        for name in REQUEST_ID {
            headers.insert(HeaderName::from_static(name), id.clone());
        }
    }
    for name in ECHOED {
        if let Some(value) = request.get(name) {
            headers.insert(HeaderName::from_static(name), value.clone());
        }
    }
    response
}

fn with_body(content_type: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
