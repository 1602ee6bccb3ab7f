//! What operations need, and whether they may go on (spec CAP-05, PPI-05). Reading and writing data is
//! not among them and is never blocked.

use crate::pool::{Amounts, GB, Pool, in_words};
use crate::standing::Standing;

/// An operation that needs capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    CreateEnvironment,
    Copy,
    Restore,
    ConvertTrial,
    Recover,
    AddDatabase,
    InstallFinanceAndOperations,
    InstallAddIn,
}

/// Whether an operation may go on, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    operation: Operation,
    /// All of what it is going to use.
    pub(crate) needed: Amounts,
    /// What is too little, by how much.
    pub(crate) missing: Amounts,
    pub(crate) free: Amounts,
    /// Pools that are used beyond what there is, which blocks the operation.
    pub(crate) overage: Vec<Pool>,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Overage { pools: Vec<Pool>, message: String },
    Insufficient { pool: Pool, needed: i64, free: i64, message: String },
}

// === impl Operation ===

impl Operation {
    /// In the order of their numbers in the contract.
    pub(crate) const ALL: [Self; 8] = [
        Self::CreateEnvironment,
        Self::Copy,
        Self::Restore,
        Self::ConvertTrial,
        Self::Recover,
        Self::AddDatabase,
        Self::InstallFinanceAndOperations,
        Self::InstallAddIn,
    ];

    /// As it is stored: the number in the contract.
    pub(crate) const fn number(self) -> i16 {
        self as i16 + 1
    }

    pub(crate) fn of_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }

    /// What it needs by itself, however large what it works on is.
    pub(crate) fn needs(self) -> Amounts {
        let database = Amounts::of(Pool::Database, GB);
        match self {
            Self::CreateEnvironment
            | Self::ConvertTrial
            | Self::Recover
            | Self::AddDatabase
            | Self::InstallAddIn => database,
            Self::InstallFinanceAndOperations => database.with(Pool::OperationsDatabase, GB),
            Self::Copy | Self::Restore => Amounts::NONE,
        }
    }

    /// Whether what it needs by itself is what an environment counts at least (`consumption`).
    pub(crate) const fn begins_to_count(self) -> bool {
        match self {
            Self::CreateEnvironment | Self::ConvertTrial | Self::Recover | Self::AddDatabase => {
                true
            }
            Self::Copy | Self::Restore | Self::InstallFinanceAndOperations | Self::InstallAddIn => {
                false
            }
        }
    }

    const fn impossible(self) -> &'static str {
        match self {
            // Adding a database is how a setup creates its environment, and is told as that.
            Self::CreateEnvironment | Self::AddDatabase => "This environment can't be created",
            Self::Copy => "This environment can't be copied",
            Self::Restore => "This environment can't be restored",
            Self::ConvertTrial => "This trial environment can't be converted",
            Self::Recover => "This environment can't be recovered",
            Self::InstallFinanceAndOperations => {
                "Finance and operations apps can't be installed in this environment"
            }
            Self::InstallAddIn => "This add-in can't be installed",
        }
    }
}

/// Whether an operation may go on that uses `more` besides what it needs by itself.
pub(crate) fn decide(standing: &Standing, operation: Operation, more: &Amounts) -> Decision {
    let own = operation.needs();
    let free = Amounts::NONE.map(|pool, _| standing.free(pool));
    // What a copy adds to the operations pools is reported and blocks nothing (spec CAP-08).
    let blocking = more.map(|pool, bytes| if pool.blocks() { bytes } else { 0 });
    let required = own.plus(&blocking);
    let missing = required.map(|pool, bytes| (bytes - free.get(pool)).max(0));
    // Spare database covers the log.
    let spare = (free.get(Pool::Database) - required.get(Pool::Database)).max(0);
    let log = (missing.get(Pool::Log) - spare).max(0);
    Decision {
        operation,
        needed: own.plus(more),
        missing: missing.with(Pool::Log, log),
        free,
        overage: standing.overage(),
    }
}

// === impl Decision ===

impl Decision {
    /// `None`: it may go on.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        if !self.overage.is_empty() {
            let (pools, message) = (self.overage.clone(), self.overage_message());
            return Some(Refusal::Overage { pools, message });
        }
        let (pool, _) = self.missing.iter().next()?;
        let (needed, free) = (self.needed.get(pool), self.free.get(pool));
        let message = self.insufficient_message(pool);
        Some(Refusal::Insufficient { pool, needed, free, message })
    }

    fn overage_message(&self) -> String {
        match self.operation {
            Operation::CreateEnvironment | Operation::AddDatabase => {
                let pool = self.missing.iter().next().map_or(Pool::Database, |it| it.0);
                self.insufficient_message(pool)
            }
            Operation::Copy
            | Operation::Restore
            | Operation::ConvertTrial
            | Operation::Recover
            | Operation::InstallFinanceAndOperations
            | Operation::InstallAddIn => {
                let labels: Vec<_> = self.overage.iter().map(|it| it.label()).collect();
                let (pools, what) = (labels.join(" and "), self.operation.impossible());
                format!("{what} because your org (tenant) is over its {pools} capacity.")
            }
        }
    }

    fn insufficient_message(&self, pool: Pool) -> String {
        let (what, needed) = (self.operation.impossible(), in_words(self.needed.get(pool)));
        let label = pool.label();
        format!("{what} because your org (tenant) needs at least {needed} of {label} capacity.")
    }
}

