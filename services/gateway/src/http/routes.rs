//! From a path to the one that serves it.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Uri};
use axum::routing::any;
use futures::future::BoxFuture;
use odata::{Key, QueryOptions, Resource, SystemOption, Tail};
use tracing::Instrument as _;
use uuid::Uuid;

use super::ask::{Ask, origin};
use super::batch::batch;
use super::errors;
use super::prefer::Preferences;
use super::respond::{JSON, JSON_WITH_STRINGS, Response, finish};
use crate::Core;
use crate::callers::Session;
use crate::error::{GatewayError, NAMESPACE};
use crate::metadata::{Snapshot, Table};
use crate::schema;
use crate::serve::{self, Target};
use crate::write::{Asked, bound_action, unbound_action};

const PREFIX: &str = "/api/data/";
const BACKGROUND: &str = "/api/backgroundoperation/";
const DISCOVERY: &str = "/api/discovery/v2.0/";
const VERSIONS: [&str; 6] = ["v9.0", "v9.1", "v9.2", "v8.0", "v8.1", "v8.2"];
const MAX_URL: usize = 32_768;

/// Parts of the platform that are known and come later.
const LATER: [&str; 6] = [
    "RetrieveUserPrivileges",
    "RetrievePrincipalAccess",
    "RetrieveFinanceAndOperationsIntegrationDetails",
    "InitializeFrom",
    "CreateEntities",
    "ExecuteTransaction",
];

const FUNCTIONS: [&str; 6] = [
    "WhoAmI",
    "RetrieveVersion",
    "RetrieveCurrentOrganization",
    "RetrieveTotalRecordCount",
    "RetrieveMetadataChanges",
    "FetchXmlToQueryExpression",
];

const ACTIONS: [&str; 2] = ["QueryExpressionToFetchXml", "BulkDelete"];

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
        http.path = parts.uri.path(),
        request.id = request_id,
    );
    rpc::adopt(&span, &parts.headers);
    let deadline = Instant::now() + core.config.request_timeout;
    let answer = async {
        match may_be_done_later(&core, &parts) {
            true => serve::in_background(&core, &parts, body, &request_id, deadline).await,
            false => serve_request(&core, &parts, body, &request_id, deadline).await,
        }
    };
    let answer = answer.instrument(span).await;
    let response =
        answer.unwrap_or_else(|error| errors::response(&error, &core.config, &request_id));
    finish(response, &parts.headers, &request_id)
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

/// One request: a client's own, or one of a batch. Boxed, as the one of a batch runs within another.
pub(super) fn serve_request<'a>(
    core: &'a Core,
    parts: &'a axum::http::request::Parts,
    body: Body,
    request_id: &'a str,
    deadline: Instant,
) -> BoxFuture<'a, Result<Response, GatewayError>> {
    Box::pin(answer(core, parts, body, request_id, deadline))
}

async fn answer(
    core: &Core,
    parts: &axum::http::request::Parts,
    body: Body,
    request_id: &str,
    deadline: Instant,
) -> Result<Response, GatewayError> {
    let uri = &parts.uri;
    if is_too_long(uri) {
        return Err(GatewayError::UrlTooLong(MAX_URL));
    }
    if !uri.path().starts_with("/api/") {
        return Err(no_route(parts));
    }
    let session = core.callers.resolve(&parts.headers, deadline).await?;
    if let Some(id) = uri.path().strip_prefix(BACKGROUND) {
        return serve::background_operation(core, &session, parts, id, deadline).await;
    }
    answer_as(core, session, parts, body, request_id, deadline).await
}

