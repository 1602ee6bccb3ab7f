//! What stages of several workflows say and do.

use std::sync::Arc;

use proto::lifecycle::v1::{
    FailureKind, FinanceAndOperationsEnvironmentState, PlatformEnvironmentState,
};
use rpc::ErrorReason;
use tonic::Status;
use uuid::Uuid;

use crate::Deps;
use crate::databases::DatabaseError;
use crate::engine::{Failure, StageContext, StageError};
use crate::error::Error;
use crate::resource;
use crate::store::finance_and_operations::{self, FinanceAndOperations};
use crate::store::platform::{self, Platform};

const RESUME: &str = "Resume when its cause is gone, or cancel.";

/// Somebody has to do something first.
pub(super) fn fail(
    kind: FailureKind,
    reason: ErrorReason,
    message: impl Into<String>,
    help: impl Into<String>,
) -> StageError {
    let (message, help) = (message.into(), help.into());
    Failure { kind, reason, message, help, prerequisites: Vec::new() }.into()
}

/// The environment that a stage is about is not there any more.
fn gone(name: &str) -> StageError {
    let message = format!("The environment {name} was deleted.");
    fail(FailureKind::State, ErrorReason::InvalidState, message, "Cancel the operation.")
}

/// Another service did not do its part. Its words go to the log.
pub(super) fn peer(whom: &str, status: &Status) -> StageError {
    tracing::warn!(code = ?status.code(), message = status.message(), "{whom} did not do its part");
    StageError::Transient(format!("{whom} could not do its part ({:?})", status.code()))
}

impl From<DatabaseError> for StageError {
    fn from(error: DatabaseError) -> Self {
        tracing::warn!(%error, "a database could not be changed");
        match error {
            DatabaseError::Later(_) => Self::Transient(error.to_string()),
            DatabaseError::Refused(_) | DatabaseError::NoProgram(_) => {
                let reason = ErrorReason::StoreFailed;
                fail(FailureKind::Internal, reason, error.to_string(), RESUME)
            }
        }
    }
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Later(text) => Self::StoreUnavailable(sqlx::Error::Protocol(text)),
            DatabaseError::Refused(_) | DatabaseError::NoProgram(_) => {
                Self::StoreFailed(sqlx::Error::Protocol(error.to_string()))
            }
        }
    }
}

/// The platform environment of a stage.
pub(super) async fn platform_of(deps: &Arc<Deps>, id: Uuid) -> Result<Platform, StageError> {
    let found = platform::find(deps.store.pool(), id).await?;
    found.ok_or_else(|| gone(&resource::name(resource::PLATFORM, id)))
}

/// The finance-and-operations environment of a stage.
pub(super) async fn erp_of(deps: &Arc<Deps>, id: Uuid) -> Result<FinanceAndOperations, StageError> {
    let found = finance_and_operations::find(deps.store.pool(), id).await?;
    found.ok_or_else(|| gone(&id.to_string()))
}

/// Within the run's session.
pub(super) async fn set_platform_state(
    context: &StageContext,
    id: Uuid,
    state: PlatformEnvironmentState,
) -> Result<(), StageError> {
    Ok(platform::set_state(&mut *context.connection().await, id, state).await?)
}

/// Within the run's session.
pub(super) async fn set_erp_state(
    context: &StageContext,
    id: Uuid,
    state: FinanceAndOperationsEnvironmentState,
) -> Result<(), StageError> {
    Ok(finance_and_operations::set_state(&mut *context.connection().await, id, state).await?)
}

/// Does several writes in one transaction of the run's session.
macro_rules! in_transaction {
    ($context:expr, |$transaction:ident| $writes:block) => {{
        let mut connection = $context.connection().await;
        let mut $transaction = sqlx::Connection::begin(&mut *connection).await?;
        $writes;
        $transaction.commit().await?;
    }};
}
pub(super) use in_transaction;
