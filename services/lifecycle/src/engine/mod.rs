//! Carries operations on until they have ended or wait for somebody, through crashes of any process.
//!
//! An operation is a row with rows for its stages and its holds. A handler inserts them in one transaction
//! ([`begin`]); a [`worker`] in every process finds the open ones and [`run`]s each: one stage after the
//! other, as its [`Workflow`] describes them, or backwards once somebody has given it up.
//!
//! Why it is right:
//!
//! - **Nothing is lost.** What has to be done is in the rows and nowhere else, and the worker looks for open
//!   rows when it starts, when it is told of a change, and every few seconds. The run that it starts first
//!   reads where the operation stands, so it does not matter who ran it before, or how far.
//! - **One at a time.** A run holds an advisory lock of PostgreSQL on a session of its own, and every write
//!   of the run goes through that session. PostgreSQL gives the lock to another only after that session is
//!   over, and a session that is over writes nothing: whoever lost the lock cannot record progress, an end or
//!   a link. A process that dies, or that loses its connection, loses its session, so nobody waits for it.
//! - **Once.** Effects outside this store (databases, other services' rows, reservations) are not under that
//!   lock, and a process that died may have made one that nobody recorded. So every stage is idempotent: what it
//!   makes is named after the operation or the environment, and what is there is taken. Between two effects a
//!   stage asks whether its session lives ([`StageContext::step`]), and the run drops the stage's future
//!   when it finds it dead; what a frozen process may still send is one request, which is idempotent too.
//! - **Succeeded means done.** A stage is marked after it returned; the operation ends in the transaction that
//!   marks the last stage, which also ends its holds.
//! - **Given up means undone.** A stage is marked as reached before anything of it is done, so undoing those
//!   that are marked, the last first, undoes everything. The state `cancelling` is left only when all are
//!   undone; undoing is tried again for ever.
//! - **Or never given up.** What cannot be undone is written in a transaction that first takes the operation's
//!   row and finds that nobody has given it up ([`StageContext::pass_point_of_no_return`]), and marks it
//!   irrevocable. Giving up takes the same row: one of the two comes first, and the other is refused.
//! - **One operation for one environment.** Holds are rows with the target as their key, inserted with the
//!   operation and deleted with its end, also kept by one that waits for somebody. An environment is not held
//!   while something below it is, nor the other way round ([`hold`]).

pub(crate) mod changes;
pub(crate) mod progress;
pub(crate) mod run;
pub(crate) mod stage;
mod worker;
pub(crate) mod workflow;

use std::sync::Arc;

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{OperationKind, OperationState};
use serde_json::Value;
use sqlx::postgres::PgConnection;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(crate) use changes::Changes;
pub(crate) use stage::StageContext;
pub(crate) use workflow::{Failure, StageError, Workflow};

use crate::Deps;
use crate::error::Error;
use crate::resource::{self, OPERATIONS};
use crate::store::hold;
use crate::store::operation::{self, NewOperation};
use crate::words::Word as _;

/// The worker of this process, and its ear.
#[derive(Debug)]
pub(crate) struct Engine {
    changes: Changes,
    tasks: [JoinHandle<()>; 2],
}

impl Engine {
    /// Goes on with whatever is open.
    pub(crate) fn start(deps: &Arc<Deps>) -> Self {
        let changes = Changes::new();
        let ear = tokio::spawn(changes::follow(changes.clone(), deps.store.url().to_owned()));
        let worker = tokio::spawn(worker::work(Arc::clone(deps), changes.clone()));
        Self { changes, tasks: [ear, worker] }
    }

    /// What watchers wait for.
    pub(crate) fn changes(&self) -> Changes {
        self.changes.clone()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// How an operation of this kind is done.
pub(crate) fn workflow(
    kind: OperationKind,
    request: &Value,
    deps: &Arc<Deps>,
) -> Result<Box<dyn Workflow>, Error> {
    match kind {
        OperationKind::Setup => crate::setup::workflow(request, deps),
        OperationKind::ConfigureDualWrite => crate::setup::dual_write::workflow(request, deps),
        OperationKind::InstallAddIn
        | OperationKind::ConfigureAddIn
        | OperationKind::UninstallAddIn => crate::add_ins::workflow(kind, request, deps),
        OperationKind::CreateEnvironment
        | OperationKind::DeleteEnvironment
        | OperationKind::CopyEnvironment
        | OperationKind::BackUpEnvironment
        | OperationKind::RestoreEnvironment
        | OperationKind::ResetEnvironment
        | OperationKind::ConvertEnvironment
        | OperationKind::RecoverEnvironment
        | OperationKind::InstallFinanceAndOperations => {
            crate::environments::workflow(request, deps)
        }
        OperationKind::Unspecified => Err(Error::Malformed("an operation of no kind".to_owned())),
    }
}

/// Begins an operation within the transaction of its request: it is carried on once that is committed.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    deps: &Arc<Deps>,
    new: &NewOperation,
) -> Result<pb::Operation, Error> {
    let stages = workflow(new.kind, &new.request, deps)?.stages();
    let id = operation::insert(connection, new, &stages).await?;
    progress::describe(connection, deps, id).await
}

/// Lets a failed operation go on at the stage that failed, once the transaction is committed.
pub(crate) async fn resume(
    connection: &mut PgConnection,
    deps: &Arc<Deps>,
    id: Uuid,
) -> Result<pb::Operation, Error> {
    let found = operation::find_locked(connection, id).await?;
    let found = found.ok_or_else(|| Error::NotFound(resource::name(OPERATIONS, id)))?;
    let (name, state) = (found.name(), found.state.word());
    if found.state != OperationState::Failed {
        let message = format!("`{name}` is {state}; only one that failed can be resumed");
        return Err(Error::InvalidState { resource: name, state, message });
    }
    hold::refuse_overtaken(connection, &found).await?;
    operation::set_wish(connection, id, OperationState::Pending).await?;
    progress::describe(connection, deps, id).await
}

/// Gives an operation up: once the transaction is committed, its stages are undone, the last first.
pub(crate) async fn cancel(
    connection: &mut PgConnection,
    deps: &Arc<Deps>,
    id: Uuid,
) -> Result<pb::Operation, Error> {
    let found = operation::find_locked(connection, id).await?;
    let found = found.ok_or_else(|| Error::NotFound(resource::name(OPERATIONS, id)))?;
    let (name, state) = (found.name(), found.state.word());
    if !progress::is_cancellable(&found) {
        let message = match found.irrevocable {
            true => format!("`{name}` is past the point from which it can be undone"),
            false => format!("`{name}` is {state} and cannot be cancelled"),
        };
        return Err(Error::InvalidState { resource: name, state, message });
    }
    operation::set_wish(connection, id, OperationState::Cancelling).await?;
    progress::describe(connection, deps, id).await
}
