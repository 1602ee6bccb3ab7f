//! The directory of users and roles, behind the same door: passed on as the caller of the bearer token.
//! User-context decides who may.

use proto::user_context::v1 as pb;
use proto::user_context::v1::directory_service_client::DirectoryServiceClient;
use proto::user_context::v1::directory_service_server::DirectoryService;
use rpc::Channel;
use tonic::{Request, Response, Status};

use super::handlers::GrpcGateway;
use crate::callers::Service;

/// An import may be of a whole ERP's roles.
const MAX_BYTES: usize = 64 << 20;

/// Passes calls on.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    gateway: GrpcGateway,
    client: DirectoryServiceClient<Channel>,
}

impl Directory {
    pub(crate) fn new(gateway: GrpcGateway, user_context: Channel) -> Self {
        let client = DirectoryServiceClient::new(user_context);
        Self { gateway, client: client.max_decoding_message_size(MAX_BYTES) }
    }
}

/// Each method is the same one of user-context.
macro_rules! passed_on {
    ($($method:ident: $request:ident -> $response:ident,)+) => {
        #[tonic::async_trait]
        impl DirectoryService for Directory {
            $(async fn $method(
                &self,
                request: Request<pb::$request>,
            ) -> Result<Response<pb::$response>, Status> {
                let request = self.gateway.on_behalf(Service::UserContext, request)?;
                self.client.clone().$method(request).await
            })+
        }
    };
}

passed_on! {
    list_users: ListUsersRequest -> ListUsersResponse,
    get_user: GetUserRequest -> GetUserResponse,
    update_user: UpdateUserRequest -> UpdateUserResponse,
    delete_user: DeleteUserRequest -> DeleteUserResponse,
    list_roles: ListRolesRequest -> ListRolesResponse,
    update_role: UpdateRoleRequest -> UpdateRoleResponse,
    delete_role: DeleteRoleRequest -> DeleteRoleResponse,
    list_duties: ListDutiesRequest -> ListDutiesResponse,
    update_duty: UpdateDutyRequest -> UpdateDutyResponse,
    delete_duty: DeleteDutyRequest -> DeleteDutyResponse,
    list_privileges: ListPrivilegesRequest -> ListPrivilegesResponse,
    update_privilege: UpdatePrivilegeRequest -> UpdatePrivilegeResponse,
    delete_privilege: DeletePrivilegeRequest -> DeletePrivilegeResponse,
    import_directory: ImportDirectoryRequest -> ImportDirectoryResponse,
}
