//! What the organization asks of user-context: whether somebody may serve portals, and what roles grant.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use proto::user_context::v1 as pb;
use proto::user_context::v1::user_context_service_server::UserContextService;
use rpc::{ErrorReason, status};
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status};

/// The one that may.
pub(crate) const PORTAL_USER: &str = "portal";

/// With one portal user, and roles that a test may change.
#[derive(Clone, Default)]
pub(crate) struct Users {
    roles: watch::Sender<Vec<pb::RoleGrants>>,
}

impl Users {
    /// Somebody defines a role, which lets rows of these tables be read.
    pub(crate) fn define(&self, role: &str, tables: &[&str]) {
        let grant = pb::EntityGrant {
            tables: tables.iter().map(|it| (*it).to_owned()).collect(),
            operations: vec![pb::Operation::Read.into()],
            ..pb::EntityGrant::default()
        };
        let role = pb::RoleGrants { role: role.to_owned(), grants: vec![grant] };
        self.roles.send_modify(|it| {
            it.retain(|known| known.role != role.role);
            it.push(role);
        });
    }
}

#[tonic::async_trait]
impl UserContextService for Users {
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
        let mut roles = self.roles.subscribe();
        roles.mark_changed();
        let news = stream::unfold(roles, |mut roles| async move {
            roles.changed().await.ok()?;
            let news = roles.borrow_and_update().clone();
            Some((Ok(pb::WatchTrustResponse { roles: news, ..Default::default() }), roles))
        });
        Ok(Response::new(news.boxed()))
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
