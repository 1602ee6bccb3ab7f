//! What a transaction changed of rows that live maps share, in the other store before both end
//! (spec dual-write-and-events A3).
//!
//! A side is asked what it changed (`Share`, right behind the last operations), dual-write says what that is
//! in the words of the other side, and that side writes it (`Apply`) in a transaction that is open there or
//! that is opened meanwhile. What its own rules made of it comes back with the answer and goes the other way, until
//! nothing is left to say, or [`MOST_TURNS`] were taken: the rest is left to the log's reader. Then both
//! end as all transactions over two stores do. Where nothing was shared, nothing of this happens.
//!
//! A mapped write of one row costs: `Begin` (1), operations with `Share` beside the other side's `Begin`
//! ([`Early`]) (1), translation (1), `Apply` with `Share` (1), prepare, commit, settle (3): seven round trips, of which a write that is not mapped, and that one call is not enough for, takes three. A row that is not new
//! takes six: preparing does not wait for what was applied, nor is asked what became of it (`late`). A new one that the other side has already ends
//! with one commit, after five.
//!
//! The peer has no idempotency key: what the client asks is recorded where its own operations are, and the other side
//! follows the decision. Until the organization prepares, dropping the streams leaves nothing on either side; from then on
//! the commit sees to it.

mod both_changed;
mod late;
mod refused;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use commit::{TransactionId, step};
use proto::query::v1 as pb;
use tonic::Status;

use super::attempt::{self, Stores};
use super::early::Early;
use super::stream::Transaction;
use super::{Context, Refusal, reads_only, refusal};
use crate::providers::{Call, Store, within};
pub(super) use late::{Late, Untold};

/// How often one side is told what the other made of what it was told.
const MOST_TURNS: usize = 3;
/// What is left of the time of a save's maps for telling why it failed: a tenth, and this at most.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Changes that the other side does not have yet, by the store that made them.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    erp: Vec<pb::SharedRow>,
    organization: Vec<pb::SharedRow>,
}

/// A transaction that both stores take part in since one of them shared.
pub(super) struct Spread<'a> {
    context: Context<'a>,
    /// Where the change comes from; the ERP where it comes from both.
    source: Store,
    /// Those that share it.
    maps: BTreeSet<String>,
    id: TransactionId,
    since: Instant,
    /// The other side is waited for until then.
    until: Instant,
    /// The time of the maps is over: from then on nobody waits, not even for why.
    over: Instant,
    /// What was changed on both sides, where it was.
    mixed: Option<Shared>,
    /// What the other side is to be told when the organization prepares.
    late: Option<Late>,
}

/// Brings both stores to the same; `None` where nothing is shared.
pub(super) async fn spread<'a>(
    context: Context<'a>,
    stores: &mut Stores,
    (shared, early): (Shared, &mut Early<'_>),
    id: TransactionId,
) -> Result<Option<Spread<'a>>, Refusal> {
    let Some(source) = shared.first() else { return Ok(None) };
    let mut spread = Spread::new(context, source, &shared, id);
    stores.wait_until(spread.until);
    let most = if spread.mixed.is_some() { MOST_TURNS + 1 } else { MOST_TURNS };
    let mut left = shared;
    for turn in 1..=most {
        let Some(source) = left.first() else { break };
        let rows = std::mem::take(left.of(source));
        let corrections = spread.turn((stores, &mut *early), (source, rows), (turn, most)).await?;
        left.of(source.other()).extend(corrections);
    }
    if !stores.are_both() {
        // Nothing is waited for that is the other side's.
        stores.wait_until(context.deadline.at().max(spread.over));
    }
    Ok(Some(spread))
}

impl Shared {
    pub(super) fn of(&mut self, store: Store) -> &mut Vec<pb::SharedRow> {
        match store {
            Store::Erp => &mut self.erp,
            Store::Organization => &mut self.organization,
        }
    }

    fn rows(&self, store: Store) -> &[pb::SharedRow] {
        match store {
            Store::Erp => &self.erp,
            Store::Organization => &self.organization,
        }
    }

    fn first(&self) -> Option<Store> {
        [Store::Erp, Store::Organization].into_iter().find(|it| !self.rows(*it).is_empty())
    }
}

impl<'a> Spread<'a> {
    fn new(context: Context<'a>, source: Store, shared: &Shared, id: TransactionId) -> Self {
        let rows = shared.erp.iter().chain(&shared.organization);
        let maps: BTreeSet<String> = rows.map(|it| it.map.clone()).collect();
        let mixed = !shared.erp.is_empty() && !shared.organization.is_empty();
        let patience = context.captures.patience(maps.iter());
        // Of all attempts together.
        let mut patience = patience.saturating_sub(context.waited);
        if context.captures.queue_when_away(maps.iter()) {
            // What is left is for saving without the other side.
            patience /= 2;
        }
        let since = Instant::now();
        let over = since + patience;
        let until = over - LAST_WORD.min(patience / 10);
        let mixed = mixed.then(|| shared.clone());
        Self { context, source, maps, id, since, until, over, mixed, late: None }
    }

