//! What a user did lately, and whether it is too much. Pure.

use std::time::Duration;

use super::{Limits, Remaining};

/// Parts of a window. A request is counted until the whole of its part has left.
const PARTS: u64 = 60;
/// The wait grows no more than so often.
const MOST_DOUBLED: u32 = 8;

/// Requests and time of the parts of a window that has not passed.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// In the order of time.
    pub(super) parts: Vec<Part>,
    pub(super) concurrent: u64,
    /// Requests that were refused since the last one that was not.
    pub(super) refused: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) index: u64,
    pub(super) requests: u64,
    pub(super) millis: u64,
}

/// What became of a request.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) admitted: Result<Remaining, Exceeded>,
}

/// A request too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) limit: Limit,
    pub(crate) limits: Limits,
    /// When to try again.
    pub(crate) retry_after: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Requests,
    ExecutionTime,
    Concurrent,
}

impl Limits {
    /// The part of time that a moment belongs to.
    pub(super) fn part(&self, now: u64) -> u64 {
        now / self.part_millis()
    }

    /// The first part that still counts. One more than a window has, so that no window that begins
    /// within a part has more than is allowed.
    pub(super) fn first_part(&self, now: u64) -> u64 {
        self.part(now).saturating_sub(PARTS)
    }

    pub(super) fn window(&self) -> Duration {
        Duration::from_secs(u64::from(self.window_seconds.max(1)))
    }

    pub(super) fn execution_millis(&self) -> u64 {
        u64::from(self.execution_seconds) * 1_000
    }

    fn part_millis(&self) -> u64 {
        (u64::from(self.window_seconds) * 1_000 / PARTS).max(1)
    }

    fn leaves_at(&self, index: u64) -> u64 {
        (index + PARTS + 1) * self.part_millis()
    }
}

impl Usage {
    /// Which limit one more request would exceed.
    pub(super) fn exceeded(&self, limits: &Limits) -> Option<Limit> {
        if self.requests() >= u64::from(limits.requests) {
            return Some(Limit::Requests);
        }
        if self.millis() >= limits.execution_millis() {
            return Some(Limit::ExecutionTime);
        }
        (self.concurrent >= u64::from(limits.concurrent)).then_some(Limit::Concurrent)
    }

    /// Of a request that was not counted yet.
    pub(super) fn judge(&self, limits: &Limits, now: u64) -> Judged {
        let admitted = match self.exceeded(limits) {
            Some(limit) => {
                let retry_after = self.retry_after(limit, limits, now);
                Err(Exceeded { limit, limits: *limits, retry_after })
            }
            None => Ok(Remaining {
                requests: u64::from(limits.requests).saturating_sub(self.requests() + 1),
                execution: Duration::from_millis(
                    limits.execution_millis().saturating_sub(self.millis()),
                ),
            }),
        };
        Judged { admitted }
    }

    /// Until there is room again; twice as long for each request that did not wait, up to a window.
    fn retry_after(&self, limit: Limit, limits: &Limits, now: u64) -> Duration {
        let room_at = match limit {
            Limit::Requests => self.below(u64::from(limits.requests), |it| it.requests, limits),
            Limit::ExecutionTime => self.below(limits.execution_millis(), |it| it.millis, limits),
            Limit::Concurrent => None,
        };
        let wait = room_at.map_or(0, |it| it.saturating_sub(now)).div_ceil(1_000).max(1);
        let wait = wait << self.refused.min(MOST_DOUBLED);
        Duration::from_secs(wait).min(limits.window())
    }

    /// When so many parts have left that the rest is below the limit.
    fn below(&self, limit: u64, of: impl Fn(&Part) -> u64, limits: &Limits) -> Option<u64> {
        let mut left: u64 = self.parts.iter().map(&of).sum();
        let leaving = self.parts.iter().find(|part| {
            left = left.saturating_sub(of(part));
            left < limit
        });
        leaving.or(self.parts.last()).map(|it| limits.leaves_at(it.index))
    }

    fn requests(&self) -> u64 {
        self.parts.iter().map(|it| it.requests).sum()
    }

    fn millis(&self) -> u64 {
        self.parts.iter().map(|it| it.millis).sum()
    }
}
