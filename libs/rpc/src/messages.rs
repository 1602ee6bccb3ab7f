//! Rows that are too many for one message travel in several.

use prost::Message;
use tonic::Status;
use tonic_types::StatusExt as _;

/// The largest message between services that rows travel in. A row is never divided.
pub const LARGEST_MESSAGE_BYTES: usize = 256 << 20;

/// Bytes of one of several messages, unless one row alone has more.
const PART_BYTES: usize = 2 << 20;

/// How many of the rows, from the first on, go into one message: one at least.
#[must_use]
pub fn first_part<M: Message>(rows: &[M]) -> usize {
    let mut bytes = 0;
    let fits = |row: &&M| {
        bytes += row.encoded_len();
        bytes <= PART_BYTES
    };
    rows.iter().take_while(fits).count().max(1).min(rows.len())
}

/// The rows, divided into messages.
pub fn parts<M: Message>(mut rows: Vec<M>) -> impl Iterator<Item = Vec<M>> {
    std::iter::from_fn(move || {
        let rest = rows.split_off(first_part(&rows));
        let part = std::mem::replace(&mut rows, rest);
        (!part.is_empty()).then_some(part)
    })
}

/// A refusal of one message's rows whose `operation` counts those of the messages `before` it, too.
#[must_use]
pub fn counted_from(before: usize, refused: Status) -> Status {
    const INDEX: &str = "operation";
    if before == 0 {
        return refused;
    }
    let mut details = refused.get_error_details();
    let Some(mut info) = details.error_info().cloned() else { return refused };
    let index = info.metadata.get(INDEX).and_then(|it| it.parse::<usize>().ok());
    let Some(index) = index else { return refused };
    info.metadata.insert(INDEX.to_owned(), index.saturating_add(before).to_string());
    details.set_error_info(info.reason, info.domain, info.metadata);
    Status::with_error_details(refused.code(), refused.message(), details)
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::{ErrorReason, reason, status};

    #[test]
    fn a_refused_row_is_found_behind_other_messages() {
        let invalid = ErrorReason::InvalidValue;
        let metadata = [("column", "name"), ("operation", "3")];
        let refused = status(Code::InvalidArgument, "query", invalid, "no", metadata);
        let refused = counted_from(40, refused);
        assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "no"));
        assert_eq!(reason(&refused), Some(invalid));
        let metadata = refused.get_details_error_info().unwrap().metadata;
        assert_eq!((&*metadata["column"], &*metadata["operation"]), ("name", "43"));
    }

    fn divided(sizes: &[usize]) -> Vec<usize> {
        let rows = sizes.iter().map(|it| vec![0_u8; *it]).collect();
        parts::<Vec<u8>>(rows).map(|it| it.len()).collect()
    }

    #[test]
    fn a_part_is_as_large_as_it_may_be_and_never_less_than_a_row() {
        let half = PART_BYTES / 2 - 10;
        assert_eq!(divided(&[]), [0; 0]);
        assert_eq!(divided(&[1, 2, 3]), [3]);
        assert_eq!(divided(&[half, half, half, 1]), [2, 2]);
        assert_eq!(divided(&[1, 3 * PART_BYTES, 1]), [1, 1, 1]);
    }
}
