//! What environments count (spec CAP-03): each of the platform at least a gigabyte of database, trial and
//! the like nothing, the default environment what is beyond the included, the ERP in pools of its own.
//!
//! What a finished operation has begun to use counts from its commitment until a measurement that began
//! after it. It is one of two kinds:
//!
//! - An operation with which an environment **begins to count** (it is created, given a database, converted
//!   from a trial, recovered) needs the gigabyte that is the environment's floor. Several of them are about
//!   the same gigabyte, which is also the one of whoever was measured or never was: the largest of all
//!   counts, not their sum.
//! - Whatever else is committed (a copy's growth, an add-in, the ERP's applications, and what a beginning
//!   asked for besides its gigabyte) **grows** the environment: it counts on top of that, added up.
//!
//! So an environment counts `max(measured, begun) + grown`, where one that nobody has measured counts as
//! measured at its floor, and then the floor, the included and the exemption apply. This is about what is
//! committed; what is held is added up over all reservations, whomever they are for, and lies beside it
//! (`standing`): nobody can tell yet whether it will be used.

use std::collections::BTreeMap;

use crate::operations::Operation;
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

/// What a finished operation has begun to use of an environment, which was not measured since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commitment {
    pub(crate) environment: String,
    pub(crate) operation: Operation,
    /// What it needs by itself, and what it asked for besides.
    pub(crate) amounts: Amounts,
}

/// The commitments of one environment.
#[derive(Clone, Copy, Debug, Default)]
struct Fresh {
    begun: Amounts,
    grown: Amounts,
    converted: bool,
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

/// What each environment counts. `committed` is what operations have begun to use since it was measured.
pub(crate) fn of_tenant(
    environments: &[Environment],
    committed: &[Commitment],
) -> BTreeMap<String, Amounts> {
    let mut fresh: BTreeMap<&str, Fresh> = BTreeMap::new();
    for it in committed {
        fresh.entry(&it.environment).or_default().add(it);
    }
    let mut all = BTreeMap::new();
    for it in environments {
        let fresh = fresh.remove(it.name.as_str()).unwrap_or_default();
        all.insert(it.name.clone(), fresh.counted(it.kind, it.measured));
    }
    // Of what kind they are is not known yet.
    all.extend(fresh.into_iter().map(|(name, it)| (name.to_owned(), it.begun.plus(&it.grown))));
    all
}

// === impl Fresh ===

impl Fresh {
    fn add(&mut self, it: &Commitment) {
        let own = it.operation.needs();
        if it.operation.begins_to_count() {
            self.begun = self.begun.larger(&own);
            self.grown = self.grown.plus(&it.amounts.map(|pool, bytes| bytes - own.get(pool)));
        } else {
            self.grown = self.grown.plus(&it.amounts);
        }
        self.converted |= it.operation == Operation::ConvertTrial;
    }

    fn counted(&self, kind: MeterKind, measured: Option<Amounts>) -> Amounts {
        let kind = match kind {
            // Listed before it was converted.
            MeterKind::Exempt if self.converted => MeterKind::Platform,
            kind => kind,
        };
        let base = match (measured, kind) {
            (Some(measured), _) => measured,
            (None, MeterKind::FinanceAndOperations) => Amounts::NONE,
            (None, _) => Amounts::of(Pool::Database, FLOOR),
        };
        counted(kind, &base.larger(&self.begun).plus(&self.grown))
    }
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

    const A: &str = "platformEnvironments/a";
    const B: &str = "platformEnvironments/b";

    fn commitment(environment: &str, operation: Operation, more: i64) -> Commitment {
        let amounts = operation.needs().plus(&platform(more, 0, 0));
        Commitment { environment: environment.into(), operation, amounts }
    }

    /// Bytes of database that A counts.
    fn database_of_a(kind: MeterKind, measured: Option<i64>, committed: &[Commitment]) -> i64 {
        let measured = measured.map(|it| platform(it, 0, 0));
        let environment = Environment { name: A.into(), kind, measured };
        of_tenant(&[environment], committed)[A].get(Pool::Database)
    }

    #[test]
    fn a_beginning_is_the_floors_own_gigabyte() {
        use Operation::{AddDatabase, ConvertTrial, CreateEnvironment, Recover};
        let check = |measured, operations: &[Operation], expected| {
            let committed: Vec<_> = operations.iter().map(|it| commitment(A, *it, 0)).collect();
            let counts = database_of_a(MeterKind::Platform, measured, &committed);
            assert_eq!(counts, expected, "{measured:?} {operations:?}");
        };
        check(None, &[], GB);
        for operation in [CreateEnvironment, AddDatabase, ConvertTrial, Recover] {
            check(None, &[operation], GB);
            check(Some(0), &[operation], GB);
            check(Some(12 << 20), &[operation], GB);
            check(Some(3 * GB), &[operation], 3 * GB);
        }
        check(None, &[CreateEnvironment, AddDatabase], GB);
        check(Some(0), &[AddDatabase, CreateEnvironment, Recover], GB);
    }

