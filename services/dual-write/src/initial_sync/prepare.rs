//! Before the first row: both sides capture changes, the logs' positions are noted, the legs are laid out and counted.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::dual_write::v1::{InitialSyncMode, InitialSyncState, MapState, Side};
use proto::query::v1 as query;
use rpc::ErrorReason;
use tonic::Status;
use uuid::Uuid;

use super::failure::Stop;
use super::model::{Counts, Leg, Positions};
use super::report::{self, Tables};
use super::source::count_touched;
use super::store;
use super::work::Work;
use crate::follow::refusal::sync_error;
use crate::map::translate::direction_from;
use crate::peers::{asked, other};
use crate::store::{configurations, positions};

pub(super) const BOTH: [Side; 2] = [Side::FinanceAndOperations, Side::Platform];
/// How often, and how long, it is looked whether both sides know the map.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 300;

/// Lays out the run. What was prepared before a process died, or before a failure, is kept as long as both
/// logs reach back to it.
pub(super) async fn run(work: &mut Work) -> Result<(), Stop> {
    wait_for_sides(work).await?;
    if work.run.prepared {
        if reaches_back(work, &work.run.positions.clone()).await? {
            keep_positions(work).await?;
            let mut change = work.core.store.begin().await?;
            let goes_on =
                store::set_state(&mut change, work.run.id, InitialSyncState::Running).await?;
            change.commit().await?;
            return if goes_on { Ok(()) } else { Err(Stop::Ended) };
        }
        let mut change = work.core.store.begin().await?;
        store::clear_legs(&mut change, work.run.id).await?;
        change.commit().await?;
        work.run.prepared = false;
    }
    let mut conn = work.conn().await?;
    for noted in positions::load(&mut conn, &work.run.map).await? {
        work.run.positions.set(noted.side, noted.position);
    }
    drop(conn);
    work.note_gone();
    choose_mode(work).await?;
    let legs = legs(work).await?;
    work.run.warnings.extend(report::warnings(work.tables(), &legs));
    let mut change = work.core.store.begin().await?;
    let goes_on = store::prepare(&mut change, &work.run, &legs).await?;
    change.commit().await?;
    commit::step("initial-sync:prepared");
    if goes_on { Ok(()) } else { Err(Stop::Ended) }
}

/// Until both sides capture the map's changes.
async fn wait_for_sides(work: &mut Work) -> Result<(), Stop> {
    for _ in 0..LOOKS {
        let active = work.core.maps.get(&work.run.map).ok_or(Stop::Ended)?;
        if active.state() != MapState::Initializing {
            return Err(Stop::Ended);
        }
        let mut conn = work.conn().await?;
        let told = configurations::of(&mut conn, &work.run.map).await?;
        let is_told = |side: Side| told.iter().any(|it| it.0 == side && it.1.epoch == active.epoch);
        if BOTH.into_iter().all(is_told) {
            return Ok(());
        }
        drop(conn);
        tokio::time::sleep(LOOK).await;
    }
    let status = Status::unavailable("a side has not been told of the map; it does not answer");
    Err(Stop::Failed(Box::new(sync_error(&status, Side::Unspecified, "", &work.run.name))))
}

