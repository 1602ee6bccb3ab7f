//! How refusals look on the wire.

use commit::Error as CommitError;
use rpc::{ErrorReason, status};
use sqlx::Error as SqlError;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::Server;
use crate::error::Error;

/// In the metadata of a refusal: the index, within its message, of the operation at fault.
const OPERATION: &str = "operation";

impl Server {
    /// A step of a transaction that was not taken. Logs what the caller must not be told.
    pub(super) fn not_taken(&self, error: CommitError) -> Status {
        self.refused(error.into(), "")
    }

    pub(super) fn refused(&self, error: Error, entity: &str) -> Status {
        if matches!(&error, Error::NoPart(CommitError::Database(cause)) if is_missing(cause)) {
            self.schema.doubt();
        }
        error.into_status(self.domain(), entity)
    }

    pub(super) fn not_supported(&self, step: &str) -> Status {
        let message = format!("this side does not {step}");
        let metadata = [("method", step)];
        let reason = ErrorReason::NotSupported;
        status(Code::Unimplemented, self.domain(), reason, message, metadata)
    }

    pub(super) fn invalid_state(&self, message: &str, state: &str) -> Status {
        let metadata = [("resource", "transaction"), ("state", state)];
        let reason = ErrorReason::InvalidState;
        status(Code::FailedPrecondition, self.domain(), reason, message, metadata)
    }

    pub(super) fn invalid_value(&self, field: &str, message: &str) -> Status {
        let metadata = [("column", field)];
        let reason = ErrorReason::InvalidValue;
        status(Code::InvalidArgument, self.domain(), reason, message, metadata)
    }

    pub(super) fn too_late(&self, message: &str) -> Status {
        let reason = ErrorReason::DeadlineExceeded;
        status(Code::DeadlineExceeded, self.domain(), reason, message, [])
    }
}

/// The same refusal, with the index of the operation at fault.
pub(crate) fn of_operation(refused: Status, index: usize) -> Status {
    let mut details = refused.get_error_details();
    let Some(info) = details.error_info() else { return refused };
    let (reason, domain, mut metadata) =
        (info.reason.clone(), info.domain.clone(), info.metadata.clone());
    metadata.insert(OPERATION.to_owned(), index.to_string());
    details.set_error_info(reason, domain, metadata);
    Status::with_error_details(refused.code(), refused.message(), details)
}

/// Tombolo's own tables are gone.
fn is_missing(error: &SqlError) -> bool {
    let code = error.as_database_error().and_then(|it| it.code());
    code.is_some_and(|it| it == "42P01" || it == "3F000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_joins_what_a_refusal_says() {
        let metadata = [("column", "NAME")];
        let reason = ErrorReason::InvalidValue;
        let refused = status(Code::InvalidArgument, "query", reason, "no", metadata);
        let refused = of_operation(refused, 7);
        assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "no"));
        let info = refused.get_details_error_info().unwrap();
        assert_eq!((&*info.metadata["column"], &*info.metadata["operation"]), ("NAME", "7"));
        assert_eq!(rpc::reason(&refused), Some(reason));
    }
}
