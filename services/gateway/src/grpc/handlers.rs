//! The three calls.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures::{Stream, stream};
use prost::Message as _;
use proto::gateway::v1 as pb;
use proto::gateway::v1::gateway_service_server::GatewayService;
use proto::query::v1 as query;
use rpc::ErrorReason;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::convert;
use crate::Core;
use crate::callers::Session;
use crate::error::GatewayError;
use crate::http;
use crate::metadata::{Snapshot, Table};
use crate::providers::{Call, Rows};
use crate::translate::{self, Terms};

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

    async fn session(
        &self,
        metadata: &MetadataMap,
        deadline: Instant,
    ) -> Result<Arc<Session>, GatewayError> {
        self.core.callers.resolve(http::token(metadata.as_ref())?, deadline).await
    }

    /// The same message to another service, as the caller of its bearer token.
    pub(crate) async fn on_behalf<T>(&self, request: Request<T>) -> Result<Request<T>, Status> {
        let deadline = self.deadline();
        let session = self.session(request.metadata(), deadline).await?;
        Call { session: &session, deadline }.request(request.into_inner())
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.core.config.request_timeout
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>, GatewayError> {
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
        let retrieve = query::RetrieveRequest {
            entity_name: table.external_name.clone(),
            key: Some(key.to_message()),
            columns: convert::columns(table, &request.columns)?,
            format: query::RowFormat::Columns.into(),
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
        call: Call<'_>,
        request: &pb::RetrieveMultipleRequest,
    ) -> Result<(Rows, Pager), GatewayError> {
        let snapshot = self.snapshot()?;
        let table = table(&snapshot, &request.table)?;
        let scope = scope(table, request);
        let tokens = &self.core.page_tokens;
        let position = match request.page_token.as_str() {
            "" => None,
            token => Some(tokens.decode(token, &scope)?),
        };
        let size = match request.page_size {
            0 => PAGE_SIZE,
            size @ 1..=PAGE_SIZE => size,
            size => {
                let message = format!("The page size is 1 to {PAGE_SIZE}, not {size}.");
                return Err(GatewayError::InvalidValue(message));
            }
        };
        let expression = query::QueryExpression {
            entity_name: table.external_name.clone(),
            columns: convert::columns(table, &request.columns)?,
            criteria: self.criteria(call, &snapshot, table, request.filter.as_ref()).await?,
            orders: convert::orders(table, &request.orders)?,
            page: Some(query::Page {
                size,
                after: position.as_ref().map(translate::page_values).unwrap_or_default(),
            }),
            total_count: convert::total_count(request.total_count)?,
        };
        let retrieve = query::RetrieveMultipleRequest {
            query: Some(expression),
            format: query::RowFormat::Columns.into(),
        };
        let rows = self.core.providers.retrieve_multiple(call, table.source, retrieve).await;
        let rows = rows.map_err(|status| GatewayError::of_provider(&status, table))?;
        let pager = Pager {
            core: Arc::clone(&self.core),
            table: Arc::clone(table),
            scope,
            page_number: position.map_or(1, |it| it.page_number),
        };
        Ok((rows, pager))
    }

    async fn criteria(
        &self,
        call: Call<'_>,
        snapshot: &Snapshot,
        table: &Table,
        filter: Option<&pb::Filter>,
    ) -> Result<Option<query::FilterExpression>, GatewayError> {
        let Some(filter) = filter else { return Ok(None) };
        let lookup = table.company_lookup();
        let companies = match lookup {
            Some(it) if convert::names_column(filter, &it.logical_name, 0) => {
                self.core.companies.codes(call, snapshot, &self.core.providers).await?
            }
            _ => Arc::new(HashMap::new()),
        };
        convert::filter(Terms { table, companies: &companies }, filter).map(Some)
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
        let session = self.session(request.metadata(), deadline).await?;
        let call = Call { session: &session, deadline };
        Ok(Response::new(self.one(call, request.get_ref()).await?))
    }

    async fn retrieve_multiple(
        &self,
        request: Request<pb::RetrieveMultipleRequest>,
    ) -> Result<Response<Batches>, Status> {
        let deadline = self.deadline();
        let session = self.session(request.metadata(), deadline).await?;
        let call = Call { session: &session, deadline };
        let (rows, pager) = self.many(call, request.get_ref()).await?;
        Ok(Response::new(Box::pin(batches(rows, pager))))
    }

    async fn who_am_i(
        &self,
        request: Request<pb::WhoAmIRequest>,
    ) -> Result<Response<pb::WhoAmIResponse>, Status> {
        let deadline = self.deadline();
        let session = self.session(request.metadata(), deadline).await?;
        let facts = self.core.organization.facts(Call { session: &session, deadline }).await;
        let facts = facts.map_err(|status| GatewayError::of_service(&status))?;
        Ok(Response::new(pb::WhoAmIResponse {
            user_id: session.system_user_id.clone(),
            business_unit_id: facts.business_unit_id.clone(),
            organization_id: facts.organization_id.clone(),
        }))
    }
}

/// What turns a provider's batches into ours.
struct Pager {
    core: Arc<Core>,
    table: Arc<Table>,
    scope: [u8; 32],
    page_number: u32,
}

impl Pager {
    fn convert(
        &self,
        message: query::RetrieveMultipleResponse,
    ) -> Result<pb::RetrieveMultipleResponse, GatewayError> {
        let position = match &message.end {
            Some(end) => translate::next_position(end, self.page_number)?,
            None => None,
        };
        let tokens = &self.core.page_tokens;
        Ok(pb::RetrieveMultipleResponse {
            row_count: message.batch.as_ref().map_or(0, |it| it.row_count),
            rows: Some(columns_of(message.batch)?),
            total_count: message.total_count,
            total_count_limit_exceeded: message.total_count_limit_exceeded,
            next_page_token: position.map(|it| tokens.encode(&it, &self.scope)).unwrap_or_default(),
        })
    }
}

fn batches(
    rows: Rows,
    pager: Pager,
) -> impl Stream<Item = Result<pb::RetrieveMultipleResponse, Status>> + Send {
    enum Next {
        Ready(Box<query::RetrieveMultipleResponse>),
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

fn columns_of(batch: Option<query::RowBatch>) -> Result<query::ColumnBatch, GatewayError> {
    match batch.and_then(|it| it.rows) {
        Some(query::row_batch::Rows::Columns(columns)) => Ok(columns),
        None => Ok(query::ColumnBatch::default()),
        Some(query::row_batch::Rows::Json(_)) => {
            tracing::error!("a provider wrote JSON where columns were asked for");
            Err(GatewayError::Internal)
        }
    }
}

/// A position means something only among the same rows in the same order.
fn scope(table: &Table, request: &pb::RetrieveMultipleRequest) -> [u8; 32] {
    let ordered = pb::RetrieveMultipleRequest {
        table: table.logical_name.clone(),
        filter: request.filter.clone(),
        orders: request.orders.clone(),
        ..Default::default()
    };
    translate::scope([ordered.encode_to_vec().as_slice()])
}