/// Whether both logs still hold all that was changed since.
async fn reaches_back(work: &Work, positions: &Positions) -> Result<bool, Stop> {
    for side in BOTH {
        let Some(position) = positions.of(side) else { return Ok(false) };
        let request = query::ListTouchedRowsRequest {
            map: work.run.map.clone(),
            after_position: position.to_owned(),
            page_size: 1,
            ..Default::default()
        };
        let reaches = || async {
            match work.list_touched(side, request.clone()).await {
                Ok(_) => Ok(true),
                Err(it) if rpc::reason(&it) == Some(ErrorReason::PositionExpired) => Ok(false),
                Err(status) => Err(status),
            }
        };
        if !work.patiently(side, reaches).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A map that was stopped between a failure and now has forgotten them; what was changed in between is still
/// to be taken from the logs.
async fn keep_positions(work: &Work) -> Result<(), Stop> {
    let mut change = work.core.store.begin().await?;
    for side in BOTH {
        if let Some(position) = work.run.positions.of(side) {
            positions::store(&mut change, &work.run.map, side, position).await?;
        }
    }
    change.commit().await?;
    Ok(())
}

/// An incremental run needs the log since the run before.
async fn choose_mode(work: &mut Work) -> Result<(), Stop> {
    let asked = work.run.mode;
    if asked == InitialSyncMode::Full {
        return Ok(());
    }
    let since = work.since.clone();
    if work.run.previous.is_some() && reaches_back(work, &since).await? {
        work.run.mode = InitialSyncMode::Incremental;
        return Ok(());
    }
    work.run.mode = InitialSyncMode::Full;
    if asked == InitialSyncMode::Incremental {
        let warning = "Every row is copied: the changes since the last run are not all kept.";
        work.run.warnings.push(warning.to_owned());
    }
    Ok(())
}

/// One legal entity after the other, the master's side first.
async fn legs(work: &Work) -> Result<Vec<Leg>, Stop> {
    let master = work.run.master;
    let companies = companies(work);
    let mut counted = BTreeMap::new();
    for source in [master, other(master)] {
        if work.compiled.writes(direction_from(source)) {
            counted.insert(i32::from(source), counts(work, source, &companies).await?);
        }
    }
    let mut legs = Vec::new();
    for (at, company) in companies.iter().enumerate() {
        for source in [master, other(master)] {
            let Some((until, totals)) = counted.get(&i32::from(source)) else { continue };
            legs.push(Leg {
                number: i32::try_from(legs.len() + 1).unwrap_or(i32::MAX),
                project: Uuid::new_v4(),
                company: company.clone(),
                source,
                state: InitialSyncState::Pending,
                until_position: until.clone(),
                counts: Counts {
                    total: totals.get(at).copied().unwrap_or_default(),
                    ..Counts::default()
                },
            });
        }
    }
    Ok(legs)
}

fn companies(work: &Work) -> Vec<String> {
    if !work.compiled.company_specific {
        return vec![String::new()];
    }
    let linked = &work.active.link.companies;
    let wanted = |it: &&String| work.run.companies.iter().any(|one| one.eq_ignore_ascii_case(it));
    linked.iter().filter(wanted).cloned().collect()
}

/// How many rows each company has to copy, and where a list of changes ends.
async fn counts(
    work: &Work,
    source: Side,
    companies: &[String],
) -> Result<(String, Vec<i64>), Stop> {
    if work.run.mode == InitialSyncMode::Incremental {
        return changed_counts(work, source, companies).await;
    }
    let mut totals = Vec::with_capacity(companies.len());
    for company in companies {
        let selection = query::ImageSelection {
            map_side: Some(work.side(source).clone()),
            company: company.clone(),
            ..Default::default()
        };
        let request = query::CountImagesRequest { selection: Some(selection), explain: false };
        let count = || {
            let (mut client, asked) =
                (work.core.sides.of(source).sharing(), asked(request.clone()));
            async move { client.count_images(asked).await }
        };
        totals.push(work.patiently(source, count).await?.into_inner().count);
    }
    Ok((String::new(), totals))
}

async fn changed_counts(
    work: &Work,
    source: Side,
    companies: &[String],
) -> Result<(String, Vec<i64>), Stop> {
    let end = || {
        let mut client = work.core.sides.of(source).sharing();
        async move { client.get_log_position(asked(query::GetLogPositionRequest {})).await }
    };
    let until = work.patiently(source, end).await?.into_inner().position;
    let touched = count_touched(work, source, &until).await?;
    let mut totals = Vec::with_capacity(companies.len());
    for company in companies {
        let mut conn = work.conn().await?;
        let failed = match work.run.previous {
            Some(it) => store::count_failed(&mut conn, it, company, source).await?,
            None => 0,
        };
        let key = company.to_ascii_lowercase();
        totals.push(failed + touched.get(&key).copied().unwrap_or_default());
    }
    Ok((until, totals))
}

impl Work {
    /// What the map joins, for people.
    pub(super) fn tables(&self) -> Tables<'_> {
        Tables {
            entity: &self.active.table_map.finance_and_operations_entity,
            table: &self.active.table_map.platform_table,
            lookups: self.compiled.lookups.len(),
        }
    }
}
