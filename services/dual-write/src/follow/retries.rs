//! Tries failed changes again that somebody asked for (spec DW-60): the row goes over as it is now, and with it all
//! that waited of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proto::dual_write::v1::{MapState, Side};
use proto::query::v1::{self as wire, SharedKind};

use super::change::{Change, FieldNames, Images};
use super::deliver::{Delivery, Outcome, Stop, away};
use super::failures::{self, Stored};
use super::{current, refusal};
use crate::core::Core;
use crate::error::Error;
use crate::map::CompiledMap;
use crate::maps::ActiveMap;
use crate::peers::{asked, other};

/// Changes that are tried together.
const BATCH: i64 = 200;
const LOOKED: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Old completed changes are looked for this often.
const TIDIED: Duration = Duration::from_secs(3_600);

/// Does what was asked for.
pub(super) async fn run(core: &Core) {
    let mut pause = LOOKED;
    let mut tidied = None::<std::time::Instant>;
    loop {
        pause = match round(core, &core.maps.all()).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => LOOKED,
            Err(stop) => {
                tracing::debug!(?stop, "retries wait");
                (pause.max(LOOKED) * 2).min(LONGEST_PAUSE)
            }
        };
        if tidied.is_none_or(|it| it.elapsed() >= TIDIED) {
            tidied = Some(std::time::Instant::now());
            if let Err(error) = tidy(core).await {
                tracing::debug!(%error, "old changes cannot be forgotten");
            }
        }
        tokio::time::sleep(pause).await;
    }
}

pub(super) async fn tidy(core: &Core) -> Result<(), Error> {
    let mut connection = core.store.pool().acquire().await?;
    failures::forget_completed(&mut connection, core.config.completed_error_days).await
}

/// Whether there was anything to do.
pub(super) async fn round(core: &Core, maps: &[Arc<ActiveMap>]) -> Result<bool, Stop> {
    let runs = |it: &&Arc<ActiveMap>| it.state() == MapState::Running && it.compiled.is_some();
    let names: Vec<String> = maps.iter().filter(runs).map(|it| it.name.clone()).collect();
    let mut connection = core.store.pool().acquire().await.map_err(Error::from)?;
    let Some(request) = failures::next(&mut connection, &names).await? else { return Ok(false) };
    let waiting = failures::waiting(&mut connection, request.id, BATCH).await?;
    if waiting.is_empty() {
        failures::over(&mut connection, request.id).await?;
        return Ok(true);
    }
    drop(connection);
    let map = maps.iter().find(|it| it.name == request.map);
    let Some((map, compiled)) = map.and_then(|it| Some((it, it.compiled.as_ref()?))) else {
        return Ok(false);
    };
    for side in super::queue::BOTH {
        let of_side: Vec<_> = waiting.iter().filter(|it| it.side == side).collect();
        if !of_side.is_empty() {
            Retry { core, map, compiled, side }.run(&of_side).await?;
        }
    }
    Ok(true)
}

/// Tries rows of one side of one map.
struct Retry<'a> {
    core: &'a Core,
    map: &'a Arc<ActiveMap>,
    compiled: &'a Arc<CompiledMap>,
    side: Side,
}

// === impl Retry ===

impl Retry<'_> {
    async fn run(&self, waiting: &[&Stored]) -> Result<(), Stop> {
        let changes = self.changes(waiting).await?;
        let delivery = Delivery::new(self.core, self.side);
        let outcomes = delivery.deliver(&changes.iter().collect::<Vec<_>>()).await?;
        let mut refused = Vec::new();
        let mut transaction = self.core.store.begin().await?;
        for (change, outcome) in changes.into_iter().zip(outcomes) {
            let of_row = waiting.iter().filter(|it| it.record_id == change.record_id());
            let error = match outcome {
                Outcome::Through => {
                    self.core.maps.count(&self.map.name, other(self.side), 1);
                    continue;
                }
                Outcome::Nothing => {
                    self.complete(&mut transaction, &change).await?;
                    continue;
                }
                Outcome::Busy => refusal::sync_error(&busy(), other(self.side), "", ""),
                Outcome::Refused(error) => *error,
            };
            for stored in of_row {
                failures::failed(&mut transaction, stored, &error).await?;
            }
            refused.push((change, error));
        }
        transaction.commit().await.map_err(Error::from)?;
        current::report(self.core, self.side, &refused).await;
        Ok(())
    }

    /// There is nothing to bring over any more.
    async fn complete(
        &self,
        connection: &mut sqlx::PgConnection,
        change: &Change,
    ) -> Result<(), Error> {
        let row = (change.identity(self.side), i64::MAX);
        failures::complete(connection, self.side, &[row]).await.map(drop)
    }

    /// One for each row, as it is now, in the order in which they began to wait.
    async fn changes(&self, waiting: &[&Stored]) -> Result<Vec<Change>, Stop> {
        let names = FieldNames::new(self.side, self.map.side(self.side));
        let mut ids: Vec<Vec<u8>> = Vec::new();
        let mut last: HashMap<&[u8], &Stored> = HashMap::new();
        for stored in waiting {
            if last.insert(&stored.record_id, stored).is_none() {
                ids.push(stored.record_id.clone());
            }
        }
        let present = self.present(ids.clone()).await?;
        let change = |id: &Vec<u8>| {
            let stored = last.get(id.as_slice())?;
            let change = stored.message.change.clone().unwrap_or_default();
            let record = change.record.clone().unwrap_or_default();
            let values = if change.after.is_empty() { &change.before } else { &change.after };
            let (kind, image) = match present.get(id) {
                Some((image, true)) => (SharedKind::Changed, image.clone()),
                Some((image, false)) => (SharedKind::Left, image.clone()),
                None => (SharedKind::Deleted, names.image(&record, values)),
            };
            let of_row = waiting.iter().filter(|it| it.record_id == *id);
            let row = wire::SharedRow {
                map: self.map.name.clone(),
                epoch: self.map.epoch,
                kind: kind.into(),
                image: Some(image),
                // Under which the other side has it, is known when it goes over.
                previous_key: Vec::new(),
                changed_columns: names.changed(of_row.filter_map(|it| it.message.change.as_ref())),
                correction: false,
            };
            Some(Change {
                map: Arc::clone(self.map),
                compiled: Arc::clone(self.compiled),
                row,
                before: None,
                number: change.position,
                time: change.commit_time,
                user: change.user,
                images: Images::Current,
                went: None,
                behind: Arc::from(""),
            })
        };
        Ok(ids.iter().filter_map(change).collect())
    }

    /// Images of the rows that are there, and whether they meet the filter.
    async fn present(
        &self,
        record_ids: Vec<Vec<u8>>,
    ) -> Result<HashMap<Vec<u8>, (wire::Image, bool)>, Stop> {
        let selection = wire::ImageSelection {
            map_side: Some(self.map.side(self.side)),
            record_ids: record_ids.into_iter().map(Into::into).collect(),
            unfiltered: true,
            ..Default::default()
        };
        let request = wire::ReadImagesRequest { selection: Some(selection), ..Default::default() };
        let answer = self.core.sides.of(self.side).sharing().read_images(asked(request)).await;
        let answer = answer.map_err(|it| away(self.side, it))?.into_inner();
        let matches = answer.matches.into_iter().chain(std::iter::repeat(true));
        let images = answer.images.into_iter().zip(matches);
        Ok(images.map(|(image, matches)| (image.record_id.to_vec(), (image, matches))).collect())
    }
}

fn busy() -> tonic::Status {
    let message = "somebody holds the row or changes it, on one side or the other";
    tonic::Status::deadline_exceeded(message)
}
