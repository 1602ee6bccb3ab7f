//! What a request becomes, once it is parsed: each way in, and who serves it.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Method;
use axum::http::request::Parts;
use futures::future::BoxFuture;
use odata::{Key, QueryOptions, Resource, SystemOption, Tail};

use super::ask::Ask;
use super::batch::batch;
use super::respond::Response;
use super::routes::no_route;
use crate::Core;
use crate::entry_point::EntryPoint;
use crate::error::{GatewayError, NAMESPACE};
use crate::metadata::{Snapshot, Table};
use crate::schema;
use crate::serve::{self, Target};
use crate::write::{Asked, bound_action, unbound_action};

/// Parts of the platform that are known and come later.
const LATER: [&str; 5] = [
    "RetrieveUserPrivileges",
    "RetrievePrincipalAccess",
    "InitializeFrom",
    "CreateEntities",
    "ExecuteTransaction",
];

/// A request that is being served. There is none without a name.
pub(super) struct Served<'a>(BoxFuture<'a, Result<Response, GatewayError>>);

/// A request, and all that is known besides.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) core: &'a Core,
    pub(super) ask: &'a Ask,
    pub(super) snapshot: &'a Snapshot,
    pub(super) parts: &'a Parts,
    /// Behind the service root, as the client wrote it.
    pub(super) path: &'a str,
}

/// Functions of the platform.
#[derive(Clone, Copy)]
enum Function {
    WhoAmI,
    RetrieveVersion,
    RetrieveCurrentOrganization,
    RetrieveFinanceAndOperationsIntegrationDetails,
    RetrieveTotalRecordCount,
    RetrieveMetadataChanges,
    FetchXmlToQueryExpression,
}

/// Actions of the platform.
#[derive(Clone, Copy)]
enum Action {
    QueryExpressionToFetchXml,
    BulkDelete,
}

impl<'a> Served<'a> {
    pub(super) fn at(
        entry: EntryPoint,
        serving: impl Future<Output = Result<Response, GatewayError>> + Send + 'a,
    ) -> Self {
        Self(Box::pin(async move {
            entry.enter();
            serving.await
        }))
    }

    fn ready(entry: EntryPoint, response: Result<Response, GatewayError>) -> Self {
        Self::at(entry, std::future::ready(response))
    }

    /// What is asked for is known when the body is: a plan names its entry point.
    fn planned(serving: impl Future<Output = Result<Response, GatewayError>> + Send + 'a) -> Self {
        Self(Box::pin(serving))
    }

    /// Requests of a batch have names of their own.
    fn parts(serving: impl Future<Output = Result<Response, GatewayError>> + Send + 'a) -> Self {
        Self(Box::pin(serving))
    }

    pub(super) async fn answer(self) -> Result<Response, GatewayError> {
        self.0.await
    }
}

impl Function {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "WhoAmI" => Self::WhoAmI,
            "RetrieveVersion" => Self::RetrieveVersion,
            "RetrieveCurrentOrganization" => Self::RetrieveCurrentOrganization,
            "RetrieveFinanceAndOperationsIntegrationDetails" => {
                Self::RetrieveFinanceAndOperationsIntegrationDetails
            }
            "RetrieveTotalRecordCount" => Self::RetrieveTotalRecordCount,
            "RetrieveMetadataChanges" => Self::RetrieveMetadataChanges,
            "FetchXmlToQueryExpression" => Self::FetchXmlToQueryExpression,
            _ => return None,
        })
    }

    fn takes_parameters(self) -> bool {
        match self {
            Self::WhoAmI
            | Self::RetrieveVersion
            | Self::RetrieveFinanceAndOperationsIntegrationDetails => false,
            Self::RetrieveCurrentOrganization
            | Self::RetrieveTotalRecordCount
            | Self::RetrieveMetadataChanges
            | Self::FetchXmlToQueryExpression => true,
        }
    }
}

impl Action {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "QueryExpressionToFetchXml" => Self::QueryExpressionToFetchXml,
            "BulkDelete" => Self::BulkDelete,
            _ => return None,
        })
    }
}

