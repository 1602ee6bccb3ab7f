//! Follows an operation until it waits for somebody or has ended. Who stops following stops nothing: the
//! operation goes on by itself.

mod display;
mod text;

use std::time::Duration;

use anyhow::Result;
use proto::lifecycle::v1::{GetOperationRequest, Operation, OperationState, WatchOperationRequest};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use crate::client::explain;
use crate::exit::{Exit, Failure};
use crate::print::{Output, note, plain};
use crate::system::{System, told};
use display::Display;

/// A watch says nothing for so long only when it is not there any more; the system ends them sooner.
const SILENCE: Duration = Duration::from_secs(150);
/// A system that does not answer is asked again, the more seldom the longer, for some minutes.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 60;

/// What becomes of an operation that was begun.
pub(crate) async fn begun(
    system: &System,
    output: Output,
    no_wait: bool,
    operation: Option<Operation>,
) -> Result<()> {
    let operation = told(operation)?;
    if no_wait {
        return output.one(&operation, || text::begun(&operation));
    }
    let was_going_on = is_going_on(&operation) && operation.state() != OperationState::Cancelling;
    let operation = follow(system, operation).await?;
    output.one(&operation, || text::result(&operation))?;
    ended(&operation, was_going_on)
}

/// Shows how far an operation is, and returns it when it does not go on by itself.
async fn follow(system: &System, operation: Operation) -> Result<Operation> {
    let name = operation.name.clone();
    let mut display = Display::new();
    let followed = tokio::select! {
        it = watch(system, operation, &mut display) => it,
        _ = tokio::signal::ctrl_c() => {
            let name = plain(&name);
            let message = format!("not followed any more; it goes on, see: tombolo env watch {name}");
            Err(Failure::of(Exit::Failed, message))
        }
    };
    display.finish();
    followed
}

async fn watch(
    system: &System,
    mut operation: Operation,
    display: &mut Display,
) -> Result<Operation> {
    let mut attempts = 0;
    display.show(&operation);
    while is_going_on(&operation) {
        let before = operation.clone();
        let watched = watch_once(system, &mut operation, display).await;
        if operation != before {
            attempts = 0;
        }
        match watched {
            Ok(()) => {}
            Err(status) if is_passing(&status) && attempts < ATTEMPTS => display.waiting(),
            Err(status) => return Err(explain(status)),
        }
        if is_going_on(&operation) {
            sleep(FIRST_DELAY.saturating_mul(1 << attempts.min(10)).min(LONGEST_DELAY)).await;
            attempts += 1;
        }
    }
    Ok(operation)
}

/// One stream: it ends with the operation, or at the system's bound on how long a call takes.
async fn watch_once(
    system: &System,
    operation: &mut Operation,
    display: &mut Display,
) -> Result<(), Status> {
    let request = WatchOperationRequest { name: operation.name.clone() };
    let mut stream = system.operations().watch_operation(request).await?.into_inner();
    let silent = |_| Status::deadline_exceeded("the system says nothing any more");
    while let Some(answer) = timeout(SILENCE, stream.message()).await.map_err(silent)?? {
        if let Some(it) = answer.operation {
            *operation = it;
            display.show(operation);
        }
        if !is_going_on(operation) {
            break;
        }
    }
    Ok(())
}

/// Whether it goes on without anybody.
fn is_going_on(operation: &Operation) -> bool {
    match operation.state() {
        OperationState::Cancelling => true,
        // An add-in stays installing until its user has the right to: that is waiting for somebody.
        OperationState::Pending | OperationState::Running => operation.failure.is_none(),
        OperationState::Succeeded
        | OperationState::Failed
        | OperationState::Cancelled
        | OperationState::Unspecified => false,
    }
}

fn is_passing(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled)
        // A connection that breaks within a stream.
        || status.code() == Code::Unknown
}

/// Tells failure by the exit code, and on standard error what to do about it.
fn ended(operation: &Operation, was_going_on: bool) -> Result<()> {
    match operation.state() {
        OperationState::Succeeded => return Ok(()),
        OperationState::Cancelled | OperationState::Cancelling if !was_going_on => return Ok(()),
        OperationState::Cancelled | OperationState::Cancelling => {
            return Err(Failure::of(Exit::Failed, "it was cancelled"));
        }
        OperationState::Failed
        | OperationState::Pending
        | OperationState::Running
        | OperationState::Unspecified => {}
    }
    note(&text::failure(operation));
    let exit = if operation.resumable { Exit::Resumable } else { Exit::Failed };
    Err(Failure::of(exit, text::headline(operation)))
}

/// `tombolo env watch`.
pub(crate) async fn named(
    system: &System,
    output: Output,
    no_wait: bool,
    name: String,
) -> Result<()> {
    let answer = system.operations().get_operation(GetOperationRequest { name }).await;
    begun(system, output, no_wait, answer.map_err(explain)?.into_inner().operation).await
}

#[cfg(test)]
mod tests;
