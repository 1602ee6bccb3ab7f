//! Every way the lifecycle service can say no.

mod into_status;

use proto::lifecycle::v1::PrerequisiteCheck;
use schema::OpenError;
use tonic::{Code, Status};

use crate::add_ins::{Finding, Unmet};

pub(crate) const DOMAIN: &str = "lifecycle";

/// Why a call was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No resource of that name, or none that the caller may know of.
    #[error("there is no `{0}`")]
    NotFound(String),
    /// The name, or what has to be unique, is taken.
    #[error("{message}")]
    Exists {
        /// Which.
        resource: String,
        /// For people.
        message: String,
    },
    /// The caller may not.
    #[error("user `{user}` may not do this; it takes {needed}")]
    Denied {
        /// Who.
        user: String,
        /// Roles that would do.
        needed: &'static str,
    },
    /// A value that does not fit.
    #[error("`{field}`: {message}")]
    InvalidValue {
        /// Of the message.
        field: String,
        /// What would fit.
        message: String,
    },
    /// A page token that was not given out.
    #[error("the page token was not given out by this service")]
    PageToken,
    /// The resource changed since it was read.
    #[error("`{0}` was changed by somebody else; read it again")]
    VersionMismatch(String),
    /// The key came before with another request.
    #[error("the idempotency key came before with another request")]
    KeyReused(String),
    /// The resource's state forbids the call.
    #[error("{message}")]
    InvalidState {
        /// Which.
        resource: String,
        /// Its state, or what is at work on it.
        state: String,
        /// For people.
        message: String,
    },
    /// What cannot be undone was not confirmed.
    #[error("{message}")]
    Confirmation {
        /// Name of the field.
        field: &'static str,
        /// For people.
        message: String,
    },
    /// A link is there, once and for all.
    #[error("`{environment}` is linked with `{linked_to}`, and a link is for good")]
    AlreadyLinked {
        /// Either half.
        environment: String,
        /// The other one.
        linked_to: String,
    },
    /// There is no link (spec PPI-26).
    #[error("Dataverse instance isn't integrated with finance and operations.")]
    NotLinked {
        /// The half that was asked about.
        environment: String,
    },
    /// There is no such link to be read.
    #[error("`{0}` is not linked")]
    LinkNotFound(String),
    /// A linked or initial environment does not allow it; a fixed text where there is one.
    #[error("{message}")]
    Blocked {
        /// Which.
        environment: String,
        /// What was to be done.
        operation: &'static str,
        /// For people.
        message: String,
    },
    /// The geography or region does not do.
    #[error("{message}")]
    Region {
        /// The one that does not.
        region: String,
        /// For people.
        message: String,
    },
    /// The environment's kind, version or setup does not allow it.
    #[error("{message}")]
    Requirement {
        /// Which.
        environment: String,
        /// For people.
        message: String,
    },
    /// Prerequisites that refuse a request at once, all of them.
    #[error("{}", joined(.checks))]
    Prerequisites {
        /// Of the setup.
        environment: String,
        /// Those that fail.
        checks: Vec<PrerequisiteCheck>,
    },
    /// Too little is free.
    #[error("{0}")]
    CapacityInsufficient(String),
    /// Overage blocks it.
    #[error("{0}")]
    CapacityOverage(String),
    /// A licence is missing.
    #[error("{message}")]
    Licence {
        /// Who holds none.
        user: String,
        /// For people.
        message: String,
    },
    /// The tenant's rules forbid it.
    #[error("{0}")]
    Governance(String),
    /// Something else needs it.
    #[error("{message}")]
    InUse {
        /// What is needed.
        resource: String,
        /// By whom.
        used_by: String,
        /// For people.
        message: String,
    },
    /// What was asked for is no longer kept.
    #[error("{0}")]
    Expired(String),
    /// A definition is wrong, with every finding.
    #[error("{0}")]
    Validation(String),
    /// What keeps an add-in from being installed, all of it.
    #[error("{}", sentences(.unmet))]
    AddInRequirements {
        /// Where.
        environment: String,
        /// At least one.
        unmet: Vec<Unmet>,
    },
    /// Parameters of an add-in that do not fit its schema, with every finding.
    #[error("{}", listed(.0))]
    Parameters(Vec<Finding>),
    /// Another service does not answer.
    #[error("another service does not answer; try again later")]
    PeerUnavailable(#[source] Box<Status>),
    /// Another service refused what it should not.
    #[error("another service could not do its part")]
    PeerFailed(#[source] Box<Status>),
    /// A row of the store is not as it was written.
    #[error("the lifecycle service's store could not be read")]
    Malformed(String),
    /// The store does not answer.
    #[error("the lifecycle service's store is not available; try again later")]
    StoreUnavailable(#[source] sqlx::Error),
    /// The store answered with an error of its own.
    #[error("the lifecycle service's store could not do it")]
    StoreFailed(#[source] sqlx::Error),
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error("the lifecycle service's store cannot be opened")]
    Store(#[from] sqlx::Error),
    /// The store cannot be brought up to date.
    #[error("the lifecycle service's store cannot be migrated")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A setting cannot be.
    #[error("{0}")]
    Config(String),
}

fn sentences(unmet: &[Unmet]) -> String {
    unmet.iter().map(|it| it.sentence.as_str()).collect::<Vec<_>>().join(" ")
}

fn listed(findings: &[Finding]) -> String {
    let each = |it: &Finding| match it.parameter.as_str() {
        "" => it.description.clone(),
        parameter => format!("`{parameter}`: {}", it.description),
    };
    findings.iter().map(each).collect::<Vec<_>>().join("; ")
}

fn joined(checks: &[PrerequisiteCheck]) -> String {
    let each = |it: &PrerequisiteCheck| format!("{} {}", it.message, it.help);
    checks.iter().map(each).collect::<Vec<_>>().join(" ")
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Connect(error) => Self::Store(error),
            OpenError::Migrate(error) => Self::Migrate(error),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match is_unavailable(&error) {
            true => Self::StoreUnavailable(error),
            false => Self::StoreFailed(error),
        }
    }
}

/// Of a service that was asked.
impl From<Status> for Error {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
                Self::PeerUnavailable(Box::new(status))
            }
            _ => Self::PeerFailed(Box::new(status)),
        }
    }
}

fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => {
            let code = error.as_database_error().and_then(|it| it.code());
            code.is_some_and(|it| {
                // Connections, resources, an operator's intervention, and waits that were cut off.
                ["08", "53", "57", "55P03", "40"].iter().any(|class| it.starts_with(class))
            })
        }
    }
}

impl Error {
    /// The reason as the audit writes it.
    pub(crate) fn audit_reason(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "PRIVILEGE_DENIED",
            Self::Governance(_) => "GOVERNANCE_DENIED",
            Self::StoreUnavailable(_) | Self::StoreFailed(_) | Self::Malformed(_) => "STORE_FAILED",
            Self::PeerUnavailable(_) | Self::PeerFailed(_) => "PEER_UNAVAILABLE",
            _ => "REFUSED",
        }
    }
}
