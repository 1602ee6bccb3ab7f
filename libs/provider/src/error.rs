//! Every way a read can fail, and the one place where that becomes a status.

use rpc::{ErrorReason, busy, status, unavailable};
use tonic::{Code, Status};

use crate::grant::Denied;

/// The limit's name in statuses.
const AGGREGATE_LIMIT: &str = "aggregate_query_record";

/// Why a call could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The message lacks something that it must have.
    #[error("`{0}` is required")]
    Missing(&'static str),
    /// An entity that does not exist, or that nobody may see here.
    #[error("there is no entity `{0}`")]
    EntityNotFound(String),
    /// A column that the entity does not have.
    #[error("`{entity}` has no column `{column}`")]
    ColumnNotFound {
        /// External name.
        entity: String,
        /// As asked for.
        column: String,
    },
    /// The query is well-formed but cannot be run.
    #[error("{0}")]
    InvalidQuery(String),
    /// A value that its column cannot be compared with.
    #[error("the value of `{column}` is not {expected}")]
    InvalidValue {
        /// External name.
        column: String,
        /// What would fit.
        expected: &'static str,
    },
    /// More rows than an aggregate may be made of.
    #[error("the aggregate is made of more than {allowed} rows; narrow the query down")]
    LimitExceeded {
        /// Most rows.
        allowed: i64,
        /// How many there are, at least.
        actual: i64,
    },
    /// No such row, or none that the caller may see.
    #[error("the record does not exist")]
    RecordNotFound,
    /// The caller may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The deadline passed, or the database gave up first.
    #[error("the deadline passed before the query was done")]
    DeadlineExceeded,
    /// The reader let the rows wait for too long, while they held a connection.
    #[error("the rows were not taken in time; read smaller pages, or faster")]
    SlowReader,
    /// The database works, but not on this now: every connection is in use, or somebody has locked
    /// what the query needs.
    #[error("the database is busy; try again later")]
    Busy(#[source] sqlx::Error),
    /// The database cannot be reached, or refuses connections.
    #[error("the database is not available; try again later")]
    Unavailable(#[source] sqlx::Error),
    /// The database's schema is not what the model says.
    #[error("the model of `{entity}` does not match the database's schema; import or correct it")]
    SchemaMismatch {
        /// External name.
        entity: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The database refused the statement.
    #[error("the database could not run the query")]
    Failed(#[source] sqlx::Error),
    /// A row could not be read.
    #[error("a row could not be read")]
    Row(#[source] sqlx::Error),
}

impl Error {
    /// Sorts a driver's error by what the caller can do about it.
    pub(crate) fn of(entity: &str, error: sqlx::Error) -> Self {
        if is_busy(&error) {
            return Self::Busy(error);
        }
        if is_unavailable(&error) {
            return Self::Unavailable(error);
        }
        let code = error.as_database_error().and_then(|it| it.code()).unwrap_or_default();
        match code.as_ref() {
            "57014" => Self::DeadlineExceeded,
            "42P01" | "42703" | "42883" | "3F000" => {
                Self::SchemaMismatch { entity: entity.to_owned(), source: error }
            }
            // Data exceptions: a value that the database cannot compute with.
            code if code.starts_with("22") => {
                tracing::info!(entity, %error, "a value could not be computed with");
                let message = "a value of the query is out of the range of its column";
                Self::InvalidQuery(message.to_owned())
            }
            _ => Self::Failed(error),
        }
    }

    /// [`Self::of`] where no entity is at fault.
    pub(crate) fn database(error: sqlx::Error) -> Self {
        Self::of("", error)
    }

    /// As a status of the service `domain`. Logs what the caller must not be told.
    pub(crate) fn into_status(self, domain: &str, entity: &str) -> Status {
        let message = self.to_string();
        let entity = ("entity", entity);
        match self {
            Self::Missing(field) => {
                let reason = ErrorReason::InvalidQuery;
                status(Code::InvalidArgument, domain, reason, message, [("field", field)])
            }
            Self::EntityNotFound(name) => {
                let metadata = [("entity", name.as_str())];
                status(Code::NotFound, domain, ErrorReason::EntityNotFound, message, metadata)
            }
            Self::LimitExceeded { allowed, actual } => {
                let (allowed, actual) = (allowed.to_string(), actual.to_string());
                let metadata = [
                    ("limit", AGGREGATE_LIMIT),
                    ("allowed", allowed.as_str()),
                    ("actual", actual.as_str()),
                ];
                let reason = ErrorReason::LimitExceeded;
                status(Code::FailedPrecondition, domain, reason, message, metadata)
            }
            Self::ColumnNotFound { column, .. } => {
                let reason = ErrorReason::ColumnNotFound;
                let metadata = [entity, ("column", column.as_str())];
                status(Code::InvalidArgument, domain, reason, message, metadata)
            }
            Self::InvalidQuery(_) => {
                status(Code::InvalidArgument, domain, ErrorReason::InvalidQuery, message, [entity])
            }
            Self::InvalidValue { column, .. } => {
                let reason = ErrorReason::InvalidValue;
                let metadata = [entity, ("column", column.as_str())];
                status(Code::InvalidArgument, domain, reason, message, metadata)
            }
            Self::RecordNotFound => {
                status(Code::NotFound, domain, ErrorReason::RecordNotFound, message, [entity])
            }
            Self::Denied(denied) => denied.into_status(domain),
            Self::DeadlineExceeded | Self::SlowReader => {
                let reason = ErrorReason::DeadlineExceeded;
                status(Code::DeadlineExceeded, domain, reason, message, [entity])
            }
            Self::Busy(cause) => {
                tracing::warn!(domain, entity = entity.1, error = %cause, "the database is busy");
                busy(domain, message)
            }
            Self::Unavailable(cause) => {
                tracing::warn!(domain, error = %cause, "the database is not available");
                unavailable(domain, ErrorReason::StoreUnavailable, message)
            }
            Self::SchemaMismatch { source, .. } => {
                tracing::error!(domain, entity = entity.1, error = %source, "schema mismatch");
                status(
                    Code::FailedPrecondition,
                    domain,
                    ErrorReason::InvalidModel,
                    message,
                    [entity],
                )
            }
            Self::Failed(cause) | Self::Row(cause) => {
                tracing::error!(domain, entity = entity.1, error = %cause, "query failed");
                status(Code::Internal, domain, ErrorReason::StoreFailed, message, [entity])
            }
        }
    }
}

/// Whether the database is there, and only has no hand free for this.
fn is_busy(error: &sqlx::Error) -> bool {
    /// A lock was not to be had.
    const LOCKED: &str = "55P03";
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|it| it == LOCKED),
        sqlx::Error::PoolTimedOut => true,
        _ => false,
    }
}

/// Whether the database is away or cannot serve now, so that the same may work later. Otherwise it
/// has answered, and would answer the same again.
#[must_use]
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    /// A statement that took too long: the server is there.
    const CANCELED: &str = "57014";
    /// No such database (any more).
    const NO_DATABASE: &str = "3D000";
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            let classes = ["08", "28", "53", "57"];
            code == NO_DATABASE
                || (code != CANCELED && classes.iter().any(|class| code.starts_with(class)))
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => true,
        _ => false,
    }
}
