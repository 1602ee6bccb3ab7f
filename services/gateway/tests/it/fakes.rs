//! A gateway between fakes of every service it talks to, all in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request as HttpRequest, Response as HttpResponse};
use futures::stream::{self, BoxStream, StreamExt as _};
use gateway::{Clients, Config, Gateway};
use http_body_util::BodyExt as _;
use proto::dual_write::v1::live_sync_service_server::LiveSyncServiceServer;
use proto::dual_write::v1::map_service_server::MapServiceServer;
use proto::lifecycle::v1::operation_service_server::OperationServiceServer;
use proto::lifecycle::v1::setup_service_server::SetupServiceServer;
use proto::organization::v1 as org;
use proto::organization::v1::background_operation_service_server::BackgroundOperationServiceServer;
use proto::organization::v1::organization_service_server::{
    OrganizationService, OrganizationServiceServer,
};
use proto::query::v1 as pb;
use proto::query::v1::change_tracking_service_server::ChangeTrackingServiceServer;
use proto::query::v1::data_provider_service_server::{
    DataProviderService, DataProviderServiceServer,
};
use proto::query::v1::metadata_provider_service_server::{
    MetadataProviderService, MetadataProviderServiceServer,
};
use proto::query::v1::operation::Operation;
use proto::query::v1::operation_result::Result as Written;
use proto::query::v1::transaction_service_server::TransactionServiceServer;
use proto::user_context::v1::user_context_service_server::UserContextServiceServer;
use rpc::{Environment, ErrorReason, Server};
use tonic::{Code, Request, Response, Status};
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::background::{Operations, Remembered};
use crate::fixture;
use crate::integration::{Faked, Lifecycle};
use crate::ledger::{Ledger, Transactions};
use crate::live::{Faking, Live};
use crate::users::{Directory, Users};

pub(crate) const USER: u128 = 0x77;

/// A piece of a faked stream.
pub(crate) enum Step {
    Item(pb::RetrieveMultipleResponse),
    Fail(Status),
    /// Nothing more comes, and the stream does not end.
    Hang,
}

type Multiple = Box<dyn Fn(&pb::QueryExpression) -> Vec<Step> + Send + Sync>;
type One = Box<dyn Fn(&pb::RetrieveRequest) -> Result<pb::RowBatch, Status> + Send + Sync>;

/// One faked holder of rows, that remembers what it was asked.
pub(crate) struct Provider {
    pub(crate) multiple: Multiple,
    pub(crate) one: One,
    pub(crate) queries: Mutex<Vec<pb::QueryExpression>>,
    pub(crate) updates: Mutex<Vec<pb::UpdateRequest>>,
    /// What it is told to write.
    pub(crate) ledger: Arc<Ledger>,
}

pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) query: Arc<Provider>,
    pub(crate) catalog: Arc<Provider>,
    pub(crate) organization: Arc<Provider>,
    pub(crate) operations: Arc<Operations>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    /// Who there is, and what was asked about it.
    pub(crate) users: Arc<Directory>,
}

/// What came back over HTTP.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HashMap<String, String>,
    pub(crate) body: String,
}

#[derive(Clone)]
struct Rows(Arc<Provider>);
struct Tables(pb::WatchTablesResponse);
struct Organization;

// === impl World ===

impl World {
    /// The query service answers as `query` does.
    pub(crate) async fn new(query: Provider) -> Self {
        Self::between(query, Provider::companies(), |_| {}).await
    }

    /// And the organization as `organization` does.
    pub(crate) async fn between(
        query: Provider,
        organization: Provider,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        Self::beside(query, organization, None, configure).await
    }

