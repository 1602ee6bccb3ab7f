//! What waits in the logs for a map that does not run (spec DW-37, DW-39).

use std::collections::HashSet;
use std::time::Duration;

use proto::dual_write::v1::{FailedChangeOrigin, MapState, Side, SyncErrorKind};
use proto::query::v1 as wire;
use sqlx::PgConnection;

use super::change::{FieldNames, RowIdentity, key_digest, pending_of_change};
use super::failures::{self, Failed};
use super::{refusal, replay};
use crate::core::Core;
use crate::error::Error;
use crate::image;
use crate::maps::ActiveMap;
use crate::peers::asked;
use crate::store::{positions, reports};

pub(super) const BOTH: [Side; 2] = [Side::FinanceAndOperations, Side::Platform];
const PAGE_SIZE: i32 = 1_000;
/// Lengths of queues are told this often.
const COUNTED: Duration = Duration::from_secs(5);

/// What waits on one side.
pub(super) struct Stretch {
    pub(super) side: Side,
    pub(super) after: String,
    pub(super) until: String,
    /// Changes up to this one have been replayed.
    pub(super) done: i64,
}

/// What waited on each side, and was skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Skipped {
    pub(crate) finance_and_operations: i64,
    pub(crate) platform: i64,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { finance_and_operations: erp, platform } = self;
        write!(
            f,
            "{} ({erp} of the ERP, {platform} of the platform)",
            erp.saturating_add(*platform)
        )
    }
}

/// How many changes wait on both sides.
///
/// # Errors
///
/// [`Error::PeerUnavailable`] when one does not answer.
pub(crate) async fn queue_length(core: &Core, name: &str) -> Result<i64, Error> {
    Ok(measure(core, name).await?.0)
}

/// How many changes wait, and where.
pub(super) async fn measure(core: &Core, name: &str) -> Result<(i64, Vec<Stretch>), Error> {
    let mut connection = core.store.pool().acquire().await?;
    let stretches = stretches(core, &mut connection, name).await?;
    drop(connection);
    let mut length = 0_i64;
    for stretch in &stretches {
        length = length.saturating_add(length_of(core, name, stretch).await?.0);
    }
    Ok((length, stretches))
}

/// Makes failed changes of all that waits, and goes on behind it. Belongs into the transaction in which the
/// map goes live, behind the lock of its row.
///
/// # Errors
///
/// [`Error::PeerUnavailable`] when a side does not answer.
pub(crate) async fn preserve_queue(
    core: &Core,
    name: &str,
    connection: &mut PgConnection,
) -> Result<Skipped, Error> {
    let map = core.maps.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
    let mut skipped = Skipped::default();
    for stretch in stretches(core, connection, name).await? {
        let mut page_token = String::new();
        loop {
            let (changes, next, _) = page(core, name, &stretch, page_token, PAGE_SIZE).await?;
            let left = changes.iter().filter(|it| it.change > stretch.done);
            let failed: Vec<_> = left.map(|it| preserved(&map, stretch.side, it)).collect();
            failures::store_all(connection, &failed).await?;
            skipped.add(stretch.side, i64::try_from(failed.len()).unwrap_or(i64::MAX));
            if next.is_empty() {
                break;
            }
            page_token = next;
        }
        go_on(connection, name, &stretch).await?;
    }
    Ok(skipped)
}

/// Forgets all that waits. Belongs into the transaction in which the map goes live, behind the lock of its
/// row.
///
/// # Errors
///
/// [`Error::PeerUnavailable`] when a side does not answer.
pub(crate) async fn discard_queue(
    core: &Core,
    name: &str,
    connection: &mut PgConnection,
) -> Result<Skipped, Error> {
    let mut skipped = Skipped::default();
    for stretch in stretches(core, connection, name).await? {
        skipped.add(stretch.side, length_of(core, name, &stretch).await?.0);
        go_on(connection, name, &stretch).await?;
    }
    Ok(skipped)
}

impl Skipped {
    fn add(&mut self, side: Side, changes: i64) {
        let place = match side {
            Side::FinanceAndOperations => &mut self.finance_and_operations,
            Side::Platform | Side::Unspecified => &mut self.platform,
        };
        *place = place.saturating_add(changes);
    }
}

/// Tells how long queues are, and since when they wait.
pub(super) async fn run(core: &Core) {
    let mut ticks = tokio::time::interval(COUNTED);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut counted = HashSet::new();
    loop {
        ticks.tick().await;
        for map in core.maps.all() {
            if let Err(error) = tell(core, &map, &mut counted).await {
                tracing::debug!(map = map.name, %error, "its queue cannot be counted");
            }
        }
    }
}

