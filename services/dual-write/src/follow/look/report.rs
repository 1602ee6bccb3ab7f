//! What is told of each map (spec DW-65): since when something waits, and up to when nothing does.
//!
//! The latter is the heartbeat. A row that is written for it on each side would go the same way as any change: into the
//! log, and out of it behind a position. The position says the same without one: whoever has taken everything up to
//! it has taken whatever was committed before it was asked for, and nobody's log or WAL grows by that. It stands still
//! when this process does, when the log cannot be read or its side is away, and when the other side is while something waits.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::{Follower, NOTED};
use crate::error::Error;
use crate::follow::failures;
use crate::follow::window::Merge;
use crate::maps::ActiveMap;
use crate::store::reports;

impl Follower<'_> {
    /// Says since when something of each map has been waiting.
    pub(super) async fn tell_waiting(
        &mut self,
        current: &Merge,
        history: &Merge,
    ) -> Result<(), Error> {
        self.waiting.clear();
        let mut changed = Vec::new();
        for (window, since) in current.waiting().chain(history.waiting()) {
            let name = &window.map.name;
            if since.is_some() {
                self.waiting.push(name.clone());
            }
            let Some(known) = self.known.get_mut(name) else { continue };
            let is_due = match known.told {
                None => true,
                Some(at) => since.is_some() && at.elapsed() >= NOTED,
            };
            if is_due || known.since.is_some() != since.is_some() {
                changed.push((name.clone(), since));
            }
            known.since = since;
        }
        for (name, since) in changed {
            self.note_waiting(&name, since).await?;
        }
        Ok(())
    }

    pub(super) async fn note_waiting(
        &mut self,
        map: &str,
        since: Option<prost_types::Timestamp>,
    ) -> Result<(), Error> {
        let since = since.as_ref().map(|it| failures::time_of(Some(it)));
        let mut connection = self.core.store.pool().acquire().await?;
        reports::waiting(&mut connection, map, self.side, reports::Waiting { since }).await?;
        if let Some(known) = self.known.get_mut(map) {
            known.told = Some(Instant::now());
        }
        Ok(())
    }

    /// Maps of which everything has been taken that this look saw.
    pub(super) fn through(
        &self,
        maps: &[Arc<ActiveMap>],
        until: &str,
        open: &HashSet<String>,
    ) -> Vec<String> {
        let is_through = |name: &str| {
            let known = self.known.get(name);
            !open.contains(name) && known.is_some_and(|it| it.position == until)
        };
        maps.iter().map(|it| it.name.clone()).filter(|it| is_through(it)).collect()
    }

    /// Says of these maps that everything has been taken which was committed before `seen`, where that was not said a
    /// moment ago.
    pub(super) async fn beat(
        &mut self,
        mut maps: Vec<String>,
        seen: DateTime<Utc>,
    ) -> Result<(), Error> {
        maps.retain(|it| {
            let known = self.known.get(it);
            known.is_some_and(|it| it.beat.is_none_or(|it| it.elapsed() >= NOTED))
        });
        if maps.is_empty() {
            return Ok(());
        }
        let mut connection = self.core.store.pool().acquire().await?;
        reports::beat(&mut connection, &maps, self.side, seen).await?;
        for map in maps {
            if let Some(known) = self.known.get_mut(&map) {
                known.beat = Some(Instant::now());
            }
        }
        Ok(())
    }
}
