//! Pools of storage, and amounts of them.

use serde::Deserialize;

/// So many bytes are a gigabyte.
pub(crate) const GB: i64 = 1 << 30;
/// So many bytes are a megabyte.
pub(crate) const MB: i64 = 1 << 20;

/// Storage is bought and used by pool. The order is that of stored amounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pool {
    Database,
    File,
    Log,
    OperationsDatabase,
    OperationsFile,
}

/// Bytes of each pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts([i64; 5]);

/// A stored array does not have one number for each pool.
#[derive(Debug, thiserror::Error)]
#[error("{0} amounts are stored where there are five pools")]
pub(crate) struct WrongLength(usize);

// === impl Pool ===

impl Pool {
    pub(crate) const ALL: [Self; 5] =
        [Self::Database, Self::File, Self::Log, Self::OperationsDatabase, Self::OperationsFile];

    /// Overage in it blocks operations (spec CAP-05); in the others it is reported only (CAP-08).
    pub(crate) const fn blocks(self) -> bool {
        matches!(self, Self::Database | Self::File | Self::Log)
    }

    /// As people say it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::File => "file",
            Self::Log => "log",
            Self::OperationsDatabase => "operations database",
            Self::OperationsFile => "operations file",
        }
    }

    /// As it is stored: the number in the contract.
    pub(crate) const fn number(self) -> i16 {
        self as i16 + 1
    }

    pub(crate) fn of_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }
}

// === impl Amounts ===

impl Amounts {
    pub(crate) const NONE: Self = Self([0; 5]);

    /// So much of one pool, and nothing of the others.
    pub(crate) const fn of(pool: Pool, bytes: i64) -> Self {
        let mut all = Self::NONE;
        all.0[pool as usize] = bytes;
        all
    }

    pub(crate) const fn get(&self, pool: Pool) -> i64 {
        self.0[pool as usize]
    }

    pub(crate) const fn with(mut self, pool: Pool, bytes: i64) -> Self {
        self.0[pool as usize] = bytes;
        self
    }

    /// Together; what no number can hold is the largest there is.
    pub(crate) fn plus(self, other: &Self) -> Self {
        self.map(|pool, bytes| bytes.saturating_add(other.get(pool)))
    }

    /// Of each pool, the larger.
    pub(crate) fn larger(self, other: &Self) -> Self {
        self.map(|pool, bytes| bytes.max(other.get(pool)))
    }

    pub(crate) fn times(self, factor: i64) -> Self {
        self.map(|_, bytes| bytes.saturating_mul(factor))
    }

    pub(crate) fn map(self, change: impl Fn(Pool, i64) -> i64) -> Self {
        Pool::ALL.into_iter().fold(self, |all, pool| all.with(pool, change(pool, self.get(pool))))
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Pools of which there is something.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Pool, i64)> + '_ {
        Pool::ALL.into_iter().map(|pool| (pool, self.get(pool))).filter(|it| it.1 != 0)
    }

    pub(crate) fn sum(values: impl IntoIterator<Item = Self>) -> Self {
        values.into_iter().fold(Self::NONE, |sum, it| sum.plus(&it))
    }

    pub(crate) fn to_vec(self) -> Vec<i64> {
        self.0.to_vec()
    }
}

impl TryFrom<Vec<i64>> for Amounts {
    type Error = WrongLength;

    fn try_from(stored: Vec<i64>) -> Result<Self, WrongLength> {
        <[i64; 5]>::try_from(stored).map(Self).map_err(|it| WrongLength(it.len()))
    }
}

/// An amount in words: `1 GB`, `2.5 GB`, `300 MB`.
pub(crate) fn in_words(bytes: i64) -> String {
    let (unit, name) = if bytes >= GB { (GB, "GB") } else { (MB, "MB") };
    // Rounded up to a tenth, so that nobody is told that too little would do.
    let tenths = (i128::from(bytes.max(0)) * 10 + i128::from(unit) - 1) / i128::from(unit);
    match tenths % 10 {
        0 => format!("{} {name}", tenths / 10),
        rest => format!("{}.{rest} {name}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_in_words() {
        for (bytes, words) in [
            (GB, "1 GB"),
            (5 * GB / 2, "2.5 GB"),
            (300 * MB, "300 MB"),
            (0, "0 MB"),
            (GB + 1, "1.1 GB"),
            (1, "0.1 MB"),
        ] {
            assert_eq!(in_words(bytes), words);
        }
    }

    #[test]
    fn numbers_are_those_of_the_contract() {
        for pool in Pool::ALL {
            assert_eq!(Pool::of_number(pool.number()), Some(pool));
            let contract = proto::capacity::v1::Pool::try_from(i32::from(pool.number())).unwrap();
            let name = contract.as_str_name().trim_start_matches("POOL_").replace('_', " ");
            assert_eq!(name.to_lowercase(), pool.label());
        }
        assert_eq!(Pool::of_number(0), None);
    }
}
