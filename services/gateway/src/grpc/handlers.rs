//! The calls.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures::{Stream, stream};
use odata::PagePosition;
use proto::gateway::v1 as pb;
use proto::gateway::v1::gateway_service_server::GatewayService;
use proto::query::v1 as query_pb;
use rpc::ErrorReason;
use tonic::{Request, Response, Status};

use super::{convert, writes};
use crate::Core;
use crate::callers::{Service, Session};
use crate::error::GatewayError;
use crate::http::{Annotations, Ask, Preferences};
use crate::metadata::{Snapshot, Table};
use crate::providers::{Call, Rows};
use crate::query::{self, Dialect, Read, Style};
use crate::serve;
use crate::translate;

/// Rows of a page at most.
const PAGE_SIZE: i32 = 5_000;

/// Serves `tombolo.gateway.v1.GatewayService`.
#[derive(Clone, Debug)]
pub(crate) struct GrpcGateway {
    core: Arc<Core>,
}

type Batches = Pin<Box<dyn Stream<Item = Result<pb::RetrieveMultipleResponse, Status>> + Send>>;

impl GrpcGateway {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    /// The same message to another service, as the caller of its bearer token.
    pub(crate) fn on_behalf<T>(
        &self,
        to: Service,
        request: Request<T>,
    ) -> Result<Request<T>, Status> {
        let (session, deadline) = (session(&request)?, self.deadline());
        Call { session: &session, deadline }.request(to, request.into_inner())
    }

    /// [`Self::on_behalf`], where what is asked is about the environment that this gateway serves.
    pub(super) async fn about_here<T>(
        &self,
        to: Service,
        request: Request<T>,
    ) -> Result<Request<T>, Status> {
        let (session, deadline) = (session(&request)?, self.deadline());
        let call = Call { session: &session, deadline };
        let request = call.request(to, request.into_inner())?;
        self.core.organization.named_in(call, request).await
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.core.config.request_timeout
    }

    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>, GatewayError> {
        if !self.core.metadata.is_ready() {
            let message = "The table definitions have not arrived yet; try again later.";
            return Err(GatewayError::Unavailable(message.to_owned()));
        }
        Ok(self.core.metadata.current())
    }

    async fn one(
        &self,
        call: Call<'_>,
        request: &pb::RetrieveRequest,
    ) -> Result<pb::RetrieveResponse, GatewayError> {
        let snapshot = self.snapshot()?;
        let table = table(&snapshot, &request.table)?;
        let key = convert::key(table, request.key.as_ref())?;
        let retrieve = query_pb::RetrieveRequest {
            entity_name: table.external_name.clone(),
            key: Some(key.to_message()),
            columns: convert::columns(table, &request.columns)?,
            format: query_pb::RowFormat::Columns.into(),
            ..Default::default()
        };
        let batch = self.core.providers.retrieve(call, table.source, retrieve).await;
        let batch = batch.map_err(|status| match rpc::reason(&status) {
            Some(ErrorReason::RecordNotFound) => key.not_found(table),
            _ => GatewayError::of_provider(&status, table),
        })?;
        Ok(pb::RetrieveResponse { row: Some(columns_of(Some(batch))?) })
    }

    async fn many(
        &self,
        ask: &Ask,
        request: pb::RetrieveMultipleRequest,
    ) -> Result<(Rows, Pager), GatewayError> {
        let snapshot = self.snapshot()?;
        let mut tree = request.query.ok_or_else(no_query)?;
        let table = Arc::clone(table(&snapshot, &tree.entity_name)?);
        check_page(tree.page.as_ref())?;
        let scope = query::scope(&tree);
        let position = self.position(&mut tree, &request.page_token, &scope)?;
        let number = tree.page.as_ref().map_or(0, |it| u32::try_from(it.number).unwrap_or(0));
        let page_number = position.as_ref().map_or(number.max(1), |it| it.page_number);
        let paged = tree.top_count == 0;
        let read = read(tree, position);
        let format = query_pb::RowFormat::Columns;
        let rows = query::page(&self.core, ask, &snapshot, &read, format).await?;
        let core = Arc::clone(&self.core);
        Ok((rows, Pager { core, table, scope, page_number, paged }))
    }