    /// And dual-write, where there is one, as `live` does.
    pub(crate) async fn beside(
        query: Provider,
        organization: Provider,
        live: Option<&Arc<Live>>,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let (query, catalog) = (Arc::new(query), Arc::new(Provider::empty()));
        let users = Arc::new(Directory::new());
        let services = Environment::generate();
        let server = |name: &'static str| services.server(name, users.verifier(name));
        let rows = |it: &Arc<Provider>| DataProviderServiceServer::new(Rows(Arc::clone(it)));
        let tables = |it| MetadataProviderServiceServer::new(Tables(it));
        let transactions = |it: &Arc<Provider>| {
            TransactionServiceServer::new(Transactions(Arc::clone(&it.ledger)))
        };
        let local = |callee, server: Server| {
            let (routes, _) = server.build().unwrap();
            services.channel(routes, "gateway", callee).unwrap()
        };
        let organization = Arc::new(organization);
        let operations: Arc<Operations> = Arc::default();
        let remembered = Remembered(Arc::clone(&operations));
        let lifecycle = Arc::new(Lifecycle::unlinked());
        let directory = UserContextServiceServer::new(Users(Arc::clone(&users)));
        let clients = Clients {
            catalog: local(
                "catalog",
                server("catalog").with(rows(&catalog)).with(tables(fixture::catalog())),
            ),
            organization: local(
                "organization",
                server("organization")
                    .with(rows(&organization))
                    .with(transactions(&organization))
                    .with(tables(fixture::organization()))
                    .with(BackgroundOperationServiceServer::new(remembered))
                    .with(OrganizationServiceServer::new(Organization)),
            ),
            query: local(
                "query",
                server("query")
                    .with(rows(&query))
                    .with(transactions(&query))
                    .with(ChangeTrackingServiceServer::new(crate::changes::Changes)),
            ),
            user_context: local("user-context", server("user-context").with(directory)),
            lifecycle: local(
                "lifecycle",
                server("lifecycle")
                    .with(SetupServiceServer::new(Faked(Arc::clone(&lifecycle))))
                    .with(OperationServiceServer::new(Faked(Arc::clone(&lifecycle)))),
            ),
            capacity: local("capacity", server("capacity")),
            dual_write: live.map(|it| {
                let service = LiveSyncServiceServer::new(Faking(Arc::clone(it)));
                let maps = MapServiceServer::new(Faking(Arc::clone(it)));
                local("dual-write", server("dual-write").with(service).with(maps))
            }),
        };
        let mut config =
            Config::new("https://login/authorize".into(), "https://org/".into(), b"k".into());
        config.request_timeout = Duration::from_millis(500);
        configure(&mut config);
        let gateway = Gateway::new(clients, config);
        gateway.ready().await;
        Self { gateway, query, catalog, organization, operations, lifecycle, users }
    }

    /// GET below `/api/data/v9.2/`, as a known user.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, "").await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        self.send_at(method, &format!("/api/data/v9.2/{path}"), headers, body).await
    }

    /// GET of a whole path.
    pub(crate) async fn get_at(&self, path: &str) -> Answer {
        self.send_at("GET", path, &[], "").await
    }

    async fn send_at(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = HttpRequest::builder()
            .method(method)
            .uri(path)
            .header("host", "org.test:8080")
            .header("authorization", "Bearer good");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.raw(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(crate) async fn raw(&self, request: HttpRequest<Body>) -> Answer {
        Answer::of(self.gateway.http_router().oneshot(request).await.unwrap()).await
    }
}

// === impl Answer ===

impl Answer {
    async fn of(response: HttpResponse<Body>) -> Self {
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, it)| (name.to_string(), it.to_str().unwrap().to_owned()))
            .collect();
        let body = response.into_body().collect().await;
        let body = body.map_or_else(
            |error| format!("cut off: {error}"),
            |it| String::from_utf8(it.to_bytes().to_vec()).unwrap(),
        );
        Self { status, headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Status, code and message of a refusal.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let error = &self.json()["error"];
        let text = |it: &str| error[it].as_str().unwrap_or("(none)").to_owned();
        (self.status, text("code"), text("message"))
    }
}

// === impl Provider ===

impl Provider {
    pub(crate) fn new(
        multiple: impl Fn(&pb::QueryExpression) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self {
            multiple: Box::new(multiple),
            one: Box::new(|_| Err(Status::internal("no row was expected"))),
            queries: Mutex::default(),
            updates: Mutex::default(),
            ledger: Arc::default(),
        }
    }

    pub(crate) fn empty() -> Self {
        Self::new(|_| vec![Step::Item(last(page("", 0), None))])
    }

    pub(crate) fn one(
        answer: impl Fn(&pb::RetrieveRequest) -> Result<pb::RowBatch, Status> + Send + Sync + 'static,
    ) -> Self {
        Self { one: Box::new(answer), ..Self::empty() }
    }

    /// With a ledger of its own.
    pub(crate) fn with(self, ledger: Ledger) -> Self {
        Self { ledger: Arc::new(ledger), ..self }
    }