impl<'a> Scene<'a> {
    /// Finds who serves a resource.
    pub(super) fn dispatch(
        self,
        resource: Resource,
        body: Body,
    ) -> Result<Served<'a>, GatewayError> {
        let Self { core, ask, snapshot, parts, path } = self;
        let method = &parts.method;
        match resource {
            Resource::Service => {
                require_read(method, "the service document")?;
                let document = serve::service_document(ask, snapshot);
                Ok(Served::ready(EntryPoint::ServiceDocument, Ok(document)))
            }
            Resource::Metadata => {
                require_read(method, "$metadata")?;
                let metadata = schema::metadata(ask, snapshot, &self.options()?);
                Ok(Served::ready(EntryPoint::Metadata, Ok(metadata)))
            }
            Resource::Batch => Ok(Served::parts(batch(core, ask, snapshot, parts, body))),
            Resource::Named { name, key, tail } => {
                if let Some(table) = snapshot.by_set(&name) {
                    if !is_read(method) {
                        return Ok(self.write(table, body));
                    }
                    if calls_action(table, &key, &tail) {
                        return Err(no_route(parts));
                    }
                    let path = path.trim_end_matches('/');
                    return Segments { table, key, tail, path }.read(self, self.options()?);
                }
                if let Some(set) = schema::Set::named(&name) {
                    require_read(method, &name)?;
                    let options = self.options()?;
                    let found = schema::definitions(ask, snapshot, set, (&key, &tail), &options);
                    return Ok(Served::ready(EntryPoint::Definitions, found));
                }
                let action = unbound_action(snapshot, &name).filter(|_| tail.is_empty());
                match action {
                    Some((table, _)) => Ok(self.write(table, body)),
                    None => self.call(name, key, &tail, body),
                }
            }
        }
    }

    fn options(self) -> Result<QueryOptions, GatewayError> {
        Ok(QueryOptions::parse(self.parts.uri.query().unwrap_or_default())?)
    }

    fn write(self, table: &'a Table, body: Body) -> Served<'a> {
        let Self { core, ask, snapshot, parts, path } = self;
        let query = parts.uri.query().unwrap_or_default();
        let asked = Asked { method: &parts.method, path, query, body: &[] };
        Served::planned(serve::write(core, ask, snapshot, table, asked, body))
    }

    /// A function or an action of the platform.
    fn call(
        self,
        name: String,
        key: Key,
        tail: &[Tail],
        body: Body,
    ) -> Result<Served<'a>, GatewayError> {
        let Self { core, ask, snapshot, parts, .. } = self;
        if LATER.contains(&name.as_str()) {
            return Err(GatewayError::NotOffered(format!("'{name}'")));
        }
        if let Some(call) = serve::DualWriteCall::named(&name) {
            return self.dual_write(call, key, tail, body);
        }
        let (function, action) = (Function::named(&name), Action::named(&name));
        if function.is_none() && action.is_none() {
            return Err(GatewayError::UnknownSegment(name));
        }
        // What these answer is no set of rows, so nothing can follow.
        if let Some(Tail::Name { name, .. }) = tail.first() {
            return Err(GatewayError::UnknownSegment(name.clone()));
        }
        let called = matches!(key, Key::Absent | Key::Empty);
        if let Some(action) = action {
            if !called || !tail.is_empty() || parts.method != Method::POST {
                return Err(no_route(parts));
            }
            return Ok(match action {
                Action::BulkDelete => Served::at(
                    EntryPoint::BulkDelete,
                    serve::bulk_delete(core, ask, snapshot, body),
                ),
                Action::QueryExpressionToFetchXml => Served::at(
                    EntryPoint::QueryExpressionToFetchXml,
                    serve::query_expression_to_fetch_xml(ask, body),
                ),
            });
        }
        let function = function.filter(|_| is_read(&parts.method) && tail.is_empty());
        let function = function.ok_or_else(|| no_route(parts))?;
        if !called && !function.takes_parameters() {
            return Err(GatewayError::UnknownSegment(name));
        }
        self.function(function, key)
    }

    fn dual_write(
        self,
        call: serve::DualWriteCall,
        key: Key,
        tail: &[Tail],
        body: Body,
    ) -> Result<Served<'a>, GatewayError> {
        let Self { core, ask, parts, .. } = self;
        let called = matches!(key, Key::Absent | Key::Empty);
        if tail.is_empty() && call.is_function && is_read(&parts.method) {
            let aliases = self.options()?.aliases;
            return Ok(Served::at(EntryPoint::DualWriteFunction, async move {
                serve::dual_write_function(core, ask, &call, (&key, &aliases)).await
            }));
        }
        if tail.is_empty() && called && !call.is_function && parts.method == Method::POST {
            return Ok(Served::at(EntryPoint::DualWriteAction, async move {
                serve::dual_write_action(core, ask, &call, body).await
            }));
        }
        Err(no_route(parts))
    }

    fn function(self, function: Function, key: Key) -> Result<Served<'a>, GatewayError> {
        let Self { core, ask, snapshot, parts, .. } = self;
        let aliases = self.options()?.aliases;
        Ok(match function {
            Function::WhoAmI => Served::at(EntryPoint::WhoAmI, serve::who_am_i(core, ask)),
            Function::RetrieveVersion => {
                Served::ready(EntryPoint::RetrieveVersion, Ok(serve::retrieve_version(ask)))
            }
            Function::RetrieveCurrentOrganization => {
                Served::at(EntryPoint::RetrieveCurrentOrganization, async move {
                    serve::retrieve_current_organization(core, ask, (&key, &aliases)).await
                })
            }
            Function::RetrieveFinanceAndOperationsIntegrationDetails => Served::at(
                EntryPoint::RetrieveFinanceAndOperationsIntegrationDetails,
                serve::retrieve_integration_details(core, ask),
            ),
            Function::RetrieveTotalRecordCount => {
                Served::at(EntryPoint::RetrieveTotalRecordCount, async move {
                    let parameters = (&key, &aliases);
                    serve::retrieve_total_record_count(core, ask, snapshot, parameters).await
                })
            }
            Function::RetrieveMetadataChanges => {
                let parameters = key.parameters(&aliases).ok_or_else(|| no_route(parts))?;
                let changes = schema::retrieve_metadata_changes(ask, snapshot, &parameters);
                Served::ready(EntryPoint::RetrieveMetadataChanges, changes)
            }
            Function::FetchXmlToQueryExpression => {
                let query = serve::fetch_xml_to_query_expression(ask, &key, &aliases);
                Served::ready(EntryPoint::FetchXmlToQueryExpression, query)
            }
        })
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