    /// Where the page begins, if a token or a cookie says it. What is left in the tree is the number.
    fn position(
        &self,
        tree: &mut query_pb::QueryExpression,
        token: &str,
        scope: &[u8],
    ) -> Result<Option<PagePosition>, GatewayError> {
        let cookie = tree.page.as_mut().map(|it| std::mem::take(&mut it.cookie));
        let position = match (token, cookie.unwrap_or_default()) {
            ("", cookie) if cookie.is_empty() => return Ok(None),
            ("", cookie) => serve::read_cookie(&self.core.page_tokens, &cookie, scope)?,
            (token, cookie) if cookie.is_empty() => self.core.page_tokens.decode(token, scope)?,
            _ => {
                let message = "A page is found by its token or by its cookie, not by both.";
                return Err(GatewayError::InvalidValue(message.to_owned()));
            }
        };
        if let Some(page) = &mut tree.page {
            page.number = 0;
        }
        Ok(Some(position))
    }
}

#[tonic::async_trait]
impl GatewayService for GrpcGateway {
    type RetrieveMultipleStream = Batches;

    async fn retrieve(
        &self,
        request: Request<pb::RetrieveRequest>,
    ) -> Result<Response<pb::RetrieveResponse>, Status> {
        let deadline = self.deadline();
        let session = session(&request)?;
        let call = Call { session: &session, deadline };
        Ok(Response::new(self.one(call, request.get_ref()).await?))
    }

    async fn retrieve_multiple(
        &self,
        request: Request<pb::RetrieveMultipleRequest>,
    ) -> Result<Response<Batches>, Status> {
        let deadline = self.deadline();
        let session = session(&request)?;
        let (rows, pager) = self.many(&ask(session, deadline), request.into_inner()).await?;
        Ok(Response::new(Box::pin(batches(rows, pager))))
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        let deadline = self.deadline();
        let session = session(&request)?;
        let snapshot = self.snapshot()?;
        let tree = request.into_inner().query.ok_or_else(no_query)?;
        let read = read(tree, None);
        let ask = ask(session, deadline);
        let steps = query::explain(&self.core, &ask, &snapshot, &read).await?;
        Ok(Response::new(pb::ExplainResponse { steps }))
    }

    async fn fetch_xml_to_query_expression(
        &self,
        request: Request<pb::FetchXmlToQueryExpressionRequest>,
    ) -> Result<Response<pb::FetchXmlToQueryExpressionResponse>, Status> {
        let query = fetchxml::parse(&request.get_ref().fetch_xml).map_err(GatewayError::from)?;
        Ok(Response::new(pb::FetchXmlToQueryExpressionResponse { query: Some(query) }))
    }

    async fn query_expression_to_fetch_xml(
        &self,
        request: Request<pb::QueryExpressionToFetchXmlRequest>,
    ) -> Result<Response<pb::QueryExpressionToFetchXmlResponse>, Status> {
        let query = request.into_inner().query.ok_or_else(no_query)?;
        let fetch_xml = fetchxml::print(&query).map_err(GatewayError::from)?;
        Ok(Response::new(pb::QueryExpressionToFetchXmlResponse { fetch_xml }))
    }

    async fn create(
        &self,
        request: Request<pb::CreateRequest>,
    ) -> Result<Response<pb::CreateResponse>, Status> {
        writes::create(self, request).await
    }

    async fn update(
        &self,
        request: Request<pb::UpdateRequest>,
    ) -> Result<Response<pb::UpdateResponse>, Status> {
        writes::update(self, request).await
    }

    async fn upsert(
        &self,
        request: Request<pb::UpsertRequest>,
    ) -> Result<Response<pb::UpsertResponse>, Status> {
        writes::upsert(self, request).await
    }

    async fn delete(
        &self,
        request: Request<pb::DeleteRequest>,
    ) -> Result<Response<pb::DeleteResponse>, Status> {
        writes::delete(self, request).await
    }

    async fn perform_action(
        &self,
        request: Request<pb::PerformActionRequest>,
    ) -> Result<Response<pb::PerformActionResponse>, Status> {
        writes::perform_action(self, request).await
    }

    async fn execute_transaction(
        &self,
        request: Request<pb::ExecuteTransactionRequest>,
    ) -> Result<Response<pb::ExecuteTransactionResponse>, Status> {
        writes::execute_transaction(self, request).await
    }

    async fn who_am_i(
        &self,
        request: Request<pb::WhoAmIRequest>,
    ) -> Result<Response<pb::WhoAmIResponse>, Status> {
        let deadline = self.deadline();
        let session = session(&request)?;
        let facts = self.core.organization.facts(Call { session: &session, deadline }).await;
        let facts = facts.map_err(|status| GatewayError::of_service(&status))?;
        Ok(Response::new(pb::WhoAmIResponse {
            user_id: session.system_user_id.clone(),
            business_unit_id: facts.business_unit_id.clone(),
            organization_id: facts.organization_id.clone(),
        }))
    }
}