async fn tell(core: &Core, map: &ActiveMap, counted: &mut HashSet<String>) -> Result<(), Error> {
    let queues = matches!(
        map.state(),
        MapState::Pausing | MapState::Paused | MapState::Resuming | MapState::Initializing
    );
    let mut connection = core.store.pool().acquire().await?;
    if !queues || map.compiled.is_none() {
        // An earlier leader may have counted what nobody has to count any more.
        if counted.insert(map.name.clone()) {
            reports::queued(&mut connection, &map.name, 0).await?;
        }
        return Ok(());
    }
    counted.remove(&map.name);
    let mut length = 0_i64;
    for stretch in stretches(core, &mut connection, &map.name).await? {
        let (count, since) = length_of(core, &map.name, &stretch).await?;
        length = length.saturating_add(count);
        // What resumes is told by whoever replays it.
        if map.state() != MapState::Resuming {
            let since = since.as_ref().map(|it| failures::time_of(Some(it)));
            let waiting = reports::Waiting { since };
            reports::waiting(&mut connection, &map.name, stretch.side, waiting).await?;
        }
    }
    reports::queued(&mut connection, &map.name, length).await
}

/// Of each side that has a position.
async fn stretches(
    core: &Core,
    connection: &mut PgConnection,
    map: &str,
) -> Result<Vec<Stretch>, Error> {
    let stored = positions::load(connection, map).await?;
    let mut stretches = Vec::with_capacity(BOTH.len());
    for side in BOTH {
        let Some(after) = stored.iter().find(|it| it.side == side) else { continue };
        let mut sharing = core.sides.of(side).sharing();
        let answer = sharing.get_log_position(asked(wire::GetLogPositionRequest {})).await;
        let until = answer.map_err(|it| Error::of_side(side, it))?.into_inner().position;
        let after = after.position.clone();
        let done = replay::done(connection, map, side, &after).await?;
        stretches.push(Stretch { side, after, until, done });
    }
    Ok(stretches)
}

/// How much is left of it, and since when the first of it waits.
async fn length_of(
    core: &Core,
    map: &str,
    stretch: &Stretch,
) -> Result<(i64, Option<prost_types::Timestamp>), Error> {
    if stretch.done == 0 {
        let (changes, _, total) = page(core, map, stretch, String::new(), 1).await?;
        return Ok((total, changes.first().and_then(|it| it.change_time)));
    }
    let (mut length, mut since, mut page_token) = (0_i64, None, String::new());
    loop {
        let (changes, next, _) = page(core, map, stretch, page_token, PAGE_SIZE).await?;
        for change in changes.iter().filter(|it| it.change > stretch.done) {
            length = length.saturating_add(1);
            since = since.or(change.change_time);
        }
        if next.is_empty() {
            return Ok((length, since));
        }
        page_token = next;
    }
}

async fn page(
    core: &Core,
    map: &str,
    stretch: &Stretch,
    page_token: String,
    page_size: i32,
) -> Result<(Vec<wire::RowChangeImage>, String, i64), Error> {
    let request = wire::ListRowChangesRequest {
        map: map.to_owned(),
        after_position: stretch.after.clone(),
        until_position: stretch.until.clone(),
        page_size,
        page_token,
        key: None,
    };
    let answer = core.sides.of(stretch.side).sharing().list_row_changes(asked(request)).await;
    let answer = answer.map_err(|it| Error::of_side(stretch.side, it))?.into_inner();
    Ok((answer.changes, answer.next_page_token, answer.total_count))
}

fn preserved(map: &ActiveMap, side: Side, change: &wire::RowChangeImage) -> Failed {
    let names = FieldNames::new(side, map.side(side));
    let image = change.row.as_ref().and_then(|it| it.image.clone()).unwrap_or_default();
    let message = "its queue was skipped before it was tried";
    let mut error = refusal::own_error(SyncErrorKind::Unspecified, message);
    error.attempt_count = 0;
    Failed {
        row: RowIdentity {
            map: map.name.clone(),
            key_digest: key_digest(&image::key(&map.side(side), &image)),
            record_id: image.record_id.to_vec(),
        },
        side,
        change: pending_of_change(&names, change),
        error,
        origin: FailedChangeOrigin::CatchUp,
        winner: Vec::new(),
    }
}

async fn go_on(connection: &mut PgConnection, map: &str, stretch: &Stretch) -> Result<(), Error> {
    positions::store(connection, map, stretch.side, &stretch.until).await?;
    replay::forget(connection, map, stretch.side).await?;
    reports::queued(connection, map, 0).await
}
