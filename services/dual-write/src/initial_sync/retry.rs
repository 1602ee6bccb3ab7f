//! Rows that a run could not copy, copied again when somebody asks for it (spec DW-33): with their present values,
//! which nobody changes meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use prost::bytes::Bytes;
use proto::dual_write::v1::{InitialSyncState, MapState, SyncError};
use proto::query::v1 as query;

use super::copy::Copied;
use super::failure::Stop;
use super::model::{Counts, Leg, RowError};
use super::store::{self, StoredError};
use super::work::Work;

/// Rows that are held at once.
const PAGE: i64 = 200;
const DEADLINE: Duration = Duration::from_secs(150);

/// Whether rows of a map in this state may be written now.
pub(super) fn is_possible(state: MapState) -> bool {
    matches!(state, MapState::Initializing | MapState::Running | MapState::Resuming)
}

/// Tries all errors that are queued. A run of which nothing failed in the end is completed.
pub(super) async fn run(work: &Work) -> Result<(), Stop> {
    let mut conn = work.conn().await?;
    let legs = store::legs(&mut conn, work.run.id).await?;
    drop(conn);
    loop {
        let mut conn = work.conn().await?;
        let queued = store::queued_errors(&mut conn, work.run.id, PAGE).await?;
        drop(conn);
        if queued.is_empty() {
            return settle(work).await;
        }
        let mut of_legs: BTreeMap<i32, Vec<StoredError>> = BTreeMap::new();
        for error in queued {
            of_legs.entry(error.leg).or_default().push(error);
        }
        for (number, errors) in of_legs {
            if let Some(leg) = legs.iter().find(|it| it.number == number) {
                retry(work, leg, errors).await?;
            }
        }
    }
}

async fn retry(work: &Work, leg: &Leg, errors: Vec<StoredError>) -> Result<(), Stop> {
    let ids: Vec<Bytes> = errors.iter().map(|it| it.record.record_id.clone()).collect();
    let copied = copy_held(work, leg, ids).await?;
    let mut change = work.change().await?;
    let mut counts = Counts { exported: 0, errors: 0, ..copied.counts };
    let mut mended = Vec::new();
    for stored in errors {
        let again = copied.errors.iter().find(|it| it.record.record_id == stored.record.record_id);
        match again {
            Some(RowError { error, .. }) => {
                let attempt_count = stored.error.attempt_count.saturating_add(1);
                let error = SyncError { attempt_count, ..error.clone() };
                store::retried(&mut change, stored.id, &error).await?;
            }
            // A row that is gone needs no copy.
            None => {
                mended.push(stored.id);
                counts.errors -= 1;
            }
        }
    }
    store::mended(&mut change, &mended).await?;
    store::add_to_leg(&mut change, work.run.id, leg.number, counts).await?;
    change.commit().await?;
    commit::step("initial-sync:retried");
    Ok(())
}

/// The rows are locked on their side until the other has them.
async fn copy_held(work: &Work, leg: &Leg, record_ids: Vec<Bytes>) -> Result<Copied, Stop> {
    let selection = query::ImageSelection {
        map_side: Some(work.side(leg.source).clone()),
        record_ids,
        ..Default::default()
    };
    let (_held, images) = work
        .patiently(leg.source, || async {
            let side = work.core.sides.of(leg.source);
            let mut transaction = side.begin(Instant::now() + DEADLINE).await?;
            let images = transaction.hold(selection.clone()).await?;
            Ok((transaction, images))
        })
        .await?;
    let compared = work.compare(leg, images, None).await?;
    let candidates = compared.candidates.clone();
    let mut copied = work.write(leg, compared, None).await?;
    for lookup in std::mem::take(&mut copied.lookups) {
        let candidate = candidates.iter().find(|it| it.image.record_id == lookup.record_id);
        let error = candidate.and_then(|it| work.lookup_error(leg, it, &lookup.columns));
        copied.errors.extend(error);
    }
    Ok(copied)
}

/// A run with nothing left that failed is as good as one that had nothing.
async fn settle(work: &Work) -> Result<(), Stop> {
    if work.run.state != InitialSyncState::CompletedWithErrors {
        return Ok(());
    }
    let mut change = work.change().await?;
    if store::open_errors(&mut change, work.run.id).await? == 0 {
        store::accept(&mut change, work.run.id, false).await?;
        change.commit().await?;
    }
    Ok(())
}
