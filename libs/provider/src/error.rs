//! Every way a read or a write can fail, and the one place where that becomes a status.

mod driver;
mod no_part;

use rpc::{ErrorReason, busy, status, unavailable};
use tonic::{Code, Status};

use crate::action::{InvalidAddress, Refusal};
use crate::grant::Denied;
pub use driver::is_unavailable;

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
    /// A value that cannot be written.
    #[error("{message}")]
    Refused {
        /// External name, where one field is at fault.
        column: Option<String>,
        /// What is wrong.
        message: String,
    },
    /// A value that is to name a row of somewhere else, and names none.
    #[error("`{column}` names a record that does not exist")]
    NoSuchReference {
        /// External name.
        column: String,
    },
    /// A reference by key that finds no row.
    #[error("`{column}` refers to a row of `{entity}` that does not exist: {key}")]
    ReferenceNotFound {
        /// External name.
        column: String,
        /// External name of the entity that was looked in.
        entity: String,
        /// What was looked for.
        key: String,
    },
    /// A column that the caller may not read, or may not write.
    #[error("the user is missing the privilege to {privilege} `{column}` of `{entity}`")]
    ColumnDenied {
        /// External name.
        entity: String,
        /// External name.
        column: String,
        /// `read`, `create` or `update`.
        privilege: &'static str,
    },
    /// A value for a field that cannot be given one.
    #[error("`{column}` is read-only")]
    ReadOnly {
        /// External name.
        column: String,
    },
    /// Another row has what must be unique.
    #[error("{}", exists(columns))]
    RecordExists {
        /// External names.
        columns: Vec<String>,
    },
    /// Several rows have a key that is to name one.
    #[error("several records have this {}; address the one that is meant by its id", columns.join(", "))]
    KeyNotUnique {
        /// External names.
        columns: Vec<String>,
    },
    /// Something else needs the row.
    #[error("the record of `{entity}` is needed by other records")]
    InUse {
        /// External name.
        entity: String,
        /// The entity that needs it, where it is one.
        used_by: Option<String>,
    },
    /// The ERP's or the model's rules do not let it happen; the message is their own.
    #[error("{message}")]
    BusinessRule {
        /// External name, where one field is at fault.
        column: Option<String>,
        /// Their words.
        message: String,
    },
    /// The row has changed since it was read.
    #[error("the record has changed since it was read")]
    VersionMismatch,
    /// Another transaction got in the way.
    #[error("another transaction got in the way; try again")]
    Conflict,
    /// The entity does not offer this.
    #[error("{0} is not offered")]
    NotOffered(String),
    /// The database does not let Tombolo do it.
    #[error("the database does not let Tombolo do this; its operator must grant the privilege")]
    NotGranted(#[source] sqlx::Error),
    /// No such row, or none that the caller may see.
    #[error("the record does not exist")]
    RecordNotFound,
    /// A business-logic service has an address that cannot be one.
    #[error(transparent)]
    InvalidAddress(#[from] InvalidAddress),
    /// An action was not run.
    #[error(transparent)]
    Action(#[from] Refusal),
    /// The caller may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Somebody who was asked about the write refused it.
    #[error("{}", .0.message())]
    Reviewed(Status),
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
    /// It was to end only if the other side has been told of everything.
    #[error("the transaction has changed more than the other side was told")]
    Unshared,
    /// This side cannot take its part in a transaction over both.
    #[error(transparent)]
    NoPart(#[from] commit::Error),
}

impl Error {
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
            Self::InvalidQuery(_) | Self::InvalidAddress(_) => {
                status(Code::InvalidArgument, domain, ErrorReason::InvalidQuery, message, [entity])
            }
            Self::InvalidValue { column, .. } => {
                let reason = ErrorReason::InvalidValue;
                let metadata = [entity, ("column", column.as_str())];
                status(Code::InvalidArgument, domain, reason, message, metadata)
            }
            Self::Refused { column, .. } => {
                let reason = ErrorReason::InvalidValue;
                at(Code::InvalidArgument, domain, reason, message, entity, column.as_deref())
            }
            Self::NoSuchReference { column } => {
                let metadata = [entity, ("column", column.as_str())];
                let reason = ErrorReason::ReferenceNotFound;
                status(Code::InvalidArgument, domain, reason, message, metadata)
            }
            Self::ReferenceNotFound { column, entity, key } => {
                let metadata = [
                    ("entity", entity.as_str()),
                    ("column", column.as_str()),
                    ("key", key.as_str()),
                ];
                let reason = ErrorReason::ReferenceNotFound;
                status(Code::InvalidArgument, domain, reason, message, metadata)
            }
            Self::ColumnDenied { entity, column, privilege } => {
                let metadata = [
                    ("entity", entity.as_str()),
                    ("column", column.as_str()),
                    ("privilege", privilege),
                ];
                let reason = ErrorReason::ColumnDenied;
                status(Code::PermissionDenied, domain, reason, message, metadata)
            }
            Self::ReadOnly { column } => {
                let metadata = [entity, ("column", column.as_str())];
                let reason = ErrorReason::FieldReadOnly;
                status(Code::InvalidArgument, domain, reason, message, metadata)
            }
            Self::RecordExists { columns } => {
                let reason = ErrorReason::RecordExists;
                let columns = columns.join(",");
                let metadata = [entity, ("columns", columns.as_str())];
                status(Code::AlreadyExists, domain, reason, message, metadata)
            }
            Self::KeyNotUnique { columns } => {
                let reason = ErrorReason::KeyNotUnique;
                let columns = columns.join(",");
                let metadata = [entity, ("columns", columns.as_str())];
                status(Code::FailedPrecondition, domain, reason, message, metadata)
            }
            Self::InUse { used_by, .. } => {
                let (code, reason) = (Code::FailedPrecondition, ErrorReason::InUse);
                let resource = ("resource", entity.1);
                match used_by {
                    Some(user) => {
                        let metadata = [entity, resource, ("used_by", user.as_str())];
                        status(code, domain, reason, message, metadata)
                    }
                    None => status(code, domain, reason, message, [entity, resource]),
                }
            }
            Self::BusinessRule { column, .. } => {
                let reason = ErrorReason::BusinessRule;
                at(Code::FailedPrecondition, domain, reason, message, entity, column.as_deref())
            }
            Self::VersionMismatch => {
                status(Code::Aborted, domain, ErrorReason::VersionMismatch, message, [entity])
            }
            Self::Conflict => {
                status(Code::Aborted, domain, ErrorReason::WriteConflict, message, [entity])
            }
            Self::NotOffered(_) => {
                status(Code::Unimplemented, domain, ErrorReason::NotSupported, message, [entity])
            }
            Self::NotGranted(cause) => {
                tracing::error!(domain, entity = entity.1, error = %cause, "not granted");
                let reason = ErrorReason::InvalidModel;
                status(Code::FailedPrecondition, domain, reason, message, [entity])
            }
            Self::RecordNotFound => {
                status(Code::NotFound, domain, ErrorReason::RecordNotFound, message, [entity])
            }
            Self::Action(refusal) => refusal.into_status(domain, entity.1),
            Self::Denied(denied) => denied.into_status(domain),
            Self::Reviewed(refusal) => refusal,
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
            Self::Unshared => {
                status(Code::Aborted, domain, ErrorReason::UnsharedChanges, message, [])
            }
            Self::NoPart(cause) => no_part::into_status(cause, domain, entity.1),
            Self::Failed(cause) | Self::Row(cause) => {
                tracing::error!(domain, entity = entity.1, error = %cause, "query failed");
                status(Code::Internal, domain, ErrorReason::StoreFailed, message, [entity])
            }
        }
    }
}

/// A refusal that may be one field's fault.
fn at(
    code: Code,
    domain: &str,
    reason: ErrorReason,
    message: String,
    entity: (&str, &str),
    column: Option<&str>,
) -> Status {
    match column {
        Some(column) => status(code, domain, reason, message, [entity, ("column", column)]),
        None => status(code, domain, reason, message, [entity]),
    }
}

fn exists(columns: &[String]) -> String {
    match columns {
        [] => "there is such a record already".to_owned(),
        columns => format!("there is a record with the same {} already", columns.join(", ")),
    }
}
