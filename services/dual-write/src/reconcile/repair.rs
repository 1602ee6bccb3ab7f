//! Writes one side's rows to the other, each in a transaction of its own, under that side's rules, and only
//! where neither row has changed since it was compared.

use std::time::{Duration, Instant};

use proto::dual_write::v1::{self as pb, Side, SyncError, SyncErrorKind};
use proto::query::v1::{Image, ImageSelection, SharedKind, SharedRow};
use sqlx::PgConnection;
use tonic::Status;

use super::compare::{Judge, hash};
use super::store::{self, Comparison, Stored};
use crate::core::Core;
use crate::error::Error;
use crate::follow::refusal::{self, Fault};
use crate::follow::{Images, translate};
use crate::image;
use crate::map::CompiledMap;
use crate::maps::ActiveMap;
use crate::peers::{SideTransaction, other};

/// For one row.
const TIME: Duration = Duration::from_secs(30);
/// How often a row is tried that somebody else holds.
const TRIES: usize = 3;

/// What is to be repaired, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    pub(crate) comparison: &'a Comparison,
    /// Whose values go to the other side.
    pub(crate) source: Side,
    /// A row that `source` does not have is deleted.
    pub(crate) delete_missing: bool,
    /// No row is begun after it.
    pub(crate) deadline: Instant,
}

/// What became of a row.
enum Outcome {
    Repaired,
    /// It is no longer different, has changed, or is to be left alone.
    Skipped,
}

/// Why it could not be repaired.
enum Refusal {
    Row(Box<SyncError>),
    Side { side: Side, status: Status },
}

struct Repair<'a> {
    core: &'a Core,
    map: &'a ActiveMap,
    compiled: &'a CompiledMap,
    judge: Judge<'a>,
    order: Order<'a>,
}

/// Repairs what differs.
///
/// # Errors
///
/// When a side does not answer before any row was repaired.
pub(crate) async fn repair(
    core: &Core,
    connection: &mut PgConnection,
    map: &ActiveMap,
    order: Order<'_>,
    numbers: &[i64],
) -> Result<pb::RepairDifferencesResponse, Error> {
    let Some(compiled) = &map.compiled else { return Err(Error::NotReady(order.source)) };
    let judge = super::judge(map, compiled);
    let repair = Repair { core, map, compiled, judge, order };
    let comparison = order.comparison;
    let mut answer = pb::RepairDifferencesResponse::default();
    for stored in store::chosen(connection, comparison.number, numbers).await? {
        let error = match repair.one(&stored).await {
            Ok(Outcome::Repaired) => {
                store::repaired(connection, comparison.number, stored.number).await?;
                answer.repaired_count += 1;
                continue;
            }
            Ok(Outcome::Skipped) => {
                answer.skipped_count += 1;
                continue;
            }
            Err(Refusal::Row(error)) => *error,
            Err(Refusal::Side { side, status })
                if refusal::fault(&status) == Fault::Away
                    && answer.repaired_count == 0
                    && answer.failures.is_empty() =>
            {
                return Err(Error::of_side(side, status));
            }
            Err(Refusal::Side { side, status }) => repair.told(side, &status),
        };
        let difference = format!("{}/differences/{}", comparison.name(), stored.number);
        answer.failures.push(pb::RepairFailure { difference, error: Some(error) });
    }
    Ok(answer)
}

// === impl Repair ===

