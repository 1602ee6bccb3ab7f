//! The administrator's verbs of other services, behind the same door. Which of their methods the
//! outside may call is exactly what is passed on here; each service decides by itself who may.

use proto::catalog::v1 as catalog;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::catalog_service_server::CatalogService;
use proto::user_context::v1 as users;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use proto::user_context::v1::user_context_service_server::UserContextService;
use rpc::{Channel, ErrorReason, status};
use tonic::{Code, Request, Response, Status, Streaming};

use super::handlers::GrpcGateway;
use crate::callers::Service;

/// Passes calls on, as the caller of the bearer token.
#[derive(Clone, Debug)]
pub(crate) struct Administration {
    gateway: GrpcGateway,
    catalog: CatalogServiceClient<Channel>,
    users: UserContextServiceClient<Channel>,
}

impl Administration {
    pub(crate) fn new(gateway: GrpcGateway, catalog: Channel, users: Channel) -> Self {
        Self {
            gateway,
            catalog: CatalogServiceClient::new(catalog),
            users: UserContextServiceClient::new(users),
        }
    }

    fn catalog(&self) -> CatalogServiceClient<Channel> {
        self.catalog.clone()
    }

    fn users(&self) -> UserContextServiceClient<Channel> {
        self.users.clone()
    }
}

#[tonic::async_trait]
impl CatalogService for Administration {
    type WatchDataEntitiesStream = Streaming<catalog::WatchDataEntitiesResponse>;

    async fn list_data_entities(
        &self,
        request: Request<catalog::ListDataEntitiesRequest>,
    ) -> Result<Response<catalog::ListDataEntitiesResponse>, Status> {
        self.catalog().list_data_entities(self.gateway.on_behalf(Service::Catalog, request)?).await
    }

    async fn get_data_entity(
        &self,
        request: Request<catalog::GetDataEntityRequest>,
    ) -> Result<Response<catalog::GetDataEntityResponse>, Status> {
        self.catalog().get_data_entity(self.gateway.on_behalf(Service::Catalog, request)?).await
    }

    async fn update_data_entity(
        &self,
        request: Request<catalog::UpdateDataEntityRequest>,
    ) -> Result<Response<catalog::UpdateDataEntityResponse>, Status> {
        self.catalog().update_data_entity(self.gateway.on_behalf(Service::Catalog, request)?).await
    }

    async fn refresh_data_entity(
        &self,
        request: Request<catalog::RefreshDataEntityRequest>,
    ) -> Result<Response<catalog::RefreshDataEntityResponse>, Status> {
        self.catalog().refresh_data_entity(self.gateway.on_behalf(Service::Catalog, request)?).await
    }

    async fn refresh_model(
        &self,
        request: Request<catalog::RefreshModelRequest>,
    ) -> Result<Response<catalog::RefreshModelResponse>, Status> {
        self.catalog().refresh_model(self.gateway.on_behalf(Service::Catalog, request)?).await
    }

    async fn watch_data_entities(
        &self,
        _request: Request<catalog::WatchDataEntitiesRequest>,
    ) -> Result<Response<Self::WatchDataEntitiesStream>, Status> {
        Err(services_only())
    }
}

#[tonic::async_trait]
impl UserContextService for Administration {
    type WatchTrustStream = Streaming<users::WatchTrustResponse>;

    async fn watch_trust(
        &self,
        _request: Request<users::WatchTrustRequest>,
    ) -> Result<Response<Self::WatchTrustStream>, Status> {
        Err(services_only())
    }

    async fn resolve_caller(
        &self,
        _request: Request<users::ResolveCallerRequest>,
    ) -> Result<Response<users::ResolveCallerResponse>, Status> {
        Err(services_only())
    }

    async fn get_caller(
        &self,
        request: Request<users::GetCallerRequest>,
    ) -> Result<Response<users::GetCallerResponse>, Status> {
        self.users().get_caller(self.gateway.on_behalf(Service::UserContext, request)?).await
    }

    async fn check_portal_user(
        &self,
        _request: Request<users::CheckPortalUserRequest>,
    ) -> Result<Response<users::CheckPortalUserResponse>, Status> {
        Err(services_only())
    }
}

fn services_only() -> Status {
    let message = "this method is for services of the environment";
    status(Code::Unauthenticated, "gateway", ErrorReason::NoServiceToken, message, [])
}
