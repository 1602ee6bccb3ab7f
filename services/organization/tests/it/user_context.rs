//! What the organization asks of user-context: whether somebody may serve portals.

use futures::stream::{self, BoxStream};
use proto::user_context::v1 as pb;
use proto::user_context::v1::user_context_service_server::UserContextService;
use rpc::{ErrorReason, status};
use tonic::{Code, Request, Response, Status};

/// The one that may.
pub(crate) const PORTAL_USER: &str = "portal";

pub(crate) struct OnePortalUser;

#[tonic::async_trait]
impl UserContextService for OnePortalUser {
    type WatchTrustStream = BoxStream<'static, Result<pb::WatchTrustResponse, Status>>;

    async fn resolve_caller(
        &self,
        _request: Request<pb::ResolveCallerRequest>,
    ) -> Result<Response<pb::ResolveCallerResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn watch_trust(
        &self,
        _request: Request<pb::WatchTrustRequest>,
    ) -> Result<Response<Self::WatchTrustStream>, Status> {
        Ok(Response::new(Box::pin(stream::pending())))
    }

    async fn get_caller(
        &self,
        _request: Request<pb::GetCallerRequest>,
    ) -> Result<Response<pb::GetCallerResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn check_portal_user(
        &self,
        request: Request<pb::CheckPortalUserRequest>,
    ) -> Result<Response<pb::CheckPortalUserResponse>, Status> {
        match request.get_ref().erp_user == PORTAL_USER {
            true => Ok(Response::new(pb::CheckPortalUserResponse {})),
            false => {
                let reason = ErrorReason::PortalUserRefused;
                Err(status(Code::FailedPrecondition, "user-context", reason, "no", []))
            }
        }
    }

    async fn lookup_user(
        &self,
        _request: Request<pb::LookupUserRequest>,
    ) -> Result<Response<pb::LookupUserResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}
