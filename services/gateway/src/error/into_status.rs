//! Refusals as gRPC's clients get them.

use axum::http::StatusCode;
use rpc::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{GatewayError, PeerProblem};
use crate::limits::Exceeded;

impl From<GatewayError> for Status {
    fn from(error: GatewayError) -> Self {
        let (http, _) = error.platform();
        let message = error.to_string();
        let refuse = |code, reason| rpc::status(code, "gateway", reason, message.as_str(), []);
        match &error {
            GatewayError::UnknownTable(_) | GatewayError::UnknownSegment(_) => {
                refuse(Code::NotFound, ErrorReason::EntityNotFound)
            }
            GatewayError::UnknownColumn { .. } | GatewayError::UnknownAttribute { .. } => {
                refuse(Code::InvalidArgument, ErrorReason::ColumnNotFound)
            }
            GatewayError::RecordNotFound { .. }
            | GatewayError::NothingToChange { .. }
            | GatewayError::RecordNotFoundByKey { .. } => {
                refuse(Code::NotFound, ErrorReason::RecordNotFound)
            }
            GatewayError::Unauthenticated => {
                refuse(Code::Unauthenticated, ErrorReason::InvalidAssertion)
            }
            GatewayError::PrivilegeDenied(_) => {
                refuse(Code::PermissionDenied, ErrorReason::PrivilegeDenied)
            }
            GatewayError::PortalUserRefused(_) => {
                refuse(Code::PermissionDenied, ErrorReason::PortalUserRefused)
            }
            GatewayError::ServiceDenied(_) => {
                refuse(Code::PermissionDenied, ErrorReason::ServiceDenied)
            }
            GatewayError::ColumnDenied { privilege, column, table } => {
                let about =
                    [("entity", table.as_str()), ("column", column), ("privilege", privilege)];
                let (code, reason) = (Code::PermissionDenied, ErrorReason::ColumnDenied);
                rpc::status(code, "gateway", reason, message, about)
            }
            GatewayError::LimitExceeded(exceeded) => too_much(exceeded, message),
            GatewayError::UnknownUser => refuse(Code::PermissionDenied, ErrorReason::NoErpUser),
            GatewayError::Unavailable(_) => {
                rpc::unavailable("gateway", ErrorReason::StoreUnavailable, message)
            }
            GatewayError::Peer { problem, .. } => match problem {
                PeerProblem::Refused | PeerProblem::RefusedForErp | PeerProblem::TooLarge => {
                    refuse(Code::FailedPrecondition, ErrorReason::PeerRefused)
                }
                PeerProblem::NotPermitted => {
                    refuse(Code::PermissionDenied, ErrorReason::PrivilegeDenied)
                }
                PeerProblem::BadGateway | PeerProblem::Unavailable => {
                    rpc::unavailable("gateway", ErrorReason::PeerUnavailable, message)
                }
                PeerProblem::Timeout => {
                    refuse(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded)
                }
            },
            GatewayError::Timeout => refuse(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded),
            GatewayError::Internal => refuse(Code::Internal, ErrorReason::StoreFailed),
            GatewayError::InvalidValue(_)
            | GatewayError::TooLong { .. }
            | GatewayError::IncompatibleTypes { .. }
            | GatewayError::PageToken(_) => {
                refuse(Code::InvalidArgument, ErrorReason::InvalidValue)
            }
            GatewayError::InvalidModel(_) => {
                refuse(Code::FailedPrecondition, ErrorReason::InvalidModel)
            }
            GatewayError::NotLinked => refuse(Code::FailedPrecondition, ErrorReason::NotLinked),
            GatewayError::AggregateLimit => {
                refuse(Code::FailedPrecondition, ErrorReason::LimitExceeded)
            }
            GatewayError::RecordExists | GatewayError::KeyTaken { .. } => {
                refuse(Code::AlreadyExists, ErrorReason::RecordExists)
            }
            GatewayError::KeyNotUnique { .. } => {
                refuse(Code::FailedPrecondition, ErrorReason::KeyNotUnique)
            }
            GatewayError::BusinessRule(_) => {
                refuse(Code::FailedPrecondition, ErrorReason::BusinessRule)
            }
            GatewayError::ReadOnly { .. } => {
                refuse(Code::InvalidArgument, ErrorReason::FieldReadOnly)
            }
            GatewayError::InUse(_) => refuse(Code::FailedPrecondition, ErrorReason::InUse),
            GatewayError::WriteConflict(_) => refuse(Code::Aborted, ErrorReason::WriteConflict),
            GatewayError::OutcomePending(_) => {
                refuse(Code::DeadlineExceeded, ErrorReason::OutcomePending)
            }
            GatewayError::KeyReused(_) => {
                refuse(Code::FailedPrecondition, ErrorReason::IdempotencyKeyReused)
            }
            GatewayError::MessageNotSupported(_) => {
                refuse(Code::Unimplemented, ErrorReason::NotSupported)
            }
            GatewayError::VersionMismatch => refuse(Code::Aborted, ErrorReason::VersionMismatch),
            _ if http == StatusCode::NOT_IMPLEMENTED => {
                refuse(Code::Unimplemented, ErrorReason::NotSupported)
            }
            _ => refuse(Code::InvalidArgument, ErrorReason::InvalidQuery),
        }
    }
}

/// With what HTTP says in `Retry-After`.
fn too_much(exceeded: &Exceeded, message: String) -> Status {
    let mut details = ErrorDetails::with_error_info("LIMIT_EXCEEDED", "tombolo.gateway", []);
    details.set_retry_info(Some(exceeded.retry_after));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}
