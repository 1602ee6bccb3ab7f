//! The one place where a refusal becomes a status.

use rpc::{ErrorReason, status, unavailable};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{DOMAIN, Error};
use crate::add_ins::{Finding, Unmet};

/// Errors travel as headers, which have a bound together.
const MOST_VIOLATIONS: usize = 20;

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let refuse = |code, reason, metadata: [(&str, &str); 2]| {
            status(code, DOMAIN, reason, message.clone(), metadata)
        };
        let plain = |code, reason| status(code, DOMAIN, reason, message.clone(), []);
        match &error {
            Error::NotFound(resource) => status(
                Code::NotFound,
                DOMAIN,
                ErrorReason::ResourceNotFound,
                message,
                [("resource", resource)],
            ),
            Error::LinkNotFound(environment) => status(
                Code::NotFound,
                DOMAIN,
                ErrorReason::NotLinked,
                message,
                [("environment", environment)],
            ),
            Error::Exists { resource, .. } => status(
                Code::AlreadyExists,
                DOMAIN,
                ErrorReason::ResourceExists,
                message,
                [("resource", resource)],
            ),
            Error::Denied { user, needed } => refuse(
                Code::PermissionDenied,
                ErrorReason::PrivilegeDenied,
                [("user", user), ("privilege", needed)],
            ),
            Error::InvalidValue { field, .. } => status(
                Code::InvalidArgument,
                DOMAIN,
                ErrorReason::InvalidValue,
                message,
                [("column", field)],
            ),
            Error::PageToken => plain(Code::InvalidArgument, ErrorReason::InvalidValue),
            Error::VersionMismatch(_) => plain(Code::Aborted, ErrorReason::VersionMismatch),
            Error::KeyReused(key) => status(
                Code::InvalidArgument,
                DOMAIN,
                ErrorReason::IdempotencyKeyReused,
                message,
                [("idempotency_key", key)],
            ),
            Error::InvalidState { resource, state, .. } => refuse(
                Code::FailedPrecondition,
                ErrorReason::InvalidState,
                [("resource", resource), ("state", state)],
            ),
            Error::Confirmation { field, .. } => status(
                Code::FailedPrecondition,
                DOMAIN,
                ErrorReason::ConfirmationRequired,
                message,
                [("confirmation", field)],
            ),
            Error::AlreadyLinked { environment, linked_to } => refuse(
                Code::AlreadyExists,
                ErrorReason::AlreadyLinked,
                [("environment", environment), ("linked_to", linked_to)],
            ),
            Error::NotLinked { environment } => status(
                Code::FailedPrecondition,
                DOMAIN,
                ErrorReason::NotLinked,
                message,
                [("environment", environment)],
            ),
            Error::Blocked { environment, operation, .. } => refuse(
                Code::FailedPrecondition,
                ErrorReason::OperationBlocked,
                [("environment", environment), ("operation", operation)],
            ),
            Error::Region { region, .. } => status(
                Code::FailedPrecondition,
                DOMAIN,
                ErrorReason::RegionUnsuitable,
                message,
                [("region", region)],
            ),
            Error::Requirement { environment, .. } => status(
                Code::FailedPrecondition,
                DOMAIN,
                ErrorReason::RequirementUnmet,
                message,
                [("environment", environment)],
            ),
            Error::Prerequisites { environment, checks } => {
                let requirement: Vec<_> =
                    checks.iter().map(|it| it.prerequisite().as_str_name()).collect();
                let reason = crate::setup::reason_of_refusal(checks);
                let requirement = requirement.join(",");
                refuse(
                    Code::FailedPrecondition,
                    reason,
                    [("environment", environment), ("requirement", &requirement)],
                )
            }
            Error::CapacityInsufficient(_) => {
                plain(Code::ResourceExhausted, ErrorReason::CapacityInsufficient)
            }
            Error::CapacityOverage(_) => {
                plain(Code::FailedPrecondition, ErrorReason::CapacityOverage)
            }
            Error::Licence { user, .. } => status(
                Code::FailedPrecondition,
                DOMAIN,
                ErrorReason::LicenceMissing,
                message,
                [("user", user)],
            ),
            Error::Governance(_) => plain(Code::PermissionDenied, ErrorReason::GovernanceDenied),
            Error::InUse { resource, used_by, .. } => refuse(
                Code::FailedPrecondition,
                ErrorReason::InUse,
                [("resource", resource), ("used_by", used_by)],
            ),
            Error::Expired(_) => plain(Code::OutOfRange, ErrorReason::PositionExpired),
            Error::Validation(_) => plain(Code::InvalidArgument, ErrorReason::ValidationFailed),
            Error::AddInRequirements { environment, unmet } => {
                let first = unmet.first();
                let code = first.map_or(Code::FailedPrecondition, Unmet::code);
                let reason = first.map_or(ErrorReason::RequirementUnmet, |it| it.reason);
                status(code, DOMAIN, reason, message, [("environment", environment)])
            }
            Error::Parameters(findings) => parameters_status(findings, message),
            Error::PeerUnavailable(cause) => {
                tracing::warn!(error = %cause, "a service does not answer");
                unavailable(DOMAIN, ErrorReason::PeerUnavailable, message)
            }
            Error::PeerFailed(cause) => {
                tracing::error!(error = %cause, "a service refused what it should not");
                plain(Code::Internal, ErrorReason::PeerRefused)
            }
            Error::Malformed(what) => {
                tracing::error!(%what, "the lifecycle service's store holds something unexpected");
                plain(Code::Internal, ErrorReason::StoreFailed)
            }
            Error::StoreUnavailable(cause) => {
                tracing::warn!(error = %cause, "the lifecycle service's store is not available");
                unavailable(DOMAIN, ErrorReason::StoreUnavailable, message)
            }
            Error::StoreFailed(cause) => {
                tracing::error!(error = %cause, "the lifecycle service's store failed");
                plain(Code::Internal, ErrorReason::StoreFailed)
            }
        }
    }
}

/// With a violation for each parameter.
fn parameters_status(findings: &[Finding], message: String) -> Status {
    let reason = ErrorReason::ValidationFailed;
    let status = status(Code::InvalidArgument, DOMAIN, reason, message, []);
    let mut details = status.get_error_details();
    for finding in findings.iter().take(MOST_VIOLATIONS) {
        details.add_bad_request_violation(&finding.parameter, &finding.description);
    }
    Status::with_error_details(status.code(), status.message(), details)
}
