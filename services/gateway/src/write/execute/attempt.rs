//! One attempt of several operations: a transaction in each store that is written to, and one end.

use std::collections::VecDeque;
use std::time::Instant;

use commit::{TransactionId, step};
use prost::Message as _;
use proto::query::v1 as pb;
use sha2::{Digest as _, Sha256};
use tonic::Status;

use super::super::change_set::{Once, Outcome};
use super::both::both;
use super::early::Early;
use super::live::Spread;
use super::messages::{self, Sent};
use super::run::Run;
use super::stream::{Opened, Part, Transaction};
use super::{Again, Context, Refusal, live, needs_rows, reads_only, refusal, single};
use crate::error::GatewayError;
use crate::providers::Store;

/// The ERP first: what is recorded there is decided, and the organization may only be about to follow.
const ORDER: [Store; 2] = [Store::Erp, Store::Organization];

/// Transactions that are open.
#[derive(Debug, Default)]
pub(super) struct Stores {
    erp: Option<Transaction>,
    organization: Option<Transaction>,
}

/// What was done before, by store.
#[derive(Debug, Default)]
struct Recorded {
    erp: VecDeque<pb::OperationResult>,
    organization: VecDeque<pb::OperationResult>,
}

pub(super) async fn run(context: Context<'_>) -> Result<Vec<Outcome>, Refusal> {
    let writes = context.steps.iter().filter(|it| !reads_only(it));
    let concerned: Vec<_> = writes.filter_map(|it| Store::of(it.table.source)).collect();
    let (mut stores, mut recorded) = (Stores::default(), None::<Recorded>);
    let once = once(context).await?;
    for store in ORDER.into_iter().filter(|it| concerned.contains(it)) {
        let time = (context.call, context.latest());
        let providers = &context.ways.providers;
        let opened = match &once {
            Some(once) => Transaction::once(providers, time, store, once).await,
            None => Transaction::begin(providers, time, store).await.map(Opened::Fresh),
        };
        match opened {
            Ok(Opened::Fresh(it)) => *stores.of(store) = Some(*it),
            Ok(Opened::Recorded(results)) => {
                let results = results.into_iter().filter(|it| !is_read(it)).collect();
                *recorded.get_or_insert_default().of(store) = results;
            }
            // Decided there, and here nobody has heard of it yet.
            Err(status) if recorded.is_some() && is_waiting(&status) => {
                return Err(Refusal::of_all(refusal::pending()));
            }
            Err(status) => return Err(of_store(context, store, &status)),
        }
    }
    if let Some(recorded) = recorded {
        return outcomes(context, recorded);
    }
    step("begun");
    let id = TransactionId::new();
    let mut early = Early::of(context);
    let writing = Box::pin(Run::new(context, stores).all());
    let (outcomes, mut stores, shared) = early.beside(writing).await?;
    let spread = Box::pin(live::spread(context, &mut stores, (shared, &mut early), id)).await;
    early.leave();
    stores.commit(context, id, spread?).await?;
    Ok(outcomes)
}

/// What is one call where nothing is shared can be asked again when that has changed: stores know such a
/// request by its operation.
async fn once(context: Context<'_>) -> Result<Option<Once>, Refusal> {
    let Some(once) = context.once else { return Ok(None) };
    let [step] = context.steps else { return Ok(Some(once.clone())) };
    if reads_only(step) || needs_rows(step) {
        return Ok(Some(once.clone()));
    }
    let (operation, _) = single::operation(context, step).await?;
    let operation = pb::Operation { operation: Some(operation) };
    let digest = Sha256::digest(operation.encode_to_vec()).into();
    Ok(Some(Once { key: once.key.clone(), digest }))
}

impl Stores {
    pub(super) fn of(&mut self, store: Store) -> &mut Option<Transaction> {
        match store {
            Store::Erp => &mut self.erp,
            Store::Organization => &mut self.organization,
        }
    }

    /// The one of this store, which is there, and the other.
    pub(super) fn sides(
        &mut self,
        store: Store,
    ) -> (&mut Option<Transaction>, &mut Option<Transaction>) {
        match store {
            Store::Erp => (&mut self.erp, &mut self.organization),
            Store::Organization => (&mut self.organization, &mut self.erp),
        }
    }

    pub(super) fn are_both(&self) -> bool {
        self.erp.is_some() && self.organization.is_some()
    }

    /// What is asked of those that are open is to be done by then.
    pub(super) fn wait_until(&mut self, deadline: Instant) {
        for store in [&mut self.erp, &mut self.organization].into_iter().flatten() {
            store.wait_until(deadline);
        }
    }

    async fn commit(
        self,
        context: Context<'_>,
        id: TransactionId,
        spread: Option<Spread<'_>>,
    ) -> Result<(), Refusal> {
        let (store, transaction) = match (self.erp, self.organization) {
            (Some(erp), Some(organization)) => {
                return both(context, id, (erp, organization), spread).await;
            }
            (Some(erp), None) => (Store::Erp, erp),
            (None, Some(organization)) => (Store::Organization, organization),
            (None, None) => return Ok(()),
        };
        let committed = transaction.commit(Part::default()).await;
        committed.map_err(|status| match refusal::is_unknown(&status) {
            true => Refusal::of_all(refusal::pending()),
            false => of_store(context, store, &status),
        })
    }
}

impl Recorded {
    fn of(&mut self, store: Store) -> &mut VecDeque<pb::OperationResult> {
        match store {
            Store::Erp => &mut self.erp,
            Store::Organization => &mut self.organization,
        }
    }
}

/// Those of a change set that was executed before.
fn outcomes(context: Context<'_>, mut recorded: Recorded) -> Result<Vec<Outcome>, Refusal> {
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(context.steps.len());
    for (at, step) in context.steps.iter().enumerate() {
        if reads_only(step) {
            outcomes.push(Some(Outcome::default()));
            continue;
        }
        let store = Store::of(step.table.source);
        let answer = store.and_then(|it| recorded.of(it).pop_front()).and_then(|it| it.result);
        let row = messages::row(&step.action).and_then(|it| messages::key(it, &outcomes));
        let sent = Sent { step: at, row, judged: false };
        let outcome = answer.and_then(|it| messages::outcome(&it, &sent));
        // A side that has no record, or another one, of what the other side has done.
        let outcome = outcome.ok_or_else(|| Refusal::of_all(refusal::senseless()))?;
        outcomes.push(Some(outcome));
    }
    Ok(outcomes.into_iter().flatten().collect())
}

fn is_read(result: &pb::OperationResult) -> bool {
    matches!(result.result, Some(pb::operation_result::Result::Retrieve(_)))
}

/// For another transaction to end, or for a side to be back.
fn is_waiting(status: &Status) -> bool {
    refusal::is_unknown(status)
        || refusal::is_conflict(status)
        || rpc::reason(status) == Some(rpc::ErrorReason::StoreUnavailable)
}

/// A refusal of a store that is about no step of its own: words for its tables do.
pub(super) fn of_store(context: Context<'_>, store: Store, status: &Status) -> Refusal {
    let mut tables = context.steps.iter().map(|it| &it.table);
    let error = match tables.find(|it| Store::of(it.source) == Some(store)) {
        Some(table) => GatewayError::of_provider(status, table),
        None => GatewayError::of_service(status),
    };
    Refusal { step: None, error, again: Again::when(refusal::is_conflict(status)) }
}
