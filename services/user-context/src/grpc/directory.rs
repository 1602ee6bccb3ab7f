//! The directory, for administrators.

mod about;
mod edits;

use std::future::Future;
use std::sync::Arc;

use proto::user_context::v1 as pb;
use proto::user_context::v1::directory_service_server::DirectoryService;
use rpc::{CallContext, Caller};
use tonic::{Request, Response, Status};

use super::convert::{Message, name_in};
use crate::audit;
use crate::changes::Changes;
use crate::content::{
    Content, Duty, Privilege, Role, User, check_duty, check_privilege, check_role,
};
use crate::error::Error;
use crate::limits;
use about::About;

/// Serves `DirectoryService`.
#[derive(Debug)]
pub(crate) struct Directory {
    changes: Arc<Changes>,
}

impl Directory {
    pub(crate) fn new(changes: Arc<Changes>) -> Self {
        Self { changes }
    }
}

/// The caller, if it may see the directory.
fn reader<T>(request: &Request<T>) -> Result<Arc<Caller>, Status> {
    let caller = CallContext::of(request)?.caller;
    limits::check_reader(&caller)?;
    Ok(caller)
}

/// The caller and the message, and in the audit what became of it where nothing was changed.
async fn changing<T: About, A, F>(
    request: Request<T>,
    operation: &str,
    change: impl FnOnce(Arc<Caller>, T) -> F,
) -> Result<Response<A>, Status>
where
    F: Future<Output = Result<A, Error>>,
{
    let caller = CallContext::of(&request)?.caller;
    let request = request.into_inner();
    let resource = request.resource().to_owned();
    match change(Arc::clone(&caller), request).await {
        Ok(answer) => Ok(Response::new(answer)),
        Err(error) => {
            audit::refused(&caller, operation, &resource, &error);
            Err(error.into())
        }
    }
}

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Response<pb::ListUsersResponse>, Status> {
        reader(&request)?;
        let request = request.get_ref();
        let (users, next_page_token) = self.page(request.page_size, &request.page_token)?;
        Ok(Response::new(pb::ListUsersResponse { users, next_page_token }))
    }

    async fn get_user(
        &self,
        request: Request<pb::GetUserRequest>,
    ) -> Result<Response<pb::GetUserResponse>, Status> {
        reader(&request)?;
        let resource = &request.get_ref().name;
        let directory = self.changes.directory();
        let user = directory.user(name_in::<User>(resource)?);
        let user = user.ok_or_else(|| Error::NotFound(resource.clone()))?;
        Ok(Response::new(pb::GetUserResponse { user: Some(pb::User::of(user)) }))
    }

    async fn update_user(
        &self,
        request: Request<pb::UpdateUserRequest>,
    ) -> Result<Response<pb::UpdateUserResponse>, Status> {
        changing(request, "UpdateUser", async |caller, request| {
            let user = Some(self.put_user(&caller, request).await?);
            Ok(pb::UpdateUserResponse { user })
        })
        .await
    }

    async fn delete_user(
        &self,
        request: Request<pb::DeleteUserRequest>,
    ) -> Result<Response<pb::DeleteUserResponse>, Status> {
        changing(request, "DeleteUser", async |caller, request| {
            self.delete::<User>(&caller, &request.name, request.allow_missing).await?;
            Ok(pb::DeleteUserResponse {})
        })
        .await
    }

    async fn list_roles(
        &self,
        request: Request<pb::ListRolesRequest>,
    ) -> Result<Response<pb::ListRolesResponse>, Status> {
        reader(&request)?;
        let request = request.get_ref();
        let (roles, next_page_token) = self.page(request.page_size, &request.page_token)?;
        Ok(Response::new(pb::ListRolesResponse { roles, next_page_token }))
    }

    async fn update_role(
        &self,
        request: Request<pb::UpdateRoleRequest>,
    ) -> Result<Response<pb::UpdateRoleResponse>, Status> {
        changing(request, "UpdateRole", async |caller, request| {
            let put = self.put(&caller, request.role, request.allow_missing, check_role);
            Ok(pb::UpdateRoleResponse { role: Some(put.await?) })
        })
        .await
    }

    async fn delete_role(
        &self,
        request: Request<pb::DeleteRoleRequest>,
    ) -> Result<Response<pb::DeleteRoleResponse>, Status> {
        changing(request, "DeleteRole", async |caller, request| {
            self.delete::<Role>(&caller, &request.name, request.allow_missing).await?;
            Ok(pb::DeleteRoleResponse {})
        })
        .await
    }

    async fn list_duties(
        &self,
        request: Request<pb::ListDutiesRequest>,
    ) -> Result<Response<pb::ListDutiesResponse>, Status> {
        reader(&request)?;
        let request = request.get_ref();
        let (duties, next_page_token) = self.page(request.page_size, &request.page_token)?;
        Ok(Response::new(pb::ListDutiesResponse { duties, next_page_token }))
    }

    async fn update_duty(
        &self,
        request: Request<pb::UpdateDutyRequest>,
    ) -> Result<Response<pb::UpdateDutyResponse>, Status> {
        changing(request, "UpdateDuty", async |caller, request| {
            let put = self.put(&caller, request.duty, request.allow_missing, check_duty);
            Ok(pb::UpdateDutyResponse { duty: Some(put.await?) })
        })
        .await
    }

    async fn delete_duty(
        &self,
        request: Request<pb::DeleteDutyRequest>,
    ) -> Result<Response<pb::DeleteDutyResponse>, Status> {
        changing(request, "DeleteDuty", async |caller, request| {
            self.delete::<Duty>(&caller, &request.name, request.allow_missing).await?;
            Ok(pb::DeleteDutyResponse {})
        })
        .await
    }

    async fn list_privileges(
        &self,
        request: Request<pb::ListPrivilegesRequest>,
    ) -> Result<Response<pb::ListPrivilegesResponse>, Status> {
        reader(&request)?;
        let request = request.get_ref();
        let (privileges, next_page_token) = self.page(request.page_size, &request.page_token)?;
        Ok(Response::new(pb::ListPrivilegesResponse { privileges, next_page_token }))
    }

    async fn update_privilege(
        &self,
        request: Request<pb::UpdatePrivilegeRequest>,
    ) -> Result<Response<pb::UpdatePrivilegeResponse>, Status> {
        changing(request, "UpdatePrivilege", async |caller, request| {
            let check = |it: &Privilege, _: &Content, found: &mut _| check_privilege(it, found);
            let put = self.put(&caller, request.privilege, request.allow_missing, check);
            Ok(pb::UpdatePrivilegeResponse { privilege: Some(put.await?) })
        })
        .await
    }

    async fn delete_privilege(
        &self,
        request: Request<pb::DeletePrivilegeRequest>,
    ) -> Result<Response<pb::DeletePrivilegeResponse>, Status> {
        changing(request, "DeletePrivilege", async |caller, request| {
            self.delete::<Privilege>(&caller, &request.name, request.allow_missing).await?;
            Ok(pb::DeletePrivilegeResponse {})
        })
        .await
    }

    async fn import_directory(
        &self,
        request: Request<pb::ImportDirectoryRequest>,
    ) -> Result<Response<pb::ImportDirectoryResponse>, Status> {
        changing(request, "ImportDirectory", async |caller, request| {
            self.import(&caller, request).await
        })
        .await
    }
}