impl<'a> Segments<'a> {
    fn read(self, scene: Scene<'a>, options: QueryOptions) -> Result<Served<'a>, GatewayError> {
        let Scene { core, ask, snapshot, .. } = scene;
        let Self { table, key, tail, path } = self;
        if key == Key::Absent
            && tail.is_empty()
            && let Some(document) = serve::document(&options)?
        {
            let entry = match document {
                serve::Document::Given(_) => EntryPoint::FetchXml,
                serve::Document::Stored { .. } => EntryPoint::StoredQuery,
            };
            return Ok(Served::at(entry, async move {
                let text = document.text(core, ask, snapshot).await?;
                serve::fetch(core, ask, snapshot, table, &text, &options).await
            }));
        }
        let target = serve::walk(snapshot, table, key, &tail)?;
        Ok(match target {
            Target::Rows(rows) if serve::concerns_changes(ask, &rows, &options) => {
                Served::at(EntryPoint::Changes, async move {
                    serve::changes(core, ask, snapshot, &rows, (path, &options)).await
                })
            }
            Target::Count(rows) if options.get(SystemOption::DeltaToken).is_some() => {
                Served::at(EntryPoint::ChangesCount, async move {
                    serve::changes_count(core, ask, &rows, &options).await
                })
            }
            Target::Rows(rows) => Served::at(EntryPoint::Rows, async move {
                serve::collection(core, ask, snapshot, &rows, (path, &options)).await
            }),
            Target::References(rows) => Served::at(EntryPoint::References, async move {
                serve::references(core, ask, snapshot, &rows, (path, &options)).await
            }),
            Target::Count(rows) => Served::at(EntryPoint::Count, async move {
                serve::count(core, ask, snapshot, &rows, &options).await
            }),
            Target::Row(row) => Served::at(EntryPoint::Record, async move {
                serve::record(core, ask, snapshot, &row, &options).await
            }),
            Target::Reference(row) => Served::at(EntryPoint::Reference, async move {
                serve::reference(core, ask, snapshot, &row, &options).await
            }),
            Target::Property(row, name) => Served::at(EntryPoint::Property, async move {
                serve::property(core, ask, snapshot, (&row, &name), &options).await
            }),
        })
    }
}

/// Actions are no resources that could be read.
fn calls_action(table: &Table, key: &Key, tail: &[Tail]) -> bool {
    let [Tail::Name { name, .. }] = tail else { return false };
    let name = name.strip_prefix(NAMESPACE).and_then(|it| it.strip_prefix('.'));
    name.is_some_and(|it| bound_action(table, it, *key != Key::Absent).is_some())
}

pub(super) fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

pub(super) fn require_read(method: &Method, resource: &str) -> Result<(), GatewayError> {
    if is_read(method) {
        return Ok(());
    }
    let (method, resource) = (method.to_string(), resource.to_owned());
    Err(GatewayError::MethodNotAllowed { method, resource, allow: "GET" })
}
