//! `FinanceAndOperationsEnvironmentService`.

use std::sync::Arc;

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::finance_and_operations_environment_service_server::FinanceAndOperationsEnvironmentService;
use tonic::{Request, Response, Status};

use super::platform::begins;
use crate::Deps;
use crate::caller::Actor;
use crate::engine::progress::timestamp;
use crate::environments::begin;
use crate::error::Error;
use crate::page_token;
use crate::resource::{self, FINANCE_AND_OPERATIONS, LINKS, PLATFORM};
use crate::store::finance_and_operations::{self, FinanceAndOperations};

/// The service.
pub(crate) struct FinanceAndOperationsEnvironments {
    deps: Arc<Deps>,
}

impl FinanceAndOperationsEnvironments {
    pub(crate) fn new(deps: Arc<Deps>) -> Self {
        Self { deps }
    }

    /// All of them, or those that the caller administers.
    async fn list(
        &self,
        actor: &Actor,
        request: pb::ListFinanceAndOperationsEnvironmentsRequest,
    ) -> Result<pb::ListFinanceAndOperationsEnvironmentsResponse, Error> {
        let size = page_token::size(request.page_size)?;
        let after = page_token::read(&request.page_token)?;
        let administrator = (!actor.reads_all()).then(|| actor.name());
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let pool = self.deps.store.pool();
        let found =
            finance_and_operations::list(pool, &after, administrator.as_deref(), limit).await?;
        let (page, next_page_token) = page_token::cut(found, size, |it| it.id.clone());
        Ok(pb::ListFinanceAndOperationsEnvironmentsResponse {
            finance_and_operations_environments: page.iter().map(environment).collect(),
            next_page_token,
        })
    }

    async fn get(
        &self,
        actor: &Actor,
        name: &str,
    ) -> Result<pb::FinanceAndOperationsEnvironment, Error> {
        let mut connection = self.deps.store.pool().acquire().await?;
        let found = crate::setup::start::find_erp(&mut connection, actor, name).await?;
        Ok(environment(&found))
    }
}

fn environment(it: &FinanceAndOperations) -> pb::FinanceAndOperationsEnvironment {
    let initial = it.initial.map(|id| resource::name(PLATFORM, id));
    pb::FinanceAndOperationsEnvironment {
        name: it.name(),
        environment_id: it.environment_id.to_string(),
        display_name: it.display_name.clone(),
        r#type: it.kind.into(),
        state: it.state.into(),
        url: it.url.clone(),
        tenant_id: it.tenant_id.to_string(),
        region: it.region.clone(),
        administrator: it.administrator.clone(),
        initial_platform_environment: initial.unwrap_or_default(),
        link: it.link.as_ref().map(|(id, _)| resource::name(LINKS, id)).unwrap_or_default(),
        version: it.version.clone(),
        create_time: Some(timestamp(it.create_time)),
        etag: it.revision.to_string(),
        database: it.database.clone(),
    }
}

#[tonic::async_trait]
impl FinanceAndOperationsEnvironmentService for FinanceAndOperationsEnvironments {
    async fn list_finance_and_operations_environments(
        &self,
        request: Request<pb::ListFinanceAndOperationsEnvironmentsRequest>,
    ) -> Result<Response<pb::ListFinanceAndOperationsEnvironmentsResponse>, Status> {
        let actor = Actor::of(&request)?;
        Ok(Response::new(self.list(&actor, request.into_inner()).await?))
    }

    async fn get_finance_and_operations_environment(
        &self,
        request: Request<pb::GetFinanceAndOperationsEnvironmentRequest>,
    ) -> Result<Response<pb::GetFinanceAndOperationsEnvironmentResponse>, Status> {
        let actor = Actor::of(&request)?;
        let found = Some(self.get(&actor, &request.get_ref().name).await?);
        Ok(Response::new(pb::GetFinanceAndOperationsEnvironmentResponse {
            finance_and_operations_environment: found,
        }))
    }

    async fn create_finance_and_operations_environment(
        &self,
        request: Request<pb::CreateFinanceAndOperationsEnvironmentRequest>,
    ) -> Result<Response<pb::CreateFinanceAndOperationsEnvironmentResponse>, Status> {
        begins!(
            self,
            request,
            "CreateFinanceAndOperationsEnvironment",
            |it: &pb::CreateFinanceAndOperationsEnvironmentRequest| resource::name(
                FINANCE_AND_OPERATIONS,
                &it.finance_and_operations_environment_id
            ),
            begin::create_erp,
            CreateFinanceAndOperationsEnvironmentResponse
        )
    }

    async fn update_finance_and_operations_environment(
        &self,
        request: Request<pb::UpdateFinanceAndOperationsEnvironmentRequest>,
    ) -> Result<Response<pb::UpdateFinanceAndOperationsEnvironmentResponse>, Status> {
        let actor = Actor::of(&request)?;
        let request = request.into_inner();
        let updated = begin::update_erp(&self.deps, &actor, &request).await;
        let name = request.finance_and_operations_environment.as_ref().map_or("", |it| &it.name);
        actor.audit("UpdateFinanceAndOperationsEnvironment", name, &updated);
        let updated = Some(environment(&updated?));
        Ok(Response::new(pb::UpdateFinanceAndOperationsEnvironmentResponse {
            finance_and_operations_environment: updated,
        }))
    }

    async fn delete_finance_and_operations_environment(
        &self,
        request: Request<pb::DeleteFinanceAndOperationsEnvironmentRequest>,
    ) -> Result<Response<pb::DeleteFinanceAndOperationsEnvironmentResponse>, Status> {
        begins!(
            self,
            request,
            "DeleteFinanceAndOperationsEnvironment",
            |it: &pb::DeleteFinanceAndOperationsEnvironmentRequest| it.name.clone(),
            begin::delete_erp,
            DeleteFinanceAndOperationsEnvironmentResponse
        )
    }

    async fn refresh_database(
        &self,
        request: Request<pb::RefreshDatabaseRequest>,
    ) -> Result<Response<pb::RefreshDatabaseResponse>, Status> {
        begins!(
            self,
            request,
            "RefreshDatabase",
            |it: &pb::RefreshDatabaseRequest| it.target.clone(),
            begin::refresh_database,
            RefreshDatabaseResponse
        )
    }

    async fn export_database(
        &self,
        request: Request<pb::ExportDatabaseRequest>,
    ) -> Result<Response<pb::ExportDatabaseResponse>, Status> {
        begins!(
            self,
            request,
            "ExportDatabase",
            |it: &pb::ExportDatabaseRequest| it.name.clone(),
            begin::export_database,
            ExportDatabaseResponse
        )
    }

    async fn restore_database(
        &self,
        request: Request<pb::RestoreDatabaseRequest>,
    ) -> Result<Response<pb::RestoreDatabaseResponse>, Status> {
        begins!(
            self,
            request,
            "RestoreDatabase",
            |it: &pb::RestoreDatabaseRequest| it.name.clone(),
            begin::restore_database,
            RestoreDatabaseResponse
        )
    }
}
