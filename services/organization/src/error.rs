//! Every way the organization can say no, and the one place where that becomes a status.

use rpc::{ErrorReason, status, unavailable};
use tonic::{Code, Status};

pub(crate) const DOMAIN: &str = "organization";

/// Why a call was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No native table of that name.
    #[error("there is no native table `{0}`")]
    TableNotFound(String),
    /// A value that does not fit.
    #[error("`{field}` {reason}")]
    InvalidValue {
        /// Of the message.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something that is not offered.
    #[error("{0} native rows is not offered yet")]
    NotSupported(&'static str),
    /// The store does not answer, or refuses.
    #[error("the organization's store is not available; try again later")]
    Store(#[from] sqlx::Error),
}

/// Why the organization cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The native tables' own definitions are broken.
    #[error("the native tables: {0}")]
    Model(#[from] model::LoadError),
    /// As above.
    #[error("the native tables: {0}")]
    Binding(#[from] provider::InvalidBinding),
    /// The store cannot be opened.
    #[error("the organization's store: {0}")]
    Store(#[from] sqlx::Error),
    /// The store cannot be brought up to date.
    #[error("the organization's store cannot be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The database's URL is malformed.
    #[error("the organization's store: {0}")]
    Url(#[from] provider::Error),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match &error {
            Error::TableNotFound(table) => {
                let metadata = [("entity", table.as_str())];
                status(Code::NotFound, DOMAIN, ErrorReason::EntityNotFound, message, metadata)
            }
            Error::InvalidValue { field, .. } => {
                let metadata = [("column", *field)];
                status(Code::InvalidArgument, DOMAIN, ErrorReason::InvalidValue, message, metadata)
            }
            Error::NotSupported(_) => {
                status(Code::Unimplemented, DOMAIN, ErrorReason::NotSupported, message, [])
            }
            Error::Store(cause) => {
                tracing::error!(error = %cause, "the organization's store failed");
                unavailable(DOMAIN, ErrorReason::StoreUnavailable, message)
            }
        }
    }
}
