//! Declared relationships, for the administrator.

use std::sync::Arc;

use proto::catalog::v1 as pb;
use proto::catalog::v1::relationship_service_server::RelationshipService;
use rpc::CallContext;
use tonic::{Request, Response, Status};

use super::page_size;
use crate::changes::{Changes, may_read};
use crate::error::Error;
use crate::{declared, page_token};

/// Serves `RelationshipService`.
#[derive(Debug)]
pub(crate) struct Relationships {
    changes: Arc<Changes>,
}

impl Relationships {
    pub(crate) fn new(changes: Arc<Changes>) -> Self {
        Self { changes }
    }

    fn list(
        &self,
        request: &pb::ListRelationshipsRequest,
    ) -> Result<pb::ListRelationshipsResponse, Error> {
        let after = page_token::decode(&request.page_token)?;
        let size = page_size(request.page_size)?;
        let snapshot = self.changes.current();
        let behind = |it: &&pb::Relationship| after.is_none_or(|after| it.name.as_str() > after);
        let mut rest = snapshot.relationships.iter().filter(behind);
        let relationships: Vec<_> = rest.by_ref().take(size).cloned().collect();
        let next_page_token = match (rest.next(), relationships.last()) {
            (Some(_), Some(last)) => page_token::encode(&last.name),
            _ => String::new(),
        };
        Ok(pb::ListRelationshipsResponse { relationships, next_page_token })
    }
}

#[tonic::async_trait]
impl RelationshipService for Relationships {
    async fn list_relationships(
        &self,
        request: Request<pb::ListRelationshipsRequest>,
    ) -> Result<Response<pb::ListRelationshipsResponse>, Status> {
        may_read(&CallContext::of(&request)?.caller)?;
        Ok(Response::new(self.list(request.get_ref())?))
    }

    async fn get_relationship(
        &self,
        request: Request<pb::GetRelationshipRequest>,
    ) -> Result<Response<pb::GetRelationshipResponse>, Status> {
        may_read(&CallContext::of(&request)?.caller)?;
        let name = &request.get_ref().name;
        let id = declared::id(name)?;
        let snapshot = self.changes.current();
        let found = snapshot.relationships.iter().find(|it| it.name == *name).cloned();
        let found = found.ok_or_else(|| Error::RelationshipNotFound(id.to_owned()))?;
        Ok(Response::new(pb::GetRelationshipResponse { relationship: Some(found) }))
    }

    async fn create_relationship(
        &self,
        request: Request<pb::CreateRelationshipRequest>,
    ) -> Result<Response<pb::CreateRelationshipResponse>, Status> {
        let context = CallContext::of(&request)?;
        let created = self.changes.declare(&context.caller, request.into_inner()).await?;
        Ok(Response::new(pb::CreateRelationshipResponse { relationship: Some(created) }))
    }

    async fn delete_relationship(
        &self,
        request: Request<pb::DeleteRelationshipRequest>,
    ) -> Result<Response<pb::DeleteRelationshipResponse>, Status> {
        let context = CallContext::of(&request)?;
        let id = declared::id(&request.get_ref().name)?;
        self.changes.retract(&context.caller, id).await?;
        Ok(Response::new(pb::DeleteRelationshipResponse {}))
    }
}
