//! Every way the gateway can say no, with the platform's status, code and text
//! (spec lifecycle-and-web-api §2.12), and the one place that turns a provider's status into it.

use axum::http::StatusCode;
use fetchxml::{FetchXmlError, JsonError, PrintError};
use odata::{InvalidEncoding, OptionError, PageTokenError, PathError, SyntaxError};
use rpc::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::metadata::{Source, Table};

/// Name of the namespace that types are in.
pub(crate) const NAMESPACE: &str = "Microsoft.Dynamics.CRM";

#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    #[error("Resource not found for the segment '{0}'.")]
    UnknownSegment(String),
    #[error("No HTTP resource was found that matches the request URI '{0}'.")]
    NoRoute(String),
    #[error("The entity with a name = '{0}' was not found in the MetadataCache.")]
    UnknownTable(String),
    #[error("Could not find a property named '{column}' on type '{NAMESPACE}.{table}'.")]
    UnknownColumn { column: String, table: String },
    /// [`Self::UnknownColumn`] in the words of FetchXML.
    #[error(
        "'{table}' entity doesn't contain attribute with Name = '{column}' and NameMapping = \
         'Logical' (look up attribute by name is case-sensitive)"
    )]
    UnknownAttribute { column: String, table: String },
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Encoding(#[from] InvalidEncoding),
    #[error(transparent)]
    Option(#[from] OptionError),
    #[error(
        "A binary operator with incompatible operand types was detected. Found operand types \
         '{left}' and '{right}' for operator kind '{operator}'."
    )]
    IncompatibleTypes { left: String, right: String, operator: &'static str },
    #[error("{0}")]
    InvalidFilter(String),
    #[error("The column '{column}' of '{table}' cannot be used in a filter or an order.")]
    NotFilterable { column: String, table: String },
    #[error("Number of conditions in query exceeded maximum limit.")]
    TooManyConditions,
    #[error("Number of link entities in query exceeded maximum limit.")]
    TooManyLinks,
    #[error("AggregateQueryRecordLimit exceeded. Cannot perform this operation.")]
    AggregateLimit,
    /// A FetchXML document, or a query in the SDK's form, that is none.
    #[error("{0}")]
    InvalidDocument(String),
    #[error("Not operator along with the Custom Named Condition operators is not allowed")]
    NegatedFunction,
    #[error("{0} is not offered yet.")]
    NotOffered(String),
    #[error(
        "Bad Request - Error in query syntax: '({key})' is not a key of '{NAMESPACE}.{table}'."
    )]
    BadKey { key: String, table: String },
    #[error("The method {method} is not supported for '{resource}'.")]
    MethodNotAllowed { method: String, resource: String, allow: &'static str },
    #[error("Entity '{table}' With Id = {id} Does Not Exist")]
    RecordNotFound { table: String, id: uuid::Uuid },
    #[error("Version stamp associated with the client has expired. Please perform a full sync.")]
    VersionStampExpired,
    #[error("Could not find a metadata object with {0}.")]
    MetadataNotFound(String),
    #[error("A record with the specified key values does not exist in {table} entity")]
    RecordNotFoundByKey { table: String },
    #[error("A record with matching key values already exists.")]
    RecordExists,
    #[error("The version of the existing record doesn't match the RowVersion property provided.")]
    VersionMismatch,
    #[error("{0}")]
    PageToken(#[from] PageTokenError),
    #[error("The requested resource requires authentication.")]
    Unauthenticated,
    #[error("{0}")]
    PrivilegeDenied(String),
    #[error("The user is not a member of the organization.")]
    UnknownUser,
    #[error("{0}")]
    InvalidQuery(String),
    #[error("{0}")]
    InvalidValue(String),
    #[error("Error identified in Payload provided by the user for Entity :'{set}': {detail}")]
    Payload { set: String, detail: String },
    #[error("The request body is larger than {0} bytes.")]
    BodyTooLarge(usize),
    #[error("The request URI is longer than {0} characters.")]
    UrlTooLong(usize),
    #[error("{0}")]
    InvalidModel(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("The request was not answered in time.")]
    Timeout,
    #[error("An unexpected error occurred.")]
    Internal,
}

impl GatewayError {
    pub(crate) fn unknown_column(table: &Table, column: &str) -> Self {
        Self::UnknownColumn { column: column.to_owned(), table: table.logical_name.clone() }
    }

    /// `privilege` as providers name it: `read`, `write`.
    pub(crate) fn missing_privilege(table: &Table, privilege: &str) -> Self {
        let table = &table.logical_name;
        let (first, rest) = privilege.split_at_checked(1).unwrap_or_default();
        let privilege = format!("prv{}{rest}{table}", first.to_ascii_uppercase());
        let message =
            format!("Principal user is missing {privilege} privilege for entity '{table}'.");
        Self::PrivilegeDenied(message)
    }

    /// HTTP status and platform code.
    pub(crate) fn platform(&self) -> (StatusCode, &'static str) {
        match self {
            Self::UnknownSegment(_) => (StatusCode::NOT_FOUND, "0x8006088a"),
            Self::NoRoute(_) => (StatusCode::NOT_FOUND, ""),
            Self::UnknownTable(_) => (StatusCode::BAD_REQUEST, "0x80041102"),
            Self::UnknownAttribute { .. } => (StatusCode::BAD_REQUEST, "0x80041103"),
            Self::UnknownColumn { .. }
            | Self::Syntax(_)
            | Self::Path(_)
            | Self::Encoding(_)
            | Self::IncompatibleTypes { .. }
            | Self::InvalidFilter(_)
            | Self::BadKey { .. } => (StatusCode::BAD_REQUEST, "0x0"),
            Self::Option(_) | Self::NotFilterable { .. } | Self::InvalidQuery(_) => {
                (StatusCode::BAD_REQUEST, "0x80060888")
            }
            Self::TooManyConditions => (StatusCode::BAD_REQUEST, "0x8004430C"),
            Self::TooManyLinks => (StatusCode::BAD_REQUEST, "0x8004430D"),
            Self::AggregateLimit => (StatusCode::BAD_REQUEST, "0x8004E023"),
            Self::NegatedFunction => (StatusCode::METHOD_NOT_ALLOWED, "0x80060888"),
            Self::NotOffered(_) => (StatusCode::NOT_IMPLEMENTED, "0x80060888"),
            Self::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, "0x80060888"),
            Self::RecordNotFound { .. } | Self::MetadataNotFound(_) => {
                (StatusCode::NOT_FOUND, "0x80040217")
            }
            Self::RecordNotFoundByKey { .. } => (StatusCode::NOT_FOUND, "0x80060891"),
            Self::RecordExists => (StatusCode::PRECONDITION_FAILED, "0x80040237"),
            Self::VersionMismatch => (StatusCode::PRECONDITION_FAILED, "0x80060882"),
            Self::PageToken(_) | Self::InvalidValue(_) | Self::InvalidDocument(_) => {
                (StatusCode::BAD_REQUEST, "0x80040203")
            }
            Self::VersionStampExpired => (StatusCode::BAD_REQUEST, "0x80044352"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "0x8005F101"),
            Self::PrivilegeDenied(_) => (StatusCode::FORBIDDEN, "0x80040220"),
            Self::UnknownUser => (StatusCode::FORBIDDEN, "0x80072560"),
            Self::Payload { .. } => (StatusCode::BAD_REQUEST, "0x80048d19"),
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "0x80048d19"),
            Self::UrlTooLong(_) => (StatusCode::URI_TOO_LONG, "0x80060888"),
            Self::InvalidModel(_) => (StatusCode::BAD_REQUEST, "0x80048d0b"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "0x80048d0b"),
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "0x80044151"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "0x80040216"),
        }
    }

    /// What a provider's refusal means to the client. Logs what the client must not be told.
    pub(crate) fn of_provider(status: &Status, table: &Table) -> Self {
        match rpc::reason(status) {
            Some(ErrorReason::EntityNotFound) => Self::UnknownSegment(table.set_name.clone()),
            Some(ErrorReason::ColumnNotFound) => {
                // The table changed between our metadata and the provider's.
                let info = status.get_details_error_info();
                let column = info.and_then(|it| it.metadata.get("column").cloned());
                Self::unknown_column(table, &column.unwrap_or_default())
            }
            Some(ErrorReason::StoreUnavailable) if !rpc::is_busy(status) => {
                Self::Unavailable(unavailable(table.source))
            }
            // Nothing that a reader could do about it, and everything that an administrator can.
            Some(ErrorReason::InvalidModel) if table.source == Source::Erp => {
                Self::Unavailable(status.message().to_owned())
            }
            Some(ErrorReason::PrivilegeDenied) => {
                let info = status.get_details_error_info();
                match info.and_then(|it| it.metadata.get("privilege").cloned()) {
                    Some(privilege) => Self::missing_privilege(table, &privilege),
                    None => Self::PrivilegeDenied(status.message().to_owned()),
                }
            }
            _ => Self::of_service(status),
        }
    }

    /// What the refusal of a service that serves no table means to the client.
    pub(crate) fn of_service(status: &Status) -> Self {
        let message = || status.message().to_owned();
        match rpc::reason(status) {
            Some(ErrorReason::NoCaller | ErrorReason::InvalidAssertion) => Self::Unauthenticated,
            Some(ErrorReason::PrivilegeDenied) => Self::PrivilegeDenied(message()),
            Some(ErrorReason::NoErpUser) => Self::UnknownUser,
            Some(ErrorReason::InvalidQuery) => Self::InvalidQuery(message()),
            Some(ErrorReason::InvalidValue) => Self::InvalidValue(message()),
            // Of reads, the only limit is that of the rows that an aggregate goes over.
            Some(ErrorReason::LimitExceeded) => Self::AggregateLimit,
            Some(ErrorReason::VersionMismatch) => Self::VersionMismatch,
            Some(ErrorReason::RecordExists) => Self::RecordExists,
            Some(ErrorReason::DeadlineExceeded) => Self::Timeout,
            Some(ErrorReason::NotSupported | ErrorReason::ActionNotFound) => {
                Self::NotOffered("This operation".to_owned())
            }
            Some(ErrorReason::StoreUnavailable) if rpc::is_busy(status) => {
                Self::Unavailable(message())
            }
            Some(ErrorReason::StoreUnavailable | ErrorReason::NotReady) => {
                Self::Unavailable("A service is not available; try again later.".to_owned())
            }
            Some(ErrorReason::InvalidModel) => Self::InvalidModel(message()),
            // Reasons that no client of ours can cause, or of services that are not called here.
            Some(_) => Self::internal(status),
            None => Self::of_transport(status),
        }
    }

    /// A status that no service made: the connection failed, or the wait ended.
    fn of_transport(status: &Status) -> Self {
        match status.code() {
            Code::DeadlineExceeded | Code::Cancelled => Self::Timeout,
            Code::Unavailable => {
                tracing::warn!(error = %status, "a service is not available");
                Self::Unavailable("A service is not available; try again later.".to_owned())
            }
            // What the transport says of a message above its limit, whoever of the two met it.
            Code::OutOfRange => {
                tracing::warn!(error = %status, "a message between services was too large");
                let message = "The request, or a part of its answer, is too large.";
                Self::InvalidQuery(message.to_owned())
            }
            _ => Self::internal(status),
        }
    }

    fn internal(status: &Status) -> Self {
        tracing::error!(error = %status, "a service failed");
        Self::Internal
    }
}

