//! Errors on the wire: a code for machines, a sentence for people, one `ErrorInfo` that says why
//! (AIP-193), and when to try again.

use std::time::Duration;

pub use proto::query::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

const PREFIX: &str = "ERROR_REASON_";

/// In the metadata of a store's refusal: why it is one.
const CAUSE: &str = "cause";
const BUSY: &str = "busy";

/// How long a caller should wait before it repeats a call that found the store down.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// Errors travel as headers, which have a bound together: what callers made long is cut, and says so.
const LONGEST_MESSAGE: usize = 2_000;
const LONGEST_VALUE: usize = 400;
const CUT: &str = "…";

/// A status with its reason. `domain` is the service's name.
#[must_use]
pub fn status<const N: usize>(
    code: Code,
    domain: &str,
    reason: ErrorReason,
    message: impl Into<String>,
    metadata: [(&str, &str); N],
) -> Status {
    Status::with_error_details(code, message_of(message), details(domain, reason, metadata))
}

/// A status that says to come back later.
#[must_use]
pub fn unavailable(domain: &str, reason: ErrorReason, message: impl Into<String>) -> Status {
    later(details(domain, reason, []), message)
}

/// A status that says to come back later, because the store is at work on something else.
#[must_use]
pub fn busy(domain: &str, message: impl Into<String>) -> Status {
    later(details(domain, ErrorReason::StoreUnavailable, [(CAUSE, BUSY)]), message)
}

/// Whether the store that refuses is there, and only busy: what it says is then worth passing on.
#[must_use]
pub fn is_busy(status: &Status) -> bool {
    let info = status.get_details_error_info();
    info.is_some_and(|it| it.metadata.get(CAUSE).is_some_and(|it| it == BUSY))
}

fn later(mut details: ErrorDetails, message: impl Into<String>) -> Status {
    details.set_retry_info(Some(RETRY_DELAY));
    Status::with_error_details(Code::Unavailable, message_of(message), details)
}

/// The reason that a status carries, if it carries one that we know.
#[must_use]
pub fn reason(status: &Status) -> Option<ErrorReason> {
    let info = status.get_details_error_info()?;
    ErrorReason::from_str_name(&format!("{PREFIX}{}", info.reason))
}

fn details<const N: usize>(
    domain: &str,
    reason: ErrorReason,
    metadata: [(&str, &str); N],
) -> ErrorDetails {
    let name = reason.as_str_name();
    let metadata = metadata.map(|(key, value)| (key.to_owned(), cut(value, LONGEST_VALUE)));
    ErrorDetails::with_error_info(
        name.strip_prefix(PREFIX).unwrap_or(name),
        format!("tombolo.{domain}"),
        metadata,
    )
}

fn message_of(message: impl Into<String>) -> String {
    let message = message.into();
    if message.len() <= LONGEST_MESSAGE { message } else { cut(&message, LONGEST_MESSAGE) }
}

fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let kept = text.get(..text.floor_char_boundary(longest)).unwrap_or_default();
    format!("{kept}{CUT}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_for_a_header_is_cut() {
        let long = "é".repeat(10_000);
        let reason = ErrorReason::InvalidValue;
        let status = status(Code::InvalidArgument, "query", reason, long.as_str(), [("x", &*long)]);
        assert!(status.message().len() <= LONGEST_MESSAGE + CUT.len());
        assert!(status.message().ends_with("é…"));
        let info = status.get_details_error_info().unwrap();
        assert!(info.metadata["x"].len() <= LONGEST_VALUE + CUT.len());
        assert_eq!(cut("short", 5), "short");
    }

    #[test]
    fn the_reason_survives_the_wire() {
        let status =
            status(Code::NotFound, "query", ErrorReason::EntityNotFound, "no", [("entity", "X")]);
        assert_eq!(reason(&status), Some(ErrorReason::EntityNotFound));
        assert_eq!(status.get_details_error_info().unwrap().metadata["entity"], "X");
        assert_eq!(reason(&Status::internal("x")), None);
        assert!(is_busy(&busy("query", "later")));
        assert!(!is_busy(&unavailable("query", ErrorReason::StoreUnavailable, "later")));
    }
}