/// Of a request that came through the door.
pub(super) fn session<T>(request: &Request<T>) -> Result<Arc<Session>, GatewayError> {
    request.extensions().get::<Arc<Session>>().cloned().ok_or(GatewayError::Unauthenticated)
}

/// What turns a provider's batches into ours.
struct Pager {
    core: Arc<Core>,
    table: Arc<Table>,
    scope: [u8; 32],
    page_number: u32,
    /// There are pages, and not just the first rows.
    paged: bool,
}

impl Pager {
    fn convert(
        &self,
        message: query_pb::RetrieveMultipleResponse,
    ) -> Result<pb::RetrieveMultipleResponse, GatewayError> {
        let more_records = message.end.as_ref().is_some_and(|it| it.more_rows) && self.paged;
        let position = match &message.end {
            Some(end) if self.paged => translate::next_position(end, self.page_number)?,
            _ => None,
        };
        let tokens = &self.core.page_tokens;
        Ok(pb::RetrieveMultipleResponse {
            row_count: message.batch.as_ref().map_or(0, |it| it.row_count),
            rows: Some(columns_of(message.batch)?),
            total_count: message.total_count,
            total_count_limit_exceeded: message.total_count_limit_exceeded,
            next_page_token: position.map(|it| tokens.encode(&it, &self.scope)).unwrap_or_default(),
            more_records,
        })
    }
}

fn batches(
    rows: Rows,
    pager: Pager,
) -> impl Stream<Item = Result<pb::RetrieveMultipleResponse, Status>> + Send {
    enum Next {
        Ready(Box<query_pb::RetrieveMultipleResponse>),
        Wait,
        Done,
    }
    let mut rows = rows;
    let first = std::mem::take(&mut rows.first);
    stream::try_unfold(
        (Next::Ready(Box::new(first)), rows, pager),
        |(next, mut rows, pager)| async move {
            let message = match next {
                Next::Done => return Ok(None),
                Next::Ready(message) => *message,
                Next::Wait => rows
                    .next()
                    .await
                    .map_err(|status| GatewayError::of_provider(&status, &pager.table))?,
            };
            let next = if message.end.is_some() { Next::Done } else { Next::Wait };
            let converted = pager.convert(message)?;
            Ok(Some((converted, (next, rows, pager))))
        },
    )
}

fn table<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Arc<Table>, GatewayError> {
    snapshot.by_name(name).ok_or_else(|| GatewayError::UnknownTable(name.to_owned()))
}

fn columns_of(batch: Option<query_pb::RowBatch>) -> Result<query_pb::ColumnBatch, GatewayError> {
    match batch.and_then(|it| it.rows) {
        Some(query_pb::row_batch::Rows::Columns(columns)) => Ok(columns),
        None => Ok(query_pb::ColumnBatch::default()),
        Some(query_pb::row_batch::Rows::Json(_)) => {
            tracing::error!("a provider wrote JSON where columns were asked for");
            Err(GatewayError::Internal)
        }
    }
}

/// A query as gRPC clients ask it.
fn read(tree: query_pb::QueryExpression, position: Option<PagePosition>) -> Read {
    let style = Style {
        annotations: Annotations::default(),
        dialect: Dialect::Message,
        numbers_as_strings: false,
    };
    Read { tree, expands: Vec::new(), style, position }
}

fn check_page(page: Option<&query_pb::Page>) -> Result<(), GatewayError> {
    let (size, number) = page.map_or((0, 0), |it| (it.size, it.number));
    if (0..=PAGE_SIZE).contains(&size) && number >= 0 {
        return Ok(());
    }
    let message = format!("A page has 1 to {PAGE_SIZE} rows, and its number is 1 or more.");
    Err(GatewayError::InvalidValue(message))
}

/// A message says nothing besides its query.
fn ask(session: Arc<Session>, deadline: Instant) -> Ask {
    Ask {
        session,
        deadline: deadline.into(),
        root: String::new(),
        prefer: Preferences::default(),
        if_match: None,
        if_none_match: None,
        request_id: String::new(),
        client_request_id: None,
    }
}

fn no_query() -> GatewayError {
    GatewayError::InvalidValue("The request has no query.".to_owned())
}
