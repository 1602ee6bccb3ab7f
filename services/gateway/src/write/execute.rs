//! Runs change sets.
//!
//! One operation that is all is one call ([`single`]). Anything else is an [`attempt`]: one stream to
//! each store that is written to ([`stream`]), over which [`run`] sends what the steps mean once
//! [`lookups`] has found the rows that they lead to. An attempt that another transaction got in the way
//! of is made again.

mod attempt;
mod both;
mod early;
mod found;
mod live;
mod lookups;
mod messages;
mod refusal;
mod run;
mod single;
mod stream;
mod values;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::change_set::{ChangeSet, Once, Outcome, Step, StepAction};
use crate::callers::Session;
use crate::deadline::Deadline;
use crate::dual_write::{Captures, DualWrite};
use crate::error::GatewayError;
use crate::metadata::Snapshot;
use crate::providers::{Call, Providers, Store};
use crate::recovery::BothStores;

/// How often a change set is tried that others get in the way of.
const MAX_ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Why a change set was not executed; nothing of it was.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Index of the step that failed, where it was one.
    pub(crate) step: Option<usize>,
    pub(crate) error: GatewayError,
}

/// A failure, and whether another attempt may fare better.
#[derive(Debug)]
struct Refusal {
    step: Option<usize>,
    error: GatewayError,
    again: Again,
}

/// Whether there is to be another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    No,
    Yes,
    /// One that leaves the other store to whoever reads this one's log.
    Unshared,
    /// One that prepares nothing before the other store has said what it makes of it.
    Unhurried,
}

/// The ways to whatever takes part in a write.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    providers: Providers,
    both_stores: BothStores,
    dual_write: Arc<DualWrite>,
}

/// What an execution works with.
#[derive(Clone, Copy)]
struct Context<'a> {
    ways: &'a Ways,
    call: Call<'a>,
    snapshot: &'a Snapshot,
    steps: &'a [Step],
    once: Option<&'a Once>,
    /// What is shared with the other store.
    captures: &'a Captures,
    deadline: &'a Deadline,
    /// For the other store, in attempts before this one.
    waited: Duration,
    /// The organization may prepare before the other side has said what it makes of it.
    hurries: bool,
}

/// Executes all steps, or none of them. One outcome for each step, in order.
pub(crate) async fn execute(
    ways: &Ways,
    (session, deadline): (&Session, &Deadline),
    snapshot: &Snapshot,
    changes: ChangeSet,
    once: Option<Once>,
) -> Result<Vec<Outcome>, Failed> {
    check(&changes.steps)?;
    let (nothing, steps) = (Captures::default(), &changes.steps);
    let waited_before = deadline.waited();
    let (mut unshared, mut hurries) = (false, true);
    let mut pause = FIRST_PAUSE;
    let mut attempts = 1;
    loop {
        // As of this attempt: the one before may have changed it.
        let call = Call { session, deadline: deadline.at() };
        let waited = deadline.waited().saturating_sub(waited_before);
        let known = ways.dual_write.captures(call.deadline).await;
        let captures = if unshared { &nothing } else { &*known };
        let once = once.as_ref();
        let context =
            Context { ways, call, snapshot, steps, once, captures, deadline, waited, hurries };
        let refusal = match Box::pin(context.run()).await {
            Ok(outcomes) => return Ok(outcomes),
            Err(refusal) => refusal,
        };
        let time_left = deadline.at().saturating_duration_since(Instant::now()) > pause;
        if refusal.again == Again::No || attempts == MAX_ATTEMPTS || !time_left {
            return Err(Failed { step: refusal.step, error: refusal.error });
        }
        unshared |= refusal.again == Again::Unshared;
        if refusal.again == Again::Unhurried {
            // Nobody is in the way.
            hurries = false;
            continue;
        }
        tokio::time::sleep(jittered(pause)).await;
        pause *= 2;
        attempts += 1;
    }
}

impl Ways {
    pub(crate) fn new(
        providers: Providers,
        both_stores: BothStores,
        dual_write: Arc<DualWrite>,
    ) -> Self {
        Self { providers, both_stores, dual_write }
    }
}

impl Context<'_> {
    async fn run(self) -> Result<Vec<Outcome>, Refusal> {
        match self.steps {
            [] => Ok(Vec::new()),
            // Finding rows first would not be once, so that takes a transaction.
            [step] if self.is_one_call(step) => Ok(vec![single::run(self, step).await?]),
            // Boxed: one call needs nothing of its room.
            _ => Box::pin(attempt::run(self)).await,
        }
    }

    /// Until when a store is to keep a transaction open that may have to wait for the other one.
    fn latest(&self) -> Instant {
        self.call.deadline + self.captures.longest_patience()
    }

    fn is_one_call(&self, step: &Step) -> bool {
        let once = self.once.is_none() || !needs_rows(step);
        !reads_only(step) && once && !self.is_shared(step)
    }

    /// What the step writes, the other store may have to follow. Whatever else it does there, the
    /// log's reader finds; but nobody knows what an action is about.
    fn is_shared(&self, step: &Step) -> bool {
        let Some(store) = Store::of(step.table.source) else { return false };
        let acts = matches!(step.action, StepAction::Perform { .. });
        self.captures.has(store, &step.table.external_name) || acts && self.captures.any(store)
    }
}

impl Again {
    fn when(helps: bool) -> Self {
        if helps { Self::Yes } else { Self::No }
    }
}

impl Refusal {
    fn new(step: usize, error: GatewayError) -> Self {
        Self { step: Some(step), error, again: Again::No }
    }

    /// As a provider refused a step.
    fn of_status(status: &tonic::Status, step: usize, error: GatewayError) -> Self {
        Self { step: Some(step), error, again: Again::when(refusal::is_conflict(status)) }
    }

    /// As a store refused a step within an open transaction, which ends with that.
    fn of_transaction(status: &tonic::Status, step: Option<usize>, error: GatewayError) -> Self {
        Self { step, error, again: Again::when(refusal::is_in_the_way(status)) }
    }

    /// Of the whole, not of a step.
    fn of_all(error: GatewayError) -> Self {
        Self { step: None, error, again: Again::No }
    }
}

/// The catalog's list has no transactions, and only properties of its rows that can be changed.
fn check(steps: &[Step]) -> Result<(), Failed> {
    let without = |step: &Step| Store::of(step.table.source).is_none();
    let Some(at) = steps.iter().position(without) else { return Ok(()) };
    match steps {
        [Step { action: StepAction::Update { .. }, .. }] => Ok(()),
        _ => {
            let set = steps.get(at).map(|it| it.table.set_name.clone()).unwrap_or_default();
            let what = format!("Writing '{set}' otherwise than by updates, one at a time,");
            Err(Failed { step: Some(at), error: GatewayError::NotOffered(what) })
        }
    }
}

fn reads_only(step: &Step) -> bool {
    matches!(step.action, StepAction::RequireRelated { .. })
}

/// Other rows have to be read before the step can be sent.
fn needs_rows(step: &Step) -> bool {
    lookups::of(&step.action).any(|(navigation, target)| {
        target.is_some_and(|it| lookups::direct(&step.table, navigation, it).is_none())
    })
}

/// Between half of it and all of it, so that those who met do not meet again.
fn jittered(pause: Duration) -> Duration {
    let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
    let share = u32::try_from(random % 512).unwrap_or_default();
    pause / 2 + pause / 2 * share / 512
}
