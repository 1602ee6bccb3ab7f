//! From a path to the one that serves it.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::routing::any;
use odata::{Key, QueryOptions, Resource, Tail};
use tracing::Instrument as _;
use uuid::Uuid;

use super::ask::{Ask, CONDITIONS, conditional, origin, token};
use super::errors;
use super::prefer::Preferences;
use super::respond::{Response, finish};
use crate::Core;
use crate::error::GatewayError;
use crate::metadata::{Snapshot, Source, Table};
use crate::serve;

const PREFIX: &str = "/api/data/";
const VERSIONS: [&str; 6] = ["v9.0", "v9.1", "v9.2", "v8.0", "v8.1", "v8.2"];
const MAX_URL: usize = 32_768;

/// Parts of the platform that are known and come later.
const LATER: [&str; 14] = [
    "EntityDefinitions",
    "RelationshipDefinitions",
    "GlobalOptionSetDefinitions",
    "ManagedPropertyDefinitions",
    "RetrieveMetadataChanges",
    "RetrieveCurrentOrganization",
    "RetrieveTotalRecordCount",
    "RetrieveUserPrivileges",
    "RetrievePrincipalAccess",
    "RetrieveFinanceAndOperationsIntegrationDetails",
    "InitializeFrom",
    "BulkDelete",
    "CreateEntities",
    "ExecuteTransaction",
];

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
    let answer = answer(&core, &parts, body, &request_id).instrument(span).await;
    let response =
        answer.unwrap_or_else(|error| errors::response(&error, &core.config, &request_id));
    finish(response, &parts.headers, &request_id)
}

async fn answer(
    core: &Core,
    parts: &axum::http::request::Parts,
    body: Body,
    request_id: &str,
) -> Result<Response, GatewayError> {
    let uri = &parts.uri;
    if uri.path_and_query().is_some_and(|it| it.as_str().len() > MAX_URL) {
        return Err(GatewayError::UrlTooLong(MAX_URL));
    }
    if !uri.path().starts_with("/api/") {
        return Err(no_route(parts));
    }
    let deadline = Instant::now() + core.config.request_timeout;
    let session = core.callers.resolve(token(&parts.headers)?, deadline).await?;
    let rest = uri.path().strip_prefix(PREFIX).ok_or_else(|| no_route(parts))?;
    let (version, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !VERSIONS.contains(&version) {
        return Err(no_route(parts));
    }
    if !core.metadata.is_ready() {
        let message = "The table definitions have not arrived yet; try again later.";
        return Err(GatewayError::Unavailable(message.to_owned()));
    }
    let [if_match, if_none_match] = CONDITIONS.map(|it| conditional(&parts.headers, &it));
    let ask = Ask {
        session,
        deadline,
        root: format!("{}{PREFIX}{version}", origin(&parts.headers, uri)),
        prefer: Preferences::parse(&parts.headers),
        if_match,
        if_none_match,
        request_id: request_id.to_owned(),
    };
    let resource = Resource::parse(path)?;
    let snapshot = core.metadata.current();
    dispatch(core, &ask, &snapshot, resource, parts, body).await
}

async fn dispatch(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    resource: Resource,
    parts: &axum::http::request::Parts,
    body: Body,
) -> Result<Response, GatewayError> {
    let method = &parts.method;
    match resource {
        Resource::Service => {
            require_read(method, "the service document")?;
            Ok(serve::service_document(ask, snapshot))
        }
        Resource::Metadata => Err(GatewayError::NotOffered("$metadata".to_owned())),
        Resource::Batch => Err(GatewayError::NotOffered("$batch".to_owned())),
        Resource::Named { name, key, tail } => {
            if let Some(table) = snapshot.by_set(&name) {
                let options = QueryOptions::parse(parts.uri.query().unwrap_or_default())?;
                let target = Target { table, key, tail };
                return table_request(core, ask, snapshot, target, options, (method, body)).await;
            }
            let called = matches!(key, Key::Absent | Key::Empty) && tail.is_empty();
            match name.as_str() {
                "WhoAmI" | "RetrieveVersion" if called && !is_read(method) => Err(no_route(parts)),
                "WhoAmI" if called => serve::who_am_i(core, ask).await,
                "RetrieveVersion" if called => Ok(serve::retrieve_version(ask)),
                _ if LATER.contains(&name.as_str()) => {
                    Err(GatewayError::NotOffered(format!("'{name}'")))
                }
                _ => Err(GatewayError::UnknownSegment(name)),
            }
        }
    }
}

/// A table and what follows its name.
struct Target<'a> {
    table: &'a Arc<Table>,
    key: Key,
    tail: Vec<Tail>,
}

async fn table_request(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    target: Target<'_>,
    options: QueryOptions,
    (method, body): (&Method, Body),
) -> Result<Response, GatewayError> {
    let Target { table, key, tail } = target;
    let set = format!("{} ({})", table.set_name, table.logical_name);
    match (&key, tail.as_slice()) {
        (Key::Absent, []) => {
            require_read(method, &set)?;
            serve::collection(core, ask, snapshot, table, &options).await
        }
        (Key::Absent, [Tail::Count]) => {
            require_read(method, &set)?;
            serve::count(core, ask, snapshot, table, &options).await
        }
        (_, []) if is_read(method) => serve::record(core, ask, table, &key, &options).await,
        (_, []) if method == Method::PATCH && table.source == Source::Catalog => {
            serve::update(core, ask, table, &key, body).await
        }
        (_, []) => {
            let writable = table.source == Source::Catalog;
            let allow = if writable { "GET, PATCH" } else { "GET" };
            Err(GatewayError::MethodNotAllowed { method: method.to_string(), resource: set, allow })
        }
        (_, [Tail::Count, ..]) => Err(GatewayError::UnknownSegment("$count".to_owned())),
        (_, [Tail::Ref, ..]) => Err(GatewayError::NotOffered("Addressing '$ref'".to_owned())),
        (_, [Tail::Value, ..]) => Err(GatewayError::UnknownSegment("$value".to_owned())),
        (_, [Tail::Name { name, .. }, ..]) => Err(behind(table, name)),
    }
}

/// What to say of a segment behind a table or a record.
fn behind(table: &Table, name: &str) -> GatewayError {
    let known = name.contains('.')
        || table.by_property(name).is_some()
        || table.by_name(name).is_some()
        || table.is_navigation(name);
    if known {
        GatewayError::NotOffered(format!("Addressing '{name}' of '{}'", table.set_name))
    } else {
        GatewayError::UnknownSegment(name.to_owned())
    }
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
