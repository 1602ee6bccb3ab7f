//! What is told of a run: the line that the original writes when one ends, rates, and warnings where a limit of
//! the original would have been passed (spec A7.2, A7.4).

use std::time::Duration;

use proto::dual_write::v1::{self as pb, InitialSyncState, Side};

use super::model::{Counts, Leg};
use crate::map::text::{LegCounts, initial_sync_completed};

/// Rows of a legal entity that the original copies in one run.
const MOST_ROWS: i64 = 500_000;
/// Rows for which a table that takes one row at a time is advised.
const ADVISED_ROWS: i64 = 70_000;
/// Legal entities of one run.
const MOST_COMPANIES: usize = 40;
/// Lookups of one map.
const MOST_LOOKUPS: usize = 10;
/// Longest run from the platform, at the rate that the original is quoted with.
const ROWS_IN_A_DAY: i64 = 100 * 60 * 24;
/// Platform tables that the original writes one row at a time (spec A7.2).
const SINGLE_THREADED: [&str; 9] = [
    "msdyn_taxcodes",
    "accounts",
    "msdyn_vendors",
    "msdyn_warehouses",
    "msdyn_productcategories",
    "cdm_employments",
    "cdm_positionworkerassignmentmaps",
    "msdyn_inventorylocations",
    "msdyn_shipvias",
];

/// What a map joins, for people.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables<'a> {
    pub(super) entity: &'a str,
    /// Logical name.
    pub(super) table: &'a str,
    /// Of the platform's columns, how many are lookups.
    pub(super) lookups: usize,
}

/// The line of the activity log.
pub(super) fn summary(
    state: InitialSyncState,
    tables: Tables<'_>,
    legs: &[Leg],
    errors: &[pb::SyncError],
) -> String {
    let (entity, table) = (format!("AX {}", tables.entity), format!("CRM {}", tables.table));
    let leg = |leg: &Leg| {
        let Counts { exported, errors, inserted, updated, .. } = leg.counts;
        let counts = LegCounts { exported, errors, inserted, updated };
        match leg.source {
            Side::FinanceAndOperations => (entity.as_str(), table.as_str(), counts),
            Side::Platform | Side::Unspecified => (table.as_str(), entity.as_str(), counts),
        }
    };
    let legs: Vec<_> = legs.iter().map(leg).collect();
    let details: Vec<&str> = errors.iter().map(|it| it.message.as_str()).collect();
    initial_sync_completed(status(state), &legs, &details.join("; "))
}

fn status(state: InitialSyncState) -> &'static str {
    use InitialSyncState as S;
    match state {
        S::Completed => "Completed",
        S::Cancelled => "Cancelled",
        S::CompletedWithErrors | S::Failed => "Error",
        S::Pending | S::Running | S::PatchingLookups | S::Unspecified => "Running",
    }
}

fn direction(tables: Tables<'_>, source: Side) -> String {
    let Tables { entity, table, .. } = tables;
    match source {
        Side::FinanceAndOperations => format!("From AX {entity} to CRM {table}"),
        Side::Platform | Side::Unspecified => format!("From CRM {table} to AX {entity}"),
    }
}

/// What the original would have refused, or advised against.
pub(super) fn warnings(tables: Tables<'_>, legs: &[Leg]) -> Vec<String> {
    let mut warnings: Vec<String> =
        legs.iter().filter_map(|leg| too_many_rows(tables, leg)).collect();
    let companies: std::collections::BTreeSet<&str> =
        legs.iter().map(|it| it.company.as_str()).collect();
    if companies.len() > MOST_COMPANIES {
        warnings.push(format!(
            "{} legal entities: the original copies at most {MOST_COMPANIES} in one run.",
            companies.len()
        ));
    }
    if tables.lookups >= MOST_LOOKUPS {
        warnings.push(format!(
            "{} lookups: the original supports fewer than {MOST_LOOKUPS} in one run.",
            tables.lookups
        ));
    }
    warnings
}

