//! What a provider's refusal of a step means.

use rpc::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::super::change_set::{RowRef, Step, StepAction};
use super::lookups;
use crate::error::GatewayError;
use crate::metadata::Table;
use crate::translate::RowKey;

/// Of a step that is about the row of this key.
pub(super) fn of_step(status: &Status, step: &Step, row: Option<&RowKey>) -> GatewayError {
    let named = match (&step.action, row) {
        (_, Some(row)) => Some(row),
        (StepAction::Upsert { key, .. }, None) => Some(key),
        (StepAction::Update { row: RowRef::Key(key), .. }, None) => Some(key),
        _ => None,
    };
    match rpc::reason(status) {
        Some(ErrorReason::ReferenceNotFound) => missing_target(status, step),
        _ => None,
    }
    .unwrap_or_else(|| of_row(status, &step.table, named))
}

/// The row that a lookup of the step was to lead to, where the store says that it is not there.
fn missing_target(status: &Status, step: &Step) -> Option<GatewayError> {
    let details = status.get_details_error_info()?;
    let column = details.metadata.get("column")?;
    lookups::of(&step.action).find_map(|(navigation, target)| {
        let (table, row) = target?;
        let field = lookups::direct(&step.table, navigation, target?)?;
        match row {
            RowRef::Key(key) if field == column => Some(key.not_found(table)),
            RowRef::Key(_) | RowRef::Step(_) => None,
        }
    })
}

/// Of reading or writing the row of this key.
pub(super) fn of_row(status: &Status, table: &Table, row: Option<&RowKey>) -> GatewayError {
    match (rpc::reason(status), row) {
        (Some(ErrorReason::RecordNotFound), Some(row)) => row.not_found(table),
        _ => GatewayError::of_provider(status, table),
    }
}

/// Index of the operation that failed, among those that were sent together.
pub(super) fn operation(status: &Status) -> Option<usize> {
    status.get_details_error_info()?.metadata.get("operation")?.parse().ok()
}

/// Nothing was done, and the same again may be.
pub(super) fn is_conflict(status: &Status) -> bool {
    matches!(
        rpc::reason(status),
        Some(ErrorReason::WriteConflict | ErrorReason::TransactionAborted)
    )
}

/// [`is_conflict`], within an open transaction: it has its connection already, so that what is busy there
/// is a row, whose holder may wait for one of ours.
pub(super) fn is_in_the_way(status: &Status) -> bool {
    is_conflict(status) || rpc::is_busy(status)
}

/// It made more of what it was told than it was asked about.
pub(super) fn is_unshared(status: &Status) -> bool {
    rpc::reason(status) == Some(ErrorReason::UnsharedChanges)
}

/// The row has another version than the one that was named.
pub(super) fn is_changed(status: &Status) -> bool {
    rpc::reason(status) == Some(ErrorReason::VersionMismatch)
}

/// The call ended without an answer of the service, so that nobody knows what it did.
pub(super) fn is_unknown(status: &Status) -> bool {
    match rpc::reason(status) {
        Some(ErrorReason::DeadlineExceeded | ErrorReason::OutcomePending) => true,
        Some(_) => false,
        None => !matches!(status.code(), Code::Unimplemented | Code::InvalidArgument),
    }
}

/// We stopped waiting for the answer, and the service may have gone on.
pub(super) fn is_overdue(status: &Status) -> bool {
    rpc::reason(status).is_none() && matches!(status.code(), Code::DeadlineExceeded)
}

/// The write is decided or about to be, and we cannot wait for how it ends.
pub(super) fn pending() -> GatewayError {
    let message = "The outcome of the request is not known yet; the same request with the same \
                   'x-ms-client-request-id' answers how it ended.";
    let reason = ErrorReason::OutcomePending;
    let status = rpc::status(Code::DeadlineExceeded, "gateway", reason, message, []);
    GatewayError::of_service(&status)
}

/// An answer that no provider may give.
pub(super) fn senseless() -> GatewayError {
    tracing::error!("a provider answered something else than it was asked");
    GatewayError::Internal
}
