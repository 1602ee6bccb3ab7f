//! Every way the gateway can say no, with the platform's status, code and text
//! (spec lifecycle-and-web-api §2.12). `of_status` is the one place that turns a service's status into it,
//! `into_status` the one that makes it a status again for gRPC's clients, and `peer` says that the other side
//! of dual-write did not follow.

mod into_status;
mod of_status;
mod peer;

use axum::http::StatusCode;
use fetchxml::{FetchXmlError, JsonError, PrintError};
use odata::{BatchError, InvalidEncoding, OptionError, PageTokenError, PathError, SyntaxError};

pub(crate) use self::peer::{PeerProblem, PeerRefusal};
use crate::limits::{Exceeded, Limit};
use crate::metadata::Table;

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
    /// [`Self::RecordNotFound`] in the words of requests that write.
    #[error("{table} With Id = {id} Does Not Exist")]
    NothingToChange { table: String, id: uuid::Uuid },
    #[error("Version stamp associated with the client has expired. Please perform a full sync.")]
    VersionStampExpired,
    #[error("Change tracking is not enabled for the entity '{0}'.")]
    ChangeTrackingDisabled(String),
    #[error("Could not find a metadata object with {0}.")]
    MetadataNotFound(String),
    #[error("A record with the specified key values does not exist in {table} entity")]
    RecordNotFoundByKey { table: String },
    #[error("A record with matching key values already exists.")]
    RecordExists,
    /// [`Self::RecordExists`] where an alternate key is taken.
    #[error("A record with matching key values already exists: {columns}.")]
    KeyTaken { columns: String },
    /// Several records have the key that is to name one.
    #[error("More than one record has the key given: {columns}. Address the record by its id.")]
    KeyNotUnique { columns: String },
    /// The ERP's own rules say no, in their own words.
    #[error("{0}")]
    BusinessRule(String),
    #[error("{action} not allowed for field '{table}.{column}'")]
    ReadOnly { action: &'static str, table: String, column: String },
    #[error(
        "A validation error occurred.  The length of the '{column}' attribute of the '{table}' \
         entity exceeded the maximum allowed length of '{most}'."
    )]
    TooLong { column: String, table: String, most: usize },
    #[error("{0}")]
    InUse(String),
    /// Nothing was done, and the same again may be.
    #[error("{0}")]
    WriteConflict(String),
    /// Something was done or nothing, and it is decided or about to be.
    #[error("{0}")]
    OutcomePending(String),
    #[error("{0}")]
    KeyReused(String),
    /// A message that a table does not take.
    #[error("{0}")]
    MessageNotSupported(String),
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
    /// No ERP user may act for the portal's visitor.
    #[error("{0}")]
    PortalUserRefused(String),
    /// A column that the query names, or that a value is given.
    #[error(
        "Principal user is missing {privilege} permission for column '{column}' of entity '{table}'."
    )]
    ColumnDenied { privilege: String, column: String, table: String },
    /// The service between, whoever its user is.
    #[error("{0}")]
    ServiceDenied(String),
    /// Too much of one user within a window.
    #[error("{}", too_much(.0))]
    LimitExceeded(Exceeded),
    #[error("{0}")]
    InvalidQuery(String),
    #[error("{0}")]
    InvalidValue(String),
    #[error("Error identified in Payload provided by the user for Entity :'{set}': {detail}")]
    Payload { set: String, detail: String },
    /// A batch that cannot be read, or must not run.
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("Content-ID Reference: '${0}' does not exist in the batch context.")]
    UnknownContentId(String),
    #[error("The request body is larger than {0} bytes.")]
    BodyTooLarge(usize),
    #[error("The request URI is longer than {0} characters.")]
    UrlTooLong(usize),
    #[error("{0}")]
    InvalidModel(String),
    #[error("Dataverse instance isn't integrated with finance and operations.")]
    NotLinked,
    /// What is there cannot take this now.
    #[error("{0}")]
    Conflict(String),
    /// Of one user.
    #[error("{0}")]
    TooMany(String),
    #[error("{0}")]
    Unavailable(String),
    /// The other side of dual-write did not follow, and nothing was done.
    #[error("{message}")]
    Peer { problem: PeerProblem, message: String },
    #[error("The request was not answered in time.")]
    Timeout,
    #[error("An unexpected error occurred.")]
    Internal,
}

impl GatewayError {
    pub(crate) fn unknown_column(table: &Table, column: &str) -> Self {
        Self::UnknownColumn { column: column.to_owned(), table: table.logical_name.clone() }
    }

    /// `privilege` as providers name it: `read`, `update`.
    pub(crate) fn missing_privilege(table: &Table, privilege: &str) -> Self {
        let table = &table.logical_name;
        let privilege = if privilege == "update" { "write" } else { privilege };
        let (first, rest) = privilege.split_at_checked(1).unwrap_or_default();
        let privilege = format!("prv{}{rest}{table}", first.to_ascii_uppercase());
        let message =
            format!("Principal user is missing {privilege} privilege for entity '{table}'.");
        Self::PrivilegeDenied(message)
    }

