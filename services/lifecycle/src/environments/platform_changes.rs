//! What changes a platform environment without touching its data: deleting, recovering, another type.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::capacity::v1::CapacityOperation;
use proto::lifecycle::v1::{FailureKind, OperationStage, PlatformEnvironmentType as Type};
use rpc::ErrorReason;
use uuid::Uuid;

use super::capacity::{self, Need};
use super::stages::{fail, in_transaction, platform_of};
use crate::Deps;
use crate::engine::{StageContext, StageError, Workflow};
use crate::resource::{self, PLATFORM};
use crate::store::platform;

/// The workflow of DELETE_ENVIRONMENT, RECOVER_ENVIRONMENT and CONVERT_ENVIRONMENT of the platform's half.
pub(crate) struct Change {
    pub(crate) deps: Arc<Deps>,
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
}

/// Which change.
pub(crate) enum Kind {
    /// It can be recovered for a while.
    Delete,
    Recover {
        takes_capacity: bool,
    },
    Convert {
        to: Type,
        takes_capacity: bool,
    },
}

impl Workflow for Change {
    fn stages(&self) -> Vec<OperationStage> {
        match (&self.kind, self.need()) {
            (Kind::Delete, _) => vec![OperationStage::Removing],
            (_, Some(_)) => vec![OperationStage::ReservingCapacity, OperationStage::Configuring],
            (_, None) => vec![OperationStage::Configuring],
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
                (_, need) => {
                    self.write(context).await?;
                    context.step("changed").await?;
                    match need {
                        Some(need) => {
                            capacity::commit(&self.deps.clients.capacity, context, &need).await
                        }
                        None => Ok(()),
                    }
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
            match (stage, self.need()) {
                (OperationStage::ReservingCapacity, Some(need)) => {
                    capacity::release(&self.deps.clients.capacity, context, &need).await
                }
                // The change is one transaction, which is not undone once it was made.
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn status_texts(&self) -> (&'static str, &'static str) {
        match self.kind {
            Kind::Delete => ("The environment is being deleted", "The environment was deleted"),
            Kind::Recover { .. } => {
                ("The environment is being recovered", "The environment was recovered")
            }
            Kind::Convert { .. } => {
                ("The environment is being converted", "The environment was converted")
            }
        }
    }
}

impl Change {
    fn need(&self) -> Option<Need> {
        let operation = match self.kind {
            Kind::Recover { takes_capacity: true } => CapacityOperation::Recover,
            Kind::Convert { takes_capacity: true, .. } => CapacityOperation::ConvertTrial,
            Kind::Delete | Kind::Recover { .. } | Kind::Convert { .. } => return None,
        };
        Some(Need::new(operation, resource::name(PLATFORM, self.id)))
    }

    async fn write(&self, context: &StageContext) -> Result<(), StageError> {
        let environment = platform_of(&self.deps, self.id).await?;
        in_transaction!(context, |transaction| {
            context.pass_point_of_no_return(&mut transaction).await?;
            match self.kind {
                Kind::Delete => platform::delete(&mut transaction, &environment).await?,
                Kind::Convert { to, .. } => {
                    platform::set_kind(&mut *transaction, self.id, to).await?
                }
                Kind::Recover { .. } => {
                    if !platform::recover(&mut transaction, &environment).await? {
                        return Err(name_taken());
                    }
                }
            }
        });
        Ok(())
    }
}

fn name_taken() -> StageError {
    let message = "Another environment has the host or the name by now.";
    let help = "Give that environment another host and resume, or cancel.";
    fail(FailureKind::State, ErrorReason::ResourceExists, message, help)
}
