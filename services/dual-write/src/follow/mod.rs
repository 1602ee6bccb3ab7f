//! Takes from each side's log what was not shared when it was committed, and brings it to the other side
//! (spec A3.3, A17, A19).
//!
//! The log is the queue: nothing is copied out of it until it has arrived. A [`look`] reads what is behind each
//! map's position, [`deliver`] brings it over in transactions of the other side, and [`failures`] keeps what
//! that side refused. What arrives twice changes nothing, so whoever dies on the way just begins again at
//! the position. `replay` is for queues whose whole history counts, `queue` for those that are skipped,
//! `conflicts` collects what lost against the primary side, and `retries` tries again what failed.

mod change;
mod conflicts;
mod current;
mod deliver;
mod expired;
pub(crate) mod explain;
pub(crate) mod failures;
mod keys;
mod look;
mod queue;
pub(crate) mod queued;
pub(crate) mod refusal;
mod replay;
mod retries;
#[cfg(test)]
mod tests;
mod translate;
mod window;

use std::sync::Arc;

use proto::dual_write::v1::Side;

use crate::core::Core;
pub(crate) use change::{FieldNames, Images, key_digest};
pub(crate) use queue::{discard_queue, preserve_queue, queue_length};
pub(crate) use translate::translate;

/// The name under which one process of all follows.
const PART: &str = "follow";

/// Follows both sides, in one process of all.
pub(crate) async fn run(core: Arc<Core>) {
    loop {
        let mut leader = core.store.leader(PART).await;
        let work = Box::pin(work(&core));
        tokio::select! {
            () = leader.lost() => {}
            () = work => {}
        }
    }
}

async fn work(core: &Arc<Core>) {
    let caught_up = look::CaughtUp::default();
    tokio::join!(
        look::run(core, Side::FinanceAndOperations, &caught_up),
        look::run(core, Side::Platform, &caught_up),
        conflicts::run(core),
        retries::run(core),
        queue::run(core),
    );
}
