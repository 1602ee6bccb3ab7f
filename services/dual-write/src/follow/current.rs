//! Brings rows over as they are now: what a running map follows with, and a queue whose history does not
//! count.

use std::collections::HashSet;

use proto::dual_write::v1::{FailedChangeOrigin, MapState, Side, SyncError};

use super::change::Change;
use super::deliver::{BATCH, Delivery, Outcome, Stop};
use super::failures::{self, Failed};
use crate::alerts;
use crate::core::Core;
use crate::error::Error;
use crate::peers::other;

/// Rows that are brought over together: deletions among them come last, and what is refused is tried again
/// when the others are through.
pub(super) const SEGMENT: usize = 5_000;

/// Brings changes over that are in the order of their commits. Rows of the maps in the answer were held by
/// somebody, and have not gone over.
pub(super) async fn bring(
    core: &Core,
    source: Side,
    changes: Vec<Change>,
) -> Result<HashSet<String>, Stop> {
    let (mut deletes, mut order): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(Change::is_delete);
    // Children were created after their parents.
    deletes.reverse();
    order.append(&mut deletes);
    let mut refused = Vec::new();
    let mut busy = HashSet::new();
    while !order.is_empty() {
        let (through, again) = pass(core, source, order).await?;
        if through == 0 {
            // Nothing has changed that they could have waited for.
            for (change, error) in again {
                match error {
                    Some(error) => refused.push((change, error)),
                    None => drop(busy.insert(change.map.name.clone())),
                }
            }
            break;
        }
        order = again.into_iter().map(|(change, _)| change).collect();
    }
    keep(core, source, &refused, true).await?;
    Ok(busy)
}

type Again = Vec<(Change, Option<SyncError>)>;

/// How many got through, and what did not; without an error, what somebody holds.
async fn pass(core: &Core, source: Side, changes: Vec<Change>) -> Result<(usize, Again), Stop> {
    let delivery = Delivery::new(core, source);
    let (mut through, mut again) = (0, Vec::new());
    let mut rest = changes.into_iter().peekable();
    while rest.peek().is_some() {
        let batch: Vec<Change> = rest.by_ref().take(BATCH).collect();
        let outcomes = delivery.deliver(&batch.iter().collect::<Vec<_>>()).await?;
        for (change, outcome) in batch.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Through => {
                    core.maps.count(&change.map.name, other(source), 1);
                    through += 1;
                }
                Outcome::Nothing => {}
                Outcome::Busy => again.push((change, None)),
                Outcome::Refused(error) => again.push((change, Some(*error))),
            }
        }
    }
    Ok((through, again))
}

/// Keeps what was refused, and tells of it. With `replace`, the newest of a row stands for what of it waited
/// before.
pub(super) async fn keep(
    core: &Core,
    source: Side,
    refused: &[(Change, SyncError)],
    replace: bool,
) -> Result<(), Error> {
    if refused.is_empty() {
        return Ok(());
    }
    let mut transaction = core.store.begin().await?;
    for (change, error) in refused {
        let failed = failed(source, change, error.clone());
        failures::store(&mut transaction, &failed, replace).await?;
    }
    transaction.commit().await?;
    report(core, source, refused).await;
    Ok(())
}

/// As it is stored.
pub(super) fn failed(source: Side, change: &Change, error: SyncError) -> Failed {
    let origin = match change.map.state() {
        MapState::Running => FailedChangeOrigin::Asynchronous,
        _ => FailedChangeOrigin::CatchUp,
    };
    Failed {
        row: change.identity(source),
        side: source,
        change: change.pending(source),
        error,
        origin,
        winner: Vec::new(),
    }
}

/// Counts what was refused, for alert rules.
pub(super) async fn report(core: &Core, source: Side, refused: &[(Change, SyncError)]) {
    let failure = |(change, error): &(Change, SyncError)| alerts::Failure {
        map: change.map.name.clone(),
        source,
        error: error.clone(),
        record: change.pending(source).record,
    };
    let failures: Vec<_> = refused.iter().map(failure).collect();
    if !failures.is_empty() {
        alerts::report(core, &failures).await;
    }
}
