//! Native rows, by the contract of every provider. Every known user may read them.

use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::data_provider_service_server::DataProviderService;
use provider::{Grant, Grants, Provider, Refused};
use rpc::CallContext;
use tonic::{Request, Response, Status};

use crate::error::Error;
use crate::native::NativeTables;

/// Serves `DataProviderService`.
#[derive(Debug)]
pub(crate) struct RowProvider {
    tables: Arc<NativeTables>,
    provider: Provider,
}

impl RowProvider {
    pub(crate) fn new(tables: Arc<NativeTables>, provider: Provider) -> Self {
        Self { tables, provider }
    }

    /// Leave to read a table, and those that a query of it names.
    fn grants(&self, table: &str) -> Result<Grants<'_>, Error> {
        let grant = |name: &str| self.tables.binding(name).map(Grant::unrestricted);
        let root = grant(table).ok_or_else(|| Error::TableNotFound(table.to_owned()))?;
        Ok(Grants::new(root, move |name| grant(name).ok_or(Refused::Unknown)))
    }
}

#[tonic::async_trait]
impl DataProviderService for RowProvider {
    type RetrieveMultipleStream = provider::Rows;

    async fn retrieve(
        &self,
        request: Request<pb::RetrieveRequest>,
    ) -> Result<Response<pb::RetrieveResponse>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        let grants = self.grants(&request.entity_name)?;
        self.provider.retrieve(&context, &grants, request).await.map(Response::new)
    }

    async fn retrieve_multiple(
        &self,
        request: Request<pb::RetrieveMultipleRequest>,
    ) -> Result<Response<provider::Rows>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        let table = request.query.as_ref().map_or("", |it| it.entity_name.as_str());
        let grants = self.grants(table)?;
        self.provider.retrieve_multiple(&context, &grants, request).await.map(Response::new)
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        let table = request.query.as_ref().map_or("", |it| it.entity_name.as_str());
        let grants = self.grants(table)?;
        self.provider.explain(&context, &grants, &request).await.map(Response::new)
    }

    async fn create(
        &self,
        _request: Request<pb::CreateRequest>,
    ) -> Result<Response<pb::CreateResponse>, Status> {
        Err(Error::NotSupported("creating").into())
    }

    async fn update(
        &self,
        _request: Request<pb::UpdateRequest>,
    ) -> Result<Response<pb::UpdateResponse>, Status> {
        Err(Error::NotSupported("updating").into())
    }

    async fn upsert(
        &self,
        _request: Request<pb::UpsertRequest>,
    ) -> Result<Response<pb::UpsertResponse>, Status> {
        Err(Error::NotSupported("upserting").into())
    }

    async fn delete(
        &self,
        _request: Request<pb::DeleteRequest>,
    ) -> Result<Response<pb::DeleteResponse>, Status> {
        Err(Error::NotSupported("deleting").into())
    }

    async fn perform_action(
        &self,
        _request: Request<pb::PerformActionRequest>,
    ) -> Result<Response<pb::PerformActionResponse>, Status> {
        Err(Error::NotSupported("running actions of").into())
    }
}
