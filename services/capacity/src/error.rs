//! Every way capacity can say no, and the one place that becomes a status.

use rpc::audit::Decision;
use rpc::{ErrorReason, busy, status, unavailable};
use tonic::{Code, Status};

use crate::operations::Refusal;
use crate::pool::{Pool, WrongLength};

const DOMAIN: &str = "capacity";

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("only administrators of the tenant may see and change capacity and licences")]
    NotAdministrator,
    #[error("there is no `{0}`")]
    NotFound(String),
    #[error("there is no user `{0}`")]
    NoUser(String),
    #[error("there is a `{0}` already")]
    Exists(String),
    #[error("`{field}`: {reason}")]
    Invalid { field: &'static str, reason: String },
    #[error("`{0}` was changed by somebody else; read it again")]
    VersionMismatch(String),
    #[error("`{resource}`: {assigned} are assigned to users; take them away first")]
    InUse { resource: String, assigned: i64 },
    #[error("none of the {quantity} of `{licence}` is left")]
    NoneLeft { licence: String, quantity: i64 },
    #[error("`{resource}` is {state}")]
    State { resource: String, state: &'static str },
    #[error("`{0}` has not been measured yet; it is about to be")]
    NotMeasured(String),
    #[error("there is less than a day of measurements to forecast from")]
    TooFewSamples,
    #[error("{}", .0.message())]
    Refused(Refusal),
    #[error("the idempotency key came before with another request")]
    KeyReused(String),
    #[error("the lifecycle service, which measures, does not answer; what was measured counts")]
    MeterUnavailable,
    #[error("the user-context service, which knows the users, does not answer; try again later")]
    DirectoryUnavailable,
    #[error("capacity is being decided for others; try again")]
    Busy,
    #[error("the capacity store is not available; try again later")]
    StoreUnavailable(#[source] sqlx::Error),
    #[error("the capacity store could not do it")]
    StoreFailed(#[source] sqlx::Error),
    #[error("the capacity store holds what this release does not know")]
    Stored(String),
}

impl Error {
    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }

    pub(crate) fn page_token() -> Self {
        Self::invalid("page_token", "is not one that this service gave out")
    }

    /// The code, and the reason for it.
    fn kind(&self) -> (Code, ErrorReason) {
        match self {
            Self::NotAdministrator => (Code::PermissionDenied, ErrorReason::PrivilegeDenied),
            Self::NotFound(_) | Self::NoUser(_) => (Code::NotFound, ErrorReason::ResourceNotFound),
            Self::Exists(_) => (Code::AlreadyExists, ErrorReason::ResourceExists),
            Self::Invalid { .. } => (Code::InvalidArgument, ErrorReason::InvalidValue),
            Self::VersionMismatch(_) => (Code::Aborted, ErrorReason::VersionMismatch),
            Self::InUse { .. } => (Code::FailedPrecondition, ErrorReason::InUse),
            Self::NoneLeft { .. } => (Code::ResourceExhausted, ErrorReason::LimitExceeded),
            Self::State { .. } | Self::NotMeasured(_) | Self::TooFewSamples => {
                (Code::FailedPrecondition, ErrorReason::InvalidState)
            }
            Self::Refused(Refusal::Overage { .. }) => {
                (Code::FailedPrecondition, ErrorReason::CapacityOverage)
            }
            Self::Refused(Refusal::Insufficient { .. }) => {
                (Code::ResourceExhausted, ErrorReason::CapacityInsufficient)
            }
            Self::KeyReused(_) => (Code::InvalidArgument, ErrorReason::IdempotencyKeyReused),
            Self::MeterUnavailable | Self::DirectoryUnavailable => {
                (Code::Unavailable, ErrorReason::PeerUnavailable)
            }
            Self::Busy | Self::StoreUnavailable(_) => {
                (Code::Unavailable, ErrorReason::StoreUnavailable)
            }
            Self::StoreFailed(_) | Self::Stored(_) => (Code::Internal, ErrorReason::StoreFailed),
        }
    }

    /// The reason's name, for the audit.
    pub(crate) fn reason(&self) -> &'static str {
        self.kind().1.as_str_name().trim_start_matches("ERROR_REASON_")
    }

    /// What it is, for the audit.
    pub(crate) fn decision(&self) -> Decision {
        match self {
            Self::NotAdministrator => Decision::Denied,
            _ => Decision::Failed,
        }
    }

    /// What a machine wants to know beside the reason.
    fn metadata(&self) -> [(&'static str, String); 3] {
        let none = || ("", String::new());
        let one = |key, value: &str| [(key, value.to_owned()), none(), none()];
        match self {
            Self::NotAdministrator => {
                [("entity", DOMAIN.to_owned()), ("privilege", "administer".to_owned()), none()]
            }
            Self::NotFound(name)
            | Self::NoUser(name)
            | Self::Exists(name)
            | Self::VersionMismatch(name) => one("resource", name),
            Self::NotMeasured(name) => {
                [("resource", name.clone()), ("state", "not_measured".to_owned()), none()]
            }
            Self::Invalid { field, .. } => one("column", field),
            Self::InUse { resource, .. } => {
                let used_by = format!("{resource}/assignments");
                [("resource", resource.clone()), ("used_by", used_by), none()]
            }
            Self::NoneLeft { licence, quantity } => [
                ("limit", licence.clone()),
                ("allowed", quantity.to_string()),
                ("actual", quantity.saturating_add(1).to_string()),
            ],
            Self::State { resource, state } => {
                [("resource", resource.clone()), ("state", (*state).to_owned()), none()]
            }
            Self::Refused(Refusal::Overage { pools, .. }) => {
                let names: Vec<_> = pools.iter().map(|it| contract_name(*it)).collect();
                one("pools", &names.join(","))
            }
            Self::Refused(Refusal::Insufficient { pool, needed, free, .. }) => [
                ("pool", contract_name(*pool)),
                ("required_bytes", needed.to_string()),
                ("available_bytes", free.to_string()),
            ],
            Self::KeyReused(key) => one("idempotency_key", key),
            Self::MeterUnavailable => one("side", "lifecycle"),
            Self::DirectoryUnavailable => one("side", "user-context"),
            Self::TooFewSamples
            | Self::Busy
            | Self::StoreUnavailable(_)
            | Self::StoreFailed(_)
            | Self::Stored(_) => [none(), none(), none()],
        }
    }

    fn log(&self) {
        match self {
            Self::StoreUnavailable(cause) => {
                tracing::warn!(error = %cause, "the capacity store is not available");
            }
            Self::StoreFailed(cause) => {
                tracing::error!(error = %cause, "the capacity store failed")
            }
            Self::Stored(what) => tracing::error!(what, "the capacity store holds what is unknown"),
            _ => {}
        }
    }
}

/// `OPERATIONS_DATABASE`: the contract's name without its prefix.
fn contract_name(pool: Pool) -> String {
    pool.label().to_uppercase().replace(' ', "_")
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

impl From<WrongLength> for Error {
    fn from(error: WrongLength) -> Self {
        Self::Stored(error.to_string())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.log();
        let (code, reason) = error.kind();
        let message = error.to_string();
        match &error {
            Error::Busy => return busy(DOMAIN, message),
            Error::StoreUnavailable(_) | Error::MeterUnavailable | Error::DirectoryUnavailable => {
                return unavailable(DOMAIN, reason, message);
            }
            _ => {}
        }
        let metadata = error.metadata();
        let told = |it: &'_ (&'static str, String)| !it.0.is_empty();
        let pairs: Vec<(&str, &str)> = metadata
            .iter()
            .filter(|it| told(it))
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        match pairs[..] {
            [] => status(code, DOMAIN, reason, message, []),
            [a] => status(code, DOMAIN, reason, message, [a]),
            [a, b] => status(code, DOMAIN, reason, message, [a, b]),
            [a, b, c, ..] => status(code, DOMAIN, reason, message, [a, b, c]),
        }
    }
}
