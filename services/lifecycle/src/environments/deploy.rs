//! A finance-and-operations environment comes into being: deployed with its initial platform environment, or
//! installed as an app of a platform environment.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::capacity::v1::CapacityOperation;
use proto::lifecycle::v1::{
    FailureKind, FinanceAndOperationsEnvironmentState as ErpState, OperationStage,
    PlatformEnvironmentState as State,
};
use rpc::ErrorReason;
use sqlx::PgConnection;
use uuid::Uuid;

use super::capacity::{self, Need};
use super::order::SetupWish;
use super::stages::{erp_of, fail, in_transaction};
use crate::Deps;
use crate::databases::DatabaseError;
use crate::engine::{StageContext, StageError, Workflow};
use crate::resource::{self, PLATFORM};
use crate::setup::begin_at_deployment;
use crate::setup::start::Deployed;
use crate::store::{finance_and_operations, hold, platform};

/// The workflow of CREATE_ENVIRONMENT of an ERP, and of INSTALL_FINANCE_AND_OPERATIONS.
pub(crate) struct Deploy {
    pub(crate) deps: Arc<Deps>,
    pub(crate) environment_id: Uuid,
    pub(crate) kind: Kind,
}

/// How it comes.
pub(crate) enum Kind {
    /// With a platform environment that is made for it, unless it is cloud-hosted.
    Deployed { initial: Option<Uuid>, setup: Option<SetupWish> },
    /// As an app of one that is there.
    Installed { platform: Uuid },
}

impl Workflow for Deploy {
    fn stages(&self) -> Vec<OperationStage> {
        use OperationStage::{Configuring, CopyingData, ReservingCapacity};
        match self.need() {
            Some(_) => vec![ReservingCapacity, CopyingData, Configuring],
            None => vec![CopyingData, Configuring],
        }
    }

    fn perform<'a>(
        &'a self,
        stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        async move {
            match (stage, self.need()) {
                (OperationStage::ReservingCapacity, Some(need)) => {
                    capacity::reserve(&self.deps.clients.capacity, context, &need).await
                }
                (OperationStage::ReservingCapacity, None) => Ok(()),
                (OperationStage::CopyingData, _) => self.make_database(context).await,
                (_, need) => self.finish(context, need).await,
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
            match (stage, self.need()) {
                (OperationStage::ReservingCapacity, Some(need)) => {
                    capacity::release(&self.deps.clients.capacity, context, &need).await?;
                }
                (OperationStage::CopyingData, _) => self.drop_database().await?,
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
        Some(OperationStage::Configuring)
    }

    fn status_texts(&self) -> (&'static str, &'static str) {
        match self.kind {
            Kind::Deployed { .. } => {
                ("The environment is being deployed", "The environment was deployed")
            }
            Kind::Installed { .. } => ("Installing", "Installed"),
        }
    }
}

impl Deploy {
    fn need(&self) -> Option<Need> {
        let name = |id: Uuid| resource::name(PLATFORM, id);
        match self.kind {
            Kind::Deployed { initial, .. } => {
                initial.map(|it| Need::new(CapacityOperation::CreateEnvironment, name(it)))
            }
            Kind::Installed { platform } => {
                let operation = CapacityOperation::InstallFinanceAndOperations;
                Some(Need::new(operation, name(platform)))
            }
        }
    }

    async fn make_database(&self, context: &StageContext) -> Result<(), StageError> {
        let erp = erp_of(&self.deps, self.environment_id).await?;
        let databases = &self.deps.databases;
        if !erp.adopted {
            context.say(10, "Copying the template").await?;
            databases.ensure_erp(&erp.database).await.map_err(of_template)?;
        } else if !databases.erp.exists(&erp.database).await? {
            let message =
                format!("There is no database {} on the ERP's server any more.", erp.database);
            let help = "Bring the database back and resume, or cancel.";
            return Err(fail(FailureKind::State, ErrorReason::InvalidState, message, help));
        }
        context.step("erp-database-made").await
    }

    async fn drop_database(&self) -> Result<(), StageError> {
        let found =
            finance_and_operations::find(self.deps.store.pool(), self.environment_id).await?;
        match found.filter(|it| !it.adopted) {
            Some(it) => Ok(self.deps.databases.erp.drop_database(&it.database).await?),
            None => Ok(()),
        }
    }

    /// The environments are there from now on; the setup that was asked for begins with that.
    async fn finish(&self, context: &StageContext, need: Option<Need>) -> Result<(), StageError> {
        if let Some(need) = need {
            capacity::commit(&self.deps.clients.capacity, context, &need).await?;
            context.step("capacity-committed").await?;
        }
        let erp = erp_of(&self.deps, self.environment_id).await?;
        let trees: Vec<String> = std::iter::once(erp.name())
            .chain(self.setup().map(|(platform, _)| resource::name(PLATFORM, platform)))
            .collect();
        in_transaction!(context, |transaction| {
            // Before any row, as everybody does who holds something.
            hold::lock(&mut transaction, &trees).await?;
            context.pass_point_of_no_return(&mut transaction).await?;
            let id = self.environment_id;
            finance_and_operations::set_state(&mut *transaction, id, ErpState::Deployed).await?;
            if let Kind::Deployed { initial: Some(initial), .. } = self.kind {
                platform::set_state(&mut *transaction, initial, State::Ready).await?;
            }
            if let Some((platform, template)) = self.setup() {
                let deployed = Deployed {
                    deployment: context.operation,
                    finance_and_operations: id,
                    platform,
                    template,
                    user: &context.user,
                };
                self.begin_setup(&mut transaction, &erp.name(), &deployed).await?;
            }
        });
        Ok(())
    }

    /// The platform environment and the template of the setup that follows.
    fn setup(&self) -> Option<(Uuid, &str)> {
        match &self.kind {
            Kind::Deployed { initial: Some(initial), setup: Some(setup) } => {
                Some((*initial, &setup.template))
            }
            Kind::Deployed { .. } => None,
            Kind::Installed { platform } => Some((*platform, "")),
        }
    }

    async fn begin_setup(
        &self,
        transaction: &mut PgConnection,
        erp: &str,
        deployed: &Deployed<'_>,
    ) -> Result<(), StageError> {
        // Once it has begun, the environment is held by it, and no longer by the operation that this is.
        let holder = hold::holder(transaction, erp).await?;
        if holder.is_none_or(|it| it.id != deployed.deployment) {
            return Ok(());
        }
        let begun = begin_at_deployment(transaction, &self.deps, deployed).await;
        begun.map(drop).map_err(|error| StageError::Transient(error.to_string()))
    }

    /// As if it had never been asked for.
    async fn forget(&self, context: &StageContext) -> Result<(), StageError> {
        in_transaction!(context, |transaction| {
            match self.kind {
                Kind::Deployed { initial: Some(initial), .. } => {
                    platform::forget(&mut transaction, initial).await?;
                }
                Kind::Deployed { initial: None, .. } => {}
                Kind::Installed { platform } => {
                    platform::unset_unified(&mut transaction, platform).await?
                }
            }
            finance_and_operations::forget(&mut transaction, self.environment_id).await?;
        });
        Ok(())
    }
}

fn of_template(error: DatabaseError) -> StageError {
    match error {
        DatabaseError::Refused(message) => {
            let help =
                "Name a template for new databases in the configuration and resume, or cancel.";
            fail(FailureKind::Internal, ErrorReason::StoreFailed, message, help)
        }
        other => other.into(),
    }
}
