//! Every way user-context can say no, and the one place that becomes a status.

use rpc::{ErrorReason, KeyError, status, unavailable};
use tonic::{Code, Status};

use crate::users::OtherUser;

pub(crate) const DOMAIN: &str = "user-context";

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the bearer token is refused: {0}")]
    Token(#[from] Refusal),
    #[error("the token's issuer does not answer; try again")]
    IssuerUnavailable,
    #[error("the token is valid, but its user is not one of this environment")]
    UnknownUser,
    #[error("the calling user is not one of this environment any more")]
    CallerGone,
    #[error("the calling user is missing the privilege prvActOnBehalfOfAnotherUser")]
    MayNotImpersonate,
    #[error("the user to act for is not one of this environment")]
    NoSuchUser(OtherUser),
    #[error("`{0}` is no GUID")]
    NoGuid(&'static str),
    #[error("only a system administrator may list users")]
    NotAdministrator,
    #[error("`page_size` must not be negative")]
    PageSize(i32),
    #[error("`page_token` is not one that this service gave out")]
    PageToken,
    #[error("the assertion could not be signed")]
    Sign(#[from] KeyError),
}

/// Why a token is not believed. Says nothing that only the token knew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is none")]
    Empty,
    #[error("it is too long to be one")]
    TooLong,
    #[error("it is malformed")]
    Malformed,
    #[error("its issuer is not trusted here")]
    UnknownIssuer,
    #[error("its issuer has no such key")]
    UnknownKey,
    #[error("it is signed by another algorithm than its key is for")]
    Algorithm,
    #[error("its signature is wrong")]
    Signature,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYet,
    #[error("it is meant for another audience")]
    Audience,
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let refuse = |code, reason| status(code, DOMAIN, reason, message.as_str(), []);
        match &error {
            Error::Token(_) | Error::CallerGone => {
                refuse(Code::Unauthenticated, ErrorReason::InvalidAssertion)
            }
            Error::IssuerUnavailable => unavailable(DOMAIN, ErrorReason::NotReady, message),
            Error::UnknownUser => refuse(Code::PermissionDenied, ErrorReason::NoErpUser),
            Error::NotAdministrator => {
                let metadata = [("entity", "systemuser"), ("privilege", "read")];
                let reason = ErrorReason::PrivilegeDenied;
                status(Code::PermissionDenied, DOMAIN, reason, message, metadata)
            }
            Error::MayNotImpersonate => {
                let metadata = [("entity", "systemuser"), ("privilege", "actOnBehalfOf")];
                let reason = ErrorReason::PrivilegeDenied;
                status(Code::PermissionDenied, DOMAIN, reason, message, metadata)
            }
            Error::NoSuchUser(user) => {
                let (OtherUser::ObjectId(id) | OtherUser::SystemUserId(id)) = user;
                let id = id.to_string();
                let metadata = [("entity", "systemuser"), ("key", id.as_str())];
                status(Code::NotFound, DOMAIN, ErrorReason::RecordNotFound, message, metadata)
            }
            Error::NoGuid(field) => invalid(field, "", message),
            Error::PageSize(size) => invalid("page_size", &size.to_string(), message),
            Error::PageToken => invalid("page_token", "", message),
            Error::Sign(cause) => {
                tracing::error!(error = %cause, "could not sign an assertion");
                refuse(Code::Internal, ErrorReason::Unspecified)
            }
        }
    }
}

fn invalid(column: &str, value: &str, message: String) -> Status {
    let metadata = [("column", column), ("value", value)];
    status(Code::InvalidArgument, DOMAIN, ErrorReason::InvalidValue, message, metadata)
}