    pub(crate) fn failing(status: Status) -> Self {
        let copy = status.clone();
        let mut provider = Self::new(move |_| vec![Step::Fail(copy.clone())]);
        provider.one = Box::new(move |_| Err(status.clone()));
        provider
    }

    pub(crate) fn last_query(&self) -> pb::QueryExpression {
        self.queries.lock().unwrap().last().cloned().unwrap()
    }

    pub(crate) fn companies() -> Self {
        use pb::column_values::Values;
        let column = |values| pb::ColumnValues { values: Some(values), ..Default::default() };
        Self::new(move |_| {
            let ids = Uuid::from_u128(fixture::USMF).as_bytes().to_vec();
            let names = pb::StringArray { values: vec!["USMF".into()] };
            let columns = vec![column(Values::Guids(ids.into())), column(Values::Strings(names))];
            let rows = pb::row_batch::Rows::Columns(pb::ColumnBatch { columns });
            let batch = pb::RowBatch { row_count: 1, rows: Some(rows), ..Default::default() };
            let message = pb::RetrieveMultipleResponse { batch: Some(batch), ..Default::default() };
            vec![Step::Item(last(message, None))]
        })
    }
}

/// A batch of rows as JSON.
pub(crate) fn page(json: &str, row_count: i64) -> pb::RetrieveMultipleResponse {
    pb::RetrieveMultipleResponse { batch: Some(batch(json, row_count)), ..Default::default() }
}

pub(crate) fn batch(json: &str, row_count: i64) -> pb::RowBatch {
    let rows = pb::row_batch::Rows::Json(json.to_owned().into());
    pb::RowBatch { row_count, rows: Some(rows), ..Default::default() }
}

/// The last batch; `next` is the position of the last row where there are more rows.
pub(crate) fn last(
    mut message: pb::RetrieveMultipleResponse,
    next: Option<i64>,
) -> pb::RetrieveMultipleResponse {
    let value = |it| pb::Value { kind: Some(pb::value::Kind::Int64Value(it)) };
    message.end = Some(pb::PageEnd {
        more_rows: next.is_some(),
        first: next.map(|_| value(1)).into_iter().collect(),
        last: next.map(value).into_iter().collect(),
    });
    message
}

/// A refusal as services send it.
pub(crate) fn refusal(code: Code, reason: ErrorReason) -> Status {
    let metadata = [("column", "mserp_gone"), ("privilege", "read")];
    rpc::status(code, "fake", reason, "a reason for people", metadata)
}

// === the services ===

#[tonic::async_trait]
impl DataProviderService for Rows {
    type RetrieveMultipleStream = BoxStream<'static, Result<pb::RetrieveMultipleResponse, Status>>;

    async fn retrieve(
        &self,
        request: Request<pb::RetrieveRequest>,
    ) -> Result<Response<pb::RetrieveResponse>, Status> {
        rpc::CallContext::of(&request)?;
        let batch = (self.0.one)(request.get_ref())?;
        Ok(Response::new(pb::RetrieveResponse { batch: Some(batch) }))
    }

    async fn retrieve_multiple(
        &self,
        request: Request<pb::RetrieveMultipleRequest>,
    ) -> Result<Response<Self::RetrieveMultipleStream>, Status> {
        rpc::CallContext::of(&request)?;
        let query = request.into_inner().query.unwrap();
        let steps = (self.0.multiple)(&query);
        self.0.queries.lock().unwrap().push(query);
        let pieces = steps.into_iter().map(|step| match step {
            Step::Item(it) => stream::once(async { Ok(it) }).boxed(),
            Step::Fail(status) => stream::once(async { Err(status) }).boxed(),
            Step::Hang => stream::pending().boxed(),
        });
        Ok(Response::new(stream::iter(pieces.collect::<Vec<_>>()).flatten().boxed()))
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        rpc::CallContext::of(&request)?;
        let entity = request.into_inner().query.unwrap_or_default().entity_name;
        let sql = format!("SELECT FROM {entity}");
        Ok(Response::new(pb::ExplainResponse { sql, ..Default::default() }))
    }

