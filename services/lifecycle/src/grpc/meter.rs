//! `MeterService`, for the capacity service: which databases there are, and how big they are.

use std::sync::Arc;

use chrono::Utc;
use proto::capacity::v1 as pb;
use proto::capacity::v1::MeterKind;
use proto::capacity::v1::meter_service_server::MeterService;
use proto::lifecycle::v1::{
    FinanceAndOperationsEnvironmentState as ErpState, PlatformEnvironmentState as State,
    PlatformEnvironmentType as Type,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::Deps;
use crate::databases::{Measurement, TableSize};
use crate::engine::progress::timestamp;
use crate::error::Error;
use crate::page_token;
use crate::resource::{self, PLATFORM};
use crate::store::finance_and_operations::{self, FinanceAndOperations};
use crate::store::platform::{self, Platform};

/// The service. It has no caller: only the capacity service may call it.
pub(crate) struct Meter {
    deps: Arc<Deps>,
}

impl Meter {
    pub(crate) fn new(deps: Arc<Deps>) -> Self {
        Self { deps }
    }

    /// The ERP's half first, then the platform's; each by its id.
    async fn list(
        &self,
        request: pb::ListMeteredEnvironmentsRequest,
    ) -> Result<pb::ListMeteredEnvironmentsResponse, Error> {
        let size = page_token::size(request.page_size)?;
        let after = page_token::read(&request.page_token)?;
        let (erp, platform) = match after.strip_prefix("platformEnvironments/") {
            Some(id) => (None, id.parse().map_err(|_| Error::PageToken)?),
            None if after.is_empty() => (Some(""), Uuid::nil()),
            None => {
                let id = after.strip_prefix("financeAndOperationsEnvironments/");
                (Some(id.ok_or(Error::PageToken)?), Uuid::nil())
            }
        };
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let pool = self.deps.store.pool();
        let mut found = Vec::new();
        if let Some(after) = erp {
            let erps = finance_and_operations::list(pool, after, None, limit).await?;
            found.extend(erps.iter().map(metered_erp));
        }
        if found.len() <= size {
            let platforms = platform::list_by_id(pool, platform, limit).await?;
            found.extend(platforms.iter().map(metered_platform));
        }
        let (metered_environments, next_page_token) =
            page_token::cut(found, size, |it| it.environment.clone());
        Ok(pb::ListMeteredEnvironmentsResponse { metered_environments, next_page_token })
    }

    async fn measure(&self, name: &str) -> Result<pb::MeasureStorageResponse, Error> {
        let missing = || Error::NotFound(name.to_owned());
        let pool = self.deps.store.pool();
        let databases = &self.deps.databases;
        let measured = if name.starts_with(PLATFORM) {
            let found = platform::find(pool, resource::guid(PLATFORM, name)?).await?;
            let found = found.filter(|it| it.delete_time.is_none()).ok_or_else(missing)?;
            let database = found.dataverse.filter(|_| found.state != State::Preparing);
            let database = database.ok_or_else(|| no_database(name))?.database;
            databases.platform.measure(&database).await?
        } else {
            let id = resource::id(resource::FINANCE_AND_OPERATIONS, name)?;
            let found = finance_and_operations::by_id(pool, id).await?.ok_or_else(missing)?;
            if !has_database(&found) {
                return Err(no_database(name));
            }
            databases.erp.measure(&found.database).await?
        };
        Ok(measurement(measured))
    }
}

fn no_database(name: &str) -> Error {
    Error::InvalidState {
        resource: name.to_owned(),
        state: "no_database".to_owned(),
        message: format!("`{name}` has no database"),
    }
}

/// It is made, and not about to be dropped.
fn has_database(erp: &FinanceAndOperations) -> bool {
    !matches!(erp.state, ErpState::Deploying | ErpState::Deleting)
}

fn metered_erp(it: &FinanceAndOperations) -> pb::MeteredEnvironment {
    pb::MeteredEnvironment {
        environment: it.name(),
        display_name: it.display_name.clone(),
        kind: MeterKind::FinanceAndOperations.into(),
        has_database: has_database(it),
    }
}

fn metered_platform(it: &Platform) -> pb::MeteredEnvironment {
    let kind = match it.kind {
        Type::Trial | Type::Developer | Type::Teams | Type::Preview | Type::Support => {
            MeterKind::PlatformExempt
        }
        Type::Default => MeterKind::PlatformDefault,
        Type::Production | Type::Sandbox | Type::Unspecified => MeterKind::Platform,
    };
    pb::MeteredEnvironment {
        environment: it.name(),
        display_name: it.display_name.clone(),
        kind: kind.into(),
        has_database: it.dataverse.is_some() && it.state != State::Preparing,
    }
}

fn measurement(it: Measurement) -> pb::MeasureStorageResponse {
    let usage = |TableSize { schema, table, size_bytes, row_count }| pb::TableUsage {
        schema,
        table,
        size_bytes,
        row_count,
        ..Default::default()
    };
    pb::MeasureStorageResponse {
        database_size_bytes: it.database_size_bytes,
        tables: it.tables.into_iter().map(usage).collect(),
        measure_time: Some(timestamp(Utc::now())),
    }
}

#[tonic::async_trait]
impl MeterService for Meter {
    async fn list_metered_environments(
        &self,
        request: Request<pb::ListMeteredEnvironmentsRequest>,
    ) -> Result<Response<pb::ListMeteredEnvironmentsResponse>, Status> {
        Ok(Response::new(self.list(request.into_inner()).await?))
    }

    async fn measure_storage(
        &self,
        request: Request<pb::MeasureStorageRequest>,
    ) -> Result<Response<pb::MeasureStorageResponse>, Status> {
        Ok(Response::new(self.measure(&request.get_ref().environment).await?))
    }
}
