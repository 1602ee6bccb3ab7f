//! Why the other side of dual-write did not follow, in the words that users know it by (spec
//! dual-write-and-events A3.4, A4, A8.3).
//!
//! The other side writes what the user wrote, and what else the row holds, and asks nobody's rights. So of its
//! own words only those are told that were made for users, or that are about a value which the user gave.

use axum::http::StatusCode;
use proto::dual_write::v1::SyncErrorKind as Kind;
use proto::query::v1 as pb;
use proto::query::v1::apply_value::Content;
use proto::query::v1::value::Kind as ValueKind;
use rpc::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::GatewayError;
use crate::providers::Store;

/// What kind of refusal the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerProblem {
    /// The other side's rules say no to what was saved on the platform.
    Refused,
    /// And to what was saved in the ERP.
    RefusedForErp,
    TooLarge,
    NotPermitted,
    BadGateway,
    Unavailable,
    Timeout,
}

/// A refusal, and what is known of it.
#[derive(Debug)]
pub(crate) struct PeerRefusal<'a> {
    /// Where the user saved.
    pub(crate) source: Store,
    pub(crate) status: &'a Status,
    /// What the other side did not take, where it was one row.
    pub(crate) row: Option<&'a pb::ApplyRow>,
    /// What people call the map.
    pub(crate) map: &'a str,
    pub(crate) erp_entity: &'a str,
    pub(crate) correlation_id: &'a str,
}

impl PeerProblem {
    pub(super) fn platform(self) -> (StatusCode, &'static str) {
        match self {
            Self::Refused => (StatusCode::BAD_REQUEST, "0x80040265"),
            Self::RefusedForErp => (StatusCode::BAD_REQUEST, "0x80048d0b"),
            // -2147220970
            Self::TooLarge => (StatusCode::BAD_REQUEST, "0x80040216"),
            Self::NotPermitted => (StatusCode::FORBIDDEN, "0x80040220"),
            Self::BadGateway => (StatusCode::BAD_GATEWAY, "0x80048d0b"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "0x80048d0b"),
            // Unlike other writes that were not answered in time, nothing was done.
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "0x80044151"),
        }
    }
}

impl GatewayError {
    /// A transaction changed more of shared rows than anybody would take.
    pub(crate) fn too_large_to_share(source: Store, status: &Status) -> Self {
        let (map, erp_entity, correlation_id) = Default::default();
        PeerRefusal { source, status, row: None, map, erp_entity, correlation_id }.error()
    }
}