    #[test]
    fn growth_is_on_top_of_what_was_measured_or_begun() {
        use Operation::{
            AddDatabase, Copy, CreateEnvironment, InstallAddIn, InstallFinanceAndOperations,
            Restore,
        };
        let check = |measured, operations: &[(Operation, i64)], expected| {
            let committed: Vec<_> =
                operations.iter().map(|(it, more)| commitment(A, *it, *more)).collect();
            let counts = database_of_a(MeterKind::Platform, measured, &committed);
            assert_eq!(counts, expected, "{measured:?} {operations:?}");
        };
        // Within the floor, and beyond it.
        check(Some(12), &[(Copy, 100)], GB);
        check(Some(GB / 2), &[(Copy, GB)], 3 * GB / 2);
        check(Some(2 * GB), &[(Copy, GB), (Restore, GB)], 4 * GB);
        check(Some(2 * GB), &[(InstallAddIn, 0), (InstallAddIn, 0)], 4 * GB);
        check(Some(2 * GB), &[(InstallFinanceAndOperations, 0)], 3 * GB);
        // How much of the floor is filled nobody knows.
        check(None, &[(Copy, GB)], 2 * GB);
        check(None, &[(CreateEnvironment, 0), (AddDatabase, 0), (Copy, 2 * GB)], 3 * GB);
        check(None, &[(AddDatabase, 0), (InstallAddIn, 0)], 2 * GB);
        // What a beginning asks for besides its gigabyte is growth.
        check(None, &[(CreateEnvironment, 0), (AddDatabase, 2 * GB)], 3 * GB);
        check(Some(GB), &[(AddDatabase, 2 * GB)], 3 * GB);
    }

    #[test]
    fn commitments_count_for_their_own_environment() {
        use Operation::{AddDatabase, Copy, CreateEnvironment};
        let committed = [
            commitment(A, AddDatabase, 0),
            commitment(B, CreateEnvironment, 0),
            commitment(B, AddDatabase, 0),
            commitment(B, Copy, GB),
        ];
        let measured = Some(platform(GB / 2, 0, 0));
        let known = Environment { name: A.into(), kind: MeterKind::Platform, measured };
        let all = of_tenant(&[known], &committed);
        let of = |name: &str| all[name].get(Pool::Database);
        assert_eq!((of(A), of(B)), (GB, 2 * GB), "B is not listed yet");
    }

    #[test]
    fn kinds_and_their_commitments() {
        use MeterKind::{Default, Exempt, FinanceAndOperations};
        use Operation::{AddDatabase, ConvertTrial, Copy};
        let check = |kind, measured, operation, more, expected| {
            let committed = [commitment(A, operation, more)];
            let counts = database_of_a(kind, measured, &committed);
            assert_eq!(counts, expected, "{kind:?} {measured:?} {operation:?}");
        };
        check(Exempt, Some(2 * GB), AddDatabase, 0, 0);
        check(Exempt, Some(2 * GB), ConvertTrial, 0, 2 * GB);
        check(Exempt, None, ConvertTrial, 0, GB);
        check(Default, None, AddDatabase, 0, 0);
        check(Default, Some(3 * GB), Copy, GB, GB);
        check(FinanceAndOperations, None, Copy, 7, 7);
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop::sample::select(Operation::ALL.to_vec())
    }

    proptest! {
        /// Whatever is committed: no less than each of them, and no more than all of them.
        #[test]
        fn commitments_are_neither_lost_nor_counted_twice(
            measured in prop::option::of(0..8 * GB),
            committed in prop::collection::vec((operation(), 0..4 * GB), 0..6),
        ) {
            let committed: Vec<_> =
                committed.iter().map(|(it, more)| commitment(A, *it, *more)).collect();
            let counts = database_of_a(MeterKind::Platform, measured, &committed);
            let before = database_of_a(MeterKind::Platform, measured, &[]);
            let bytes = |it: &Commitment| it.amounts.get(Pool::Database);
            let sum: i64 = committed.iter().map(bytes).sum();
            prop_assert!(counts >= before && counts <= before + sum);
            prop_assert!(committed.iter().all(|it| counts >= bytes(it)));
            let grown: i64 =
                committed.iter().filter(|it| !it.operation.begins_to_count()).map(bytes).sum();
            prop_assert!(counts >= measured.unwrap_or(GB) + grown);
        }

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
