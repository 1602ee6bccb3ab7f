//! What a run is, as it is stored.

use chrono::{DateTime, Utc};
use prost::Message as _;
use prost::bytes::Bytes;
use proto::dual_write::v1::{self as pb, InitialSyncMode, InitialSyncState, Side};
use uuid::Uuid;

/// One run for one map.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) id: i64,
    /// `maps/…`.
    pub(crate) map: String,
    /// `maps/…/initialSyncs/…`.
    pub(crate) name: String,
    pub(crate) state: InitialSyncState,
    pub(crate) mode: InitialSyncMode,
    pub(crate) master: Side,
    /// Legal entities, those that the map has.
    pub(crate) companies: Vec<String>,
    pub(crate) positions: Positions,
    pub(crate) previous: Option<i64>,
    pub(crate) prepared: bool,
    pub(crate) warnings: Vec<String>,
    pub(crate) failure: Option<pb::SyncError>,
    pub(crate) actor: String,
    /// `maps/…/versions/…`: of the map, when the run was asked for.
    pub(crate) version: String,
    pub(crate) revision: i64,
    pub(crate) start_time: Option<DateTime<Utc>>,
    pub(crate) end_time: Option<DateTime<Utc>>,
}

/// Where the logs of both sides were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Positions {
    pub(crate) finance_and_operations: Option<String>,
    pub(crate) platform: Option<String>,
}

/// One company in one direction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leg {
    pub(crate) number: i32,
    pub(crate) project: Uuid,
    pub(crate) company: String,
    pub(crate) source: Side,
    pub(crate) state: InitialSyncState,
    pub(crate) until_position: String,
    pub(crate) counts: Counts,
}

/// Rows, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) total: i64,
    pub(crate) exported: i64,
    pub(crate) inserted: i64,
    pub(crate) updated: i64,
    pub(crate) unchanged: i64,
    pub(crate) errors: i64,
}

/// A row that could not be copied.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RowError {
    pub(crate) record: pb::Record,
    pub(crate) error: pb::SyncError,
}

/// A row whose lookups found nothing yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenLookup {
    pub(crate) record_id: Bytes,
    /// Columns of the side that was written.
    pub(crate) columns: Vec<String>,
}

// === impl Run ===

impl Run {
    pub(crate) fn is_open(&self) -> bool {
        is_open(self.state)
    }

    /// Whether it has copied what it can without the runs that wait for it in a circle.
    pub(crate) fn is_past_copying(&self) -> bool {
        !matches!(self.state, InitialSyncState::Pending | InitialSyncState::Running)
    }
}

/// Not ended.
pub(crate) fn is_open(state: InitialSyncState) -> bool {
    use InitialSyncState as S;
    matches!(state, S::Pending | S::Running | S::PatchingLookups)
}

// === impl Positions ===

impl Positions {
    pub(crate) fn of(&self, side: Side) -> Option<&str> {
        match side {
            Side::FinanceAndOperations => self.finance_and_operations.as_deref(),
            Side::Platform | Side::Unspecified => self.platform.as_deref(),
        }
    }

    pub(crate) fn set(&mut self, side: Side, position: String) {
        match side {
            Side::FinanceAndOperations => self.finance_and_operations = Some(position),
            Side::Platform | Side::Unspecified => self.platform = Some(position),
        }
    }
}

// === impl Counts ===

impl Counts {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            exported: self.exported + other.exported,
            inserted: self.inserted + other.inserted,
            updated: self.updated + other.updated,
            unchanged: self.unchanged + other.unchanged,
            errors: self.errors + other.errors,
        }
    }
}

/// Sums over legs.
pub(crate) fn sum(legs: &[Leg]) -> Counts {
    legs.iter().fold(Counts::default(), |sum, it| sum.plus(it.counts))
}

/// As the contract says it.
pub(crate) fn counts(counts: Counts) -> pb::RowCounts {
    pb::RowCounts {
        total_count: counts.total,
        exported_count: counts.exported,
        inserted_count: counts.inserted,
        updated_count: counts.updated,
        unchanged_count: counts.unchanged,
        error_count: counts.errors,
    }
}

/// `DWM-3f0e…`.
pub(crate) fn project_name(project: Uuid) -> String {
    format!("DWM-{project}")
}

/// A stored message; what cannot be read was written by nobody here.
pub(crate) fn decoded<M: prost::Message + Default>(bytes: &[u8]) -> M {
    M::decode(bytes).unwrap_or_default()
}

impl RowError {
    pub(crate) fn record_bytes(&self) -> Vec<u8> {
        self.record.encode_to_vec()
    }

    pub(crate) fn error_bytes(&self) -> Vec<u8> {
        self.error.encode_to_vec()
    }
}
