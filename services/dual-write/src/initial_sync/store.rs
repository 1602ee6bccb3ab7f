//! Runs in PostgreSQL.
//!
//! Whatever a worker writes begins with [`touch`], which finds out whether the run still goes on: a run that was
//! cancelled takes nothing more.

mod errors;
mod ranges;
mod runs;

pub(crate) use errors::{
    ErrorFilter, StoredError, add_errors, count_errors, count_failed, failed_rows, first_errors,
    list_errors, mended, open_errors, queue_retries, queued_errors, retried,
};
pub(crate) use ranges::{
    Cursor, Plan, Range, add_lookups, begin_range, drop_ranges, finish_range, lookups, patched,
    plan, ranges_end, unfinished,
};
pub(crate) use runs::{
    New, accept, add_to_leg, begin, by_name, cancel_open, clear_legs, end, find_last, legs, list,
    open_runs, prepare, recent_rows, resume, set_leg_state, set_state, since, touch, with_retries,
};

use proto::dual_write::v1::{InitialSyncMode, InitialSyncState, Side};

fn number(value: impl Into<i32>) -> i16 {
    i16::try_from(value.into()).unwrap_or_default()
}

fn state(number: i16) -> InitialSyncState {
    InitialSyncState::try_from(i32::from(number)).unwrap_or_default()
}

fn mode(number: i16) -> InitialSyncMode {
    InitialSyncMode::try_from(i32::from(number)).unwrap_or_default()
}

fn side(number: i16) -> Side {
    Side::try_from(i32::from(number)).unwrap_or_default()
}
