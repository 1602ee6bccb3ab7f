//! `PlatformEnvironmentService`.

mod convert;

use std::sync::Arc;

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::platform_environment_service_server::PlatformEnvironmentService;
use tonic::{Request, Response, Status};

use crate::Deps;
use crate::caller::Actor;
use crate::environments::begin;
use crate::environments::locations;
use crate::error::Error;
use crate::page_token;
use crate::resource::{self, PLATFORM};
use crate::store::{backup, platform};

/// The service.
pub(crate) struct PlatformEnvironments {
    deps: Arc<Deps>,
}

impl PlatformEnvironments {
    pub(crate) fn new(deps: Arc<Deps>) -> Self {
        Self { deps }
    }

    async fn list(
        &self,
        actor: &Actor,
        request: pb::ListPlatformEnvironmentsRequest,
    ) -> Result<pb::ListPlatformEnvironmentsResponse, Error> {
        actor.may_read()?;
        let size = page_token::size(request.page_size)?;
        let after = page_token::read(&request.page_token)?;
        let after = convert::place_of(&after)?;
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let pool = self.deps.store.pool();
        let found = platform::list(pool, (&after.0, after.1), limit, request.show_deleted).await?;
        let (page, next_page_token) = page_token::cut(found, size, convert::place);
        let platform_environments = page.iter().map(convert::environment).collect();
        Ok(pb::ListPlatformEnvironmentsResponse { platform_environments, next_page_token })
    }

    async fn get(&self, actor: &Actor, name: &str) -> Result<pb::PlatformEnvironment, Error> {
        actor.may_read()?;
        let found = platform::find(self.deps.store.pool(), resource::guid(PLATFORM, name)?).await?;
        let found = found.ok_or_else(|| Error::NotFound(name.to_owned()))?;
        Ok(convert::environment(&found))
    }

    async fn backups(
        &self,
        actor: &Actor,
        request: pb::ListBackupsRequest,
    ) -> Result<pb::ListBackupsResponse, Error> {
        let size = page_token::size(request.page_size)?;
        let before = convert::moment_of(&page_token::read(&request.page_token)?)?;
        self.get(actor, &request.parent).await?;
        let environment = resource::guid(PLATFORM, &request.parent)?;
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let found = backup::list(self.deps.store.pool(), environment, before, limit).await?;
        let (page, next_page_token) = page_token::cut(found, size, convert::moment);
        let backups = page.iter().map(|it| convert::backup(environment, it)).collect();
        Ok(pb::ListBackupsResponse { backups, next_page_token })
    }

    fn locations(
        actor: &Actor,
        request: &pb::ListLocationsRequest,
    ) -> Result<pb::ListLocationsResponse, Error> {
        actor.may_read()?;
        let size = page_token::size(request.page_size)?;
        let after = page_token::read(&request.page_token)?;
        let rest = locations::all().iter().filter(|it| it.id > after);
        let found: Vec<_> = rest.take(size + 1).collect();
        let (page, next_page_token) = page_token::cut(found, size, |it| it.id.clone());
        let locations = page.into_iter().map(convert::location).collect();
        Ok(pb::ListLocationsResponse { locations, next_page_token })
    }
}

/// A write that begins an operation.
macro_rules! begins {
    ($this:ident, $request:ident, $method:literal, $name:expr, $begin:path, $response:ident) => {{
        let actor = Actor::of(&$request)?;
        let request = $request.into_inner();
        let begun = $begin(&$this.deps, &actor, &request).await;
        let name: fn(&_) -> String = $name;
        actor.audit($method, &name(&request), &begun);
        Ok(Response::new(pb::$response { operation: Some(begun?) }))
    }};
}
pub(super) use begins;

#[tonic::async_trait]
impl PlatformEnvironmentService for PlatformEnvironments {
    async fn list_platform_environments(
        &self,
        request: Request<pb::ListPlatformEnvironmentsRequest>,
    ) -> Result<Response<pb::ListPlatformEnvironmentsResponse>, Status> {
        let actor = Actor::of(&request)?;
        Ok(Response::new(self.list(&actor, request.into_inner()).await?))
    }

    async fn get_platform_environment(
        &self,
        request: Request<pb::GetPlatformEnvironmentRequest>,
    ) -> Result<Response<pb::GetPlatformEnvironmentResponse>, Status> {
        let actor = Actor::of(&request)?;
        let platform_environment = Some(self.get(&actor, &request.get_ref().name).await?);
        Ok(Response::new(pb::GetPlatformEnvironmentResponse { platform_environment }))
    }

    async fn create_platform_environment(
        &self,
        request: Request<pb::CreatePlatformEnvironmentRequest>,
    ) -> Result<Response<pb::CreatePlatformEnvironmentResponse>, Status> {
        begins!(
            self,
            request,
            "CreatePlatformEnvironment",
            |_: &pb::CreatePlatformEnvironmentRequest| PLATFORM.to_owned(),
            begin::create_platform,
            CreatePlatformEnvironmentResponse
        )
    }

