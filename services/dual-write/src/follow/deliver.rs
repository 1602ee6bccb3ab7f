//! Brings changes to the other side: many in one transaction, and one by one where one of them is refused.

mod alive;
mod held;
mod known;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proto::dual_write::v1::{Side, SyncError};
use proto::query::v1 as wire;
use sqlx::PgConnection;
use tonic::Status;

use super::change::{Change, Images, RowIdentity};
use super::failures;
use super::refusal::{self, Fault};
use crate::core::Core;
use crate::error::Error;
use crate::peers::{asked, other};
use held::Going;

/// Rows of one transaction.
pub(super) const BATCH: usize = 200;
/// Of a transaction with many rows: a map that changes its state waits for it.
const TIME: Duration = Duration::from_secs(8);
/// Of a single row, where its map says nothing.
const ROW_TIME: Duration = Duration::from_secs(120);
/// How often a transaction that met somebody else is tried, before its rows are taken one by one.
const TRIES: usize = 4;
/// Waits between them are between the half of this and the whole of it: those who share live go first.
const PAUSE: Duration = Duration::from_millis(200);

/// What became of a change.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// The other side has it now.
    Through,
    /// There is nothing to bring over: a later change of the row is on its way, or the row is none of the
    /// other side's business.
    Nothing,
    /// Somebody holds a row that is needed, or has changed its key since it was listed.
    Busy,
    Refused(Box<SyncError>),
}

/// Why nothing more can be done for now.
#[derive(Debug)]
pub(super) enum Stop {
    /// A side does not answer.
    Away {
        side: Side,
        status: Box<Status>,
    },
    /// A map is not what it was.
    Changed,
    Store(Error),
}

/// A transaction that was not committed.
enum Failure {
    Stop(Stop),
    Status { side: Side, status: Status },
}

/// How changes go over.
#[derive(Debug)]
pub(super) struct Delivery<'a> {
    core: &'a Core,
    source: Side,
}

// === impl Delivery ===

impl<'a> Delivery<'a> {
    pub(super) fn new(core: &'a Core, source: Side) -> Self {
        Self { core, source }
    }

