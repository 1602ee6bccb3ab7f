//! What an operation is made of: a workflow per kind, its stages, and how one of them ends.

use futures::future::BoxFuture;
use proto::lifecycle::v1::{FailureKind, OperationStage, PrerequisiteCheck};
use rpc::ErrorReason;
use tonic::{Code, Status};

use super::stage::StageContext;

/// The stages of one operation. Made anew from the operation's row by whoever runs it, so it holds nothing
/// that the row does not say.
pub(crate) trait Workflow: Send + Sync {
    /// Each once, in their order; the same every time for the same request.
    fn stages(&self) -> Vec<OperationStage>;

    /// Does a stage, or what is left of it: it may have been interrupted at any moment before, also after it
    /// was done. What it says through the context is seen by who watches.
    fn perform<'a>(
        &'a self,
        stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>>;

    /// Takes back what a stage did, or what it may have done of it: when an operation is given up, the last
    /// stage first, and those never reached not at all, but for the first, which also takes back what was
    /// written when the operation began. Idempotent.
    fn undo<'a>(
        &'a self,
        stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>>;

    /// When somebody let the operation go on after a failure: looks again at what was checked at its beginning,
    /// before the stage that failed is done anew.
    fn recheck<'a>(&'a self, _context: &'a StageContext) -> BoxFuture<'a, Result<(), StageError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// From the end of this stage on there is no way back: the operation can no longer be cancelled.
    fn point_of_no_return(&self) -> Option<OperationStage> {
        None
    }

    /// What people read while it runs, and when it has succeeded.
    fn status_texts(&self) -> (&'static str, &'static str);
}

/// Why a stage did not end well.
#[derive(Debug)]
pub(crate) enum StageError {
    /// Somebody has to do something first: the operation waits, and is resumed at this stage.
    Failed(Box<Failure>),
    /// It may go better by itself: tried again with back-off, and an internal failure after that.
    Transient(String),
}

/// What is told to people about a stage that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) reason: ErrorReason,
    /// The fixed text where there is one.
    pub(crate) message: String,
    /// What to do before it is resumed.
    pub(crate) help: String,
    /// The prerequisites that fail.
    pub(crate) prerequisites: Vec<PrerequisiteCheck>,
}

impl From<Failure> for StageError {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl From<sqlx::Error> for StageError {
    fn from(error: sqlx::Error) -> Self {
        tracing::warn!(%error, "the store failed a stage");
        Self::Transient("the service's store does not answer as it should".to_owned())
    }
}

/// Of a service that a stage asked. What may go better is tried again; its own words are told otherwise.
impl From<Status> for StageError {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        match status.code() {
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Aborted
            | Code::Unknown => Self::Transient(message),
            _ => Self::from(Failure {
                kind: FailureKind::Internal,
                reason: rpc::reason(&status).unwrap_or(ErrorReason::PeerRefused),
                message,
                help: "Resume the operation once the cause is removed.".to_owned(),
                prerequisites: Vec::new(),
            }),
        }
    }
}
