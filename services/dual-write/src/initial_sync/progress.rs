//! How far a run is, as the contract tells it.

use prost_types::Duration;
use proto::dual_write::v1 as pb;
use sqlx::PgConnection;

use super::model::{Leg, Run, counts, project_name, sum};
use super::{report, store};
use crate::error::Error;
use crate::names;

/// A run with the progress of its legs.
pub(crate) async fn of(conn: &mut PgConnection, run: Run) -> Result<pb::InitialSync, Error> {
    let legs = store::legs(&mut *conn, run.id).await?;
    let first_errors = store::first_errors(&mut *conn, run.id).await?;
    let rows_per_second = if run.is_open() {
        let (rows, seconds) = store::recent_rows(conn, run.id).await?;
        report::rate(rows, seconds)
    } else {
        0.0
    };
    let sum = sum(&legs);
    let remaining = report::remaining(sum, rows_per_second).filter(|_| run.is_open());
    Ok(pb::InitialSync {
        name: run.name,
        state: run.state.into(),
        mode: run.mode.into(),
        master: run.master.into(),
        legs: legs.iter().map(leg).collect(),
        counts: Some(counts(sum)),
        rows_per_second,
        remaining_duration: remaining.and_then(|it| Duration::try_from(it).ok()),
        first_errors,
        failure: run.failure,
        warnings: run.warnings,
        start_time: run.start_time.map(names::timestamp),
        end_time: run.end_time.map(names::timestamp),
        etag: run.revision.to_string(),
    })
}

fn leg(leg: &Leg) -> pb::InitialSyncLeg {
    pb::InitialSyncLeg {
        project: project_name(leg.project),
        company: leg.company.clone(),
        source: leg.source.into(),
        state: leg.state.into(),
        counts: Some(counts(leg.counts)),
    }
}
