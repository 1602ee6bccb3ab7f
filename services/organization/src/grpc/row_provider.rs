//! Native rows, by the contract of every provider. Every known user may read them.

use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::data_provider_service_server::DataProviderService;
use provider::{Grant, Provider};
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

    fn grant(&self, table: &str) -> Result<Grant, Error> {
        let binding = self.tables.binding(table);
        let binding = binding.ok_or_else(|| Error::TableNotFound(table.to_owned()))?;
        Ok(Grant::unrestricted(binding))
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
        let grant = self.grant(&request.entity_name)?;
        self.provider.retrieve(&context, &grant, request).await.map(Response::new)
    }

    async fn retrieve_multiple(
        &self,
        request: Request<pb::RetrieveMultipleRequest>,
    ) -> Result<Response<provider::Rows>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        let grant = self.grant(request.query.as_ref().map_or("", |it| it.entity_name.as_str()))?;
        self.provider.retrieve_multiple(&context, &grant, request).await.map(Response::new)
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
