//! Callers, for other services.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use proto::user_context::v1 as pb;
use proto::user_context::v1::user_context_service_server::UserContextService;
use rpc::{CallContext, CallingService};
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};

use super::convert::user_message;
use crate::directory::OtherUser;
use crate::environments::Environments;
use crate::error::Error;
use crate::portal;
use crate::resolve::{ActsAs, Question, Resolver, roles_of};

/// Serves `UserContextService`.
#[derive(Debug)]
pub(crate) struct UserContext {
    resolver: Arc<Resolver>,
    environments: Arc<Environments>,
}

impl UserContext {
    pub(crate) fn new(resolver: Arc<Resolver>, environments: Arc<Environments>) -> Self {
        Self { resolver, environments }
    }
}

#[tonic::async_trait]
impl UserContextService for UserContext {
    async fn resolve_caller(
        &self,
        request: Request<pb::ResolveCallerRequest>,
    ) -> Result<Response<pb::ResolveCallerResponse>, Status> {
        let presenter = CallingService::of(&request)?;
        let request = request.get_ref();
        let question = Question {
            token: &request.bearer_token,
            acts_as: request.acts_as.as_ref().map(acts_as).transpose()?.flatten(),
            presenter: presenter.name(),
            audiences: &request.audiences,
        };
        let resolved = self.resolver.resolve(question).await?;
        Ok(Response::new(pb::ResolveCallerResponse {
            assertions: resolved.assertions,
            expire_time: Some(resolved.expires.into()),
            user: Some(user_message(&resolved.user)),
        }))
    }

    type WatchTrustStream = BoxStream<'static, Result<pb::WatchTrustResponse, Status>>;

    async fn watch_trust(
        &self,
        _request: Request<pb::WatchTrustRequest>,
    ) -> Result<Response<Self::WatchTrustStream>, Status> {
        // Whoever reads slowly gets the newest, not all there were.
        let directories = WatchStream::new(self.resolver.changes.subscribe());
        Ok(Response::new(directories.map(|it| Ok(it.trust().clone())).boxed()))
    }

    async fn get_caller(
        &self,
        request: Request<pb::GetCallerRequest>,
    ) -> Result<Response<pb::GetCallerResponse>, Status> {
        let caller = CallContext::of(&request)?.caller;
        let directory = self.resolver.changes.directory();
        let user = directory.by_system_user_id(caller.user.system_user_id);
        let user = user.ok_or(Error::CallerGone)?;
        Ok(Response::new(pb::GetCallerResponse { user: Some(user_message(user)) }))
    }

    async fn check_portal_user(
        &self,
        request: Request<pb::CheckPortalUserRequest>,
    ) -> Result<Response<pb::CheckPortalUserResponse>, Status> {
        let directory = self.resolver.changes.directory();
        portal::user_behind_contact(&directory.content, &request.get_ref().erp_user)
            .map_err(Error::PortalUser)?;
        Ok(Response::new(pb::CheckPortalUserResponse {}))
    }

    async fn lookup_user(
        &self,
        request: Request<pb::LookupUserRequest>,
    ) -> Result<Response<pb::LookupUserResponse>, Status> {
        let pb::LookupUserRequest { user, database, database_role } = request.get_ref();
        let user = self.environments.user(user, database, database_role).await?;
        Ok(Response::new(pb::LookupUserResponse {
            name: user_message(&user).name,
            system_user_id: user.system_user_id.to_string(),
            display_name: user.display_name.clone(),
            disabled: user.disabled,
            application: user.application_id.is_some(),
            roles: roles_of(&user),
        }))
    }
}

/// As whom the caller wants to act, if as somebody else.
fn acts_as(named: &pb::resolve_caller_request::ActsAs) -> Result<Option<ActsAs>, Error> {
    use pb::resolve_caller_request::ActsAs as Named;
    let guid = |field, text: &str| text.parse().map_err(|_| Error::NoGuid(field));
    Ok(match named {
        Named::ImpersonatedObjectId(id) => {
            let id = guid("impersonated_object_id", id)?;
            Some(ActsAs::User(OtherUser::ObjectId(id)))
        }
        Named::ImpersonatedSystemUserId(id) => {
            let id = guid("impersonated_system_user_id", id)?;
            Some(ActsAs::User(OtherUser::SystemUserId(id)))
        }
        Named::PortalContactId(id) => Some(ActsAs::Contact(guid("portal_contact_id", id)?)),
        Named::AnonymousPortalUser(anonymous) => anonymous.then_some(ActsAs::Anonymous),
    })
}
