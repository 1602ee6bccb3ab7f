//! The wire. Each method finds the entity, asks for leave, and hands both to the provider.

use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::data_provider_service_server::DataProviderService;
use provider::{Binding, Grant, Grants, Provider, Refused};
use rpc::{CallContext, ErrorReason, status, unavailable};
use tonic::{Code, Request, Response, Status};

use crate::definitions::Definitions;

/// The service's name in errors.
pub(crate) const DOMAIN: &str = "query";

/// Answers the provider contract for the ERP's data entities.
#[derive(Debug)]
pub(crate) struct Adapter {
    definitions: Arc<Definitions>,
    provider: Provider,
}

impl Adapter {
    pub(crate) fn new(definitions: Arc<Definitions>, provider: Provider) -> Self {
        Self { definitions, provider }
    }

    fn entity(&self, name: &str) -> Result<Arc<Binding>, Status> {
        self.definitions.find(name).ok_or_else(|| {
            if !self.definitions.is_ready() {
                let message = "the catalog's definitions have not arrived yet; try again";
                return unavailable(DOMAIN, ErrorReason::NotReady, message);
            }
            let message = format!("there is no visible data entity `{name}`");
            let metadata = [("entity", name)];
            status(Code::NotFound, DOMAIN, ErrorReason::EntityNotFound, message, metadata)
        })
    }

    /// Leave to read an entity, and those that a query of it names.
    fn readable<'a>(
        &'a self,
        context: &'a CallContext,
        entity: &str,
    ) -> Result<Grants<'a>, Status> {
        let binding = self.entity(entity)?;
        let root = Grant::read(&context.caller, binding);
        let root = root.map_err(|denied| denied.into_status(DOMAIN))?;
        Ok(Grants::new(root, |name| {
            let binding = self.definitions.find(name).ok_or(Refused::Unknown)?;
            Grant::read(&context.caller, binding).map_err(Refused::Denied)
        }))
    }
}

#[tonic::async_trait]
impl DataProviderService for Adapter {
    type RetrieveMultipleStream = provider::Rows;

    async fn retrieve(
        &self,
        request: Request<pb::RetrieveRequest>,
    ) -> Result<Response<pb::RetrieveResponse>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        let grants = self.readable(&context, &request.entity_name)?;
        self.provider.retrieve(&context, &grants, request).await.map(Response::new)
    }

    async fn retrieve_multiple(
        &self,
        request: Request<pb::RetrieveMultipleRequest>,
    ) -> Result<Response<provider::Rows>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        let entity = request.query.as_ref().map_or("", |it| it.entity_name.as_str());
        let grants = self.readable(&context, entity)?;
        self.provider.retrieve_multiple(&context, &grants, request).await.map(Response::new)
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        let entity = request.query.as_ref().map_or("", |it| it.entity_name.as_str());
        let grants = self.readable(&context, entity)?;
        self.provider.explain(&context, &grants, &request).await.map(Response::new)
    }

    async fn create(
        &self,
        _request: Request<pb::CreateRequest>,
    ) -> Result<Response<pb::CreateResponse>, Status> {
        Err(not_offered("create"))
    }

    async fn update(
        &self,
        _request: Request<pb::UpdateRequest>,
    ) -> Result<Response<pb::UpdateResponse>, Status> {
        Err(not_offered("update"))
    }

    async fn upsert(
        &self,
        _request: Request<pb::UpsertRequest>,
    ) -> Result<Response<pb::UpsertResponse>, Status> {
        Err(not_offered("upsert"))
    }

    async fn delete(
        &self,
        _request: Request<pb::DeleteRequest>,
    ) -> Result<Response<pb::DeleteResponse>, Status> {
        Err(not_offered("delete"))
    }

    async fn perform_action(
        &self,
        _request: Request<pb::PerformActionRequest>,
    ) -> Result<Response<pb::PerformActionResponse>, Status> {
        Err(not_offered("perform-action"))
    }
}

fn not_offered(method: &str) -> Status {
    let message = format!("the adapter does not offer {method} yet");
    let metadata = [("method", method)];
    status(Code::Unimplemented, DOMAIN, ErrorReason::NotSupported, message, metadata)
}