impl Repair<'_> {
    async fn one(&self, stored: &Stored) -> Result<Outcome, Refusal> {
        if stored.repaired {
            return Ok(Outcome::Skipped);
        }
        let mut tried = 0;
        loop {
            tried += 1;
            if Instant::now() >= self.order.deadline {
                let message = "There was no time left for this row: ask again.";
                let error = refusal::own_error(SyncErrorKind::Timeout, message);
                return Err(Refusal::Row(Box::new(error)));
            }
            match self.attempt(stored).await {
                Err(Refusal::Side { status, .. })
                    if refusal::fault(&status) == Fault::Busy && tried < TRIES => {}
                outcome => return outcome,
            }
        }
    }

    /// Both rows are held while one is written.
    async fn attempt(&self, stored: &Stored) -> Result<Outcome, Refusal> {
        let source = self.order.source;
        let target = other(source);
        let (held, from) = self.hold(source, stored).await?;
        let (mut writing, to) = self.hold(target, stored).await?;
        let same =
            |side, image: &Option<Image>| stored.hash(side) == image.as_ref().map(hash).as_deref();
        if !same(source, &from) || !same(target, &to) {
            return Ok(Outcome::Skipped);
        }
        let Some(row) = self.row(stored, from, to.as_ref()) else { return Ok(Outcome::Skipped) };
        let translated = translate(self.map, self.compiled, source, (&row, Images::Current));
        let translated = translated.map_err(Refusal::Row)?;
        let Some(mut row) = translated else { return Ok(Outcome::Skipped) };
        // Somebody has looked at both and decided.
        row.wins = true;
        for value in &mut row.values {
            value.changed = true;
        }
        let failed = |status| Refusal::Side { side: target, status };
        let origin = uuid::Uuid::new_v4().to_string();
        writing.apply(vec![row], &origin).await.map_err(failed)?;
        writing.commit().await.map_err(failed)?;
        drop(held);
        self.core.maps.count(&self.map.name, target, 1);
        Ok(Outcome::Repaired)
    }

    /// The row as if its side had just changed it; `None`: it is to be left alone.
    fn row(&self, stored: &Stored, from: Option<Image>, to: Option<&Image>) -> Option<SharedRow> {
        let source = self.order.source;
        let side = self.judge.side(source);
        let (kind, image) = match (from, to) {
            (Some(image), Some(_)) => (SharedKind::Changed, image),
            (Some(image), None) => (SharedKind::Created, image),
            (None, Some(_)) if self.order.delete_missing => {
                (SharedKind::Deleted, image::of_key(side, &stored.key(source)?))
            }
            (None, _) => return None,
        };
        let changed_columns = 0..i32::try_from(side.columns.len()).unwrap_or(i32::MAX);
        Some(SharedRow {
            map: self.map.name.clone(),
            epoch: self.map.epoch,
            kind: kind.into(),
            image: Some(image),
            changed_columns: changed_columns.collect(),
            ..SharedRow::default()
        })
    }

    /// The row as it is, which nobody changes until the transaction ends.
    async fn hold(
        &self,
        side: Side,
        stored: &Stored,
    ) -> Result<(SideTransaction, Option<Image>), Refusal> {
        let failed = |status| Refusal::Side { side, status };
        let deadline = self.order.deadline.min(Instant::now() + TIME);
        let begun = self.core.sides.of(side).begin(deadline).await;
        let mut transaction = begun.map_err(failed)?;
        let Some(key) = stored.key(side) else { return Ok((transaction, None)) };
        let map_side = self.judge.side(side);
        let selection = ImageSelection {
            map_side: Some(map_side.clone()),
            keys: vec![key.clone()],
            unfiltered: true,
            ..Default::default()
        };
        let images = transaction.hold(selection).await.map_err(failed)?;
        let exact = |it: &&Image| image::key(map_side, it) == key;
        let image: Option<Image> = images.iter().find(exact).or_else(|| images.first()).cloned();
        Ok((transaction, image))
    }

    fn told(&self, side: Side, status: &Status) -> SyncError {
        let correlation = uuid::Uuid::new_v4().simple().to_string();
        refusal::sync_error(status, side, &self.core.config.web_api_url, &correlation)
    }
}

/// Names a difference of a comparison.
pub(crate) fn number_in(comparison: &Comparison, name: &str) -> Option<i64> {
    let number = name.strip_prefix(&comparison.name())?.strip_prefix("/differences/")?;
    number.parse().ok().filter(|it| *it > 0)
}
