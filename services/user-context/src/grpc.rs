//! The wire: messages in, messages out.

use std::sync::Arc;

use proto::user_context::v1 as pb;
use proto::user_context::v1::user_context_service_server::UserContextService;
use rpc::{CallContext, Companies};
use tonic::{Request, Response, Status};

use crate::UserContext;
use crate::error::Error;
use crate::page_token::PageTokens;
use crate::users::{OtherUser, User};

const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// Answers the contract.
#[derive(Debug)]
pub(crate) struct Grpc {
    context: UserContext,
    page_tokens: PageTokens,
}

impl Grpc {
    pub(crate) fn new(context: UserContext, page_tokens: PageTokens) -> Self {
        Self { context, page_tokens }
    }

    fn list(&self, request: &pb::ListUsersRequest) -> Result<pb::ListUsersResponse, Error> {
        let size = match usize::try_from(request.page_size) {
            Ok(0) => DEFAULT_PAGE,
            Ok(size) => size.min(LARGEST_PAGE),
            Err(_) => return Err(Error::PageSize(request.page_size)),
        };
        let after = self.page_tokens.read(&request.page_token)?;
        let users = self.context.users();
        let (page, more) = users.page_after(&after, size);
        let next = page.last().filter(|_| more);
        Ok(pb::ListUsersResponse {
            users: page.iter().map(|it| message(it)).collect(),
            next_page_token: next.map(|it| self.page_tokens.issue(&it.name)).unwrap_or_default(),
        })
    }
}

#[tonic::async_trait]
impl UserContextService for Grpc {
    async fn resolve_caller(
        &self,
        request: Request<pb::ResolveCallerRequest>,
    ) -> Result<Response<pb::ResolveCallerResponse>, Status> {
        let request = request.get_ref();
        let other = request.impersonated_user.as_ref().map(other_user).transpose()?;
        let resolved = self.context.resolve(&request.bearer_token, other).await?;
        Ok(Response::new(pb::ResolveCallerResponse {
            assertion: resolved.assertion,
            expire_time: Some(resolved.expires.into()),
            user: Some(message(&resolved.user)),
        }))
    }

    async fn get_assertion_keys(
        &self,
        _request: Request<pb::GetAssertionKeysRequest>,
    ) -> Result<Response<pb::GetAssertionKeysResponse>, Status> {
        let jwks = self.context.assertion_keys().to_owned();
        Ok(Response::new(pb::GetAssertionKeysResponse { jwks }))
    }

    async fn get_caller(
        &self,
        request: Request<pb::GetCallerRequest>,
    ) -> Result<Response<pb::GetCallerResponse>, Status> {
        let caller = CallContext::of(&request)?.caller;
        let users = self.context.users();
        let user: &Arc<User> =
            users.by_system_user_id(caller.system_user_id).ok_or(Error::CallerGone)?;
        Ok(Response::new(pb::GetCallerResponse { user: Some(message(user)) }))
    }

    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Response<pb::ListUsersResponse>, Status> {
        if !CallContext::of(&request)?.caller.rights.administrator {
            return Err(Error::NotAdministrator.into());
        }
        Ok(Response::new(self.list(request.get_ref())?))
    }
}

/// As whom the caller wants to act.
fn other_user(named: &pb::resolve_caller_request::ImpersonatedUser) -> Result<OtherUser, Error> {
    use pb::resolve_caller_request::ImpersonatedUser as Named;
    let guid = |field, text: &str| text.parse().map_err(|_| Error::NoGuid(field));
    match named {
        Named::ImpersonatedObjectId(id) => {
            guid("impersonated_object_id", id).map(OtherUser::ObjectId)
        }
        Named::ImpersonatedSystemUserId(id) => {
            guid("impersonated_system_user_id", id).map(OtherUser::SystemUserId)
        }
    }
}

fn message(user: &User) -> pb::User {
    pb::User {
        name: format!("users/{}", user.name),
        display_name: user.display_name.clone(),
        system_user_id: user.system_user_id.to_string(),
        object_id: user.object_id.to_string(),
        erp_user: user.erp_user.clone(),
        roles: user.roles.clone(),
        companies: match &user.rights.companies {
            Companies::All => vec!["*".into()],
            Companies::Only(codes) => codes.clone(),
        },
    }
}
