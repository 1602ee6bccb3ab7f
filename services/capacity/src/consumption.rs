//! What environments count (spec CAP-03): each of the platform at least a gigabyte of database, trial and
//! the like nothing, the default environment what is beyond the included, the ERP in pools of its own.

use std::collections::BTreeMap;

use crate::pool::{Amounts, GB, Pool};

/// Each counted environment of the platform uses at least so much database, also without one.
const FLOOR: i64 = GB;
/// Included with the default environment.
const INCLUDED: Amounts =
    Amounts::of(Pool::Database, 3 * GB).with(Pool::File, 3 * GB).with(Pool::Log, GB);

/// How an environment counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MeterKind {
    Platform,
    Exempt,
    Default,
    FinanceAndOperations,
}

/// An environment, and what was measured of it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) name: String,
    pub(crate) kind: MeterKind,
    /// Absent: never.
    pub(crate) measured: Option<Amounts>,
}

// === impl MeterKind ===

impl MeterKind {
    pub(crate) const ALL: [Self; 4] =
        [Self::Platform, Self::Exempt, Self::Default, Self::FinanceAndOperations];

    /// As it is stored: the number in the contract.
    pub(crate) const fn number(self) -> i16 {
        self as i16 + 1
    }

    /// A kind that nobody knows yet counts as any environment.
    pub(crate) fn of_number(number: i16) -> Self {
        Self::ALL.into_iter().find(|it| it.number() == number).unwrap_or(Self::Platform)
    }
}

/// What an environment counts that was measured like this.
pub(crate) fn counted(kind: MeterKind, measured: &Amounts) -> Amounts {
    let measured = measured.map(|_, bytes| bytes.max(0));
    let floored = || measured.with(Pool::Database, measured.get(Pool::Database).max(FLOOR));
    match kind {
        MeterKind::Platform => floored(),
        MeterKind::Exempt => Amounts::NONE,
        MeterKind::Default => floored().map(|pool, bytes| (bytes - INCLUDED.get(pool)).max(0)),
        MeterKind::FinanceAndOperations => measured,
    }
}

/// What each environment counts. `committed` is what operations have begun to use of which environment
/// since it was measured; an environment that is not listed yet counts with that alone.
pub(crate) fn of_tenant(
    environments: &[Environment],
    committed: &[(String, Amounts)],
) -> BTreeMap<String, Amounts> {
    let mut fresh: BTreeMap<&str, Amounts> = BTreeMap::new();
    for (name, amounts) in committed {
        let sum = fresh.entry(name).or_insert(Amounts::NONE);
        *sum = sum.plus(amounts);
    }
    let mut all = BTreeMap::new();
    for it in environments {
        let fresh = fresh.remove(it.name.as_str()).unwrap_or_default();
        let used = it.measured.unwrap_or_default().plus(&fresh);
        all.insert(it.name.clone(), counted(it.kind, &used));
    }
    all.extend(fresh.into_iter().map(|(name, amounts)| (name.to_owned(), amounts)));
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn platform(database: i64, file: i64, log: i64) -> Amounts {
        Amounts::of(Pool::Database, database).with(Pool::File, file).with(Pool::Log, log)
    }

    #[test]
    fn floors_and_exemptions() {
        let check = |kind, measured: Amounts, expected: Amounts| {
            assert_eq!(counted(kind, &measured), expected, "{kind:?} {measured:?}");
        };
        check(MeterKind::Platform, Amounts::NONE, platform(GB, 0, 0));
        check(MeterKind::Platform, platform(GB - 1, 5, 7), platform(GB, 5, 7));
        check(MeterKind::Platform, platform(3 * GB, 5, 7), platform(3 * GB, 5, 7));
        check(MeterKind::Exempt, platform(30 * GB, 5, 7), Amounts::NONE);
        check(MeterKind::Default, platform(3 * GB, 3 * GB, GB), Amounts::NONE);
        check(MeterKind::Default, platform(4 * GB, 3 * GB + 1, GB + 2), platform(GB, 1, 2));
        let erp = Amounts::of(Pool::OperationsDatabase, 9);
        check(MeterKind::FinanceAndOperations, erp, erp);
        check(MeterKind::FinanceAndOperations, Amounts::NONE, Amounts::NONE);
    }

    #[test]
    fn a_commitment_counts_until_it_is_measured() {
        let environment = |measured| Environment {
            name: "platformEnvironments/a".into(),
            kind: MeterKind::Platform,
            measured,
        };
        let gigabyte = platform(GB, 0, 0);
        let check = |measured, committed: &[(&str, Amounts)], name: &str, expected: i64| {
            let committed: Vec<_> =
                committed.iter().map(|(name, it)| ((*name).to_owned(), *it)).collect();
            let all = of_tenant(&[environment(measured)], &committed);
            assert_eq!(all[name].get(Pool::Database), expected);
        };
        let (a, b) = ("platformEnvironments/a", "platformEnvironments/b");
        check(None, &[], a, GB);
        // The floor is not counted beside what is about to fill it.
        check(None, &[(a, gigabyte)], a, GB);
        check(Some(platform(2 * GB, 0, 0)), &[(a, gigabyte), (a, gigabyte)], a, 4 * GB);
        check(None, &[(b, gigabyte)], b, GB);
        check(None, &[(b, gigabyte)], a, GB);
    }

    proptest! {
        #[test]
        fn a_counted_environment_is_never_below_its_floor(
            database in 0..i64::MAX / 4, file in 0..i64::MAX / 4, log in 0..i64::MAX / 4,
        ) {
            let measured = platform(database, file, log);
            let counts = counted(MeterKind::Platform, &measured);
            prop_assert_eq!(counts, measured.with(Pool::Database, database.max(GB)));
            let default = counted(MeterKind::Default, &measured);
            for pool in Pool::ALL {
                prop_assert!((0..=counts.get(pool)).contains(&default.get(pool)));
                prop_assert!(counts.get(pool) - default.get(pool) <= INCLUDED.get(pool));
            }
        }
    }
}
