//! The list's own rows, by the contract of every provider.

use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::data_provider_service_server::DataProviderService;
use proto::query::v1::value::Kind;
use rpc::CallContext;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::changes::{Changes, Wanted};
use crate::error::Error;
use crate::list_entity::{CHANGE_TRACKING, PHYSICAL_NAME, REFRESH, VISIBLE, definition};
use crate::snapshot::physical_name;

/// Serves `DataProviderService` for the list.
#[derive(Debug)]
pub(crate) struct ListProvider {
    changes: Arc<Changes>,
}

impl ListProvider {
    pub(crate) fn new(changes: Arc<Changes>) -> Self {
        Self { changes }
    }

    /// The data entity whose catalog row this key names.
    fn physical_name(&self, key: Option<&pb::RecordKey>) -> Result<String, Error> {
        use pb::record_key::Key;
        match key.and_then(|it| it.key.as_ref()) {
            Some(Key::RecordId(bytes)) => {
                let id = Uuid::from_slice(bytes).map_err(|_| Error::RecordNotFound)?.to_string();
                let snapshot = self.changes.current();
                let entry = snapshot.by_record_id(&id).ok_or(Error::RecordNotFound)?;
                Ok(physical_name(entry).to_owned())
            }
            Some(Key::Alternate(key)) => match key.values.as_slice() {
                [pb::FieldValue { field, value: Some(value) }] if field == PHYSICAL_NAME => {
                    match &value.kind {
                        // As reads compare: without regard to case.
                        Some(Kind::StringValue(name)) => {
                            let snapshot = self.changes.current();
                            let known = snapshot.canonical_name(name);
                            known.map(str::to_owned).ok_or(Error::RecordNotFound)
                        }
                        _ => Err(invalid(PHYSICAL_NAME, "is text")),
                    }
                }
                _ => Err(invalid("key", "is the physical name")),
            },
            None => Err(invalid("key", "is required")),
        }
    }
}

#[tonic::async_trait]
impl DataProviderService for ListProvider {
    type RetrieveMultipleStream = provider::Rows;

    async fn retrieve(
        &self,
        request: Request<pb::RetrieveRequest>,
    ) -> Result<Response<pb::RetrieveResponse>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        check_entity(&request.entity_name)?;
        let grants = self.changes.list_grant(&context.caller)?.into();
        self.changes.list().retrieve(&context, &grants, request).await.map(Response::new)
    }

    async fn retrieve_multiple(
        &self,
        request: Request<pb::RetrieveMultipleRequest>,
    ) -> Result<Response<provider::Rows>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        check_entity(request.query.as_ref().map_or("", |it| it.entity_name.as_str()))?;
        let grants = self.changes.list_grant(&context.caller)?.into();
        self.changes.list().retrieve_multiple(&context, &grants, request).await.map(Response::new)
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        check_entity(request.query.as_ref().map_or("", |it| it.entity_name.as_str()))?;
        let grants = self.changes.list_grant(&context.caller)?.into();
        self.changes.list().explain(&context, &grants, &request).await.map(Response::new)
    }

    async fn update(
        &self,
        request: Request<pb::UpdateRequest>,
    ) -> Result<Response<pb::UpdateResponse>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        check_entity(&request.entity_name)?;
        let name = self.physical_name(request.key.as_ref())?;
        let wanted = wanted(&request)?;
        self.changes.change(&context.caller, &name, &wanted).await?;
        Ok(Response::new(pb::UpdateResponse::default()))
    }

    async fn create(
        &self,
        _request: Request<pb::CreateRequest>,
    ) -> Result<Response<pb::CreateResponse>, Status> {
        Err(Error::NotSupported("creating catalog rows").into())
    }

    async fn upsert(
        &self,
        _request: Request<pb::UpsertRequest>,
    ) -> Result<Response<pb::UpsertResponse>, Status> {
        Err(Error::NotSupported("creating catalog rows").into())
    }

    async fn delete(
        &self,
        _request: Request<pb::DeleteRequest>,
    ) -> Result<Response<pb::DeleteResponse>, Status> {
        Err(Error::NotSupported("deleting catalog rows").into())
    }

    async fn perform_action(
        &self,
        _request: Request<pb::PerformActionRequest>,
    ) -> Result<Response<pb::PerformActionResponse>, Status> {
        Err(Error::NotSupported("actions of catalog rows").into())
    }
}

/// What the written fields ask for.
fn wanted(request: &pb::UpdateRequest) -> Result<Wanted, Error> {
    let mut wanted = Wanted { etag: request.etag.clone(), ..Wanted::default() };
    for value in &request.values {
        let flag = match value.value.as_ref().and_then(|it| it.kind.as_ref()) {
            Some(Kind::BoolValue(flag)) => *flag,
            _ => return Err(invalid(&value.field, "is true or false")),
        };
        match (value.field.as_str(), flag) {
            (VISIBLE, visible) => wanted.visible = Some(visible),
            (REFRESH, refresh) => wanted.refresh = refresh,
            (CHANGE_TRACKING, tracked) => wanted.tracked = Some(tracked),
            (field, _) => return Err(invalid(field, "cannot be changed")),
        }
    }
    Ok(wanted)
}

fn check_entity(name: &str) -> Result<(), Error> {
    match name == definition().name {
        true => Ok(()),
        false => Err(Error::EntityNotFound(name.to_owned())),
    }
}

fn invalid(column: &str, reason: &'static str) -> Error {
    Error::InvalidValue { column: column.to_owned(), reason }
}
