//! Other parameters: the old ones are kept until the add-in has taken the new ones.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::lifecycle::v1::{AddInInstallationState as State, OperationStage};

use super::work::Work;
use crate::engine::{StageContext, StageError, Workflow};
use crate::store::add_in as store;

/// The workflow of CONFIGURE_ADD_IN.
pub(crate) struct Configure(pub(crate) Work);

impl Workflow for Configure {
    fn stages(&self) -> Vec<OperationStage> {
        vec![OperationStage::Configuring]
    }

    fn perform<'a>(
        &'a self,
        _stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        async move {
            self.0.write_row(State::Configuring, &self.0.order.previous).await?;
            context.step("row-written").await?;
            self.apply(&self.0.order.parameters, context).await
        }
        .boxed()
    }

    fn undo<'a>(
        &'a self,
        _stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        self.apply(&self.0.order.previous, context).boxed()
    }

    fn status_texts(&self) -> (&'static str, &'static str) {
        ("The add-in is being configured", "The add-in is configured")
    }
}

impl Configure {
    async fn apply(&self, parameters: &str, context: &StageContext) -> Result<(), StageError> {
        let status_text = self.0.configure(parameters).await?;
        context.step("runtime-configured").await?;
        self.0.write_row(State::Installed, parameters).await?;
        context.step("row-installed").await?;
        let connection = &mut *context.connection().await;
        store::set_installed(connection, self.0.key(), parameters, &status_text).await?;
        Ok(())
    }
}
