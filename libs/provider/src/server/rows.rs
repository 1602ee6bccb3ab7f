//! Single operations.

use prost::bytes::Bytes;
use proto::query::v1 as pb;
use proto::query::v1::data_provider_service_server::DataProviderService;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::operation_result::Result as Outcome;
use rpc::CallContext;
use tonic::{Request, Response, Status};

use super::Server;
use super::audit::{self, Trail};
use crate::authority::Privilege;
use crate::error::Error;
use crate::grant::{Grants, Refused};
use crate::provider::Rows;

impl Server {
    /// Leave to read an entity, and those that a query of it names.
    fn may_read<'a>(
        &'a self,
        context: &'a CallContext,
        entity: &str,
    ) -> Result<Grants<'a>, Status> {
        self.check_ready()?;
        let read = |name: &str| self.authority.grant(&context.caller, name, Privilege::Read);
        let root = read(entity).map_err(|refused| match refused {
            Refused::Unknown => self.refused(Error::EntityNotFound(entity.to_owned()), entity),
            Refused::Denied(denied) => denied.into_status(self.domain()),
        })?;
        Ok(Grants::new(root, read))
    }

    /// [`Self::may_read`], and a trail of its being refused.
    fn readable<'a>(
        &'a self,
        context: &'a CallContext,
        entity: &str,
    ) -> Result<Grants<'a>, Status> {
        let grants = self.may_read(context, entity);
        if grants.is_err() {
            audit::read(&context.caller, entity, &[], &grants);
        }
        grants
    }

    /// A write, under the key that it may be repeated with.
    async fn write<T>(
        &self,
        request: Request<T>,
        take_key: impl FnOnce(&mut T) -> String,
        kind: impl FnOnce(T) -> Kind,
    ) -> Result<Outcome, Status> {
        let context = CallContext::of(&request)?;
        self.check_ready()?;
        let mut request = request.into_inner();
        let key = take_key(&mut request);
        let operation = pb::Operation { operation: Some(kind(request)) };
        let done = if key.is_empty() {
            let trail = Trail::of(&operation);
            let done = self.provider.write(&context, self.authority.as_ref(), operation);
            let done = Box::pin(done).await;
            if let Some(trail) = trail {
                trail.end(&context.caller, &done);
            }
            done?
        } else {
            self.write_once(&context, key, operation).await?
        };
        done.result.ok_or_else(|| Status::internal("a write had no result"))
    }
}

#[tonic::async_trait]
impl DataProviderService for Server {
    type RetrieveMultipleStream = Rows;

    async fn retrieve(
        &self,
        request: Request<pb::RetrieveRequest>,
    ) -> Result<Response<pb::RetrieveResponse>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        let grants = self.readable(&context, &request.entity_name)?;
        let entity = request.entity_name.clone();
        let record = record_id(request.key.as_ref());
        let row = self.provider.retrieve(&context, &grants, request).await;
        audit::read(&context.caller, &entity, &record, &row);
        row.map(Response::new)
    }

    async fn retrieve_multiple(
        &self,
        request: Request<pb::RetrieveMultipleRequest>,
    ) -> Result<Response<Rows>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        let entity = request.query.as_ref().map_or("", |it| it.entity_name.as_str());
        let entity = entity.to_owned();
        let grants = self.readable(&context, &entity)?;
        let rows = self.provider.retrieve_multiple(&context, &grants, request).await;
        audit::read(&context.caller, &entity, &[], &rows);
        rows.map(Response::new)
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        let entity = request.query.as_ref().map_or("", |it| it.entity_name.as_str());
        let grants = self.readable(&context, entity)?;
        let plan = self.provider.explain(&context, &grants, &request).await;
        audit::read(&context.caller, entity, &[], &plan);
        plan.map(Response::new)
    }

    async fn create(
        &self,
        request: Request<pb::CreateRequest>,
    ) -> Result<Response<pb::CreateResponse>, Status> {
        let key = |it: &mut pb::CreateRequest| std::mem::take(&mut it.idempotency_key);
        match self.write(request, key, Kind::Create).await? {
            Outcome::Create(done) => Ok(Response::new(done)),
            other => Err(mixed_up(&other)),
        }
    }

    async fn update(
        &self,
        request: Request<pb::UpdateRequest>,
    ) -> Result<Response<pb::UpdateResponse>, Status> {
        let key = |it: &mut pb::UpdateRequest| std::mem::take(&mut it.idempotency_key);
        match self.write(request, key, Kind::Update).await? {
            Outcome::Update(done) => Ok(Response::new(done)),
            other => Err(mixed_up(&other)),
        }
    }

    async fn upsert(
        &self,
        request: Request<pb::UpsertRequest>,
    ) -> Result<Response<pb::UpsertResponse>, Status> {
        let key = |it: &mut pb::UpsertRequest| std::mem::take(&mut it.idempotency_key);
        match self.write(request, key, Kind::Upsert).await? {
            Outcome::Upsert(done) => Ok(Response::new(done)),
            other => Err(mixed_up(&other)),
        }
    }

    async fn delete(
        &self,
        request: Request<pb::DeleteRequest>,
    ) -> Result<Response<pb::DeleteResponse>, Status> {
        let key = |it: &mut pb::DeleteRequest| std::mem::take(&mut it.idempotency_key);
        match self.write(request, key, Kind::Delete).await? {
            Outcome::Delete(done) => Ok(Response::new(done)),
            other => Err(mixed_up(&other)),
        }
    }

    async fn perform_action(
        &self,
        request: Request<pb::PerformActionRequest>,
    ) -> Result<Response<pb::PerformActionResponse>, Status> {
        let key = |it: &mut pb::PerformActionRequest| std::mem::take(&mut it.idempotency_key);
        match self.write(request, key, Kind::PerformAction).await? {
            Outcome::PerformAction(done) => Ok(Response::new(done)),
            other => Err(mixed_up(&other)),
        }
    }
}

/// Empty where the row is named by its values, which are nothing for a trail.
fn record_id(key: Option<&pb::RecordKey>) -> Bytes {
    match key.and_then(|it| it.key.as_ref()) {
        Some(pb::record_key::Key::RecordId(bytes)) => bytes.clone(),
        _ => Bytes::new(),
    }
}

/// A result of another kind than its operation: a digest of something else was answered.
fn mixed_up(result: &Outcome) -> Status {
    tracing::error!(?result, "a write was answered with a result of another kind");
    Status::internal("a write was answered with a result of another kind")
}
