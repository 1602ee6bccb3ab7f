//! What the issuer gives out to be brought back: random, good once, not for long, and not more than
//! so many at a time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The oldest gives way to one more.
const MOST: usize = 1_000;
const RANDOM_BYTES: usize = 32;

/// How long each kind is good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetimes {
    /// Authorization codes, and the pages on which they are asked for.
    pub(super) code: Duration,
    pub(super) device: Duration,
    pub(super) refresh: Duration,
}

/// Values by their codes.
pub(super) struct Codes<T> {
    lifetime: Duration,
    /// In the order in which they were given out.
    entries: Mutex<VecDeque<Entry<T>>>,
}

struct Entry<T> {
    code: String,
    expires: Instant,
    value: T,
}

impl Default for Lifetimes {
    fn default() -> Self {
        let minutes = |it: u64| Duration::from_secs(it * 60);
        Self { code: minutes(5), device: minutes(15), refresh: minutes(24 * 60) }
    }
}

impl<T> Codes<T> {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self { lifetime, entries: Mutex::default() }
    }

    /// A code for the value. None if the system's random source fails.
    pub(super) fn add(&self, value: T) -> Option<String> {
        let code = random()?;
        let expires = Instant::now() + self.lifetime;
        let mut entries = lock(&self.entries);
        entries.push_back(Entry { code: code.clone(), expires, value });
        if entries.len() > MOST {
            entries.pop_front();
        }
        Some(code)
    }

    /// The value of a code that was given out and neither taken nor expired since.
    pub(super) fn take(&self, code: &str) -> Option<T> {
        let mut entries = lock(&self.entries);
        let found = entries.iter().position(|it| it.code == code)?;
        let entry = entries.remove(found)?;
        (entry.expires > Instant::now()).then_some(entry.value)
    }
}

/// A secret nobody guesses. None if the system's random source fails.
pub(super) fn random() -> Option<String> {
    let mut bytes = [0; RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is behind the lock is whole at every moment, so a panic elsewhere spoils nothing.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_once_and_in_time() {
        let codes = Codes::new(Duration::from_secs(60));
        let [first, second] = [1, 2].map(|it| codes.add(it).unwrap());
        assert_ne!(first, second);
        assert_eq!(codes.take(&second), Some(2));
        assert_eq!(codes.take(&second), None);
        assert_eq!(codes.take("guess"), None);
        assert_eq!(codes.take(&first), Some(1));
        let expired = Codes::new(Duration::ZERO);
        let code = expired.add(1).unwrap();
        assert_eq!(expired.take(&code), None);
    }

    #[test]
    fn the_oldest_gives_way() {
        let codes = Codes::new(Duration::from_secs(60));
        let first = codes.add(0).unwrap();
        let second = codes.add(1).unwrap();
        for it in 2..=MOST {
            codes.add(it).unwrap();
        }
        assert_eq!(codes.take(&first), None);
        assert_eq!(codes.take(&second), Some(1));
    }
}
