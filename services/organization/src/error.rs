//! Every way the organization can say no, and the one place where that becomes a status.

use rpc::{ErrorReason, status, unavailable};
use schema::{InvalidName, OpenError};
use tonic::{Code, Status};

pub(crate) const DOMAIN: &str = "organization";

/// Why a call was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value that does not fit.
    #[error("`{field}` {reason}")]
    InvalidValue {
        /// Of the message.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No database of that name to work in.
    #[error("there is no database `{0}`, or no such role")]
    NoDatabase(String),
    /// A name of a database or a role that is none.
    #[error(transparent)]
    Place(#[from] InvalidName),
    /// Something else has to be installed before.
    #[error("{what} needs the package {missing}; install that one first")]
    RequirementUnmet {
        /// What was to be installed.
        what: String,
        /// Unique name of a package.
        missing: String,
    },
    /// The store does not answer.
    #[error("the organization's store is not available; try again later")]
    StoreUnavailable(#[source] sqlx::Error),
    /// The store answered with an error of its own.
    #[error("the organization's store could not do it")]
    StoreFailed(#[source] sqlx::Error),
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
    /// A package's own file is broken.
    #[error("the package {file}: {error}")]
    Package {
        /// Its name.
        file: &'static str,
        /// What is wrong with it.
        error: toml::de::Error,
    },
    /// The store cannot be opened.
    #[error("the organization's store: {0}")]
    Store(#[from] sqlx::Error),
    /// The store cannot be brought up to date.
    #[error("the organization's store cannot be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// What came with an installed package cannot be installed.
    #[error("what comes with installed packages: {0}")]
    Packages(#[from] Error),
    /// The database's URL is malformed.
    #[error("the organization's store: {0}")]
    Url(#[from] provider::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let refusal = error.as_database_error().and_then(|it| it.constraint());
        match refusal.and_then(unique_field) {
            Some(field) => Self::InvalidValue { field, reason: "is another row's" },
            None if provider::is_unavailable(&error) => Self::StoreUnavailable(error),
            None => Self::StoreFailed(error),
        }
    }
}

/// The message's field behind a unique index that an import can hit.
fn unique_field(constraint: &str) -> Option<&'static str> {
    match constraint {
        "systemuser_azureactivedirectoryobjectid_key" => Some("object_id"),
        "systemuser_domainname" => Some("domain_name"),
        "cdm_company_code" => Some("code"),
        _ => None,
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
            Error::NoDatabase(name) => {
                let metadata = [("resource", name.as_str())];
                status(Code::NotFound, DOMAIN, ErrorReason::ResourceNotFound, message, metadata)
            }
            Error::RequirementUnmet { missing, .. } => {
                let metadata = [("resource", missing.as_str())];
                let reason = ErrorReason::RequirementUnmet;
                status(Code::FailedPrecondition, DOMAIN, reason, message, metadata)
            }
            Error::InvalidValue { field, .. } | Error::Place(InvalidName { field }) => {
                let metadata = [("column", *field)];
                status(Code::InvalidArgument, DOMAIN, ErrorReason::InvalidValue, message, metadata)
            }
            Error::StoreUnavailable(cause) => {
                tracing::warn!(error = %cause, "the organization's store is not available");
                unavailable(DOMAIN, ErrorReason::StoreUnavailable, message)
            }
            Error::StoreFailed(cause) => {
                tracing::error!(error = %cause, "the organization's store failed");
                status(Code::Internal, DOMAIN, ErrorReason::StoreFailed, message, [])
            }
        }
    }
}
