//! What a service's refusal means to the client.

use rpc::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::GatewayError;
use crate::metadata::{Source, Table};

impl GatewayError {
    /// What a provider's refusal means to the client. Logs what the client must not be told.
    pub(crate) fn of_provider(status: &Status, table: &Table) -> Self {
        match rpc::reason(status) {
            Some(ErrorReason::EntityNotFound) => Self::UnknownSegment(table.set_name.clone()),
            Some(ErrorReason::ColumnNotFound) => {
                // The table changed between our metadata and the provider's.
                Self::unknown_column(table, &metadata(status, "column").unwrap_or_default())
            }
            Some(ErrorReason::StoreUnavailable) if !rpc::is_busy(status) => {
                Self::Unavailable(unavailable(table.source))
            }
            // Nothing that a reader could do about it, and everything that an administrator can.
            Some(ErrorReason::InvalidModel) if table.source == Source::Erp => {
                Self::Unavailable(status.message().to_owned())
            }
            Some(ErrorReason::PrivilegeDenied) => match metadata(status, "privilege") {
                Some(privilege) => Self::missing_privilege(table, &privilege),
                None => Self::PrivilegeDenied(status.message().to_owned()),
            },
            Some(ErrorReason::ColumnDenied) => {
                let column = logical(table, &metadata(status, "column").unwrap_or_default());
                let privilege = metadata(status, "privilege").unwrap_or_else(|| "read".to_owned());
                Self::ColumnDenied { privilege, column, table: table.logical_name.clone() }
            }
            Some(ErrorReason::InvalidValue | ErrorReason::ReferenceNotFound) => {
                match metadata(status, "column") {
                    Some(column) => Self::invalid_value(status.message(), table, &column),
                    None => Self::of_service(status),
                }
            }
            Some(ErrorReason::FieldReadOnly) => {
                let column = logical(table, &metadata(status, "column").unwrap_or_default());
                let table = table.logical_name.clone();
                // Whether it was to be made or changed, it cannot be given a value.
                Self::ReadOnly { action: "update", table, column }
            }
            Some(ErrorReason::InUse) => {
                let table = &table.logical_name;
                let used_by = metadata(status, "used_by").filter(|it| !it.is_empty());
                let others = used_by.map_or("others".to_owned(), |it| format!("records of '{it}'"));
                Self::InUse(format!("The record of '{table}' cannot be deleted: {others} need it."))
            }
            Some(ErrorReason::RecordExists) => match metadata(status, "columns") {
                Some(columns) if !columns.is_empty() => {
                    let columns: Vec<_> =
                        columns.split(',').map(|it| logical(table, it.trim())).collect();
                    if columns == [table.primary_id.as_str()] {
                        return Self::RecordExists;
                    }
                    Self::KeyTaken { columns: columns.join(", ") }
                }
                _ => Self::RecordExists,
            },
            Some(ErrorReason::KeyNotUnique) => {
                let columns = metadata(status, "columns").unwrap_or_default();
                let columns: Vec<_> =
                    columns.split(',').map(|it| logical(table, it.trim())).collect();
                Self::KeyNotUnique { columns: columns.join(", ") }
            }
            _ => Self::of_service(status),
        }
    }

    /// A provider's words, with the column as the client knows it.
    fn invalid_value(message: &str, table: &Table, column: &str) -> Self {
        let name = logical(table, column);
        let named = message.replace(&format!("`{column}`"), &format!("'{name}'"));
        Self::InvalidValue(match named.contains(&name) {
            true => named,
            false => format!("'{name}': {named}"),
        })
    }

    /// What the refusal of a service that serves no table means to the client.
    pub(crate) fn of_service(status: &Status) -> Self {
        let message = || status.message().to_owned();
        match rpc::reason(status) {
            // The gateway believes the caller; the service has news of it that the gateway will have in a
            // moment. Nothing was done.
            Some(ErrorReason::NoCaller | ErrorReason::InvalidAssertion) => {
                let message = "The user's rights have just changed; try again.";
                Self::Unavailable(message.to_owned())
            }
            Some(ErrorReason::PrivilegeDenied) => Self::PrivilegeDenied(message()),
            Some(ErrorReason::NoErpUser) => Self::UnknownUser,
            Some(ErrorReason::PortalUserRefused) => Self::PortalUserRefused(message()),
            Some(ErrorReason::ServiceDenied) => Self::ServiceDenied(message()),
            Some(ErrorReason::ColumnDenied) => Self::ColumnDenied {
                privilege: metadata(status, "privilege").unwrap_or_else(|| "read".to_owned()),
                column: metadata(status, "column").unwrap_or_default(),
                table: metadata(status, "entity").unwrap_or_default(),
            },
            Some(ErrorReason::InvalidQuery) => Self::InvalidQuery(message()),
            Some(ErrorReason::InvalidValue | ErrorReason::ReferenceNotFound) => {
                Self::InvalidValue(message())
            }
            Some(ErrorReason::LimitExceeded)
                if metadata(status, "limit").as_deref() == Some("operations") =>
            {
                let message = "The request means more operations than a transaction can have; \
                               divide it into several.";
                Self::InvalidQuery(message.to_owned())
            }
            // Of reads, the only limit is that of the rows that an aggregate goes over.
            Some(ErrorReason::LimitExceeded) => Self::AggregateLimit,
            Some(ErrorReason::VersionMismatch) => Self::VersionMismatch,
            Some(ErrorReason::RecordExists) => Self::RecordExists,
            Some(ErrorReason::KeyNotUnique) => Self::KeyNotUnique {
                columns: metadata(status, "columns").unwrap_or_default().replace(',', ", "),
            },
            Some(ErrorReason::BusinessRule) => Self::BusinessRule(message()),
            Some(ErrorReason::InUse) => Self::InUse(message()),
            Some(ErrorReason::WriteConflict | ErrorReason::TransactionAborted) => Self::conflict(),
            Some(ErrorReason::OutcomePending) => Self::OutcomePending(message()),
            Some(ErrorReason::IdempotencyKeyReused) => Self::KeyReused(message()),
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
            // Whoever runs the ERP's own logic.
            Some(ErrorReason::PeerUnavailable) => Self::Unavailable(message()),
            Some(ErrorReason::InvalidModel) => Self::InvalidModel(message()),
            Some(ErrorReason::NotLinked) => Self::NotLinked,
            // Reasons that no client of ours can cause, or of services that are not called here.
            Some(_) => Self::internal(status),
            None => Self::of_transport(status),
        }
    }

    pub(crate) fn conflict() -> Self {
        let message = "Another transaction got in the way, and nothing was done; try again.";
        Self::WriteConflict(message.to_owned())
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

fn metadata(status: &Status, key: &str) -> Option<String> {
    status.get_details_error_info()?.metadata.get(key).cloned()
}

/// A provider's name of a field as the client knows it.
fn logical(table: &Table, external: &str) -> String {
    let column = table.columns.iter().find(|it| it.field() == Some(external));
    column.map_or_else(|| external.to_owned(), |it| it.logical_name.clone())
}
