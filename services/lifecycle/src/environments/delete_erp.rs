//! A finance-and-operations environment is deleted, and its link with it: the one way in which a link ends.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::lifecycle::v1::{FinanceAndOperationsEnvironmentState as State, OperationStage};
use uuid::Uuid;

use super::stages::{in_transaction, set_erp_state};
use crate::Deps;
use crate::add_ins;
use crate::engine::{StageContext, StageError, Workflow};
use crate::store::{finance_and_operations, link};

/// The workflow of DELETE_ENVIRONMENT of the ERP's half.
pub(crate) struct DeleteErp {
    pub(crate) deps: Arc<Deps>,
    pub(crate) environment_id: Uuid,
}

impl Workflow for DeleteErp {
    fn stages(&self) -> Vec<OperationStage> {
        vec![OperationStage::Configuring, OperationStage::Removing]
    }

    fn perform<'a>(
        &'a self,
        stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        async move {
            match stage {
                OperationStage::Configuring => self.take_down(context).await,
                _ => self.remove(context).await,
            }
        }
        .boxed()
    }

    fn undo<'a>(
        &'a self,
        _stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        set_erp_state(context, self.environment_id, State::Deployed).boxed()
    }

    fn point_of_no_return(&self) -> Option<OperationStage> {
        Some(OperationStage::Configuring)
    }

    fn status_texts(&self) -> (&'static str, &'static str) {
        ("The environment is being deleted", "The environment was deleted")
    }
}

impl DeleteErp {
    /// From here on there is no way back, and nothing is gone yet.
    async fn take_down(&self, context: &StageContext) -> Result<(), StageError> {
        in_transaction!(context, |transaction| {
            context.pass_point_of_no_return(&mut transaction).await?;
            let id = self.environment_id;
            finance_and_operations::set_state(&mut *transaction, id, State::Deleting).await?;
        });
        Ok(())
    }

    /// They need the link.
    async fn end_add_ins(&self, context: &StageContext) -> Result<(), StageError> {
        let found =
            link::of_environment(&mut *context.connection().await, self.environment_id).await?;
        match found {
            Some(link) => {
                add_ins::uninstall_all(&self.deps, context, link.platform_environment).await
            }
            None => Ok(()),
        }
    }

    async fn remove(&self, context: &StageContext) -> Result<(), StageError> {
        let found =
            finance_and_operations::find(self.deps.store.pool(), self.environment_id).await?;
        let Some(erp) = found else { return Ok(()) };
        self.end_add_ins(context).await?;
        // What was there before the environment stays after it.
        if !erp.adopted {
            context.say(20, "Dropping the database").await?;
            self.deps.databases.erp.drop_database(&erp.database).await?;
            context.step("erp-database-dropped").await?;
        }
        in_transaction!(context, |transaction| {
            finance_and_operations::delete(&mut transaction, self.environment_id).await?;
        });
        Ok(())
    }
}