    /// Brings at most [`BATCH`] changes over, in their order. An outcome for each.
    pub(super) async fn deliver(&self, changes: &[&Change]) -> Result<Vec<Outcome>, Stop> {
        let changes = self.as_known(changes).await?;
        let changes: Vec<&Change> = changes.iter().map(|it| &**it).collect();
        for attempt in 1..=TRIES {
            match self.attempt(&changes, TIME).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(Failure::Stop(stop)) => return Err(stop),
                Err(Failure::Status { side, status }) => match refusal::fault(&status) {
                    Fault::Away => return Err(away(side, status)),
                    Fault::Busy if attempt < TRIES => pause().await,
                    Fault::Busy | Fault::Unclear | Fault::Row => break,
                },
            }
        }
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            outcomes.push(self.deliver_one(change).await?);
        }
        Ok(outcomes)
    }

    async fn deliver_one(&self, change: &Change) -> Result<Outcome, Stop> {
        let time = change.map.table_map.peer_timeout.as_ref();
        let time = time.and_then(|it| Duration::try_from(*it).ok()).unwrap_or(ROW_TIME);
        let mut doubted = false;
        loop {
            let (side, status) = match self.attempt(&[change], time).await {
                Ok(outcomes) => return Ok(outcomes.into_iter().next().unwrap_or(Outcome::Nothing)),
                Err(Failure::Stop(stop)) => return Err(stop),
                Err(Failure::Status { side, status }) => (side, status),
            };
            match refusal::fault(&status) {
                Fault::Away => return Err(away(side, status)),
                Fault::Busy => return Ok(Outcome::Busy),
                // A side that answers other questions is not away; and it may have been just now.
                Fault::Unclear if !doubted => {
                    self.ask(side).await?;
                    doubted = true;
                }
                Fault::Unclear | Fault::Row => return Ok(self.refused(change, side, &status)),
            }
        }
    }

    fn refused(&self, change: &Change, side: Side, status: &Status) -> Outcome {
        let correlation = uuid::Uuid::new_v4().simple().to_string();
        let url = &self.core.config.web_api_url;
        let error = refusal::sync_error(status, side, url, &correlation);
        tracing::info!(
            correlation_id = correlation,
            map = change.map.name,
            change = change.number,
            code = ?status.code(),
            "a change is refused"
        );
        Outcome::Refused(Box::new(error))
    }

    /// Whether a side answers at all.
    async fn ask(&self, side: Side) -> Result<(), Stop> {
        let mut sharing = self.core.sides.of(side).sharing();
        let answer = sharing.get_log_position(asked(wire::GetLogPositionRequest {})).await;
        answer.map(drop).map_err(|status| away(side, status))
    }

    /// One transaction of the other side. As long as it is open, no map of it changes its state.
    async fn attempt(&self, changes: &[&Change], time: Duration) -> Result<Vec<Outcome>, Failure> {
        let deadline = Instant::now() + time;
        let mut guard = self.core.store.begin().await?;
        lock_maps(&mut guard, changes).await?;
        let mut held = self.hold(changes, deadline).await?;
        let mut outcomes = vec![Outcome::Nothing; changes.len()];
        let mut rows = Vec::new();
        for (index, change) in changes.iter().enumerate() {
            let row = match held.row(change) {
                Going::Row(row) => row,
                Going::Nothing => continue,
                Going::Otherwise => {
                    set(&mut outcomes, index, Outcome::Busy);
                    continue;
                }
            };
            match self.translate(change, &row) {
                Ok(Some(row)) => rows.push((index, row)),
                Ok(None) => {}
                Err(error) => set(&mut outcomes, index, Outcome::Refused(error)),
            }
        }
        let applied = self.apply(changes, rows, deadline).await?;
        for index in applied {
            set(&mut outcomes, index, Outcome::Through);
        }
        let through = changes.iter().zip(&outcomes);
        let through = through.filter(|(_, outcome)| matches!(outcome, Outcome::Through));
        let settled: Vec<_> = through.map(|(it, _)| self.settled(it)).collect();
        // Before anybody may change the rows again: who sees that they were looks at what waited of them.
        failures::complete(&mut guard, self.source, &settled).await?;
        held.release().await.map_err(|status| Failure::Status { side: self.source, status })?;
        guard.commit().await.map_err(Error::from)?;
        Ok(outcomes)
    }

    /// A row, and up to which of its changes the other side has them.
    fn settled(&self, change: &Change) -> (RowIdentity, i64) {
        let number = match change.images {
            Images::Current => i64::MAX,
            Images::OfTheChange => change.number,
        };
        (change.identity(self.source), number)
    }

    fn translate(
        &self,
        change: &Change,
        row: &wire::SharedRow,
    ) -> Result<Option<wire::ApplyRow>, Box<SyncError>> {
        super::translate(&change.map, &change.compiled, self.source, (row, change.images))
    }

    /// Writes rows on the other side; answers which of them are there now.
    async fn apply(
        &self,
        changes: &[&Change],
        mut rows: Vec<(usize, wire::ApplyRow)>,
        deadline: Instant,
    ) -> Result<Vec<usize>, Failure> {
        let target = other(self.source);
        let failed = |status| Failure::Status { side: target, status };
        while !rows.is_empty() {
            let begun = self.core.sides.of(target).begin(deadline).await;
            let mut transaction = begun.map_err(failed)?;
            let origin = uuid::Uuid::new_v4().to_string();
            let is_correction =
                |index: usize| changes.get(index).is_some_and(|it| it.row.correction);
            for run in
                rows.chunk_by(|(one, _), (two, _)| is_correction(*one) == is_correction(*two))
            {
                let correction = run.first().is_some_and(|(index, _)| is_correction(*index));
                let origin =
                    if correction { format!("correction:{origin}") } else { origin.clone() };
                let sent = run.iter().map(|(_, it)| it.clone()).collect();
                transaction.apply(sent, &origin).await.map_err(failed)?;
            }
            // Behind the other side's lock: whoever creates a row anew from here on waits for it.
            let deleted = rows.iter().filter_map(|(index, _)| changes.get(*index).copied());
            let deleted: Vec<&Change> = deleted.filter(|it| it.is_delete()).collect();
            let alive = self.alive(&deleted).await?;
            if alive.is_empty() {
                transaction.commit().await.map_err(failed)?;
                return Ok(rows.into_iter().map(|(index, _)| index).collect());
            }
            // Not committed: nothing of it happened.
            drop(transaction);
            rows.retain(|(index, _)| {
                let change = changes.get(*index);
                change.is_none_or(|it| {
                    !it.is_delete() || !alive.contains(&it.identity(self.source).key_digest)
                })
            });
        }
        Ok(Vec::new())
    }
}

// === impl Failure ===

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Stop(Stop::Store(error))
    }
}

// === impl Stop ===

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

pub(super) fn away(side: Side, status: Status) -> Stop {
    Stop::Away { side, status: Box::new(status) }
}

fn set(outcomes: &mut [Outcome], index: usize, outcome: Outcome) {
    if let Some(place) = outcomes.get_mut(index) {
        *place = outcome;
    }
}

async fn pause() {
    // Every id has random bits of its own.
    let random = u32::from(*uuid::Uuid::new_v4().as_bytes().first().unwrap_or(&0));
    let half = PAUSE / 2;
    tokio::time::sleep(half + half * random / 256).await;
}

/// Whoever changes a map's state waits until this transaction ends. Fails where one has changed already.
async fn lock_maps(connection: &mut PgConnection, changes: &[&Change]) -> Result<(), Failure> {
    let expected: BTreeMap<&str, i64> =
        changes.iter().map(|it| (it.map.name.as_str(), it.map.epoch)).collect();
    let names: Vec<&str> = expected.keys().copied().collect();
    let found: Vec<(String, i64)> =
        sqlx::query_as("SELECT name, epoch FROM map WHERE name = ANY ($1) ORDER BY name FOR SHARE")
            .bind(names)
            .fetch_all(connection)
            .await
            .map_err(Error::from)?;
    let same = found.iter().filter(|(name, epoch)| expected.get(name.as_str()) == Some(epoch));
    if same.count() == expected.len() { Ok(()) } else { Err(Failure::Stop(Stop::Changed)) }
}
