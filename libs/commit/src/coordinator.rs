//! Who drives the two sides to one end.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::id::{Decision, TransactionId};
use crate::participant::Prepared;
use crate::step::step;

/// Both sides, as far as they outlive a transaction: usually two services behind the network.
pub trait Sides: Send + Sync {
    /// How a side refuses.
    type Error: Display + Send;

    /// Ends the participant's prepared transaction ([`crate::participant::settle`]).
    fn settle(
        &self,
        id: TransactionId,
        decision: Decision,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The last resource's decision ([`crate::last_resource::resolve`]).
    fn resolve(
        &self,
        id: TransactionId,
    ) -> impl Future<Output = Result<Decision, Self::Error>> + Send;

    /// Everything that waits on the participant, oldest first ([`crate::participant::list`]).
    fn list_prepared(&self) -> impl Future<Output = Result<Vec<Prepared>, Self::Error>> + Send;
}

/// How a transaction over both sides ended, as far as its coordinator knows.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<E> {
    /// On both sides, and seen on both.
    Committed,
    /// On neither side, for this reason.
    Aborted(E),
    /// Decided, or about to be; recovery ends it. The last thing that stood in the way.
    Pending(Option<E>),
}

const FIRST_DELAY: Duration = Duration::from_millis(20);
const LAST_DELAY: Duration = Duration::from_secs(1);
/// What is left for learning the outcome when the deadline is about to pass.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Ends a transaction whose operations are done on both sides.
///
/// `prepare` ends the participant's transaction under the id, `commit` the last resource's with its
/// record. Neither runs before it is polled; both bound themselves in time. Dropping `commit` before it ran
/// must roll back. Dropping the future that this function returns is safe: recovery goes on from there.
pub async fn commit<S: Sides>(
    sides: &S,
    id: TransactionId,
    prepare: impl Future<Output = Result<(), S::Error>> + Send,
    commit: impl Future<Output = Result<(), S::Error>> + Send,
    deadline: Instant,
) -> Outcome<S::Error> {
    if let Err(cause) = prepare.await {
        // Nobody will ever commit the other side, so nothing needs to be recorded there. The participant
        // may have prepared all the same.
        drop(commit);
        give_up(sides, id).await;
        return Outcome::Aborted(cause);
    }
    step("platform-prepared");
    if let Err(cause) = commit.await {
        // Whatever the error says: the record says what happened.
        match patiently(last_word(deadline), || sides.resolve(id)).await {
            Ok(Decision::Commit) => {}
            Ok(Decision::Abort) => {
                give_up(sides, id).await;
                return Outcome::Aborted(cause);
            }
            Err(obstacle) => return Outcome::Pending(Some(obstacle.unwrap_or(cause))),
        }
    }
    step("erp-committed");
    if let Err(obstacle) =
        patiently(last_word(deadline), || sides.settle(id, Decision::Commit)).await
    {
        return Outcome::Pending(obstacle);
    }
    step("platform-settled");
    Outcome::Committed
}

/// Spares recovery the work, if the participant listens at all; the answer does not depend on it.
async fn give_up<S: Sides>(sides: &S, id: TransactionId) {
    let until = Instant::now() + LAST_WORD;
    let _ = patiently(until, || sides.settle(id, Decision::Abort)).await;
}

fn last_word(deadline: Instant) -> Instant {
    deadline.max(Instant::now() + LAST_WORD)
}

/// Tries until it works or `deadline` passes; then the last error, if there was time for one.
async fn patiently<T, E: Display, F: Future<Output = Result<T, E>>>(
    deadline: Instant,
    attempt: impl Fn() -> F,
) -> Result<T, Option<E>> {
    let mut delay = FIRST_DELAY;
    let mut obstacle = None;
    loop {
        match timeout_at(deadline, attempt()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a side does not follow; trying again");
                obstacle = Some(error);
            }
            Err(_) => return Err(obstacle),
        }
        let next = Instant::now() + delay;
        if next >= deadline {
            return Err(obstacle);
        }
        sleep_until(next).await;
        delay = (delay * 2).min(LAST_DELAY);
    }
}
