//! Every way user-context can say no, and the one place that becomes a status.

use std::collections::HashMap;

use rpc::audit::Decision;
use rpc::{ErrorReason, KeyError};
use schema::InvalidName;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::content::Violation;
use crate::directory::OtherUser;
use crate::portal::Rule;

const DOMAIN: &str = "user-context";
/// The directory, where privileges are named.
const DIRECTORY: &str = "systemuser";

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the bearer token is refused: {0}")]
    Token(#[from] Refusal),
    #[error("the token's issuer does not answer; try again")]
    IssuerUnavailable,
    #[error("the token is valid, but its user is not one of this environment")]
    UnknownUser,
    #[error("the user is disabled in this environment")]
    Disabled,
    #[error("the calling user is not one of this environment any more")]
    CallerGone,
    #[error("the calling user is missing the privilege prvActOnBehalfOfAnotherUser")]
    MayNotImpersonate,
    #[error("only an application user that serves a portal may act as a portal's visitor")]
    MayNotServePortal,
    #[error("the portal's visitor is refused: {0}")]
    PortalVisitor(Rule),
    #[error("the user cannot stand behind a portal contact: {0}")]
    PortalUser(Rule),
    #[error("the portal's user mappings are not known at the moment; try again")]
    PortalUnavailable,
    #[error("the user to act for is not one of this environment")]
    NoSuchUser(OtherUser),
    #[error("`{0}` is no GUID")]
    NoGuid(&'static str),
    #[error("`{0}` is no name of a service")]
    Audience(String),
    #[error("only System, Security and tenant administrators may see and change the directory")]
    NotAdministrator,
    #[error(
        "a Security administrator may not make or change System administrators, nor give others their \
         ERP user"
    )]
    AboveSecurityAdministrator,
    #[error(
        "only System and tenant administrators may give or take a tenant's roles, or change users who hold \
         one"
    )]
    TenantRoles,
    #[error("a tenant administrator who is nothing else may only give and take a tenant's roles")]
    TenantRolesOnly,
    #[error("a Security administrator may not change what it may do itself")]
    OwnRights,
    #[error("`{0}` always exists and stays as it is")]
    AlwaysExists(String),
    #[error("there is no `{0}`")]
    NotFound(String),
    #[error("there is no user `{0}` in that directory")]
    NoUser(String),
    #[error("there is no database `{0}`, or no directory in it, or no such role")]
    NoDatabase(String),
    #[error(transparent)]
    Place(#[from] InvalidName),
    #[error("{}", told(.0))]
    Invalid(Vec<Violation>),
    #[error("`page_size` must not be negative")]
    PageSize(i32),
    #[error("`page_token` is not one that this service gave out")]
    PageToken,
    #[error("the assertion could not be signed")]
    Sign(#[from] KeyError),
    #[error("the directory is being changed; try again")]
    Busy,
    #[error("the directory's store is not available; try again later")]
    StoreUnavailable(#[source] sqlx::Error),
    #[error("the directory's store could not do it")]
    StoreFailed(#[source] sqlx::Error),
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
    #[error("it is of another tenant")]
    Tenant,
    #[error("it does not say clearly whether a person or an application sent it")]
    Subject,
}

impl Error {
    /// The code, and the reason for it.
    fn kind(&self) -> (Code, ErrorReason) {
        match self {
            Self::Token(_) | Self::CallerGone => {
                (Code::Unauthenticated, ErrorReason::InvalidAssertion)
            }
            Self::IssuerUnavailable | Self::PortalUnavailable => {
                (Code::Unavailable, ErrorReason::NotReady)
            }
            Self::UnknownUser | Self::Disabled => (Code::PermissionDenied, ErrorReason::NoErpUser),
            Self::MayNotImpersonate
            | Self::MayNotServePortal
            | Self::NotAdministrator
            | Self::AboveSecurityAdministrator
            | Self::TenantRoles
            | Self::TenantRolesOnly
            | Self::OwnRights => (Code::PermissionDenied, ErrorReason::PrivilegeDenied),
            Self::PortalVisitor(_) => (Code::PermissionDenied, ErrorReason::PortalUserRefused),
            Self::PortalUser(_) => (Code::FailedPrecondition, ErrorReason::PortalUserRefused),
            Self::NoSuchUser(_) | Self::NotFound(_) => {
                (Code::NotFound, ErrorReason::RecordNotFound)
            }
            Self::NoUser(_) | Self::NoDatabase(_) => {
                (Code::NotFound, ErrorReason::ResourceNotFound)
            }
            Self::AlwaysExists(_) => (Code::FailedPrecondition, ErrorReason::InUse),
            Self::NoGuid(_)
            | Self::Place(_)
            | Self::Audience(_)
            | Self::Invalid(_)
            | Self::PageSize(_)
            | Self::PageToken => (Code::InvalidArgument, ErrorReason::InvalidValue),
            Self::Sign(_) => (Code::Internal, ErrorReason::Unspecified),
            Self::Busy | Self::StoreUnavailable(_) => {
                (Code::Unavailable, ErrorReason::StoreUnavailable)
            }
            Self::StoreFailed(_) => (Code::Internal, ErrorReason::StoreFailed),
        }
    }

    /// The reason's name, for the audit.
    pub(crate) fn reason(&self) -> &'static str {
        self.kind().1.as_str_name().trim_start_matches("ERROR_REASON_")
    }

    /// What it is, for the audit.
    pub(crate) fn decision(&self) -> Decision {
        match self.kind().0 {
            Code::Unauthenticated | Code::PermissionDenied => Decision::Denied,
            _ => Decision::Failed,
        }
    }

    /// What a machine wants to know beside the reason.
    fn metadata(&self) -> [(&'static str, String); 2] {
        let none = || ("", String::new());
        let privilege = |name: &str| [("entity", DIRECTORY.into()), ("privilege", name.into())];
        let column = |name: &str, value: String| [("column", name.into()), ("value", value)];
        match self {
            Self::MayNotImpersonate => privilege("actOnBehalfOf"),
            Self::MayNotServePortal => privilege("servePortal"),
            Self::NotAdministrator => privilege("read"),
            Self::AboveSecurityAdministrator
            | Self::TenantRoles
            | Self::TenantRolesOnly
            | Self::OwnRights => privilege("write"),
            Self::PortalVisitor(rule) | Self::PortalUser(rule) => {
                [("rule", rule.name().into()), none()]
            }
            Self::NoSuchUser(OtherUser::ObjectId(id) | OtherUser::SystemUserId(id)) => {
                [("entity", DIRECTORY.into()), ("key", id.to_string())]
            }
            Self::NotFound(name) => [("entity", "directory".into()), ("key", name.clone())],
            Self::AlwaysExists(name) => [("resource", name.clone()), none()],
            Self::NoUser(name) => [("entity", DIRECTORY.into()), ("key", name.clone())],
            Self::NoDatabase(name) => [("resource", name.clone()), none()],
            Self::NoGuid(field) | Self::Place(InvalidName { field }) => {
                column(field, String::new())
            }
            Self::Audience(name) => column("audiences", name.clone()),
            Self::Invalid(found) => column(found.first().map_or("", |it| it.field), String::new()),
            Self::PageSize(size) => column("page_size", size.to_string()),
            Self::PageToken => column("page_token", String::new()),
            Self::Token(_)
            | Self::IssuerUnavailable
            | Self::UnknownUser
            | Self::Disabled
            | Self::CallerGone
            | Self::PortalUnavailable
            | Self::Sign(_)
            | Self::Busy
            | Self::StoreUnavailable(_)
            | Self::StoreFailed(_) => [none(), none()],
        }
    }

    fn log(&self) {
        match self {
            Self::Sign(cause) => tracing::error!(error = %cause, "could not sign an assertion"),
            Self::StoreUnavailable(cause) => {
                tracing::warn!(error = %cause, "the directory's store is not available");
            }
            Self::StoreFailed(cause) => {
                tracing::error!(error = %cause, "the directory's store failed");
            }
            _ => {}
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.log();
        let (code, reason) = error.kind();
        let message = error.to_string();
        if code == Code::Unavailable {
            return rpc::unavailable(DOMAIN, reason, message);
        }
        let metadata = error.metadata().into_iter().filter(|it| !it.0.is_empty());
        let metadata: HashMap<_, _> =
            metadata.map(|(name, value)| (name.to_owned(), value)).collect();
        let domain = format!("tombolo.{DOMAIN}");
        let mut details = ErrorDetails::with_error_info(error.reason(), domain, metadata);
        if let Error::Invalid(found) = &error {
            details.set_bad_request(found.iter().map(field_violation).collect::<Vec<_>>());
        }
        Self::with_error_details(code, message, details)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        let code = error.as_database_error().and_then(|it| it.code());
        match (code.as_deref(), &error) {
            // Somebody else holds the lock.
            (Some("55P03"), _) => Self::Busy,
            // Connections, resources, an operator's intervention; a standby that does not write.
            (Some(code), _)
                if ["08", "53", "57", "25006"].iter().any(|it| code.starts_with(it)) =>
            {
                Self::StoreUnavailable(error)
            }
            (None, E::Io(_) | E::Tls(_) | E::Protocol(_) | E::PoolTimedOut | E::PoolClosed) => {
                Self::StoreUnavailable(error)
            }
            _ => Self::StoreFailed(error),
        }
    }
}

fn field_violation(it: &Violation) -> FieldViolation {
    FieldViolation::new(format!("{}.{}", it.resource, it.field), it.reason.clone())
}

fn told(found: &[Violation]) -> String {
    let one = |it: &Violation| format!("{}: `{}`: {}", it.resource, it.field, it.reason);
    found.iter().map(one).collect::<Vec<_>>().join("\n")
}
