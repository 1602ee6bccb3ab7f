//! What it means to whoever called that a side cannot take its part in a transaction over both.

use commit::Error as CommitError;
use rpc::{ErrorReason, busy, status};
use tonic::{Code, Status};

use super::Error;

/// As a status of the service `domain`. Logs what the caller must not be told.
pub(super) fn into_status(error: CommitError, domain: &str, entity: &str) -> Status {
    let message = error.to_string();
    let failed = |code, reason, metadata| status(code, domain, reason, &*message, [metadata]);
    let precondition = Code::FailedPrecondition;
    match error {
        CommitError::Aborted(id) => {
            let reason = ErrorReason::TransactionAborted;
            failed(Code::Aborted, reason, ("transaction_id", &*id.to_string()))
        }
        CommitError::NeverPrepared(id) => {
            let reason = ErrorReason::ResourceNotFound;
            failed(Code::NotFound, reason, ("resource", &*id.to_string()))
        }
        CommitError::IdReused(id)
        | CommitError::TooOld(id)
        | CommitError::SettledOtherwise { id, .. } => {
            failed(precondition, ErrorReason::InvalidState, ("resource", &*id.to_string()))
        }
        CommitError::PreparingDisabled => {
            let requirement = ("requirement", "max_prepared_transactions");
            tracing::error!(domain, "{message}");
            failed(precondition, ErrorReason::RequirementUnmet, requirement)
        }
        CommitError::NotGranted { .. } => {
            tracing::error!(domain, "{message}");
            failed(precondition, ErrorReason::RequirementUnmet, ("requirement", "tombolo"))
        }
        CommitError::Busy(cause) => {
            tracing::warn!(domain, error = %cause, "a transaction is in other hands");
            busy(domain, message)
        }
        CommitError::Database(error) => Error::database(error).into_status(domain, entity),
    }
}
