//! The steps of one attempt, in order. Those that need nothing of each other travel together.

use prost::Message as _;
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation;
use rpc::ErrorReason;
use tonic::Status;

use super::super::change_set::{Outcome, RowRef, Step, StepAction};
use super::attempt::{self, Stores};
use super::found::Found;
use super::live::Shared;
use super::messages::{self, Sent};
use super::{Again, Context, Refusal, lookups, refusal, values};
use crate::error::GatewayError;
use crate::metadata::Table;
use crate::providers::Store;
use crate::translate::RowKey;

/// Operations that travel together at most.
const MAX_TOGETHER: usize = 200;
/// Their bytes at most, unless one alone is larger.
const MAX_BYTES: usize = 1 << 20;

/// Steps on their way through open transactions.
pub(super) struct Run<'a> {
    pub(super) context: Context<'a>,
    stores: Stores,
    /// Of the steps that were sent; absent for those that wait.
    outcomes: Vec<Option<Outcome>>,
    waiting: Waiting,
    found: Found,
    judged: Option<Judged>,
    shared: Shared,
}

/// A row that was found to be related, and that the step behind this one takes apart: as it was then.
struct Judged {
    step: usize,
    version: String,
}

/// What is to be sent next, all to one store.
#[derive(Default)]
struct Waiting {
    store: Option<Store>,
    operations: Vec<pb::Operation>,
    sent: Vec<Sent>,
    bytes: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(context: Context<'a>, stores: Stores) -> Self {
        let outcomes = vec![None; context.steps.len()];
        let (waiting, found) = (Waiting::default(), Found::default());
        let shared = Shared::default();
        Self { context, stores, outcomes, waiting, found, judged: None, shared }
    }

    /// All steps, and what they changed of rows that are shared. The transactions are open still.
    pub(super) async fn all(mut self) -> Result<(Vec<Outcome>, Stores, Shared), Refusal> {
        let steps = self.context.steps;
        for (at, step) in steps.iter().enumerate() {
            self.step(at, step).await?;
        }
        self.share().await?;
        let outcomes: Vec<_> = self.outcomes.into_iter().flatten().collect();
        match outcomes.len() == steps.len() {
            true => Ok((outcomes, self.stores, self.shared)),
            false => Err(Refusal::of_all(refusal::senseless())),
        }
    }

    async fn step(&mut self, at: usize, step: &Step) -> Result<(), Refusal> {
        let row = match messages::row(&step.action) {
            Some(row) => Some(self.key(at, row).await?),
            None => None,
        };
        if let (StepAction::RequireRelated { navigation, other, .. }, Some(row)) =
            (&step.action, &row)
        {
            let other = self.key(at, other).await?;
            let version =
                lookups::require_related(self, at, (&step.table, row), navigation, &other).await?;
            self.judged = version.map(|version| Judged { step: at, version });
            return self.done(at, Outcome::default());
        }
        let values = lookups::values(self, at, step, row.as_ref()).await?;
        let mut operation = messages::operation(step, row.as_ref(), values);
        let judged = self.judged.take().filter(|it| it.step + 1 == at);
        let judged = match (judged, &mut operation) {
            (Some(Judged { version, .. }), Some(Operation::Update(it))) if it.etag.is_empty() => {
                it.etag = version;
                true
            }
            _ => false,
        };
        let store = Store::of(step.table.source);
        let (Some(operation), Some(store)) = (operation, store) else {
            return Err(Refusal::of_all(refusal::senseless()));
        };
        self.found.forget(step, row.as_ref());
        self.send_later(store, operation, Sent { step: at, row, judged }).await
    }

    /// The key of a row of an earlier step is known once that was sent.
    pub(super) async fn key(&mut self, at: usize, row: &RowRef) -> Result<RowKey, Refusal> {
        if let RowRef::Step(before) = row
            && *before < at
            && matches!(self.outcomes.get(*before), Some(None))
        {
            self.flush().await?;
        }
        messages::key(row, &self.outcomes).ok_or_else(|| {
            let message = "The request names the row of a request that has none.";
            Refusal::new(at, GatewayError::InvalidQuery(message.to_owned()))
        })
    }

    /// Columns of a row, as the steps before leave it. Where nothing is written in its store, no
    /// transaction is needed to see that.
    pub(super) async fn read(
        &mut self,
        at: usize,
        (table, key): (&Table, &RowKey),
        columns: &[&pb::ColumnRef],
    ) -> Result<Vec<Option<pb::Value>>, Refusal> {
        if let Some(values) = self.found.get((table, key), columns) {
            return Ok(values);
        }
        let values = self.read_anew(at, (table, key), columns).await?;
        self.found.remember((table, key), columns, &values);
        Ok(values)
    }