impl PeerRefusal<'_> {
    /// What the user is told.
    pub(crate) fn error(&self) -> GatewayError {
        let problem = self.problem();
        let message = match problem {
            PeerProblem::TooLarge => self.size(),
            _ => self.envelope(),
        };
        GatewayError::Peer { problem, message }
    }

    /// As alerts count it.
    pub(crate) fn kind(&self) -> Kind {
        use ErrorReason as Reason;
        match rpc::reason(self.status) {
            Some(Reason::ReferenceNotFound) => Kind::Lookup,
            Some(
                Reason::PrivilegeDenied
                | Reason::ColumnDenied
                | Reason::ServiceDenied
                | Reason::NoErpUser
                | Reason::PortalUserRefused
                | Reason::NoCaller
                | Reason::InvalidAssertion
                | Reason::NoServiceToken,
            ) => Kind::Permission,
            Some(Reason::StoreUnavailable) if rpc::is_busy(self.status) => Kind::Throttled,
            Some(Reason::StoreUnavailable | Reason::PeerUnavailable) => Kind::Unavailable,
            Some(Reason::NotReady | Reason::StoreFailed) => Kind::BadGateway,
            Some(Reason::DeadlineExceeded) => Kind::Timeout,
            Some(Reason::InvalidQuery | Reason::NotSupported) => Kind::BadRequest,
            Some(_) => Kind::Application,
            None => match self.status.code() {
                Code::DeadlineExceeded | Code::Cancelled => Kind::Timeout,
                Code::Unavailable => Kind::Unavailable,
                Code::InvalidArgument | Code::Unimplemented | Code::OutOfRange => Kind::BadRequest,
                _ => Kind::BadGateway,
            },
        }
    }

    /// The other side did not say no; it said nothing.
    pub(crate) fn is_away(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Unavailable | Kind::Timeout | Kind::BadGateway | Kind::Throttled
        )
    }

    /// The code that a client of the other side would get.
    pub(crate) fn peer_code(&self) -> &'static str {
        GatewayError::of_service(self.status).platform().1
    }

    /// The one at fault, in the other side's words.
    pub(crate) fn column(&self) -> Option<String> {
        self.metadata("column")
    }

    fn problem(&self) -> PeerProblem {
        match self.kind() {
            Kind::Permission => PeerProblem::NotPermitted,
            Kind::Unavailable | Kind::Throttled => PeerProblem::Unavailable,
            Kind::BadGateway => PeerProblem::BadGateway,
            Kind::Timeout => PeerProblem::Timeout,
            _ if self.is_limit("bytes") => PeerProblem::TooLarge,
            _ => match self.source {
                Store::Organization => PeerProblem::Refused,
                Store::Erp => PeerProblem::RefusedForErp,
            },
        }
    }

    fn envelope(&self) -> String {
        let (words, id) = (self.words(), self.correlation_id);
        match self.source {
            Store::Organization => {
                let text = format!(
                    "Write failed for entity {} with unknown exception - {words} Correlation id: {id}",
                    self.map
                );
                serde_json::json!({ "RecordError0": text }).to_string()
            }
            Store::Erp => {
                let entity = self.row.map_or(self.map, |it| it.entity_name.as_str());
                let lookup = match self.missing_row() {
                    Some(lookup) => format!(" {lookup}"),
                    None => String::new(),
                };
                format!(
                    "Cannot save the changes to the database. Unit of Work can not commit \
                     transaction. Unable to write data to entity {entity}.{lookup} Writes to {} \
                     failed with error message {words} Correlation id: {id}",
                    self.erp_entity
                )
            }
        }
    }

    /// One sentence.
    fn words(&self) -> String {
        use ErrorReason as Reason;
        let peer = match self.source {
            Store::Organization => "The finance and operations app",
            Store::Erp => "The platform's store",
        };
        match self.kind() {
            Kind::Unavailable => {
                return format!("{peer} does not answer, and nothing was saved; try again later.");
            }
            Kind::Throttled => {
                return format!("{peer} is busy, and nothing was saved; try again later.");
            }
            Kind::BadGateway => return format!("{peer} failed, and nothing was saved."),
            Kind::Timeout => {
                return format!("{peer} did not answer in time, and nothing was saved.");
            }
            Kind::Permission => return format!("{peer} does not let dual-write in."),
            _ => {}
        }
        let message = || sentence(self.status.message());
        match rpc::reason(self.status) {
            Some(Reason::BusinessRule | Reason::PeerRefused | Reason::MixedSyncModes) => message(),
            Some(Reason::LimitExceeded) => message(),
            Some(Reason::InvalidValue | Reason::FieldReadOnly) => match self.column() {
                Some(column) if !self.gave(&column) => {
                    format!("The value of '{column}' is not accepted there.")
                }
                _ => message(),
            },
            Some(Reason::ReferenceNotFound) => match (self.missing_row(), self.column()) {
                (Some(missing), _) => missing,
                (None, Some(column)) => format!("What '{column}' leads to is not there."),
                (None, None) => "A row that it leads to is not there.".to_owned(),
            },
            Some(Reason::RecordExists) => match self.metadata("columns") {
                Some(columns) if !columns.is_empty() => {
                    format!("A record with matching key values already exists: {columns}.")
                }
                _ => "A record with matching key values already exists.".to_owned(),
            },
            Some(Reason::KeyNotUnique) => "Several records have the key there.".to_owned(),
            Some(Reason::InUse) => "The record cannot be deleted: others need it.".to_owned(),
            _ => format!("{peer} refused it."),
        }
    }

    /// `Unable to lookup CustGroup with values {10}.`
    fn missing_row(&self) -> Option<String> {
        if self.kind() != Kind::Lookup {
            return None;
        }
        let column = self.column()?;
        let given = self.row?.values.iter().find(|it| it.column == column)?;
        let Some(Content::Reference(reference)) = &given.content else { return None };
        let values: Vec<_> = match given.changed {
            true => reference.key.iter().filter_map(text).collect(),
            false => Vec::new(),
        };
        let (entity, values) = (&reference.entity_name, values.join(", "));
        Some(format!("Unable to lookup {entity} with values {{{values}}}."))
    }

    /// The user gave the column its value.
    fn gave(&self, column: &str) -> bool {
        let values = self.row.map_or(&[][..], |it| it.values.as_slice());
        values.iter().any(|it| it.column == column && it.changed)
    }

    fn size(&self) -> String {
        let bytes =
            self.metadata("actual").and_then(|it| it.parse::<u64>().ok()).unwrap_or_default();
        let hundredths = bytes / 10_000;
        format!(
            "Error Code: -2147220970 Error Message: Message size exceeded when sending context to \
             Sandbox. Message size: {}.{:02} MB",
            hundredths / 100,
            hundredths % 100
        )
    }

    fn is_limit(&self, name: &str) -> bool {
        let limit = rpc::reason(self.status) == Some(ErrorReason::LimitExceeded);
        limit && self.metadata("limit").as_deref() == Some(name)
    }

    fn metadata(&self, key: &str) -> Option<String> {
        self.status.get_details_error_info()?.metadata.get(key).cloned()
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    match text.ends_with(['.', '!', '?']) {
        true => text.to_owned(),
        false => format!("{text}."),
    }
}

fn text(value: &pb::ApplyValue) -> Option<String> {
    let Some(Content::Value(value)) = &value.content else { return None };
    Some(match value.kind.as_ref()? {
        ValueKind::StringValue(it) | ValueKind::DecimalValue(it) | ValueKind::DateValue(it) => {
            it.clone()
        }
        ValueKind::Int64Value(it) | ValueKind::TimestampMicrosValue(it) => it.to_string(),
        ValueKind::DoubleValue(it) => it.to_string(),
        ValueKind::BoolValue(it) => it.to_string(),
        ValueKind::GuidValue(it) => uuid::Uuid::from_slice(it).ok()?.to_string(),
        ValueKind::NullValue(_) => return None,
    })
}
