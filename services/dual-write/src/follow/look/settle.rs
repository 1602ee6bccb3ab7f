//! The end of a replay: rows as they are.
//!
//! What was replayed is how rows were after each change of their own. What the other side's queue made of
//! them meanwhile is not in their log's stretch, so the last state that went over need not be theirs.

use std::collections::HashSet;

use super::Follower;
use crate::error::Error;
use crate::follow::change::{Change, Images};
use crate::follow::deliver::Stop;
use crate::follow::window::{Merge, Window};
use crate::follow::{current, failures};

impl Follower<'_> {
    /// Brings the rows of these stretches over once more, but for those that failed: they wait for a retry.
    /// Maps in the answer have something left, as in [`Self::follow`].
    pub(super) async fn settle(
        &self,
        replayed: &Merge,
        open: &HashSet<String>,
    ) -> Result<HashSet<String>, Stop> {
        let whole = replayed.windows.iter().enumerate().filter(|(at, it)| {
            let broken = replayed.broken.iter().any(|(broken, _)| broken == at);
            !broken && !open.contains(&it.map.name)
        });
        let windows = whole.map(|(_, it)| it.again(Images::Current));
        let mut merge = Merge::new(windows.collect::<Vec<Window>>());
        let mut left = HashSet::new();
        loop {
            let mut segment = Vec::new();
            while segment.len() < current::SEGMENT && merge.front(self.core).await.is_some() {
                segment.extend(merge.take());
            }
            if segment.is_empty() {
                break;
            }
            let segment = self.without_failed(segment).await?;
            left.extend(current::bring(self.core, self.side, segment).await?);
        }
        let broken = merge.broken.iter().filter_map(|(at, _)| merge.windows.get(*at));
        left.extend(broken.map(|it| it.map.name.clone()));
        Ok(left)
    }

    async fn without_failed(&self, changes: Vec<Change>) -> Result<Vec<Change>, Error> {
        let mut connection = self.core.store.pool().acquire().await?;
        let mut free = Vec::with_capacity(changes.len());
        for change in changes {
            let row = change.identity(self.side);
            if failures::first_open(&mut connection, self.side, &row).await?.is_none() {
                free.push(change);
            }
        }
        Ok(free)
    }
}