    async fn create(
        &self,
        request: Request<pb::CreateRequest>,
    ) -> Result<Response<pb::CreateResponse>, Status> {
        rpc::CallContext::of(&request)?;
        let mut request = request.into_inner();
        let key = std::mem::take(&mut request.idempotency_key);
        match self.0.ledger.alone(Operation::Create(request), &key)? {
            Written::Create(it) => Ok(Response::new(it)),
            _ => Err(Status::internal("another answer was faked")),
        }
    }

    async fn upsert(
        &self,
        request: Request<pb::UpsertRequest>,
    ) -> Result<Response<pb::UpsertResponse>, Status> {
        rpc::CallContext::of(&request)?;
        let mut request = request.into_inner();
        let key = std::mem::take(&mut request.idempotency_key);
        match self.0.ledger.alone(Operation::Upsert(request), &key)? {
            Written::Upsert(it) => Ok(Response::new(it)),
            _ => Err(Status::internal("another answer was faked")),
        }
    }

    async fn update(
        &self,
        request: Request<pb::UpdateRequest>,
    ) -> Result<Response<pb::UpdateResponse>, Status> {
        rpc::CallContext::of(&request)?;
        let request = request.into_inner();
        let stale = request.etag == "W/\"old\"";
        if request.etag == "W/\"denied\"" {
            let reason = ErrorReason::PrivilegeDenied;
            let metadata = [("privilege", "write")];
            return Err(rpc::status(Code::PermissionDenied, "fake", reason, "no", metadata));
        }
        self.0.updates.lock().unwrap().push(request);
        if stale {
            return Err(refusal(Code::Aborted, ErrorReason::VersionMismatch));
        }
        Ok(Response::new(pb::UpdateResponse::default()))
    }

    async fn delete(
        &self,
        request: Request<pb::DeleteRequest>,
    ) -> Result<Response<pb::DeleteResponse>, Status> {
        rpc::CallContext::of(&request)?;
        let mut request = request.into_inner();
        let key = std::mem::take(&mut request.idempotency_key);
        match self.0.ledger.alone(Operation::Delete(request), &key)? {
            Written::Delete(it) => Ok(Response::new(it)),
            _ => Err(Status::internal("another answer was faked")),
        }
    }

    async fn perform_action(
        &self,
        request: Request<pb::PerformActionRequest>,
    ) -> Result<Response<pb::PerformActionResponse>, Status> {
        rpc::CallContext::of(&request)?;
        let mut request = request.into_inner();
        let key = std::mem::take(&mut request.idempotency_key);
        match self.0.ledger.alone(Operation::PerformAction(request), &key)? {
            Written::PerformAction(it) => Ok(Response::new(it)),
            _ => Err(Status::internal("another answer was faked")),
        }
    }
}

#[tonic::async_trait]
impl MetadataProviderService for Tables {
    type WatchTablesStream = BoxStream<'static, Result<pb::WatchTablesResponse, Status>>;

    async fn watch_tables(
        &self,
        _: Request<pb::WatchTablesRequest>,
    ) -> Result<Response<Self::WatchTablesStream>, Status> {
        let tables = self.0.clone();
        let stream = stream::once(async { Ok(tables) }).chain(stream::pending());
        Ok(Response::new(stream.boxed()))
    }
}

#[tonic::async_trait]
impl OrganizationService for Organization {
    async fn import_companies(
        &self,
        _: Request<org::ImportCompaniesRequest>,
    ) -> Result<Response<org::ImportCompaniesResponse>, Status> {
        Err(Status::unimplemented("not faked"))
    }

    async fn import_users(
        &self,
        _: Request<org::ImportUsersRequest>,
    ) -> Result<Response<org::ImportUsersResponse>, Status> {
        Err(Status::unimplemented("not faked"))
    }

    async fn get_organization(
        &self,
        _: Request<org::GetOrganizationRequest>,
    ) -> Result<Response<org::GetOrganizationResponse>, Status> {
        Ok(Response::new(org::GetOrganizationResponse {
            organization_id: Uuid::from_u128(1).to_string(),
            business_unit_id: Uuid::from_u128(2).to_string(),
            display_name: "Test".into(),
            ..Default::default()
        }))
    }

    async fn install_sample_data(
        &self,
        _: Request<org::InstallSampleDataRequest>,
    ) -> Result<Response<org::InstallSampleDataResponse>, Status> {
        Err(Status::unimplemented("not faked"))
    }
}
