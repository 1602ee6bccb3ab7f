//! Until when a request is to be answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A request's deadline. What its saves wait for the other store is not its own time but that of the maps (spec
/// dual-write-and-events A4), and puts it off. Clones are of the same request.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    first: Instant,
    /// In microseconds.
    waited: Arc<AtomicU64>,
}

impl Deadline {
    /// As of now.
    pub(crate) fn at(&self) -> Instant {
        self.first + self.waited()
    }

    /// How long it has been put off.
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