    pub(super) fn over(&self) -> Instant {
        self.over
    }

    /// The store takes part because of maps, and not because the user writes to it.
    pub(super) fn is_peer(&self, store: Store) -> bool {
        let mut writes = self.context.steps.iter().filter(|it| !reads_only(it));
        !writes.any(|it| Store::of(it.table.source) == Some(store))
    }

    /// Tells the other side, and returns what its rules made of it, if that is wanted.
    async fn turn(
        &mut self,
        (stores, early): (&mut Stores, &mut Early<'_>),
        (source, rows): (Store, Vec<pb::SharedRow>),
        (turn, most): (usize, usize),
    ) -> Result<Vec<pb::SharedRow>, Refusal> {
        let captures = self.context.captures;
        let (Some(own), peer) = stores.sides(source) else {
            return Err(Refusal::of_all(refusal::senseless()));
        };
        let translated = self.translated(own, (early, peer.is_none()), (source, rows));
        let Some((mut rows, opened)) = translated.await? else { return Ok(Vec::new()) };
        let is_new = opened.is_some();
        let Some(transaction) = opened.or_else(|| peer.take()) else {
            return Err(Refusal::of_all(refusal::senseless()));
        };
        let transaction = peer.insert(transaction);
        if let Some(mixed) = &self.mixed {
            both_changed::keep_to_what_was_changed(&mut rows, mixed.rows(source.other()));
        }
        let link = (turn < most).then_some(captures.link.as_str());
        let how = pb::Apply {
            rows: Vec::new(),
            origin: self.id.to_string(),
            lock_timeout_milliseconds: patience(source),
        };
        let rows = match is_new {
            true => match self.hurry(source, turn, (rows, &how)) {
                Some(rows) => rows,
                None => return Ok(Vec::new()),
            },
            false => rows,
        };
        let applying = within(self.until, transaction.apply(&rows, how, link));
        let applied = own.meanwhile(applying).await;
        let (applied, corrections) =
            match applied.map_err(|status| attempt::of_store(self.context, source, &status))? {
                Ok(answer) => answer,
                Err(status) => {
                    let row = refusal::operation(&status).and_then(|at| rows.get(at));
                    return Err(self.not_taken(source, &status, row).await);
                }
            };
        step("applied");
        if let Some(mixed) = &self.mixed {
            let written = rows.iter().zip(&applied);
            both_changed::check(captures, mixed, (source, turn), written)
                .map_err(Refusal::of_all)?;
        }
        if is_new && corrections.is_empty() && applied.iter().all(changed_nothing) {
            peer.take().into_iter().for_each(Transaction::leave);
        }
        Ok(corrections)
    }

    /// What the other side is to write, and a transaction for it, where there is none yet; `None` where it is nothing.
    async fn translated(
        &self,
        own: &mut Transaction,
        (early, is_wanted): (&mut Early<'_>, bool),
        (source, rows): (Store, Vec<pb::SharedRow>),
    ) -> Result<Option<(Vec<pb::ApplyRow>, Option<Transaction>)>, Refusal> {
        let translating = async {
            let translated = self.context.ways.dual_write.translate(source, rows, self.until);
            tokio::join!(translated, self.open(early, source.other(), is_wanted))
        };
        let waited = own.meanwhile(translating).await;
        let (translated, opened) =
            waited.map_err(|status| attempt::of_store(self.context, source, &status))?;
        let rows = match translated {
            Ok(rows) => rows,
            Err(status) => return Err(self.refused(source, &status, None).await),
        };
        if rows.is_empty() {
            opened.ok().flatten().into_iter().for_each(Transaction::leave);
            return Ok(None);
        }
        step("translated");
        match opened {
            Ok(opened) => Ok(Some((rows, opened))),
            Err(status) => Err(self.refused(source, &status, None).await),
        }
    }

    /// A transaction of the store, where there is none yet.
    async fn open(
        &self,
        early: &mut Early<'_>,
        store: Store,
        is_wanted: bool,
    ) -> Result<Option<Transaction>, Status> {
        if !is_wanted {
            return Ok(None);
        }
        let opening = async { early.take().await.transpose() };
        if let Some(mut transaction) = within(self.until, opening).await? {
            transaction.wait_until(self.until);
            return Ok(Some(*transaction));
        }
        let Context { ways, call, .. } = self.context;
        let time = (Call { deadline: self.until, ..call }, self.until + LAST_WORD);
        Transaction::begin(&ways.providers, time, store).await.map(|it| Some(*it))
    }
}

impl Drop for Spread<'_> {
    fn drop(&mut self) {
        self.context.deadline.put_off(self.since.elapsed());
    }
}

/// How long a row is waited for that somebody else holds, in milliseconds. Two saves of one row, one on each
/// side, wait for each other: the platform's gives way, and the ERP's goes on.
fn patience(source: Store) -> i32 {
    match source {
        Store::Erp => 500,
        Store::Organization => 200,
    }
}

fn changed_nothing(row: &pb::AppliedRow) -> bool {
    row.kind() == pb::AppliedKind::Unchanged && row.conflicting_columns.is_empty()
}
