//! Removing: the runtime first, so that nothing works that nobody sees. It can be given up until it has begun.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::lifecycle::v1::{AddInInstallationState as State, OperationStage};
use sqlx::Connection as _;

use super::work::Work;
use crate::engine::{StageContext, StageError, Workflow};
use crate::store::add_in as store;

/// The workflow of UNINSTALL_ADD_IN.
pub(crate) struct Uninstall(pub(crate) Work);

impl Workflow for Uninstall {
    fn stages(&self) -> Vec<OperationStage> {
        vec![OperationStage::Removing]
    }

    fn perform<'a>(
        &'a self,
        _stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        self.remove(context).boxed()
    }

    fn undo<'a>(
        &'a self,
        _stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        self.keep(context).boxed()
    }

    fn status_texts(&self) -> (&'static str, &'static str) {
        ("The add-in is being removed", "The add-in is removed")
    }
}

impl Uninstall {
    async fn remove(&self, context: &StageContext) -> Result<(), StageError> {
        let (environment, add_in) = self.0.key();
        let left = store::find(&mut *context.connection().await, environment, add_in).await?;
        // Done, and interrupted before that was written down.
        if left.is_none() {
            return Ok(());
        }
        self.pass_point_of_no_return(context).await?;
        self.0.write_row(State::Uninstalling, &self.0.order.previous).await?;
        context.step("row-written").await?;
        self.0.uninstall(self.0.order.delete_data).await?;
        context.step("runtime-uninstalled").await?;
        self.0.remove_row().await?;
        context.step("row-removed").await?;
        store::remove(&mut *context.connection().await, self.0.key()).await?;
        Ok(())
    }

    /// What the runtime deletes does not come back.
    async fn pass_point_of_no_return(&self, context: &StageContext) -> Result<(), StageError> {
        let connection = &mut *context.connection().await;
        let mut transaction = connection.begin().await?;
        context.pass_point_of_no_return(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Nothing was removed yet.
    async fn keep(&self, context: &StageContext) -> Result<(), StageError> {
        let connection = &mut *context.connection().await;
        store::set_state(connection, self.0.key(), context.operation, State::Installed).await?;
        Ok(())
    }
}
