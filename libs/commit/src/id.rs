//! Names of transactions over both sides, and how they end.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid, Version};

/// How long decisions are remembered. Recovery settles within seconds; a transaction whose
/// sides did not see each other for this long is left to an operator.
pub const RETENTION: Duration = Duration::from_secs(7 * DAY);

const DAY: u64 = 24 * 60 * 60;
/// By so much may clocks of services and databases differ.
const SKEW: Duration = Duration::from_secs(DAY);
/// A transaction is over long before.
const MAX_AGE_TO_END: Duration = Duration::from_secs(DAY);
/// A clock may be ahead by so much.
const MAX_AHEAD: Duration = Duration::from_secs(60 * 60);

/// Names one transaction on both sides: a UUID of version 7, which tells when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(Uuid);

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// On both sides.
    Commit,
    /// On neither.
    Abort,
}

/// A text that names no transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a transaction's id is a UUID of version 7")]
pub struct MalformedId;

// === impl TransactionId ===

impl TransactionId {
    /// A new name.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        Self::made_at(SystemTime::now())
    }

    fn made_at(time: SystemTime) -> Self {
        let [_, _, _, _, _, _, random @ ..] = Uuid::new_v4().into_bytes();
        let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The UUID.
    #[must_use]
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }

    /// What the prepared transaction is called in PostgreSQL. Safe to stand in a literal.
    #[must_use]
    pub fn prepared_name(&self) -> String {
        format!("{PREPARED_PREFIX}{}", self.0)
    }

    pub(crate) fn of_prepared_name(name: &str) -> Option<Self> {
        name.strip_prefix(PREPARED_PREFIX)?.parse().ok()
    }

    /// Nobody may still record an outcome of an older one.
    pub(crate) fn may_end(&self) -> bool {
        self.age_at(SystemTime::now()).is_some_and(|it| it < MAX_AGE_TO_END)
    }

    /// What is not recorded about it may have been forgotten.
    pub(crate) fn may_be_forgotten(&self) -> bool {
        self.age_at(SystemTime::now()).is_none_or(|it| it >= RETENTION - SKEW)
    }

    /// `None` for one of the future.
    fn age_at(&self, now: SystemTime) -> Option<Duration> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        let made = UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))?;
        match now.duration_since(made) {
            Ok(age) => Some(age),
            Err(ahead) => (ahead.duration() < MAX_AHEAD).then_some(Duration::ZERO),
        }
    }
}

/// Before the id, in the names of prepared transactions.
pub(crate) const PREPARED_PREFIX: &str = "tombolo:";

impl FromStr for TransactionId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let id = Uuid::try_parse(text).map_err(|_| MalformedId)?;
        match id.get_version() {
            Some(Version::SortRand) => Ok(Self(id)),
            _ => Err(MalformedId),
        }
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Decision ===

impl Decision {
    /// As it is stored.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Abort => "abort",
        }
    }

    /// The stored word; the tables admit no third.
    pub(crate) fn of(word: &str) -> Self {
        if word == Self::Commit.as_str() { Self::Commit } else { Self::Abort }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_text_and_the_database() {
        let id = TransactionId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(TransactionId::of_prepared_name(&id.prepared_name()), Some(id));
        assert_eq!(TransactionId::of_prepared_name(&id.to_string()), None);
        for bad in ["", "x", "7f2c6a68-2f0b-4f9d-9c43-0a8d6b5f1f10"] {
            assert_eq!(bad.parse::<TransactionId>(), Err(MalformedId), "{bad}");
        }
    }

    #[test]
    fn an_id_tells_whether_its_record_may_be_gone() {
        let now = SystemTime::now();
        let made = |ago: Duration| TransactionId::made_at(now - ago);
        assert!(made(Duration::ZERO).may_end());
        assert!(!made(Duration::ZERO).may_be_forgotten());
        assert!(!made(Duration::from_secs(2 * DAY)).may_end());
        assert!(!made(Duration::from_secs(5 * DAY)).may_be_forgotten());
        assert!(made(RETENTION).may_be_forgotten());
        let future = TransactionId::made_at(now + Duration::from_secs(2 * DAY));
        assert!(!future.may_end());
        assert!(future.may_be_forgotten());
    }
}
