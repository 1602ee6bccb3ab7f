//! What the command's exit code says: one table for every verb, told from the error that ended it.

use std::io::ErrorKind;
use std::process::ExitCode;

use tonic::{Code, Status};

/// Shown by `--help` of the command and of the verbs that have most of them.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage, or a value that cannot be
  3  the operation failed and can be resumed
  4  refused: a prerequisite, a rule or a state forbids it
  5  not found
  6  no permission, or not signed in
  7  the system does not answer";

/// How a command ended, where it did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    Resumable = 3,
    Refused = 4,
    NotFound = 5,
    NoPermission = 6,
    NoAnswer = 7,
}

/// An error that knows its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn of(exit: Exit, message: impl Into<String>) -> anyhow::Error {
        Self { exit, message: message.into() }.into()
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let message = match status.code() {
            // What the transport says of an answer that is none of gRPC.
            _ if is_foreign(&status) => {
                "what answers at --server is not gRPC: it may be the Web API's port, or https in place of http".to_owned()
            }
            Code::Unauthenticated => {
                format!("{} (--user, or the token in TOMBOLO_TOKEN)", status.message())
            }
            _ => status.message().to_owned(),
        };
        Self { exit: exit_of(&status), message }
    }
}

/// The code of a command that ended so. Somebody who reads no further is no failure.
pub(crate) fn code(error: &anyhow::Error) -> ExitCode {
    if closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let exit = error.downcast_ref::<Failure>().map_or(Exit::Failed, |it| it.exit);
    ExitCode::from(exit as u8)
}

/// Whether whoever reads our output has gone.
pub(crate) fn closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|it| {
        let io = it.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let json =
            it.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(ErrorKind::BrokenPipe)
    })
}

/// Whether something else than a server of gRPC has answered.
fn is_foreign(status: &Status) -> bool {
    const SIGNS: [&str; 3] = [
        "protocol error: received message with invalid compression flag",
        "grpc-status header missing",
        "received corrupt message of type",
    ];
    SIGNS.iter().any(|it| status.message().starts_with(it))
}

fn exit_of(status: &Status) -> Exit {
    match status.code() {
        _ if is_foreign(status) => Exit::NoAnswer,
        Code::InvalidArgument => Exit::Usage,
        Code::FailedPrecondition
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::OutOfRange
        | Code::Aborted => Exit::Refused,
        Code::NotFound => Exit::NotFound,
        Code::PermissionDenied | Code::Unauthenticated => Exit::NoPermission,
        // Cancelled: our own deadline has passed.
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Exit::NoAnswer,
        Code::Ok | Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => {
            Exit::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    fn code_of(status: Status) -> ExitCode {
        code(&anyhow::Error::from(Failure::from(status)))
    }

    #[test]
    fn a_refusal_has_the_code_of_its_kind() {
        assert_eq!(code_of(Status::failed_precondition("no")), ExitCode::from(4));
        assert_eq!(code_of(Status::resource_exhausted("no")), ExitCode::from(4));
        assert_eq!(code_of(Status::invalid_argument("no")), ExitCode::from(2));
        assert_eq!(code_of(Status::not_found("no")), ExitCode::from(5));
        assert_eq!(code_of(Status::unauthenticated("no")), ExitCode::from(6));
        assert_eq!(code_of(Status::unavailable("no")), ExitCode::from(7));
        assert_eq!(code_of(Status::internal("no")), ExitCode::from(1));
        assert_eq!(code(&anyhow::anyhow!("anything")), ExitCode::from(1));
    }

    #[test]
    fn what_is_not_grpc_does_not_answer() {
        let text = "protocol error: received message with invalid compression flag: 123";
        let failure = Failure::from(Status::internal(text));
        assert_eq!(failure.exit, Exit::NoAnswer);
        assert!(failure.message.contains("--server"), "{failure}");
        assert_eq!(Failure::from(Status::internal("broken")).message, "broken");
    }

    #[test]
    fn the_code_survives_what_is_said_around_it() {
        let error = Err::<(), _>(Failure::of(Exit::Resumable, "stands still"));
        let error = error.context("the setup").unwrap_err();
        assert_eq!(code(&error), ExitCode::from(3));
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed = || std::io::Error::from(ErrorKind::BrokenPipe);
        assert_eq!(code(&closed().into()), ExitCode::SUCCESS);
        assert_eq!(code(&serde_json::Error::io(closed()).into()), ExitCode::SUCCESS);
        let other = std::io::Error::from(ErrorKind::NotFound);
        assert_eq!(code(&other.into()), ExitCode::from(1));
    }
}
