//! What a side's refusal means: whether it is the row, somebody who holds it, or the side itself; and how it
//! is told to people (spec DW-46).

use proto::dual_write::v1::{Side, SyncError, SyncErrorKind};
use rpc::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Somebody holds a row that is needed: again, at once.
    Busy,
    /// The side is away, or has not the time: again, later.
    Away,
    /// The row, or the side: that shows when the side is asked something else.
    Unclear,
    /// The row.
    Row,
}

/// Says what is at fault.
pub(crate) fn fault(status: &Status) -> Fault {
    match (status.code(), rpc::reason(status)) {
        (_, Some(ErrorReason::WriteConflict)) | (Code::Aborted, _) => Fault::Busy,
        (_, Some(ErrorReason::ServiceDenied | ErrorReason::NotReady)) => Fault::Away,
        (Code::Unavailable | Code::ResourceExhausted | Code::Unauthenticated, _) => Fault::Away,
        (Code::DeadlineExceeded | Code::Internal | Code::Unknown | Code::Cancelled, _) => {
            Fault::Unclear
        }
        _ => Fault::Row,
    }
}

/// The refusal as it is stored and told; `target` refused.
pub(crate) fn sync_error(
    status: &Status,
    target: Side,
    web_api_url: &str,
    correlation_id: &str,
) -> SyncError {
    let kind = kind(status);
    let info = status.get_details_error_info();
    let known = |key: &str| {
        let value = info.as_ref().and_then(|it| it.metadata.get(key));
        value.cloned().unwrap_or_default()
    };
    let code = match known("code") {
        code if code.is_empty() => info.as_ref().map(|it| it.reason.clone()).unwrap_or_default(),
        code => code,
    };
    let probe_url = match kind {
        SyncErrorKind::Lookup => probe_url(target, web_api_url, &known("entity"), &known("key")),
        _ => String::new(),
    };
    SyncError {
        kind: kind.into(),
        code,
        message: status.message().to_owned(),
        help: help(kind).to_owned(),
        field: known("column"),
        probe_url,
        retryable: true,
        correlation_id: correlation_id.to_owned(),
        occur_time: Some(now()),
        attempt_count: 1,
    }
}

/// An error that no side gave.
pub(crate) fn own_error(kind: SyncErrorKind, message: impl Into<String>) -> SyncError {
    SyncError {
        kind: kind.into(),
        message: message.into(),
        help: help(kind).to_owned(),
        retryable: !matches!(kind, SyncErrorKind::Stale | SyncErrorKind::Conflict),
        occur_time: Some(now()),
        attempt_count: 1,
        ..SyncError::default()
    }
}

/// What alert rules count it as (spec DW-42).
fn kind(status: &Status) -> SyncErrorKind {
    match (status.code(), rpc::reason(status)) {
        (_, Some(ErrorReason::ReferenceNotFound)) => SyncErrorKind::Lookup,
        (_, Some(ErrorReason::NotReady)) => SyncErrorKind::BadGateway,
        (
            _,
            Some(
                ErrorReason::ColumnNotFound
                | ErrorReason::EntityNotFound
                | ErrorReason::InvalidQuery
                | ErrorReason::NotSupported,
            ),
        ) => SyncErrorKind::BadRequest,
        (Code::PermissionDenied | Code::Unauthenticated, _) => SyncErrorKind::Permission,
        (Code::ResourceExhausted, _) => SyncErrorKind::Throttled,
        (Code::DeadlineExceeded, _) => SyncErrorKind::Timeout,
        (Code::Unavailable, _) => SyncErrorKind::Unavailable,
        _ => SyncErrorKind::Application,
    }
}

