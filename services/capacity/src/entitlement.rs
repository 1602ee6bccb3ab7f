//! What the tenant is entitled to (spec CAP-01): its default, once, with the first licence of a kind; so
//! much for each user licence; and what was bought in addition.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::accruals::{Accrual, ProductKind};
use crate::pool::{Amounts, Pool};

/// A purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Licence {
    pub(crate) id: String,
    pub(crate) accrual: String,
    pub(crate) quantity: i64,
    pub(crate) start_time: DateTime<Utc>,
    /// Absent: no end.
    pub(crate) end_time: Option<DateTime<Utc>>,
}

/// Why the tenant may use storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    TenantDefault,
    UserLicences,
    AdditionalStorage,
}

/// Part of the entitlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entitlement {
    pub(crate) pool: Pool,
    pub(crate) bytes: i64,
    pub(crate) source: Source,
    /// What was bought; none for the tenant's default.
    pub(crate) accrual: Option<String>,
    /// Which purchases it comes from.
    pub(crate) licences: Vec<String>,
}

// === impl Licence ===

impl Licence {
    /// Whether its term has begun and not ended.
    pub(crate) fn is_active(&self, now: DateTime<Utc>) -> bool {
        self.start_time <= now && self.end_time.is_none_or(|end| now < end)
    }
}

/// Every part of the entitlement, by pool, source and product.
pub(crate) fn of_tenant(
    accruals: &[Accrual],
    licences: &[Licence],
    now: DateTime<Utc>,
) -> Vec<Entitlement> {
    let rows: BTreeMap<&str, &Accrual> = accruals.iter().map(|it| (it.id.as_str(), it)).collect();
    let mut active: Vec<(&Licence, &Accrual)> = licences
        .iter()
        .filter(|it| it.is_active(now) && it.quantity > 0)
        .filter_map(|it| Some((it, *rows.get(it.accrual.as_str())?)))
        .collect();
    active.sort_by_key(|(licence, _)| (licence.start_time, &licence.id));
    let mut all = defaults(&active);
    all.extend(units(&active));
    all.sort_by(|a, b| (a.pool, a.source, &a.accrual).cmp(&(b.pool, b.source, &b.accrual)));
    all
}

/// Bytes of each pool.
pub(crate) fn total(entitlements: &[Entitlement]) -> Amounts {
    Amounts::sum(entitlements.iter().map(|it| Amounts::of(it.pool, it.bytes)))
}

/// Of each kind, those of the first licence that brings any.
fn defaults(active: &[(&Licence, &Accrual)]) -> Vec<Entitlement> {
    let mut of_pool: BTreeMap<Pool, (i64, Vec<String>)> = BTreeMap::new();
    for kind in ProductKind::ALL {
        let brings = |it: &&(&Licence, &Accrual)| it.1.kind == kind && !given(it.1).0.is_none();
        let Some((licence, accrual)) = active.iter().find(brings) else { continue };
        for (pool, bytes) in given(accrual).0.iter() {
            let (sum, licences) = of_pool.entry(pool).or_default();
            *sum = sum.saturating_add(bytes);
            licences.push(licence.id.clone());
        }
    }
    let part = |(pool, (bytes, licences))| Entitlement {
        pool,
        bytes,
        source: Source::TenantDefault,
        accrual: None,
        licences,
    };
    of_pool.into_iter().map(part).collect()
}

/// So much for each user or unit, by product.
fn units(active: &[(&Licence, &Accrual)]) -> Vec<Entitlement> {
    let mut of_product: BTreeMap<(&str, Pool), Entitlement> = BTreeMap::new();
    for (licence, accrual) in active {
        let source = match accrual.kind {
            ProductKind::StorageAddOn => Source::AdditionalStorage,
            ProductKind::FinanceAndOperations
            | ProductKind::PlatformUser
            | ProductKind::SandboxAddOn => Source::UserLicences,
        };
        for (pool, bytes) in given(accrual).1.times(licence.quantity).iter() {
            let part = of_product.entry((&accrual.id, pool)).or_insert_with(|| Entitlement {
                pool,
                bytes: 0,
                source,
                accrual: Some(accrual.id.clone()),
                licences: Vec::new(),
            });
            part.bytes = part.bytes.saturating_add(bytes);
            part.licences.push(licence.id.clone());
        }
    }
    of_product.into_values().collect()
}