// === impl Refusal ===

impl Refusal {
    /// For people.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Overage { message, .. } | Self::Insufficient { message, .. } => message,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pool::MB;

    fn standing(entitled: Amounts, used: Amounts) -> Standing {
        Standing { entitled, used, ..Default::default() }
    }

    fn database(gigabytes: i64) -> Amounts {
        Amounts::of(Pool::Database, gigabytes * GB)
    }

    #[track_caller]
    fn refused(standing: &Standing, operation: Operation, more: Amounts, message: &str) {
        let refusal = decide(standing, operation, &more).refusal();
        assert_eq!(refusal.as_ref().map_or("", Refusal::message), message);
    }

    #[test]
    fn the_last_gigabyte() {
        let enough = standing(database(2), database(1));
        let short = standing(database(2), database(1).plus(&Amounts::of(Pool::Database, 1)));
        for operation in Operation::ALL {
            let entitled = enough.entitled.with(Pool::OperationsDatabase, GB);
            let enough = Standing { entitled, ..enough };
            assert_eq!(decide(&enough, operation, &Amounts::NONE).refusal(), None);
            let refused = decide(&short, operation, &Amounts::NONE).refusal().is_some();
            assert_eq!(refused, !matches!(operation, Operation::Copy | Operation::Restore));
        }
        let text = "This environment can't be created because your org (tenant) needs at least 1 GB of \
                    database capacity.";
        refused(&short, Operation::CreateEnvironment, Amounts::NONE, text);
        refused(&short, Operation::AddDatabase, Amounts::NONE, text);
        let text = "This add-in can't be installed because your org (tenant) needs at least 1 GB of \
                    database capacity.";
        refused(&short, Operation::InstallAddIn, Amounts::NONE, text);
    }

    #[test]
    fn overage_blocks_every_one_of_them() {
        let file = Amounts::of(Pool::File, 1);
        let over = standing(database(100).with(Pool::OperationsDatabase, GB), file);
        for operation in Operation::ALL {
            let refusal = decide(&over, operation, &Amounts::NONE).refusal();
            assert!(matches!(refusal, Some(Refusal::Overage { .. })), "{operation:?}");
        }
        let text = "This environment can't be copied because your org (tenant) is over its file \
                    capacity.";
        refused(&over, Operation::Copy, Amounts::NONE, text);
        let text = "This environment can't be created because your org (tenant) needs at least 1 GB of \
                    database capacity.";
        refused(&over, Operation::CreateEnvironment, Amounts::NONE, text);
    }

    #[test]
    fn operations_pools_block_only_what_needs_them_by_itself() {
        let it = standing(database(10), Amounts::of(Pool::OperationsDatabase, 50 * GB));
        let more = Amounts::of(Pool::OperationsDatabase, 9 * GB);
        refused(&it, Operation::Copy, more, "");
        assert_eq!(decide(&it, Operation::Copy, &more).needed, more);
        let text = "Finance and operations apps can't be installed in this environment because your org \
                    (tenant) needs at least 1 GB of operations database capacity.";
        refused(&it, Operation::InstallFinanceAndOperations, Amounts::NONE, text);
    }

    #[test]
    fn spare_database_covers_the_log_and_nothing_covers_file() {
        let it = standing(database(3), Amounts::NONE);
        let log = |bytes| Amounts::of(Pool::Log, bytes);
        refused(&it, Operation::Copy, log(3 * GB), "");
        refused(&it, Operation::AddDatabase, log(2 * GB), "");
        let text = "This environment can't be created because your org (tenant) needs at least 2.1 GB of \
                    log capacity.";
        refused(&it, Operation::AddDatabase, log(2 * GB + MB), text);
        let text = "This environment can't be restored because your org (tenant) needs at least 5 MB of \
                    file capacity.";
        refused(&it, Operation::Restore, Amounts::of(Pool::File, 5 * MB), text);
    }

    fn up_to(gigabytes: i64) -> impl Strategy<Value = Amounts> {
        let bytes = || 0..gigabytes * GB;
        [bytes(), bytes(), bytes()].prop_map(|[database, log, file]| {
            Amounts::of(Pool::Database, database).with(Pool::Log, log).with(Pool::File, file)
        })
    }

    proptest! {
        /// What was allowed fits: if it were used at once, there would be no overage.
        #[test]
        fn what_is_allowed_fits(
            entitled in up_to(16), used in up_to(6), reserved in up_to(3), more in up_to(4),
            operation in prop::sample::select(Operation::ALL.to_vec()),
        ) {
            let fits = |reserved: &Amounts| {
                standing(entitled, used.plus(reserved)).overage().is_empty()
            };
            let before = Standing { entitled, used, reserved };
            let decision = decide(&before, operation, &more);
            // Reservations themselves are only ever made when they fit.
            if fits(&reserved) && decision.refusal().is_none() {
                prop_assert!(fits(&reserved.plus(&decision.needed)));
            }
        }
    }
}