fn too_many_rows(tables: Tables<'_>, leg: &Leg) -> Option<String> {
    let rows = leg.counts.total;
    let plural = format!("{}s", tables.table);
    let one_by_one = SINGLE_THREADED.contains(&tables.table) || SINGLE_THREADED.contains(&&*plural);
    let from_platform = leg.source == Side::Platform;
    let limit = if rows > MOST_ROWS {
        format!("the original copies at most {MOST_ROWS} of a legal entity in one run")
    } else if from_platform && rows > ROWS_IN_A_DAY {
        "the original ends a run from the platform after 24 hours".to_owned()
    } else if from_platform && one_by_one && rows > ADVISED_ROWS {
        format!("the original advises at most {ADVISED_ROWS} of this table")
    } else {
        return None;
    };
    let direction = direction(tables, leg.source);
    let company =
        if leg.company.is_empty() { String::new() } else { format!(" ({})", leg.company) };
    Some(format!("{direction}{company}: {rows} rows; {limit}."))
}

/// Rows in a second, of those of the last minute.
pub(super) fn rate(rows: i64, seconds: f64) -> f64 {
    if rows <= 0 || seconds <= 0.0 {
        return 0.0;
    }
    // Counts of rows are far below what a double holds exactly.
    #[allow(clippy::cast_precision_loss)]
    let rows = rows as f64;
    rows / seconds
}

/// How long the rest takes; `None` while nothing can be said.
pub(super) fn remaining(counts: Counts, rows_per_second: f64) -> Option<Duration> {
    if rows_per_second <= 0.0 {
        return None;
    }
    let left =
        u32::try_from(counts.total.saturating_sub(counts.exported).max(0)).unwrap_or(u32::MAX);
    Duration::try_from_secs_f64(f64::from(left) / rows_per_second).ok()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const TABLES: Tables<'_> =
        Tables { entity: "CustCustomerV3Entity", table: "account", lookups: 3 };

    fn leg(source: Side, company: &str, counts: Counts) -> Leg {
        Leg {
            number: 1,
            project: Uuid::nil(),
            company: company.to_owned(),
            source,
            state: InitialSyncState::Completed,
            until_position: String::new(),
            counts,
        }
    }

    #[test]
    fn the_summary_is_the_originals() {
        let counts =
            Counts { total: 9, exported: 9, inserted: 5, updated: 3, unchanged: 0, errors: 1 };
        let legs = [leg(Side::FinanceAndOperations, "usmf", counts)];
        let errors = [pb::SyncError { message: "no".to_owned(), ..Default::default() }];
        assert_eq!(
            summary(InitialSyncState::CompletedWithErrors, TABLES, &legs, &errors),
            "Dual write Initial Sync completed with status: Error. Following are the details: Executed leg: \
             From AX CustCustomerV3Entity to CRM account with exported records count: 9, \
             ImportRecordsErrorCount: 1, ImportRecordsInsertedCount: 5 and ImportRecordsUpdatedCount: 3 \
             ErrorsDetails: no"
        );
    }

    #[test]
    fn limits_of_the_original_warn() {
        let total = |total| Counts { total, ..Counts::default() };
        let warned = |source, rows| warnings(TABLES, &[leg(source, "usmf", total(rows))]).len();
        assert_eq!(warned(Side::FinanceAndOperations, 500_000), 0);
        assert_eq!(warned(Side::FinanceAndOperations, 500_001), 1);
        assert_eq!(warned(Side::Platform, 70_000), 0);
        assert_eq!(warned(Side::Platform, 70_001), 1);
        let legs: Vec<Leg> =
            (0..41).map(|it| leg(Side::Platform, &format!("c{it}"), total(1))).collect();
        assert_eq!(warnings(TABLES, &legs).len(), 1);
        assert_eq!(warnings(Tables { lookups: 10, ..TABLES }, &[]).len(), 1);
    }

    #[test]
    fn what_is_left_is_estimated_when_it_can_be() {
        let counts = Counts { total: 1_000, exported: 400, ..Counts::default() };
        assert_eq!(rate(0, 10.0).to_bits(), 0.0_f64.to_bits());
        assert!((rate(600, 60.0) - 10.0).abs() < 1e-9);
        assert_eq!(remaining(counts, 0.0), None);
        assert_eq!(remaining(counts, 10.0), Some(Duration::from_secs(60)));
        let done = Counts { total: 5, exported: 7, ..Counts::default() };
        assert_eq!(remaining(done, 10.0), Some(Duration::ZERO));
    }
}