fn unavailable(source: Source) -> String {
    match source {
        Source::Erp => "The finance and operations app does not answer; try again later.",
        Source::Organization | Source::Catalog => {
            "The platform's store does not answer; try again later."
        }
    }
    .to_owned()
}

impl From<FetchXmlError> for GatewayError {
    fn from(error: FetchXmlError) -> Self {
        match error {
            FetchXmlError::TooManyLinks => Self::TooManyLinks,
            FetchXmlError::TooManyConditions => Self::TooManyConditions,
            FetchXmlError::NotOffered { what, .. } => Self::NotOffered(what.to_owned()),
            FetchXmlError::Xml { .. }
            | FetchXmlError::Invalid { .. }
            | FetchXmlError::TooLong
            | FetchXmlError::TooDeep => Self::InvalidDocument(error.to_string()),
        }
    }
}

impl From<JsonError> for GatewayError {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::TooManyLinks => Self::TooManyLinks,
            JsonError::TooManyConditions => Self::TooManyConditions,
            JsonError::Member { .. } | JsonError::Invalid(_) => {
                Self::InvalidDocument(error.to_string())
            }
        }
    }
}

impl From<PrintError> for GatewayError {
    fn from(error: PrintError) -> Self {
        Self::InvalidQuery(error.to_string())
    }
}

