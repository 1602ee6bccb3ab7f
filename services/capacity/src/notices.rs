//! What an administrator should be told about a pool (spec CAP-06): that less than 15 % or 5 % of it is
//! free, or that it is used beyond what there is.

use crate::pool::{Pool, in_words};
use crate::standing::Standing;

/// How urgent a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NoticeKind {
    Low,
    VeryLow,
    Overage,
}

/// What to say of a pool now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) pool: Pool,
    pub(crate) kind: NoticeKind,
    pub(crate) message: String,
}

const LOW_PERCENT: i128 = 15;
const VERY_LOW_PERCENT: i128 = 5;

// === impl NoticeKind ===

impl NoticeKind {
    const ALL: [Self; 3] = [Self::Low, Self::VeryLow, Self::Overage];

    /// As it is stored: the number in the contract.
    pub(crate) const fn number(self) -> i16 {
        self as i16 + 1
    }

    pub(crate) fn of_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }
}

/// The most urgent of each pool. Reservations come and go, and are left out.
pub(crate) fn review(standing: &Standing) -> Vec<Finding> {
    let finding = |pool| {
        let kind = kind(standing, pool)?;
        Some(Finding { pool, kind, message: message(standing, pool, kind) })
    };
    Pool::ALL.into_iter().filter_map(finding).collect()
}

fn kind(standing: &Standing, pool: Pool) -> Option<NoticeKind> {
    if standing.is_over(pool) {
        return Some(NoticeKind::Overage);
    }
    let entitled = i128::from(standing.entitled.get(pool));
    let below = |percent| i128::from(standing.unused(pool)) * 100 < entitled * percent;
    match pool.blocks() {
        true if below(VERY_LOW_PERCENT) => Some(NoticeKind::VeryLow),
        true if below(LOW_PERCENT) => Some(NoticeKind::Low),
        _ => None,
    }
}

fn message(standing: &Standing, pool: Pool, kind: NoticeKind) -> String {
    let label = pool.label();
    match kind {
        NoticeKind::Low => {
            format!("Your org (tenant) has less than {LOW_PERCENT}% of its {label} capacity free.")
        }
        NoticeKind::VeryLow => format!(
            "Your org (tenant) has less than {VERY_LOW_PERCENT}% of its {label} capacity free."
        ),
        NoticeKind::Overage => {
            let missing = in_words(standing.deficit(pool));
            let effect = match pool.blocks() {
                true => {
                    "Environments can't be created, copied, restored, converted or recovered, and \
                     databases can't be added, until storage is freed or bought. Data can still be \
                     read and written."
                }
                false => "This is reported only: nothing is blocked.",
            };
            format!(
                "Your org (tenant) uses {missing} more {label} capacity than it is entitled to. \
                 {effect}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::{Amounts, GB};

    fn found(pool: Pool, entitled: i64, used: i64) -> Option<NoticeKind> {
        let (entitled, used) = (Amounts::of(pool, entitled), Amounts::of(pool, used));
        let standing = Standing { entitled, used, ..Default::default() };
        let all = review(&standing);
        assert!(all.iter().all(|it| it.pool == pool), "{all:?}");
        all.first().map(|it| it.kind)
    }

    #[test]
    fn thresholds() {
        for pool in [Pool::Database, Pool::File, Pool::Log] {
            for (used, kind) in [
                (0, None),
                (850, None),
                (851, Some(NoticeKind::Low)),
                (950, Some(NoticeKind::Low)),
                (951, Some(NoticeKind::VeryLow)),
                (1000, Some(NoticeKind::VeryLow)),
                (1001, Some(NoticeKind::Overage)),
            ] {
                assert_eq!(found(pool, 1000, used), kind, "{pool:?} {used}");
            }
            assert_eq!(found(pool, 0, 0), None, "nobody bought it, nobody uses it");
        }
    }

    #[test]
    fn operations_pools_are_told_of_overage_only() {
        for pool in [Pool::OperationsDatabase, Pool::OperationsFile] {
            assert_eq!(found(pool, 1000, 1000), None);
            assert_eq!(found(pool, 1000, 1001), Some(NoticeKind::Overage));
        }
        let used = Amounts::of(Pool::OperationsDatabase, 2 * GB);
        let all = review(&Standing { used, ..Default::default() });
        assert_eq!(
            all[0].message,
            "Your org (tenant) uses 2 GB more operations database capacity than it is entitled to. \
             This is reported only: nothing is blocked."
        );
    }

    #[test]
    fn what_the_log_borrows_is_not_free() {
        let entitled = Amounts::of(Pool::Database, 100).with(Pool::Log, 10);
        let used = Amounts::of(Pool::Database, 80).with(Pool::Log, 20);
        let kinds: Vec<_> = review(&Standing { entitled, used, ..Default::default() })
            .into_iter()
            .map(|it| (it.pool, it.kind))
            .collect();
        assert_eq!(kinds, [(Pool::Database, NoticeKind::Low), (Pool::Log, NoticeKind::VeryLow)]);
    }
}