/// Per tenant and per unit. An add-on sandbox gives no platform capacity (spec CAP-07), whatever its
/// row says.
fn given(accrual: &Accrual) -> (Amounts, Amounts) {
    let allowed = |it: &Amounts| match accrual.kind {
        ProductKind::SandboxAddOn => it.map(|pool, bytes| if pool.blocks() { 0 } else { bytes }),
        ProductKind::FinanceAndOperations
        | ProductKind::PlatformUser
        | ProductKind::StorageAddOn => *it,
    };
    (allowed(&accrual.tenant_amounts), allowed(&accrual.unit_amounts))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::accruals::built_in;
    use crate::pool::{GB, MB};

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(day)
    }

    fn licence(id: &str, accrual: &str, quantity: i64) -> Licence {
        let (id, accrual) = (id.to_owned(), accrual.to_owned());
        Licence { id, accrual, quantity, start_time: at(0), end_time: None }
    }

    /// Database, file, log, operations database in megabytes.
    #[track_caller]
    fn check(licences: &[Licence], day: i64, expected: [i64; 4]) {
        let all = of_tenant(&built_in().unwrap(), licences, at(day));
        let total = total(&all);
        let pools = [Pool::Database, Pool::File, Pool::Log, Pool::OperationsDatabase];
        assert_eq!(pools.map(|it| total.get(it) / MB), expected);
        assert_eq!(total.get(Pool::OperationsFile), 0);
    }

    #[test]
    fn the_default_comes_once_whichever_product_is_first() {
        check(&[], 1, [0, 0, 0, 0]);
        check(&[licence("a", "finance", 1)], 1, [10_490, 22_528, 2048, 65_536]);
        check(&[licence("a", "commerce", 1)], 1, [10_490, 22_528, 2048, 65_536]);
        let both = [licence("a", "finance", 1), licence("b", "supply-chain-management", 2)];
        check(&both, 1, [10_240 + 750, 20_480 + 6144, 2048, 61_440 + 12_288]);
        // The first of the kind to come brings nothing of its own.
        let late = [licence("a", "operations-activity", 9), licence("b", "finance", 1)];
        check(&late, 1, [10_490, 22_528, 2048, 65_536]);
    }

    #[test]
    fn user_licences_and_add_ons() {
        check(&[licence("a", "sales-enterprise", 4)], 1, [1000, 8192, 0, 0]);
        check(&[licence("a", "power-apps-per-app", 2)], 1, [100, 800, 0, 0]);
        check(&[licence("a", "team-members", 500)], 1, [0, 0, 0, 0]);
        check(&[licence("a", "operations-sandbox", 5)], 1, [0, 0, 0, 0]);
        check(&[licence("a", "database-capacity", 3)], 1, [3072, 0, 0, 0]);
        check(&[licence("a", "nobody-knows", 3)], 1, [0, 0, 0, 0]);
    }

    #[test]
    fn a_licence_counts_inside_its_term_only() {
        let mut it = licence("a", "database-capacity", 1);
        (it.start_time, it.end_time) = (at(10), Some(at(20)));
        for (day, megabytes) in [(9, 0), (10, 1024), (19, 1024), (20, 0)] {
            check(std::slice::from_ref(&it), day, [megabytes, 0, 0, 0]);
        }
    }

    #[test]
    fn an_entitlement_says_where_it_is_from() {
        let licences = [
            licence("b", "finance", 1),
            licence("a", "finance", 2),
            licence("c", "database-capacity", 1),
        ];
        let all = of_tenant(&built_in().unwrap(), &licences, at(1));
        let database: Vec<_> = all.iter().filter(|it| it.pool == Pool::Database).collect();
        let part = |source, accrual: Option<&str>, bytes, licences: &[&str]| Entitlement {
            pool: Pool::Database,
            bytes,
            source,
            accrual: accrual.map(str::to_owned),
            licences: licences.iter().map(|it| (*it).to_owned()).collect(),
        };
        assert_eq!(
            database,
            [
                &part(Source::TenantDefault, None, 10 * GB, &["a"]),
                &part(Source::UserLicences, Some("finance"), 750 * MB, &["a", "b"]),
                &part(Source::AdditionalStorage, Some("database-capacity"), GB, &["c"]),
            ]
        );
    }

    #[test]
    fn an_add_on_sandbox_gives_no_platform_capacity_whatever_its_row_says() {
        let mut accruals = built_in().unwrap();
        let sandbox = accruals.iter_mut().find(|it| it.id == "operations-sandbox").unwrap();
        sandbox.unit_amounts = Amounts::of(Pool::Database, GB).with(Pool::OperationsDatabase, GB);
        let all = of_tenant(&accruals, &[licence("a", "operations-sandbox", 2)], at(1));
        assert_eq!(total(&all), Amounts::of(Pool::OperationsDatabase, 2 * GB));
    }

    proptest! {
        #[test]
        fn buying_more_never_entitles_to_less(
            bought in prop::collection::vec((0..21_usize, 1..i64::MAX), 1..12),
        ) {
            let accruals = built_in().unwrap();
            let licences: Vec<_> = bought
                .iter()
                .enumerate()
                .map(|(i, (row, quantity))| licence(&i.to_string(), &accruals[*row].id, *quantity))
                .collect();
            let of = |licences: &[Licence]| total(&of_tenant(&accruals, licences, at(1)));
            let (fewer, all) = (of(&licences[1..]), of(&licences));
            for pool in Pool::ALL {
                prop_assert!(fewer.get(pool) <= all.get(pool));
            }
        }
    }
}