/// The same to every request, whoever waits for it.
pub(crate) async fn answer_as(
    core: &Core,
    session: Arc<Session>,
    parts: &axum::http::request::Parts,
    body: Body,
    request_id: &str,
    deadline: Instant,
) -> Result<Response, GatewayError> {
    let uri = &parts.uri;
    let ask = |root: String| Ask::new(&parts.headers, session, deadline, root, request_id);
    let origin = origin(&parts.headers, uri);
    if let Some(path) = uri.path().strip_prefix(DISCOVERY) {
        require_read(&parts.method, "the discovery service")?;
        let options = QueryOptions::parse(uri.query().unwrap_or_default())?;
        return serve::discovery(core, &ask(origin.clone())?, &origin, (path, &options)).await;
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
    let response = dispatch(core, &ask, &snapshot, resource, (parts, path), body);
    let response = Box::pin(response).await?;
    Ok(if ask.prefer.numbers_as_strings { with_numbers_as_strings(response) } else { response })
}

async fn dispatch(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    resource: Resource,
    (parts, path): (&axum::http::request::Parts, &str),
    body: Body,
) -> Result<Response, GatewayError> {
    let method = &parts.method;
    match resource {
        Resource::Service => {
            require_read(method, "the service document")?;
            Ok(serve::service_document(ask, snapshot))
        }
        Resource::Metadata => {
            require_read(method, "$metadata")?;
            let options = QueryOptions::parse(parts.uri.query().unwrap_or_default())?;
            Ok(schema::metadata(ask, snapshot, &options))
        }
        Resource::Batch => Box::pin(batch(core, ask, snapshot, parts, body)).await,
        Resource::Named { name, key, tail } => {
            if let Some(table) = snapshot.by_set(&name) {
                let query = parts.uri.query().unwrap_or_default();
                if !is_read(method) {
                    let asked = Asked { method, path, query, body: &[] };
                    return Box::pin(serve::write(core, ask, snapshot, table, asked, body)).await;
                }
                if calls_action(table, &key, &tail) {
                    return Err(no_route(parts));
                }
                let options = QueryOptions::parse(query)?;
                let segments = Segments { table, key, tail, path };
                return table_request(core, ask, snapshot, segments, options).await;
            }
            if let Some(set) = schema::Set::named(&name) {
                require_read(method, &name)?;
                let options = QueryOptions::parse(parts.uri.query().unwrap_or_default())?;
                return schema::definitions(ask, snapshot, set, (&key, &tail), &options);
            }
            if let Some((table, _)) = unbound_action(snapshot, &name).filter(|_| tail.is_empty()) {
                let query = parts.uri.query().unwrap_or_default();
                let asked = Asked { method, path, query, body: &[] };
                return Box::pin(serve::write(core, ask, snapshot, table, asked, body)).await;
            }
            let call = Call { name, key, tail };
            function(core, ask, snapshot, call, parts, body).await
        }
    }
}

/// A function or an action, and what it is given.
struct Call {
    name: String,
    key: Key,
    tail: Vec<Tail>,
}

async fn function(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    Call { name, key, tail }: Call,
    parts: &axum::http::request::Parts,
    body: Body,
) -> Result<Response, GatewayError> {
    if LATER.contains(&name.as_str()) {
        return Err(GatewayError::NotOffered(format!("'{name}'")));
    }
    if !FUNCTIONS.contains(&name.as_str()) && !ACTIONS.contains(&name.as_str()) {
        return Err(GatewayError::UnknownSegment(name));
    }
    // What these answer is no set of rows, so nothing can follow.
    if let Some(Tail::Name { name, .. }) = tail.first() {
        return Err(GatewayError::UnknownSegment(name.clone()));
    }
    let called = matches!(key, Key::Absent | Key::Empty);
    if ACTIONS.contains(&name.as_str()) {
        if !called || !tail.is_empty() || parts.method != Method::POST {
            return Err(no_route(parts));
        }
        return match name.as_str() {
            "BulkDelete" => Box::pin(serve::bulk_delete(core, ask, snapshot, body)).await,
            _ => serve::query_expression_to_fetch_xml(ask, body).await,
        };
    }
    if !is_read(&parts.method) || !tail.is_empty() {
        return Err(no_route(parts));
    }
    let aliases = QueryOptions::parse(parts.uri.query().unwrap_or_default())?.aliases;
    match name.as_str() {
        "WhoAmI" if called => serve::who_am_i(core, ask).await,
        "RetrieveVersion" if called => Ok(serve::retrieve_version(ask)),
        "RetrieveCurrentOrganization" => {
            serve::retrieve_current_organization(core, ask, (&key, &aliases)).await
        }
        "RetrieveTotalRecordCount" => {
            serve::retrieve_total_record_count(core, ask, snapshot, (&key, &aliases)).await
        }
        "RetrieveMetadataChanges" => {
            let parameters = key.parameters(&aliases).ok_or_else(|| no_route(parts))?;
            schema::retrieve_metadata_changes(ask, snapshot, &parameters)
        }
        "FetchXmlToQueryExpression" => serve::fetch_xml_to_query_expression(ask, &key, &aliases),
        _ => Err(GatewayError::UnknownSegment(name)),
    }
}

/// A table and what follows its name.
struct Segments<'a> {
    table: &'a Arc<Table>,
    key: Key,
    tail: Vec<Tail>,
    /// All of it, as the client wrote it.
    path: &'a str,
}

