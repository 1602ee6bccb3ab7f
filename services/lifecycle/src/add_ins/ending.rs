//! An environment that goes, or is no longer linked, takes its add-ins with it.

use std::sync::Arc;

use proto::lifecycle::v1::{AddInInstallationState as State, OperationState};
use sqlx::Connection as _;
use uuid::Uuid;

use super::begin::order_of;
use super::work::Work;
use crate::Deps;
use crate::engine::{self, StageContext, StageError};
use crate::resource::{self, OPERATIONS, PLATFORM};
use crate::store::add_in::{self as store, Installation};
use crate::store::{hold, operation};
use crate::words::Word as _;

/// Ends every add-in of a platform environment, within a stage of the operation that holds it: installations under
/// way are given up, the others removed. What they stored as business data stays. Idempotent.
pub(crate) async fn uninstall_all(
    deps: &Arc<Deps>,
    context: &StageContext,
    platform_environment: Uuid,
) -> Result<(), StageError> {
    // Whoever began before this operation held the environment has ended or is seen below.
    let name = resource::name(PLATFORM, platform_environment);
    hold::lock(&mut *context.connection().await, &[name]).await?;
    for installation in store::all_of(deps.store.pool(), platform_environment).await? {
        wait_for_its_operation(deps, context, &installation).await?;
    }
    for installation in store::all_of(deps.store.pool(), platform_environment).await? {
        remove(deps, context, &installation).await?;
    }
    Ok(())
}

/// What is under way is given up where it can be; it is waited for by trying this stage again.
async fn wait_for_its_operation(
    deps: &Arc<Deps>,
    context: &StageContext,
    installation: &Installation,
) -> Result<(), StageError> {
    // Marked by this stage, before it was interrupted.
    if installation.operation == context.operation {
        return Ok(());
    }
    let connection = &mut *context.connection().await;
    let mut transaction = connection.begin().await?;
    let found = operation::find_locked(&mut transaction, installation.operation).await?;
    let Some(other) = found else { return Ok(()) };
    match other.state {
        OperationState::Succeeded | OperationState::Cancelled => return Ok(()),
        OperationState::Failed => {
            engine::cancel(&mut transaction, deps, other.id)
                .await
                .map_err(|it| StageError::Transient(it.to_string()))?;
            transaction.commit().await?;
        }
        OperationState::Unspecified
        | OperationState::Pending
        | OperationState::Running
        | OperationState::Cancelling => {}
    }
    let name = resource::name(OPERATIONS, other.id);
    Err(StageError::Transient(format!("{name} ({}) has not ended yet", other.kind.word())))
}

async fn remove(
    deps: &Arc<Deps>,
    context: &StageContext,
    installation: &Installation,
) -> Result<(), StageError> {
    let work =
        Work { deps: Arc::clone(deps), order: order_of(deps, installation), verb: "uninstall" };
    mark(context, &work).await?;
    work.uninstall(false).await?;
    work.remove_row().await?;
    store::remove(&mut *context.connection().await, work.key()).await?;
    Ok(())
}

async fn mark(context: &StageContext, work: &Work) -> Result<(), StageError> {
    let connection = &mut *context.connection().await;
    store::set_state(connection, work.key(), context.operation, State::Uninstalling).await?;
    Ok(())
}
