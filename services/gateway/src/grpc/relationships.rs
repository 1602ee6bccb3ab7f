//! Declared relationships. The catalog keeps them; that what they name is there is checked here,
//! where the tables of both sides are known.

use std::sync::Arc;
use std::time::Instant;

use proto::catalog::v1 as pb;
use proto::catalog::v1::relationship_service_client::RelationshipServiceClient;
use proto::catalog::v1::relationship_service_server::RelationshipService;
use proto::query::v1 as query;
use rpc::{Channel, ErrorReason, status};
use tonic::{Code, Request, Response, Status};

use super::handlers::GrpcGateway;
use crate::Core;
use crate::callers::Service;
use crate::metadata::{InvalidDeclaration, Snapshot};

/// Passes calls on, as the caller of the bearer token.
#[derive(Clone, Debug)]
pub(crate) struct Relationships {
    gateway: GrpcGateway,
    core: Arc<Core>,
    catalog: RelationshipServiceClient<Channel>,
}

impl Relationships {
    pub(crate) fn new(core: Arc<Core>, catalog: Channel) -> Self {
        let gateway = GrpcGateway::new(Arc::clone(&core));
        Self { gateway, core, catalog: RelationshipServiceClient::new(catalog) }
    }

    /// So that the caller's next request finds what this one did.
    async fn take_over(&self) {
        let deadline = Instant::now() + self.core.config.request_timeout;
        if let Err(error) = self.core.metadata.refresh_catalog(deadline).await {
            tracing::warn!(%error, "the tables will follow the declaration later");
        }
    }

    fn catalog(&self) -> RelationshipServiceClient<Channel> {
        self.catalog.clone()
    }
}

#[tonic::async_trait]
impl RelationshipService for Relationships {
    async fn list_relationships(
        &self,
        request: Request<pb::ListRelationshipsRequest>,
    ) -> Result<Response<pb::ListRelationshipsResponse>, Status> {
        self.catalog().list_relationships(self.gateway.on_behalf(Service::Catalog, request)?).await
    }

    async fn get_relationship(
        &self,
        request: Request<pb::GetRelationshipRequest>,
    ) -> Result<Response<pb::GetRelationshipResponse>, Status> {
        self.catalog().get_relationship(self.gateway.on_behalf(Service::Catalog, request)?).await
    }

    async fn create_relationship(
        &self,
        request: Request<pb::CreateRelationshipRequest>,
    ) -> Result<Response<pb::CreateRelationshipResponse>, Status> {
        let request = self.gateway.on_behalf(Service::Catalog, request)?;
        let snapshot = self.core.metadata.current();
        check(&snapshot, request.get_ref()).map_err(|error| refused(&error))?;
        let created = self.catalog().create_relationship(request).await?;
        self.take_over().await;
        Ok(created)
    }

    async fn delete_relationship(
        &self,
        request: Request<pb::DeleteRelationshipRequest>,
    ) -> Result<Response<pb::DeleteRelationshipResponse>, Status> {
        let request = self.gateway.on_behalf(Service::Catalog, request)?;
        let deleted = self.catalog().delete_relationship(request).await?;
        self.take_over().await;
        Ok(deleted)
    }
}

/// Whether the declaration would mean something. Its form is for the catalog to judge.
fn check(
    snapshot: &Snapshot,
    request: &pb::CreateRelationshipRequest,
) -> Result<(), InvalidDeclaration> {
    let Some(it) = &request.relationship else { return Ok(()) };
    let no_source = || InvalidDeclaration::NoTable(it.source.clone());
    let source = snapshot.by_name(&it.source).ok_or_else(no_source)?;
    let names = tables::DeclaredNames::new(&source.external_name, &request.relationship_id);
    let pair = |it: &pb::RelationshipPair| query::DeclaredRelationshipPair {
        column: it.column.clone(),
        target: it.target.clone(),
    };
    let declared = query::DeclaredRelationship {
        schema_name: names.schema_name,
        source: it.source.clone(),
        target: it.target.clone(),
        column: names.column,
        navigation_property: names.navigation_property,
        display_name: it.display_name.clone(),
        pairs: it.pairs.iter().map(pair).collect(),
    };
    snapshot.check_declaration(&declared)
}

fn refused(error: &InvalidDeclaration) -> Status {
    let (code, reason) = match error {
        InvalidDeclaration::Taken(_) => (Code::AlreadyExists, ErrorReason::ResourceExists),
        _ => (Code::InvalidArgument, ErrorReason::InvalidValue),
    };
    status(code, "gateway", reason, error.to_string(), [])
}
