//! What a side's refusal means for a run: is it a row's fault, does waiting help, and what people are told.

use std::sync::Arc;

use proto::dual_write::v1::{self as pb, Side, SyncErrorKind};
use proto::query::v1 as query;
use proto::query::v1::apply_value::Content;
use rpc::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::error::{Error, spoken_side};
use crate::follow::refusal::{own_error, sync_error};
use crate::map::{Schemas, text, value};

/// Where the root that is configured ends.
const WEB_API: &str = "/api/data/v9.2";

/// Why a run's work stops.
#[derive(Debug)]
pub(super) enum Stop {
    /// It was cancelled, or its map is no longer being initialized.
    Ended,
    /// Something that is no row's fault, after all tries.
    Failed(Box<pb::SyncError>),
    /// The own store is away: the run goes on when it is back.
    Store(Error),
}

/// What to do about a side's answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be another one the next time.
    Wait,
    /// The row at this index of what was sent; `None`: one of the rows, and nobody says which.
    Refused(Option<usize>),
}

// === impl Stop ===

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Whose fault an answer to `Apply` is.
pub(super) fn verdict(status: &Status) -> Verdict {
    let index = operation(status);
    match status.code() {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Aborted
        | Code::Unauthenticated
        | Code::Unknown
        | Code::Ok => Verdict::Wait,
        // A row that is too large is one, a side that throttles is not.
        Code::ResourceExhausted if index.is_none() => Verdict::Wait,
        Code::Internal if index.is_none() => Verdict::Wait,
        Code::ResourceExhausted
        | Code::Internal
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss => Verdict::Refused(index),
    }
}

/// Whether the row is locked by somebody who does not let go: after all tries that is the row's error.
pub(super) fn is_locked(status: &Status) -> bool {
    rpc::reason(status) == Some(ErrorReason::WriteConflict)
}

fn operation(status: &Status) -> Option<usize> {
    status.get_details_error_info()?.metadata.get("operation")?.parse().ok()
}

/// A lookup whose row is not there, with the original's text and a query that shows it (spec A7.4).
pub(super) fn lookup_error(
    applied: &query::ApplyRow,
    column: &str,
    probe: &Probe,
) -> pb::SyncError {
    let values = applied.values.iter().chain(&applied.create_values);
    let reference = values.filter(|it| it.column == column).find_map(|it| match &it.content {
        Some(Content::Reference(reference)) => Some(reference),
        Some(Content::Value(_)) | None => None,
    });
    let value = reference.map(key_text).unwrap_or_default();
    let probe_url = reference.map(|it| probe.url(it)).unwrap_or_default();
    let message = text::lookup_miss(column, &value, &probe_url);
    pb::SyncError {
        code: "REFERENCE_NOT_FOUND".to_owned(),
        field: column.to_owned(),
        probe_url,
        ..own_error(SyncErrorKind::Lookup, message)
    }
}

/// Writes queries that show whether a row is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Probe {
    /// Root of the Web API; empty: nobody said.
    pub(super) web_api_url: String,
    pub(super) schemas: Option<Arc<Schemas>>,
}

impl Probe {
    fn url(&self, reference: &query::Reference) -> String {
        let schemas = self.schemas.as_ref();
        let table = schemas.and_then(|it| it.get(Side::Platform, &reference.entity_name));
        let Some(table) = table.filter(|_| !self.web_api_url.is_empty()) else {
            return String::new();
        };
        let path = text::probe_path(table, reference);
        let path = path.strip_prefix(WEB_API).unwrap_or(&path);
        format!("{}{path}", self.web_api_url.trim_end_matches('/'))
    }
}

fn key_text(reference: &query::Reference) -> String {
    let text = |it: &query::ApplyValue| match &it.content {
        Some(Content::Value(it)) => value::display(it),
        Some(Content::Reference(it)) => key_text(it),
        None => String::new(),
    };
    reference.key.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// What people are told of a side that cannot be asked, after all tries.
pub(super) fn peer_failure(side: Side, status: &Status, tries: usize) -> pb::SyncError {
    let error = sync_error(status, side, "", "");
    let message = format!(
        "{tries} Attempts to get data from the {} side Failed: {}",
        spoken_side(side),
        status.message()
    );
    let attempt_count = i32::try_from(tries).unwrap_or(i32::MAX);
    pb::SyncError { message, attempt_count, ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(metadata: [(&str, &str); 1]) -> Status {
        let reason = ErrorReason::InvalidValue;
        rpc::status(Code::InvalidArgument, "query", reason, "too long", metadata)
    }

    #[test]
    fn a_refusal_names_its_row() {
        assert_eq!(verdict(&refused([("operation", "17")])), Verdict::Refused(Some(17)));
        assert_eq!(verdict(&refused([("column", "name")])), Verdict::Refused(None));
        assert_eq!(verdict(&Status::unavailable("away")), Verdict::Wait);
        assert_eq!(verdict(&Status::internal("broken")), Verdict::Wait);
    }

    fn given(column: &str, text: &str) -> query::ApplyValue {
        let content = Some(Content::Value(value::text(text)));
        query::ApplyValue { column: column.to_owned(), content, changed: true, filled: false }
    }

    #[test]
    fn a_missing_lookup_is_told_as_the_original_does() {
        let reference = query::Reference {
            entity_name: "transactioncurrency".to_owned(),
            key: vec![given("isocurrencycode", "EUR")],
            optional: true,
        };
        let applied = query::ApplyRow {
            values: vec![query::ApplyValue {
                column: "transactioncurrencyid".to_owned(),
                content: Some(Content::Reference(reference)),
                changed: true,
                filled: false,
            }],
            ..Default::default()
        };
        let error = lookup_error(&applied, "transactioncurrencyid", &Probe::default());
        assert_eq!(
            error.message,
            "Couldn't resolve the guid for the field: transactioncurrencyid. The lookup was not found: \
             EUR. Try this URL(s) to check if the reference data exists: "
        );
        assert_eq!(error.kind(), SyncErrorKind::Lookup);
        assert_eq!(error.field, "transactioncurrencyid");
    }

    #[test]
    fn what_cannot_be_asked_says_how_often_it_was() {
        let failure = peer_failure(Side::Platform, &Status::unavailable("away"), 5);
        let expected = "5 Attempts to get data from the platform side Failed: away";
        assert_eq!((failure.message.as_str(), failure.attempt_count), (expected, 5));
    }
}