/// What to do about it.
pub(crate) fn help(kind: SyncErrorKind) -> &'static str {
    match kind {
        SyncErrorKind::Application => {
            "Correct the row, on the side that was written or on the one that refused it; it is tried \
             again when it changes, or with a retry."
        }
        SyncErrorKind::BadRequest => {
            "The map does not fit the tables as they are: refresh its tables, correct it, retry."
        }
        SyncErrorKind::Permission => {
            "Give dual-write back what it may do on that side, then retry."
        }
        SyncErrorKind::BadGateway | SyncErrorKind::Unavailable => {
            "Nothing is lost: it is tried again by itself until that side answers."
        }
        SyncErrorKind::Throttled => "That side is overloaded; it is tried again by itself.",
        SyncErrorKind::Timeout => {
            "That side took too long; look for a slow rule or a lock there, then retry."
        }
        SyncErrorKind::Lookup => {
            "Create the row that is looked up, or run its map with an initial sync, then retry."
        }
        SyncErrorKind::Stale => "A newer version of the row went through; dismiss this one.",
        SyncErrorKind::Conflict => {
            "The primary side's values stay. Write the lost ones again where they are right, or \
             dismiss them."
        }
        SyncErrorKind::Unspecified => "Retry it, or dismiss it.",
    }
}

/// Shows whether the row that was looked up exists (spec A7.4).
fn probe_url(target: Side, web_api_url: &str, entity: &str, key: &str) -> String {
    if web_api_url.is_empty() || entity.is_empty() {
        return String::new();
    }
    let table = match target {
        Side::FinanceAndOperations => format!("mserp_{}", entity.to_lowercase()),
        Side::Platform | Side::Unspecified => entity.to_owned(),
    };
    let encoded: String = key.bytes().map(percent_encoded).collect();
    let filter = if encoded.is_empty() { encoded } else { format!("?$filter={encoded}") };
    format!("{}/{table}s{filter}", web_api_url.trim_end_matches('/'))
}

fn percent_encoded(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'\'' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    }
}

pub(crate) fn now() -> prost_types::Timestamp {
    let now = chrono::Utc::now();
    let nanos = i32::try_from(now.timestamp_subsec_nanos()).unwrap_or_default();
    prost_types::Timestamp { seconds: now.timestamp(), nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code, reason: ErrorReason) -> Status {
        let known =
            [("column", "primarycontactid"), ("entity", "contact"), ("key", "fullname eq 'Ä'")];
        rpc::status(code, "organization", reason, "no such row", known)
    }

    #[test]
    fn who_is_at_fault_is_told_apart() {
        let row = refused(Code::FailedPrecondition, ErrorReason::ReferenceNotFound);
        assert_eq!(fault(&row), Fault::Row);
        assert_eq!(fault(&refused(Code::Aborted, ErrorReason::WriteConflict)), Fault::Busy);
        assert_eq!(
            fault(&refused(Code::PermissionDenied, ErrorReason::ServiceDenied)),
            Fault::Away
        );
        assert_eq!(fault(&Status::unavailable("")), Fault::Away);
        assert_eq!(fault(&Status::deadline_exceeded("")), Fault::Unclear);
    }

    #[test]
    fn a_lookup_that_finds_nothing_says_where_to_look() {
        let status = refused(Code::FailedPrecondition, ErrorReason::ReferenceNotFound);
        let url = "https://contoso.example/api/data/v9.2/";
        let error = sync_error(&status, Side::Platform, url, "c-1");
        assert_eq!(error.kind(), SyncErrorKind::Lookup);
        assert_eq!(error.field, "primarycontactid");
        assert_eq!(error.code, "REFERENCE_NOT_FOUND");
        let expected =
            "https://contoso.example/api/data/v9.2/contacts?$filter=fullname%20eq%20'%C3%84'";
        assert_eq!(error.probe_url, expected);
        assert!(error.retryable && !error.help.is_empty());
    }

    #[test]
    fn kinds_follow_the_status() {
        let cases = [
            (Status::permission_denied(""), SyncErrorKind::Permission),
            (Status::unavailable(""), SyncErrorKind::Unavailable),
            (Status::resource_exhausted(""), SyncErrorKind::Throttled),
            (Status::deadline_exceeded(""), SyncErrorKind::Timeout),
            (Status::failed_precondition("a rule"), SyncErrorKind::Application),
            (refused(Code::Unavailable, ErrorReason::NotReady), SyncErrorKind::BadGateway),
            (
                refused(Code::InvalidArgument, ErrorReason::ColumnNotFound),
                SyncErrorKind::BadRequest,
            ),
        ];
        for (status, expected) in cases {
            assert_eq!(sync_error(&status, Side::Platform, "", "").kind(), expected, "{status:?}");
        }
    }
}
