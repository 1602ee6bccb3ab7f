//! A platform environment gets a database, with its creation or later.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::capacity::v1::CapacityOperation;
use proto::lifecycle::v1::{
    EnvironmentDatabase, OperationStage, PlatformEnvironmentState as State,
};
use uuid::Uuid;

use super::capacity::{self, Need};
use super::provisioning;
use super::stages::{in_transaction, platform_of, set_platform_state};
use crate::Deps;
use crate::engine::{StageContext, StageError, Workflow};
use crate::resource::{self, PLATFORM};
use crate::store::platform;

/// The workflow of CREATE_ENVIRONMENT of the platform's half. The row says whether there is to be a database.
pub(crate) struct CreatePlatform {
    pub(crate) deps: Arc<Deps>,
    pub(crate) id: Uuid,
    /// The environment was there before.
    pub(crate) existing: bool,
    /// The environment counts for capacity.
    pub(crate) takes_capacity: bool,
}

impl Workflow for CreatePlatform {
    fn stages(&self) -> Vec<OperationStage> {
        use OperationStage::{Configuring, ProvisioningDataverse, ReservingCapacity};
        match self.takes_capacity {
            true => vec![ReservingCapacity, ProvisioningDataverse, Configuring],
            false => vec![ProvisioningDataverse, Configuring],
        }
    }

    fn perform<'a>(
        &'a self,
        stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        async move {
            let capacity = &self.deps.clients.capacity;
            match stage {
                OperationStage::ReservingCapacity => {
                    capacity::reserve(capacity, context, &self.need()).await
                }
                OperationStage::ProvisioningDataverse => self.provision(context).await,
                _ => {
                    if self.takes_capacity {
                        capacity::commit(capacity, context, &self.need()).await?;
                    }
                    set_platform_state(context, self.id, State::Ready).await
                }
            }
        }
        .boxed()
    }

    fn undo<'a>(
        &'a self,
        stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        async move {
            match stage {
                OperationStage::ReservingCapacity => {
                    capacity::release(&self.deps.clients.capacity, context, &self.need()).await?;
                }
                OperationStage::ProvisioningDataverse => {
                    self.deps.databases.drop_platform(self.id).await?;
                }
                _ => {}
            }
            match self.stages().first() == Some(&stage) {
                true => self.forget(context).await,
                false => Ok(()),
            }
        }
        .boxed()
    }

    fn point_of_no_return(&self) -> Option<OperationStage> {
        Some(OperationStage::ProvisioningDataverse)
    }

    fn status_texts(&self) -> (&'static str, &'static str) {
        match self.existing {
            true => ("The database is being added", "The database was added"),
            false => ("The environment is being created", "The environment was created"),
        }
    }
}

impl CreatePlatform {
    fn need(&self) -> Need {
        let operation = match self.existing {
            true => CapacityOperation::AddDatabase,
            false => CapacityOperation::CreateEnvironment,
        };
        Need::new(operation, resource::name(PLATFORM, self.id))
    }

    async fn provision(&self, context: &StageContext) -> Result<(), StageError> {
        let environment = platform_of(&self.deps, self.id).await?;
        let Some(dataverse) = &environment.dataverse else { return Ok(()) };
        context.say(10, "Making the database").await?;
        let database = self.deps.databases.ensure_platform(self.id).await?;
        context.step("database-made").await?;
        context.say(40, "Provisioning").await?;
        let place = EnvironmentDatabase { role: database.clone(), database };
        provisioning::provision(&self.deps, context, &environment, dataverse, &place).await?;
        let tools = dataverse.d365_apps_enabled;
        platform::set_platform_tools(&mut *context.connection().await, self.id, tools).await?;
        Ok(())
    }

    async fn forget(&self, context: &StageContext) -> Result<(), StageError> {
        in_transaction!(context, |transaction| {
            match self.existing {
                true => {
                    platform::clear_dataverse(&mut transaction, self.id).await?;
                    platform::set_state(&mut *transaction, self.id, State::Ready).await?;
                }
                false => platform::forget(&mut transaction, self.id).await?,
            }
        });
        Ok(())
    }
}
