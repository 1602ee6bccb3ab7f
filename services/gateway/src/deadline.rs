//! Until when a request is to be answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::dual_write::LONGEST_WAIT;

/// A request's deadline. What its saves wait for the other store is not its own time but that of the maps (spec
/// dual-write-and-events A4), and puts it off. Clones are of the same request.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    first: Instant,
    /// In microseconds.
    waited: Arc<AtomicU64>,
}

impl Deadline {
    /// As of now. Whatever a batch has waited in all, it is put off no longer than one save may wait.
    pub(crate) fn at(&self) -> Instant {
        self.first + self.waited().min(LONGEST_WAIT)
    }

    /// How long its saves have waited.
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_micros(self.waited.load(Ordering::Relaxed))
    }

    pub(crate) fn put_off(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.waited.fetch_add(micros, Ordering::Relaxed);
    }
}

impl From<Instant> for Deadline {
    fn from(first: Instant) -> Self {
        Self { first, waited: Arc::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saves_put_it_off_as_long_as_one_may_wait() {
        let first = Instant::now();
        let deadline = Deadline::from(first);
        let of_a_batch = deadline.clone();
        of_a_batch.put_off(Duration::from_secs(7));
        assert_eq!(deadline.at(), first + Duration::from_secs(7));
        for _ in 0..1_000 {
            of_a_batch.put_off(LONGEST_WAIT);
        }
        assert_eq!(deadline.at(), first + LONGEST_WAIT);
    }
}
