//! Where the tenant stands: entitled, used, reserved, free and missing in each pool (spec CAP-04).
//!
//! Spare database covers what the log has too little of; spare file covers nothing, and nothing covers
//! file. The operations pools neither cover nor block (CAP-08).

use crate::pool::{Amounts, Pool};

/// Of each pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) entitled: Amounts,
    /// Measured, as it is counted.
    pub(crate) used: Amounts,
    /// Held by reservations that are not committed.
    pub(crate) reserved: Amounts,
}

// === impl Standing ===

impl Standing {
    /// What is missing, without what is only reserved.
    pub(crate) fn deficit(&self, pool: Pool) -> i64 {
        let over = over(self.used.get(pool), self.entitled.get(pool));
        match pool {
            Pool::Log => over - self.lent(&self.used),
            Pool::Database | Pool::File | Pool::OperationsDatabase | Pool::OperationsFile => over,
        }
    }

    /// What is left: neither used, nor reserved, nor lent to the log.
    pub(crate) fn free(&self, pool: Pool) -> i64 {
        self.left(pool, &self.used.plus(&self.reserved))
    }

    /// What is left if nobody took up what is reserved.
    pub(crate) fn unused(&self, pool: Pool) -> i64 {
        self.left(pool, &self.used)
    }

    /// Whether the pool uses more than there is for it.
    pub(crate) fn is_over(&self, pool: Pool) -> bool {
        self.deficit(pool) > 0
    }

    /// Pools whose overage blocks operations.
    pub(crate) fn overage(&self) -> Vec<Pool> {
        Pool::ALL.into_iter().filter(|it| it.blocks() && self.is_over(*it)).collect()
    }

    fn left(&self, pool: Pool, taken: &Amounts) -> i64 {
        let rest = over(self.entitled.get(pool), taken.get(pool));
        match pool {
            Pool::Database => rest - self.lent(taken),
            Pool::File | Pool::Log | Pool::OperationsDatabase | Pool::OperationsFile => rest,
        }
    }

    /// What the log borrows from the database, if so much is taken.
    fn lent(&self, taken: &Amounts) -> i64 {
        let wanted = over(taken.get(Pool::Log), self.entitled.get(Pool::Log));
        wanted.min(over(self.entitled.get(Pool::Database), taken.get(Pool::Database)))
    }
}

/// By how much the one exceeds the other.
fn over(one: i64, other: i64) -> i64 {
    one.saturating_sub(other).max(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pool::GB;

    fn amounts([database, log, file]: [i64; 3]) -> Amounts {
        Amounts::of(Pool::Database, database).with(Pool::Log, log).with(Pool::File, file)
    }

    fn standing(entitled: [i64; 3], used: [i64; 3]) -> Standing {
        let gigabytes = |it: [i64; 3]| amounts(it).times(GB);
        Standing { entitled: gigabytes(entitled), used: gigabytes(used), ..Default::default() }
    }

    /// The vendor's four worked cases: entitled and used gigabytes of database, log and file; what is
    /// missing of each, and what is free of each.
    #[test]
    fn worked_cases() {
        let check = |entitled, used, missing: [i64; 3], free: [i64; 3]| {
            let it = standing(entitled, used);
            let pools = [Pool::Database, Pool::Log, Pool::File];
            assert_eq!(pools.map(|pool| it.deficit(pool) / GB), missing, "{used:?}");
            assert_eq!(pools.map(|pool| it.free(pool) / GB), free, "{used:?}");
            assert_eq!(it.overage().is_empty(), missing == [0; 3], "{used:?}");
        };
        check([100, 10, 400], [110, 5, 200], [10, 0, 0], [0, 5, 200]);
        check([100, 10, 400], [95, 20, 200], [0, 5, 0], [0, 0, 200]);
        check([100, 10, 200], [20, 5, 290], [0, 0, 90], [80, 5, 0]);
        check([100, 10, 400], [80, 20, 200], [0, 0, 0], [10, 0, 200]);
    }

    #[test]
    fn operations_pools_are_reported_only() {
        let used = Amounts::of(Pool::OperationsDatabase, GB).with(Pool::OperationsFile, 2 * GB);
        let it = Standing { used, ..Default::default() };
        assert_eq!(it.deficit(Pool::OperationsDatabase), GB);
        assert_eq!(it.deficit(Pool::OperationsFile), 2 * GB);
        assert!(it.overage().is_empty());
    }

    fn any_amounts() -> impl Strategy<Value = Amounts> {
        [0..1000_i64, 0..1000, 0..1000].prop_map(amounts)
    }

    proptest! {
        #[test]
        fn figures_agree(entitled in any_amounts(), used in any_amounts(), reserved in any_amounts()) {
            let it = Standing { entitled, used, reserved };
            for pool in Pool::ALL {
                prop_assert!(it.free(pool) >= 0 && it.deficit(pool) >= 0);
                prop_assert!(it.free(pool) <= it.unused(pool));
                prop_assert!(it.deficit(pool) == 0 || it.unused(pool) == 0);
            }
            // In overage exactly when one of the vendor's three conditions holds.
            let over = |pool| used.get(pool) - entitled.get(pool);
            let spare = (-over(Pool::Database)).max(0);
            let expected =
                over(Pool::Database) > 0 || over(Pool::Log) > spare || over(Pool::File) > 0;
            prop_assert_eq!(!it.overage().is_empty(), expected);
        }
    }
}