    /// [`Self::read`], as of now.
    pub(super) async fn read_anew(
        &mut self,
        at: usize,
        (table, key): (&Table, &RowKey),
        columns: &[&pb::ColumnRef],
    ) -> Result<Vec<Option<pb::Value>>, Refusal> {
        if self.waiting.store.is_some_and(|it| Some(it) == Store::of(table.source)) {
            self.flush().await?;
        }
        let request = values::request(table.external_name.clone(), key, columns);
        let transaction = Store::of(table.source).and_then(|it| self.stores.of(it).as_mut());
        let mut began = None;
        let batch = match transaction {
            Some(transaction) => {
                let operation = Some(Operation::Retrieve(request));
                let results = transaction.operate(vec![pb::Operation { operation }]).await;
                began = Some(!transaction.never_began());
                results.map(|it| match it.into_iter().next().and_then(|it| it.result) {
                    Some(pb::operation_result::Result::Retrieve(it)) => it.batch,
                    _ => None,
                })
            }
            None => {
                let Context { ways, call, .. } = self.context;
                ways.providers.retrieve(call, table.source, request).await.map(Some)
            }
        };
        let batch = batch.map_err(|status| {
            let error = refusal::of_row(&status, table, Some(key));
            match (began, Store::of(table.source)) {
                (Some(false), Some(store)) => attempt::of_store(self.context, store, &status),
                (Some(_), _) => Refusal::of_transaction(&status, Some(at), error),
                (None, _) => Refusal::of_status(&status, at, error),
            }
        })?;
        let values = batch.and_then(|it| values::read(it, columns.len()));
        values.ok_or_else(|| Refusal::of_all(refusal::senseless()))
    }

    async fn send_later(
        &mut self,
        store: Store,
        operation: Operation,
        sent: Sent,
    ) -> Result<(), Refusal> {
        let operation = pb::Operation { operation: Some(operation) };
        let bytes = operation.encoded_len();
        let full = self.waiting.operations.len() >= MAX_TOGETHER
            || self.waiting.bytes.saturating_add(bytes) > MAX_BYTES;
        if full || self.waiting.store.is_some_and(|it| it != store) {
            self.flush().await?;
        }
        self.waiting.store = Some(store);
        self.waiting.bytes = self.waiting.bytes.saturating_add(bytes);
        self.waiting.operations.push(operation);
        self.waiting.sent.push(sent);
        Ok(())
    }

    /// What still waits, and what all of it changed of rows that are shared: asked right behind.
    async fn share(&mut self) -> Result<(), Refusal> {
        let captures = self.context.captures;
        let last = self.waiting.store;
        for store in [Store::Erp, Store::Organization] {
            if last == Some(store) || !captures.any(store) {
                continue;
            }
            if let Some(transaction) = self.stores.of(store).as_mut() {
                let rows = transaction.share(&captures.link).await;
                *self.shared.of(store) = rows.map_err(|it| self.unshared(store, &it))?;
            }
        }
        match last.filter(|it| captures.any(*it)) {
            Some(_) => self.send(Some(&captures.link)).await,
            None => self.flush().await,
        }
    }

    async fn flush(&mut self) -> Result<(), Refusal> {
        self.send(None).await
    }

    /// With a link, asks also what is shared.
    async fn send(&mut self, link: Option<&str>) -> Result<(), Refusal> {
        let Waiting { store: Some(store), operations, sent, .. } =
            std::mem::take(&mut self.waiting)
        else {
            return Ok(());
        };
        let Some(transaction) = self.stores.of(store).as_mut() else {
            return Err(Refusal::of_all(refusal::senseless()));
        };
        let answered = match link {
            Some(link) => transaction.operate_and_share(operations, link).await,
            None => transaction.operate(operations).await.map(|it| (it, Ok(Vec::new()))),
        };
        let never_began = transaction.never_began();
        let (results, shared) = answered.map_err(|status| match never_began {
            true => attempt::of_store(self.context, store, &status),
            false => self.refused(&status, &sent),
        })?;
        *self.shared.of(store) = shared.map_err(|it| self.unshared(store, &it))?;
        commit::step(match store {
            Store::Organization => "platform-written",
            Store::Erp => "erp-written",
        });
        for (sent, result) in sent.iter().zip(results) {
            let outcome = result.result.and_then(|it| messages::outcome(&it, sent));
            let outcome = outcome.ok_or_else(|| Refusal::of_all(refusal::senseless()))?;
            self.done(sent.step, outcome)?;
        }
        Ok(())
    }

    fn unshared(&self, store: Store, status: &Status) -> Refusal {
        if rpc::reason(status) == Some(ErrorReason::LimitExceeded) {
            return Refusal::of_all(GatewayError::too_large_to_share(store, status));
        }
        let refusal = attempt::of_store(self.context, store, status);
        Refusal { again: Again::when(refusal::is_in_the_way(status)), ..refusal }
    }

    fn refused(&self, status: &Status, sent: &[Sent]) -> Refusal {
        let at = refusal::operation(status).or((sent.len() == 1).then_some(0));
        let failed = at.and_then(|at| sent.get(at));
        let step = failed.and_then(|it| Some((it, self.context.steps.get(it.step)?)));
        if let Some((sent, _)) = step.filter(|(it, _)| it.judged && refusal::is_changed(status)) {
            // The client named no version; what it wants has to be judged again.
            return Refusal {
                step: Some(sent.step),
                error: GatewayError::conflict(),
                again: Again::Yes,
            };
        }
        match (step, sent.first().and_then(|it| self.context.steps.get(it.step))) {
            (Some((sent, step)), _) => {
                let error = refusal::of_step(status, step, sent.row.as_ref());
                Refusal::of_transaction(status, Some(sent.step), error)
            }
            (None, Some(step)) => {
                let error = GatewayError::of_provider(status, &step.table);
                Refusal::of_transaction(status, None, error)
            }
            (None, None) => Refusal::of_all(refusal::senseless()),
        }
    }

    fn done(&mut self, at: usize, outcome: Outcome) -> Result<(), Refusal> {
        let place = self.outcomes.get_mut(at);
        *place.ok_or_else(|| Refusal::of_all(refusal::senseless()))? = Some(outcome);
        Ok(())
    }
}