    /// Why a request was not allowed, in the words of audits; `None` for other failures.
    pub(crate) fn audited(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::UnknownUser => "NO_ERP_USER",
            Self::PrivilegeDenied(_) => "PRIVILEGE_DENIED",
            Self::PortalUserRefused(_) => "PORTAL_USER_REFUSED",
            Self::ColumnDenied { .. } => "COLUMN_DENIED",
            Self::ServiceDenied(_) => "SERVICE_DENIED",
            Self::LimitExceeded(_) => "LIMIT_EXCEEDED",
            _ => return None,
        })
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
            Self::RecordNotFound { .. }
            | Self::NothingToChange { .. }
            | Self::MetadataNotFound(_) => (StatusCode::NOT_FOUND, "0x80040217"),
            Self::RecordNotFoundByKey { .. } => (StatusCode::NOT_FOUND, "0x80060891"),
            Self::RecordExists => (StatusCode::PRECONDITION_FAILED, "0x80040237"),
            Self::KeyTaken { .. } | Self::KeyNotUnique { .. } => {
                (StatusCode::PRECONDITION_FAILED, "0x80060892")
            }
            Self::BusinessRule(_) | Self::ReadOnly { .. } => {
                (StatusCode::BAD_REQUEST, "0x80048d0b")
            }
            Self::TooLong { .. } => (StatusCode::BAD_REQUEST, "0x80044331"),
            Self::InUse(_) => (StatusCode::METHOD_NOT_ALLOWED, "0x80040227"),
            // The platform's code of a deadlock; and a status that clients ask again after, which they
            // may: nothing was done.
            Self::WriteConflict(_) => (StatusCode::SERVICE_UNAVAILABLE, "0x80044150"),
            // Not 503: clients repeat after that under another request id, and would do it twice.
            Self::OutcomePending(_) => (StatusCode::GATEWAY_TIMEOUT, "0x80044151"),
            Self::KeyReused(_) => (StatusCode::BAD_REQUEST, "0x80040203"),
            Self::MessageNotSupported(_) => (StatusCode::BAD_REQUEST, "0x80040800"),
            Self::VersionMismatch => (StatusCode::PRECONDITION_FAILED, "0x80060882"),
            Self::PageToken(_) | Self::InvalidValue(_) | Self::InvalidDocument(_) => {
                (StatusCode::BAD_REQUEST, "0x80040203")
            }
            Self::ChangeTrackingDisabled(_) => (StatusCode::BAD_REQUEST, "0x80072491"),
            Self::VersionStampExpired => (StatusCode::BAD_REQUEST, "0x80044352"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "0x8005F101"),
            Self::PrivilegeDenied(_)
            | Self::PortalUserRefused(_)
            | Self::ColumnDenied { .. }
            | Self::ServiceDenied(_) => (StatusCode::FORBIDDEN, "0x80040220"),
            Self::LimitExceeded(Exceeded { limit, .. }) => {
                let code = match limit {
                    Limit::Requests => "0x80072322",
                    Limit::ExecutionTime => "0x80072321",
                    Limit::Concurrent => "0x80072326",
                };
                (StatusCode::TOO_MANY_REQUESTS, code)
            }
            Self::UnknownUser => (StatusCode::FORBIDDEN, "0x80072560"),
            Self::Payload { .. } | Self::Batch(_) | Self::UnknownContentId(_) => {
                (StatusCode::BAD_REQUEST, "0x80048d19")
            }
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "0x80048d19"),
            Self::UrlTooLong(_) => (StatusCode::URI_TOO_LONG, "0x80060888"),
            Self::InvalidModel(_) | Self::NotLinked => (StatusCode::BAD_REQUEST, "0x80048d0b"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "0x80040203"),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "0x80072326"),
            Self::Peer { problem, .. } => problem.platform(),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "0x80048d0b"),
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "0x80044151"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "0x80040216"),
        }
    }
}

/// In the platform's words.
fn too_much(Exceeded { limit, limits, .. }: &Exceeded) -> String {
    let window = limits.window_seconds;
    match limit {
        Limit::Requests => format!(
            "Number of requests exceeded the limit of {} over time window of {window} seconds.",
            limits.requests
        ),
        Limit::ExecutionTime => format!(
            "Combined execution time of incoming requests exceeded limit of {} milliseconds over \
             time window of {window} seconds. Decrease number of concurrent requests or reduce the \
             duration of requests and try again later.",
            with_commas(u64::from(limits.execution_seconds) * 1_000)
        ),
        Limit::Concurrent => {
            format!("Number of concurrent requests exceeded the limit of {}.", limits.concurrent)
        }
    }
}

/// `1,200,000`
fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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
