//! Every way the catalog can say no, and the one place where that becomes a status.

use rpc::{ErrorReason, status, unavailable};
use schema::{InvalidName, OpenError};
use tonic::{Code, Status};

use crate::list_entity::{CHANGE_TRACKING, TABLE};

pub(crate) const DOMAIN: &str = "catalog";

/// Why a call was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No data entity of that name.
    #[error("there is no data entity `{0}`")]
    EntityNotFound(String),
    /// No catalog row of that id.
    #[error("there is no such row in the catalog")]
    RecordNotFound,
    /// No declared relationship of that id.
    #[error("there is no declared relationship `{0}`")]
    RelationshipNotFound(String),
    /// No database of that name to bring up to date.
    #[error("there is no database `{0}`, or no such role")]
    NoDatabase(String),
    /// A name of a database or a role that is none.
    #[error(transparent)]
    Place(#[from] InvalidName),
    /// A declared relationship has that id.
    #[error("there is a declared relationship `{0}`; it can be deleted, and never changed")]
    RelationshipExists(String),
    /// The caller may not see the catalog.
    #[error("user `{0}` is missing the privilege to read the catalog")]
    MayNotRead(String),
    /// Only administrators change the catalog.
    #[error("user `{0}` may not change the catalog; it takes a System administrator")]
    NotAdministrator(String),
    /// A value that does not fit.
    #[error("`{column}`: {reason}")]
    InvalidValue {
        /// Of the message or the row.
        column: String,
        /// What would fit.
        reason: &'static str,
    },
    /// The row changed since it was read.
    #[error("the row was changed by somebody else; read it again")]
    VersionMismatch,
    /// Only changes of visible entities are tracked (spec E12).
    #[error("Could not find an entity with name {0} and id 00000000-0000-0000-0000-000000000000")]
    NotVisible(String),
    /// Changes of the entity cannot be tracked, in the platform's words.
    #[error("{0}")]
    NotTrackable(String),
    /// Something that is not offered.
    #[error("{0} is not offered")]
    NotSupported(&'static str),
    /// The model on disk is wrong; what was published stays.
    #[error("the model is wrong, so nothing was changed:\n{0}")]
    InvalidModel(#[from] model::LoadError),
    /// The change before this one takes too long (spec E11).
    #[error("PluginSqlLockManager failed to acquire lock: the catalog is being changed; try again")]
    Busy,
    /// The store does not answer.
    #[error("the catalog's store is not available; try again later")]
    StoreUnavailable(#[source] sqlx::Error),
    /// The store answered with an error of its own.
    #[error("the catalog's store could not do it")]
    StoreFailed(#[source] sqlx::Error),
}

/// Why the catalog cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The model is wrong.
    #[error("the model is wrong:\n{0}")]
    Model(#[from] model::LoadError),
    /// The store cannot be opened.
    #[error("the catalog's store: {0}")]
    Store(#[from] sqlx::Error),
    /// The store cannot be brought up to date.
    #[error("the catalog's store cannot be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The database's URL is malformed.
    #[error("the catalog's store: {0}")]
    Url(#[from] provider::Error),
    /// The catalog's own definition is broken.
    #[error("the catalog's own entity: {0}")]
    ListEntity(#[from] provider::InvalidBinding),
    /// The first change could not be made.
    #[error("{0}")]
    FirstChange(#[from] Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|it| it.code());
        match code.as_deref() {
            Some("55P03") => Self::Busy,
            _ if provider::is_unavailable(&error) => Self::StoreUnavailable(error),
            _ => Self::StoreFailed(error),
        }
    }
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Connect(error) => Self::Store(error),
            OpenError::Migrate(error) => Self::Migrate(error),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match &error {
            Error::EntityNotFound(entity) => {
                let metadata = [("entity", entity.as_str())];
                status(Code::NotFound, DOMAIN, ErrorReason::EntityNotFound, message, metadata)
            }
            Error::RecordNotFound => {
                status(Code::NotFound, DOMAIN, ErrorReason::RecordNotFound, message, [])
            }
            Error::RelationshipNotFound(_) => {
                status(Code::NotFound, DOMAIN, ErrorReason::ResourceNotFound, message, [])
            }
            Error::NoDatabase(name) => {
                let metadata = [("resource", name.as_str())];
                status(Code::NotFound, DOMAIN, ErrorReason::ResourceNotFound, message, metadata)
            }
            Error::Place(InvalidName { field }) => {
                let metadata = [("column", *field)];
                status(Code::InvalidArgument, DOMAIN, ErrorReason::InvalidValue, message, metadata)
            }
            Error::RelationshipExists(_) => {
                status(Code::AlreadyExists, DOMAIN, ErrorReason::ResourceExists, message, [])
            }
            Error::MayNotRead(_) => {
                let metadata = [("entity", TABLE), ("privilege", "read")];
                let reason = ErrorReason::PrivilegeDenied;
                status(Code::PermissionDenied, DOMAIN, reason, message, metadata)
            }
            Error::NotAdministrator(_) => {
                let metadata = [("privilege", "write")];
                let reason = ErrorReason::PrivilegeDenied;
                status(Code::PermissionDenied, DOMAIN, reason, message, metadata)
            }
            Error::InvalidValue { column, .. } => {
                let metadata = [("column", column.as_str())];
                status(Code::InvalidArgument, DOMAIN, ErrorReason::InvalidValue, message, metadata)
            }
            Error::VersionMismatch => {
                status(Code::Aborted, DOMAIN, ErrorReason::VersionMismatch, message, [])
            }
            Error::NotVisible(table) => {
                let metadata = [("entity", table.as_str())];
                status(Code::NotFound, DOMAIN, ErrorReason::EntityNotFound, message, metadata)
            }
            Error::NotTrackable(_) => {
                let metadata = [("column", CHANGE_TRACKING)];
                let reason = ErrorReason::BusinessRule;
                status(Code::FailedPrecondition, DOMAIN, reason, message, metadata)
            }
            Error::NotSupported(_) => {
                status(Code::Unimplemented, DOMAIN, ErrorReason::NotSupported, message, [])
            }
            Error::InvalidModel(_) => {
                status(Code::FailedPrecondition, DOMAIN, ErrorReason::InvalidModel, message, [])
            }
            Error::Busy => unavailable(DOMAIN, ErrorReason::StoreUnavailable, message),
            Error::StoreUnavailable(cause) => {
                tracing::warn!(error = %cause, "the catalog's store is not available");
                unavailable(DOMAIN, ErrorReason::StoreUnavailable, message)
            }
            Error::StoreFailed(cause) => {
                tracing::error!(error = %cause, "the catalog's store failed");
                status(Code::Internal, DOMAIN, ErrorReason::StoreFailed, message, [])
            }
        }
    }
}
