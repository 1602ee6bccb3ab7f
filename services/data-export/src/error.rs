//! Every way the add-in can say no to the lifecycle service, and the one place that becomes a status.

use std::io;

use rpc::ErrorReason;
use rpc::audit::Decision;
use tonic::{Code, Status};

use crate::NAME;
use crate::web_api::ApiError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("`environment` must be `platformEnvironments/` and an id")]
    EnvironmentName,
    #[error("{0}")]
    Parameters(String),
    #[error("the table `{0}` is not in this environment")]
    UnknownTable(String),
    #[error("another installation writes to the folder `{0}`, above or below it")]
    FolderTaken(String),
    #[error("the folder `{0}` holds something else; choose another")]
    FolderInUse(String),
    #[error("there is no secret `{0}`")]
    NoSecret(String),
    #[error("{0}")]
    Denied(String),
    #[error("the add-in is not installed for `{0}`")]
    NotInstalled(String),
    #[error("the environment's Web API could not be used: {0}")]
    WebApi(String),
    #[error("the environment's Web API did not answer in time")]
    TimedOut,
    #[error("the add-in's own files could not be written; retry later")]
    Files(#[from] io::Error),
}

impl Error {
    /// What an error of the Web API is to who installs.
    pub(crate) fn of_web_api(error: ApiError) -> Self {
        match error {
            ApiError::NoTable(name) => Self::UnknownTable(name),
            ApiError::NoSecret(name) => Self::NoSecret(name),
            ApiError::TokenUrl(_) | ApiError::WebApiUrl(_) => Self::Parameters(error.to_string()),
            ApiError::Denied(_) | ApiError::TokenRefused(_) => Self::Denied(error.to_string()),
            ApiError::Refused { .. }
            | ApiError::Unavailable(_)
            | ApiError::Malformed(_)
            | ApiError::Stopped => Self::WebApi(error.to_string()),
        }
    }

    fn kind(&self) -> (Code, ErrorReason) {
        match self {
            Self::EnvironmentName
            | Self::Parameters(_)
            | Self::UnknownTable(_)
            | Self::FolderTaken(_)
            | Self::FolderInUse(_)
            | Self::NoSecret(_) => (Code::InvalidArgument, ErrorReason::ValidationFailed),
            Self::Denied(_) => (Code::PermissionDenied, ErrorReason::PrivilegeDenied),
            Self::NotInstalled(_) => (Code::NotFound, ErrorReason::ResourceNotFound),
            Self::WebApi(_) => (Code::Unavailable, ErrorReason::PeerUnavailable),
            Self::TimedOut => (Code::DeadlineExceeded, ErrorReason::DeadlineExceeded),
            Self::Files(_) => (Code::Unavailable, ErrorReason::StoreUnavailable),
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
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        if let Error::Files(cause) = &error {
            tracing::error!(error = %cause, "the data export's files could not be written");
        }
        let (code, reason) = error.kind();
        let message = error.to_string();
        match code {
            Code::Unavailable => rpc::unavailable(NAME, reason, message),
            _ => rpc::status(code, NAME, reason, message, []),
        }
    }
}
