//! Every way dual-write can say no, and the one place that becomes a status.

use proto::dual_write::v1::{MapState, Side, ValidationIssue};
use rpc::audit::Decision;
use rpc::{ErrorReason, busy, status, unavailable};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::access::Needed;
use crate::store::{side_text, state_text};

const DOMAIN: &str = "dual-write";
/// Errors travel as headers, which have a bound together.
const MOST_VIOLATIONS: usize = 20;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{}", .0.text())]
    Denied(Needed),
    #[error("there is no `{0}`")]
    NotFound(String),
    #[error("this environment is not linked")]
    NotLinked,
    #[error("this environment is linked to `{linked_to}` already")]
    AlreadyLinked { environment: String, linked_to: String },
    #[error("there is a `{0}` already")]
    Exists(String),
    #[error("`{field}`: {reason}")]
    Invalid { field: String, reason: String },
    /// With the whole text for people.
    #[error("{message}")]
    InvalidText { field: &'static str, message: String },
    #[error("`{0}` was changed by somebody else; read it again")]
    VersionMismatch(String),
    #[error("`{resource}` is {}; {needed}", spoken(*.state))]
    State { resource: String, state: MapState, needed: &'static str },
    #[error("{message}")]
    StateText { resource: String, state: &'static str, message: String },
    #[error("{message}")]
    Confirmation { field: &'static str, message: String },
    #[error("{message}")]
    Limit { limit: &'static str, allowed: usize, actual: usize, message: String },
    #[error("{}", validation_text(.issues))]
    Validation { resource: String, issues: Vec<ValidationIssue> },
    /// A file or a request that is wrong as a whole.
    #[error("{message}")]
    Malformed { resource: String, message: String, precondition: bool },
    #[error("{message}")]
    Requirement { resource: String, message: String },
    /// A shared row that the other side cannot have.
    #[error("{message}")]
    Untranslatable { map: String, field: String, message: String },
    #[error("health checks fail: {message}")]
    Health { codes: Vec<String>, message: String },
    #[error(
        "SecureConfig Organization ({actual}) does not match actual CRM Organization ({expected})."
    )]
    Environment { expected: String, actual: String },
    #[error("{message}")]
    Query { reason: ErrorReason, message: String, entity: String, detail: String },
    #[error("the {} side does not answer; try again later", spoken_side(*.side))]
    PeerUnavailable { side: Side, cause: Box<Status> },
    #[error("the {} side refused: {}", spoken_side(*.side), .cause.message())]
    PeerRefused { side: Side, cause: Box<Status> },
    #[error("the tables of the {} side have not arrived yet; try again", spoken_side(*.0))]
    NotReady(Side),
    #[error("the changes behind this position are no longer kept; copy the rows anew")]
    PositionExpired,
    #[error("`{entity}` was written by somebody else at the same time; try again")]
    WriteConflict { entity: String },
    #[error("the idempotency key came before with another request")]
    KeyReused(String),
    #[error("dual-write is being changed by others; try again")]
    Busy,
    #[error("the dual-write store is not available; try again later")]
    StoreUnavailable(#[source] sqlx::Error),
    #[error("the dual-write store could not do it")]
    StoreFailed(#[source] sqlx::Error),
    #[error("the dual-write store holds what this release does not know")]
    Stored(String),
}

impl Error {
    pub(crate) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }

    pub(crate) fn page_token() -> Self {
        Self::invalid("page_token", "is not one that this service gave out")
    }

    /// What a side answered instead of what it was asked for.
    pub(crate) fn of_side(side: Side, cause: Status) -> Self {
        let reason = rpc::reason(&cause);
        match (cause.code(), reason) {
            (_, Some(ErrorReason::PositionExpired)) => Self::PositionExpired,
            (Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled, _) => {
                Self::PeerUnavailable { side, cause: Box::new(cause) }
            }
            _ => Self::PeerRefused { side, cause: Box::new(cause) },
        }
    }

    /// The reason's name, for the audit.
    pub(crate) fn reason(&self) -> &'static str {
        self.kind().1.as_str_name().trim_start_matches("ERROR_REASON_")
    }

    /// What it is, for the audit.
    pub(crate) fn decision(&self) -> Decision {
        match self {
            Self::Denied(_) => Decision::Denied,
            _ => Decision::Failed,
        }
    }

    fn kind(&self) -> (Code, ErrorReason) {
        match self {
            Self::Denied(_) => (Code::PermissionDenied, ErrorReason::PrivilegeDenied),
            Self::NotFound(_) => (Code::NotFound, ErrorReason::ResourceNotFound),
            Self::NotLinked => (Code::NotFound, ErrorReason::NotLinked),
            Self::AlreadyLinked { .. } => (Code::AlreadyExists, ErrorReason::AlreadyLinked),
            Self::Exists(_) => (Code::AlreadyExists, ErrorReason::ResourceExists),
            Self::Invalid { .. } | Self::InvalidText { .. } => {
                (Code::InvalidArgument, ErrorReason::InvalidValue)
            }
            Self::VersionMismatch(_) => (Code::Aborted, ErrorReason::VersionMismatch),
            Self::State { .. } | Self::StateText { .. } => {
                (Code::FailedPrecondition, ErrorReason::InvalidState)
            }
            Self::Confirmation { .. } => {
                (Code::FailedPrecondition, ErrorReason::ConfirmationRequired)
            }
            Self::Limit { .. } => (Code::ResourceExhausted, ErrorReason::LimitExceeded),
            Self::Validation { .. } => (Code::InvalidArgument, ErrorReason::ValidationFailed),
            Self::Malformed { precondition, .. } => {
                let precondition = *precondition;
                let code =
                    if precondition { Code::FailedPrecondition } else { Code::InvalidArgument };
                (code, ErrorReason::ValidationFailed)
            }
            Self::Requirement { .. } => (Code::FailedPrecondition, ErrorReason::RequirementUnmet),
            Self::Untranslatable { .. } => (Code::FailedPrecondition, ErrorReason::PeerRefused),
            Self::Health { .. } => (Code::FailedPrecondition, ErrorReason::HealthCheckFailed),
            Self::Environment { .. } => {
                (Code::FailedPrecondition, ErrorReason::EnvironmentMismatch)
            }
            Self::Query { reason, .. } => (Code::InvalidArgument, *reason),
            Self::PeerUnavailable { .. } => (Code::Unavailable, ErrorReason::PeerUnavailable),
            Self::PeerRefused { .. } => (Code::FailedPrecondition, ErrorReason::PeerRefused),
            Self::NotReady(_) => (Code::Unavailable, ErrorReason::PeerUnavailable),
            Self::PositionExpired => (Code::OutOfRange, ErrorReason::PositionExpired),
            Self::WriteConflict { .. } => (Code::Aborted, ErrorReason::WriteConflict),
            Self::KeyReused(_) => (Code::InvalidArgument, ErrorReason::IdempotencyKeyReused),
            Self::Busy | Self::StoreUnavailable(_) => {
                (Code::Unavailable, ErrorReason::StoreUnavailable)
            }
            Self::StoreFailed(_) | Self::Stored(_) => (Code::Internal, ErrorReason::StoreFailed),
        }
    }

    /// What a machine wants to know beside the reason.
    fn metadata(&self) -> Vec<(&'static str, String)> {
        let one = |key, value: &str| vec![(key, value.to_owned())];
        match self {
            Self::Denied(needed) => {
                vec![("entity", DOMAIN.to_owned()), ("privilege", needed.privilege().to_owned())]
            }
            Self::NotFound(name) | Self::Exists(name) | Self::VersionMismatch(name) => {
                one("resource", name)
            }
            Self::AlreadyLinked { environment, linked_to } => {
                vec![("environment", environment.clone()), ("linked_to", linked_to.clone())]
            }
            Self::Invalid { field, .. } => one("column", field),
            Self::InvalidText { field, .. } => one("column", field),
            Self::State { resource, state, .. } => {
                vec![("resource", resource.clone()), ("state", state_text(*state).to_owned())]
            }
            Self::StateText { resource, state, .. } => {
                vec![("resource", resource.clone()), ("state", (*state).to_owned())]
            }
            Self::Confirmation { field, .. } => one("confirmation", field),
            Self::Limit { limit, allowed, actual, .. } => vec![
                ("limit", (*limit).to_owned()),
                ("allowed", allowed.to_string()),
                ("actual", actual.to_string()),
            ],
            Self::Validation { resource, issues } => {
                let codes: Vec<_> = issues.iter().map(|it| it.code.as_str()).collect();
                vec![("resource", resource.clone()), ("codes", codes.join(","))]
            }
            Self::Malformed { resource, .. } => one("resource", resource),
            Self::Requirement { resource, message } => {
                vec![("environment", resource.clone()), ("requirement", message.clone())]
            }
            Self::Untranslatable { map, field, .. } => {
                vec![("map", map.clone()), ("column", field.clone())]
            }
            Self::Health { codes, .. } => one("codes", &codes.join(",")),
            Self::Environment { expected, actual } => {
                vec![("expected", expected.clone()), ("actual", actual.clone())]
            }
            Self::Query { entity, detail, .. } => {
                vec![("entity", entity.clone()), ("detail", detail.clone())]
            }
            Self::PeerUnavailable { side, .. } | Self::PeerRefused { side, .. } => {
                one("side", side_text(*side))
            }
            Self::NotReady(side) => one("side", side_text(*side)),
            Self::WriteConflict { entity } => one("entity", entity),
            Self::KeyReused(key) => one("idempotency_key", key),
            Self::NotLinked
            | Self::PositionExpired
            | Self::Busy
            | Self::StoreUnavailable(_)
            | Self::StoreFailed(_)
            | Self::Stored(_) => Vec::new(),
        }
    }

    fn log(&self) {
        match self {
            Self::StoreUnavailable(cause) => {
                tracing::warn!(error = %cause, "the dual-write store is not available");
            }
            Self::StoreFailed(cause) => {
                tracing::error!(error = %cause, "the dual-write store failed");
            }
            Self::Stored(what) => {
                tracing::error!(what, "the dual-write store holds what is unknown");
            }
            Self::PeerUnavailable { side, cause } => {
                tracing::warn!(?side, error = %cause.message(), "a side does not answer");
            }
            _ => {}
        }
    }
}

/// `Project validation failed. [DIPV1002] …`, with every finding that is an error.
fn validation_text(issues: &[ValidationIssue]) -> String {
    let errors = issues.iter().filter(|it| !it.warning);
    let told: Vec<_> = errors.map(|it| format!("[{}] {}", it.code, it.message)).collect();
    format!("Project validation failed. {}", told.join(" "))
}

/// A state as people say it.
pub(crate) fn spoken(state: MapState) -> &'static str {
    match state {
        MapState::NotRunning => "not running",
        MapState::Initializing => "initializing",
        MapState::Running => "running",
        MapState::Pausing => "pausing",
        MapState::Paused => "paused",
        MapState::Resuming => "resuming",
        MapState::Stopping => "stopping",
        MapState::Unspecified => "unknown",
    }
}

/// A side as people say it.
pub(crate) fn spoken_side(side: Side) -> &'static str {
    match side {
        Side::FinanceAndOperations => "finance and operations",
        Side::Platform | Side::Unspecified => "platform",
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|it| it.code());
        match (code.as_deref(), &error) {
            // A lock or statement timeout, a deadlock.
            (Some("55P03" | "57014" | "40P01" | "40001"), _) => Self::Busy,
            // Connections that fail, resources that ran out, a server that goes or comes.
            (Some(code), _) if ["08", "53", "57"].iter().any(|it| code.starts_with(it)) => {
                Self::StoreUnavailable(error)
            }
            (
                None,
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed,
            ) => Self::StoreUnavailable(error),
            _ => Self::StoreFailed(error),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.log();
        let (code, reason) = error.kind();
        let message = error.to_string();
        match &error {
            Error::Busy => return busy(DOMAIN, message),
            _ if code == Code::Unavailable => return unavailable(DOMAIN, reason, message),
            _ => {}
        }
        let metadata = error.metadata();
        let pairs: Vec<(&str, &str)> = metadata.iter().map(|it| (it.0, it.1.as_str())).collect();
        let status = match pairs[..] {
            [] => status(code, DOMAIN, reason, message, []),
            [a] => status(code, DOMAIN, reason, message, [a]),
            [a, b] => status(code, DOMAIN, reason, message, [a, b]),
            [a, b, c, ..] => status(code, DOMAIN, reason, message, [a, b, c]),
        };
        match &error {
            Error::Validation { issues, .. } => with_violations(&status, issues),
            _ => status,
        }
    }
}

/// With a violation for each finding.
fn with_violations(status: &Status, issues: &[ValidationIssue]) -> Status {
    let mut details = status.get_error_details();
    for issue in issues.iter().filter(|it| !it.warning).take(MOST_VIOLATIONS) {
        let description = format!("[{}] {}", issue.code, issue.message);
        details.add_bad_request_violation(&issue.field, description);
    }
    Status::with_error_details(status.code(), status.message(), details)
}