    async fn update_platform_environment(
        &self,
        request: Request<pb::UpdatePlatformEnvironmentRequest>,
    ) -> Result<Response<pb::UpdatePlatformEnvironmentResponse>, Status> {
        let actor = Actor::of(&request)?;
        let request = request.into_inner();
        let updated = begin::update_platform(&self.deps, &actor, &request).await;
        let name = request.platform_environment.as_ref().map_or("", |it| &it.name);
        actor.audit("UpdatePlatformEnvironment", name, &updated);
        let platform_environment = Some(convert::environment(&updated?));
        Ok(Response::new(pb::UpdatePlatformEnvironmentResponse { platform_environment }))
    }

    async fn delete_platform_environment(
        &self,
        request: Request<pb::DeletePlatformEnvironmentRequest>,
    ) -> Result<Response<pb::DeletePlatformEnvironmentResponse>, Status> {
        begins!(
            self,
            request,
            "DeletePlatformEnvironment",
            |it: &pb::DeletePlatformEnvironmentRequest| it.name.clone(),
            begin::delete_platform,
            DeletePlatformEnvironmentResponse
        )
    }

    async fn recover_platform_environment(
        &self,
        request: Request<pb::RecoverPlatformEnvironmentRequest>,
    ) -> Result<Response<pb::RecoverPlatformEnvironmentResponse>, Status> {
        begins!(
            self,
            request,
            "RecoverPlatformEnvironment",
            |it: &pb::RecoverPlatformEnvironmentRequest| it.name.clone(),
            begin::recover,
            RecoverPlatformEnvironmentResponse
        )
    }

    async fn add_database(
        &self,
        request: Request<pb::AddDatabaseRequest>,
    ) -> Result<Response<pb::AddDatabaseResponse>, Status> {
        begins!(
            self,
            request,
            "AddDatabase",
            |it: &pb::AddDatabaseRequest| it.name.clone(),
            begin::add_database,
            AddDatabaseResponse
        )
    }

    async fn reset_platform_environment(
        &self,
        request: Request<pb::ResetPlatformEnvironmentRequest>,
    ) -> Result<Response<pb::ResetPlatformEnvironmentResponse>, Status> {
        begins!(
            self,
            request,
            "ResetPlatformEnvironment",
            |it: &pb::ResetPlatformEnvironmentRequest| it.name.clone(),
            begin::reset,
            ResetPlatformEnvironmentResponse
        )
    }

    async fn copy_platform_environment(
        &self,
        request: Request<pb::CopyPlatformEnvironmentRequest>,
    ) -> Result<Response<pb::CopyPlatformEnvironmentResponse>, Status> {
        begins!(
            self,
            request,
            "CopyPlatformEnvironment",
            |it: &pb::CopyPlatformEnvironmentRequest| it.target.clone(),
            begin::copy,
            CopyPlatformEnvironmentResponse
        )
    }

    async fn list_backups(
        &self,
        request: Request<pb::ListBackupsRequest>,
    ) -> Result<Response<pb::ListBackupsResponse>, Status> {
        let actor = Actor::of(&request)?;
        Ok(Response::new(self.backups(&actor, request.into_inner()).await?))
    }

    async fn create_backup(
        &self,
        request: Request<pb::CreateBackupRequest>,
    ) -> Result<Response<pb::CreateBackupResponse>, Status> {
        begins!(
            self,
            request,
            "CreateBackup",
            |it: &pb::CreateBackupRequest| it.parent.clone(),
            begin::create_backup,
            CreateBackupResponse
        )
    }

    async fn restore_platform_environment(
        &self,
        request: Request<pb::RestorePlatformEnvironmentRequest>,
    ) -> Result<Response<pb::RestorePlatformEnvironmentResponse>, Status> {
        begins!(
            self,
            request,
            "RestorePlatformEnvironment",
            |it: &pb::RestorePlatformEnvironmentRequest| it.target.clone(),
            begin::restore,
            RestorePlatformEnvironmentResponse
        )
    }

    async fn convert_platform_environment(
        &self,
        request: Request<pb::ConvertPlatformEnvironmentRequest>,
    ) -> Result<Response<pb::ConvertPlatformEnvironmentResponse>, Status> {
        begins!(
            self,
            request,
            "ConvertPlatformEnvironment",
            |it: &pb::ConvertPlatformEnvironmentRequest| it.name.clone(),
            begin::convert,
            ConvertPlatformEnvironmentResponse
        )
    }

    async fn install_finance_and_operations(
        &self,
        request: Request<pb::InstallFinanceAndOperationsRequest>,
    ) -> Result<Response<pb::InstallFinanceAndOperationsResponse>, Status> {
        begins!(
            self,
            request,
            "InstallFinanceAndOperations",
            |it: &pb::InstallFinanceAndOperationsRequest| it.name.clone(),
            begin::install,
            InstallFinanceAndOperationsResponse
        )
    }

    async fn list_locations(
        &self,
        request: Request<pb::ListLocationsRequest>,
    ) -> Result<Response<pb::ListLocationsResponse>, Status> {
        let actor = Actor::of(&request)?;
        Ok(Response::new(Self::locations(&actor, request.get_ref())?))
    }
}