impl From<GatewayError> for Status {
    fn from(error: GatewayError) -> Self {
        let (http, _) = error.platform();
        let message = error.to_string();
        let refuse = |code, reason| rpc::status(code, "gateway", reason, message.as_str(), []);
        match &error {
            GatewayError::UnknownTable(_) | GatewayError::UnknownSegment(_) => {
                refuse(Code::NotFound, ErrorReason::EntityNotFound)
            }
            GatewayError::UnknownColumn { .. } | GatewayError::UnknownAttribute { .. } => {
                refuse(Code::InvalidArgument, ErrorReason::ColumnNotFound)
            }
            GatewayError::RecordNotFound { .. } | GatewayError::RecordNotFoundByKey { .. } => {
                refuse(Code::NotFound, ErrorReason::RecordNotFound)
            }
            GatewayError::Unauthenticated => {
                refuse(Code::Unauthenticated, ErrorReason::InvalidAssertion)
            }
            GatewayError::PrivilegeDenied(_) => {
                refuse(Code::PermissionDenied, ErrorReason::PrivilegeDenied)
            }
            GatewayError::UnknownUser => refuse(Code::PermissionDenied, ErrorReason::NoErpUser),
            GatewayError::Unavailable(_) => {
                rpc::unavailable("gateway", ErrorReason::StoreUnavailable, message)
            }
            GatewayError::Timeout => refuse(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded),
            GatewayError::Internal => refuse(Code::Internal, ErrorReason::StoreFailed),
            GatewayError::InvalidValue(_)
            | GatewayError::IncompatibleTypes { .. }
            | GatewayError::PageToken(_) => {
                refuse(Code::InvalidArgument, ErrorReason::InvalidValue)
            }
            GatewayError::InvalidModel(_) => {
                refuse(Code::FailedPrecondition, ErrorReason::InvalidModel)
            }
            GatewayError::AggregateLimit => {
                refuse(Code::FailedPrecondition, ErrorReason::LimitExceeded)
            }
            GatewayError::RecordExists => refuse(Code::AlreadyExists, ErrorReason::RecordExists),
            GatewayError::VersionMismatch => refuse(Code::Aborted, ErrorReason::VersionMismatch),
            _ if http == StatusCode::NOT_IMPLEMENTED => {
                refuse(Code::Unimplemented, ErrorReason::NotSupported)
            }
            _ => refuse(Code::InvalidArgument, ErrorReason::InvalidQuery),
        }
    }
}
