//! What users did, as this gateway saw it.

use std::sync::{Arc, Mutex, PoisonError};

use moka::sync::Cache;
use uuid::Uuid;

use super::Limits;
use super::usage::{Judged, Part, Usage};

/// Users that are remembered; of more, those are forgotten that did nothing for the longest time.
const MAX_USERS: u64 = 100_000;

#[derive(Debug)]
pub(super) struct Memory {
    users: Cache<Uuid, Arc<Mutex<Usage>>>,
}

impl Memory {
    pub(super) fn new(limits: Limits) -> Self {
        let window = limits.window();
        // Twice, as parts leave later than the window ends.
        let users = Cache::builder().max_capacity(MAX_USERS).time_to_idle(window * 2).build();
        Self { users }
    }

    pub(super) fn begin(&self, user: Uuid, limits: &Limits, now: u64) -> Judged {
        let usage = self.users.get_with(user, Arc::default);
        let mut usage = usage.lock().unwrap_or_else(PoisonError::into_inner);
        usage.forget(limits, now);
        let judged = usage.judge(limits, now);
        if judged.admitted.is_ok() {
            usage.part(limits, now).requests += 1;
            usage.concurrent += 1;
            usage.refused = 0;
        } else {
            usage.refused = usage.refused.saturating_add(1);
        }
        judged
    }

    /// One request less goes on.
    pub(super) fn leave(&self, user: Uuid) {
        let Some(usage) = self.users.get(&user) else { return };
        let mut usage = usage.lock().unwrap_or_else(PoisonError::into_inner);
        usage.concurrent = usage.concurrent.saturating_sub(1);
    }

    /// Counts milliseconds of execution.
    pub(super) fn spend(&self, user: Uuid, limits: &Limits, took: u64, now: u64) {
        let usage = self.users.get_with(user, Arc::default);
        let mut usage = usage.lock().unwrap_or_else(PoisonError::into_inner);
        usage.forget(limits, now);
        let part = usage.part(limits, now);
        part.millis = part.millis.saturating_add(took);
    }
}

impl Usage {
    fn forget(&mut self, limits: &Limits, now: u64) {
        let first = limits.first_part(now);
        self.parts.retain(|it| it.index >= first);
    }

    fn part(&mut self, limits: &Limits, now: u64) -> &mut Part {
        let index = limits.part(now);
        let at = self.parts.iter().rposition(|it| it.index <= index);
        let at = match at {
            Some(at) if self.parts[at].index == index => at,
            at => {
                let at = at.map_or(0, |it| it + 1);
                self.parts.insert(at, Part { index, ..Part::default() });
                at
            }
        };
        &mut self.parts[at]
    }
}
