//! The door: who is calling, whether the user has room for one more request, and which part of the API
//! is meant. `dispatch` finds who serves it.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Uri};
use axum::routing::any;
use futures::future::BoxFuture;
use odata::{QueryOptions, Resource};
use tracing::Instrument as _;
use uuid::Uuid;

use super::ask::{Ask, origin};
use super::dispatch::{Scene, Served, is_read, require_read};
use super::errors;
use super::prefer::Preferences;
use super::respond::{JSON, JSON_WITH_STRINGS, Response, finish, limited};
use crate::Core;
use crate::callers::Session;
use crate::deadline::Deadline;
use crate::entry_point::EntryPoint;
use crate::error::GatewayError;
use crate::limits::Turn;
use crate::serve;

const PREFIX: &str = "/api/data/";
const BACKGROUND: &str = "/api/backgroundoperation/";
const DISCOVERY: &str = "/api/discovery/v2.0/";
const VERSIONS: [&str; 6] = ["v9.0", "v9.1", "v9.2", "v8.0", "v8.1", "v8.2"];
const MAX_URL: usize = 32_768;

pub(crate) fn router(core: Arc<Core>) -> Router {
    Router::new()
        .route("/api/data/{version}", any(handle))
        .route("/api/data/{version}/", any(handle))
        .route("/api/data/{version}/{*resource}", any(handle))
        .fallback(handle)
        .with_state(core)
}

async fn handle(State(core): State<Arc<Core>>, request: Request) -> Response {
    let request_id = Uuid::new_v4().to_string();
    let (parts, body) = request.into_parts();
    let span = tracing::info_span!(
        "http.request",
        otel.name = %parts.method,
        otel.kind = "server",
        http.method = %parts.method,
        http.path = without_values(parts.uri.path()),
        request.id = request_id,
        entry_point = tracing::field::Empty,
    );
    rpc::adopt(&span, &parts.headers);
    let deadline = Deadline::from(Instant::now() + core.config.request_timeout);
    let refused = |error| errors::response(&error, &core.config, &request_id);
    let answer = async {
        let (session, turn) = match admitted(&core, &parts, deadline.at()).await {
            Ok(admitted) => admitted,
            Err(error) => return refused(error),
        };
        let answer = if may_be_done_later(&core, &parts) {
            let later =
                serve::in_background(&core, session, &parts, body, &request_id, deadline.at());
            Served::at(EntryPoint::RespondAsync, later).answer().await
        } else {
            answer_as(&core, session, &parts, body, &request_id, deadline).await
        };
        limited(answer.unwrap_or_else(refused), turn)
    };
    finish(answer.instrument(span).await, &parts.headers, &request_id)
}

/// Who is calling, and the caller's turn. What can be no request of anybody is not asked about.
async fn admitted(
    core: &Core,
    parts: &axum::http::request::Parts,
    deadline: Instant,
) -> Result<(Arc<Session>, Turn), GatewayError> {
    let session = session(core, parts, deadline).await?;
    let turn = core.limiter.begin(&session).await?;
    Ok((session, turn))
}

async fn session(
    core: &Core,
    parts: &axum::http::request::Parts,
    deadline: Instant,
) -> Result<Arc<Session>, GatewayError> {
    if is_too_long(&parts.uri) {
        return Err(GatewayError::UrlTooLong(MAX_URL));
    }
    if !parts.uri.path().starts_with("/api/") {
        return Err(no_route(parts));
    }
    core.callers.resolve(&parts.headers, deadline).await
}

/// A client would rather not wait for a write. Batches are not taken apart, so they are waited for.
fn may_be_done_later(core: &Core, parts: &axum::http::request::Parts) -> bool {
    let resource = parts.uri.path().strip_prefix(PREFIX).and_then(|it| it.split_once('/'));
    let resource = resource.filter(|(version, _)| VERSIONS.contains(version));
    let resource = resource.and_then(|(_, path)| Resource::parse(path).ok());
    matches!(resource, Some(Resource::Named { .. }))
        && !is_read(&parts.method)
        && !is_too_long(&parts.uri)
        && core.metadata.is_ready()
        && Preferences::parse(&parts.headers).respond_async
}

/// One request of a batch, which is not counted: the batch is. Boxed, as it runs within another.
pub(super) fn serve_request<'a>(
    core: &'a Core,
    parts: &'a axum::http::request::Parts,
    body: Body,
    request_id: &'a str,
    deadline: Deadline,
) -> BoxFuture<'a, Result<Response, GatewayError>> {
    Box::pin(async move {
        let session = session(core, parts, deadline.at()).await?;
        answer_as(core, session, parts, body, request_id, deadline).await
    })
}