async fn table_request(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    segments: Segments<'_>,
    options: QueryOptions,
) -> Result<Response, GatewayError> {
    let Segments { table, key, tail, path } = segments;
    if key == Key::Absent
        && tail.is_empty()
        && let Some(text) = serve::document(core, ask, snapshot, &options).await?
    {
        return serve::fetch(core, ask, snapshot, table, &text, &options).await;
    }
    let path = path.trim_end_matches('/');
    match serve::walk(snapshot, table, key, &tail)? {
        Target::Rows(rows) if serve::concerns_changes(ask, &rows, &options) => {
            serve::changes(core, ask, snapshot, &rows, (path, &options)).await
        }
        Target::Count(rows) if options.get(SystemOption::DeltaToken).is_some() => {
            serve::changes_count(core, ask, &rows, &options).await
        }
        Target::Rows(rows) => serve::collection(core, ask, snapshot, &rows, (path, &options)).await,
        Target::References(rows) => {
            serve::references(core, ask, snapshot, &rows, (path, &options)).await
        }
        Target::Count(rows) => serve::count(core, ask, snapshot, &rows, &options).await,
        Target::Row(row) => serve::record(core, ask, snapshot, &row, &options).await,
        Target::Reference(row) => serve::reference(core, ask, snapshot, &row, &options).await,
        Target::Property(row, name) => {
            serve::property(core, ask, snapshot, (&row, &name), &options).await
        }
    }
}

/// Says so, as clients that asked for it expect.
fn with_numbers_as_strings(mut response: Response) -> Response {
    let kind = response.headers_mut().get_mut(CONTENT_TYPE);
    if let Some(kind) = kind.filter(|it| **it == JSON) {
        *kind = JSON_WITH_STRINGS;
    }
    response
}

/// Actions are no resources that could be read.
fn calls_action(table: &Table, key: &Key, tail: &[Tail]) -> bool {
    let [Tail::Name { name, .. }] = tail else { return false };
    let name = name.strip_prefix(NAMESPACE).and_then(|it| it.strip_prefix('.'));
    name.is_some_and(|it| bound_action(table, it, *key != Key::Absent).is_some())
}

fn is_too_long(uri: &Uri) -> bool {
    uri.path_and_query().is_some_and(|it| it.as_str().len() > MAX_URL)
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

fn require_read(method: &Method, resource: &str) -> Result<(), GatewayError> {
    if is_read(method) {
        return Ok(());
    }
    let (method, resource) = (method.to_string(), resource.to_owned());
    Err(GatewayError::MethodNotAllowed { method, resource, allow: "GET" })
}

fn no_route(parts: &axum::http::request::Parts) -> GatewayError {
    let path = parts.uri.path_and_query().map_or(parts.uri.path(), |it| it.as_str());
    GatewayError::NoRoute(format!("{}{path}", origin(&parts.headers, &parts.uri)))
}