/// The same to every request, whoever waits for it.
pub(crate) async fn answer_as(
    core: &Core,
    session: Arc<Session>,
    parts: &axum::http::request::Parts,
    body: Body,
    request_id: &str,
    deadline: Deadline,
) -> Result<Response, GatewayError> {
    let uri = &parts.uri;
    if let Some(id) = uri.path().strip_prefix(BACKGROUND) {
        let entry = match parts.method {
            Method::DELETE => EntryPoint::CancelBackgroundOperation,
            _ => EntryPoint::BackgroundOperation,
        };
        let answer = serve::background_operation(core, &session, parts, id, deadline.at());
        return Served::at(entry, answer).answer().await;
    }
    let ask = |root: String| Ask::new(&parts.headers, session, deadline, root, request_id);
    let origin = origin(&parts.headers, uri);
    if let Some(path) = uri.path().strip_prefix(DISCOVERY) {
        require_read(&parts.method, "the discovery service")?;
        let options = QueryOptions::parse(uri.query().unwrap_or_default())?;
        let ask = ask(origin.clone())?;
        let answer = serve::discovery(core, &ask, &origin, (path, &options));
        return Served::at(EntryPoint::Discovery, answer).answer().await;
    }
    let rest = uri.path().strip_prefix(PREFIX).ok_or_else(|| no_route(parts))?;
    let (version, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !VERSIONS.contains(&version) {
        return Err(no_route(parts));
    }
    if !core.metadata.is_ready() {
        let message = "The table definitions have not arrived yet; try again later.";
        return Err(GatewayError::Unavailable(message.to_owned()));
    }
    let ask = ask(format!("{origin}{PREFIX}{version}"))?;
    let resource = Resource::parse(path)?;
    let snapshot = core.metadata.current();
    let scene = Scene { core, ask: &ask, snapshot: &snapshot, parts, path };
    let response = scene.dispatch(resource, body)?.answer().await?;
    Ok(if ask.prefer.numbers_as_strings { with_numbers_as_strings(response) } else { response })
}

/// Says so, as clients that asked for it expect.
fn with_numbers_as_strings(mut response: Response) -> Response {
    let kind = response.headers_mut().get_mut(CONTENT_TYPE);
    if let Some(kind) = kind.filter(|it| **it == JSON) {
        *kind = JSON_WITH_STRINGS;
    }
    response
}

/// A path as far as it can be told to logs and traces: the values of keys and of parameters may be
/// anybody's name or address, and ids are not.
fn without_values(path: &str) -> &str {
    // What is escaped may be anything.
    let Some(at) = path.find(['(', '%', '\'', '=']) else { return path };
    let (plain, rest) = path.split_at(at);
    let id = rest.get(..38).and_then(|it| it.strip_prefix('(')?.strip_suffix(')'));
    let is_id = id.is_some_and(|it| Uuid::try_parse(it).is_ok());
    if is_id { path.get(..at + 38).unwrap_or(plain) } else { plain }
}

fn is_too_long(uri: &Uri) -> bool {
    uri.path_and_query().is_some_and(|it| it.as_str().len() > MAX_URL)
}

pub(super) fn no_route(parts: &axum::http::request::Parts) -> GatewayError {
    let path = parts.uri.path_and_query().map_or(parts.uri.path(), |it| it.as_str());
    GatewayError::NoRoute(format!("{}{path}", origin(&parts.headers, &parts.uri)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_a_path_are_not_told() {
        let check = |path: &str, told: &str| assert_eq!(without_values(path), told, "{path}");
        let id = "/api/data/v9.2/contacts(01b1236f-1838-f272-b5bc-9874efb12557)";
        check("/api/data/v9.2/contacts", "/api/data/v9.2/contacts");
        check(id, id);
        check(&format!("{id}/parentcustomerid_account"), id);
        for secret in [
            "(emailaddress1='jane@contoso.example')",
            "(emailaddress1=%27jane%40contoso.example%27)",
            "%28emailaddress1='jane@contoso.example')",
            "(jane)",
            "('jane')/x",
            "(01b1236f-1838-f272-b5bc-9874efb12\u{e9}jane",
        ] {
            check(&format!("/api/data/v9.2/contacts{secret}"), "/api/data/v9.2/contacts");
        }
    }
}
