//! Compares both sides of a map while it is live, and mends what differs (spec DW-66, D3.8).
//!
//! A comparison ([`run`]) goes through the rows of each side that meet its filter, in ranges of keys and one
//! company after the other, and looks at the rows of the other side that belong to them: whichever order a
//! side has its keys in, none is left out. What a range held and which is next is kept in one transaction, so
//! that a process that dies goes on at the range it was in. `compare` says what is the same, `pages` reads
//! both sides, `repair` mends.

mod cause;
mod compare;
#[cfg(test)]
pub(crate) mod fake;
mod pages;
pub(crate) mod repair;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use proto::dual_write::v1::{MapState, ReconciliationState, Side, SyncErrorKind};
use proto::query::v1::{CountImagesRequest, ImageSelection};

use crate::core::Core;
use crate::error::Error;
use crate::follow::refusal;
use crate::map::CompiledMap;
use crate::maps::ActiveMap;
use crate::peers::asked;
use compare::Judge;
use pages::Pages;
use store::{Comparison, Range};

const PART: &str = "reconcile";
/// How soon a comparison begins.
const BEAT: Duration = Duration::from_millis(500);
/// After a side did not answer.
const AWAY: Duration = Duration::from_secs(5);

/// Works on comparisons, in one process of all.
pub(crate) async fn run(core: Arc<Core>) {
    loop {
        let mut leader = core.store.leader(PART).await;
        let work = Box::pin(work(&core));
        tokio::select! {
            () = leader.lost() => {}
            () = work => {}
        }
    }
}

/// How many rows of the companies there are to go through, on both sides.
pub(crate) async fn total(
    core: &Core,
    map: &ActiveMap,
    companies: &[String],
) -> Result<i64, Error> {
    let mut total = 0_i64;
    for side in [Side::FinanceAndOperations, Side::Platform] {
        for company in companies {
            let map_side = Some(map.side(side));
            let company = company.clone();
            let selection = ImageSelection { map_side, company, ..Default::default() };
            let request = CountImagesRequest { selection: Some(selection), explain: false };
            let mut sharing = core.sides.of(side).sharing();
            let answer = sharing.count_images(asked(request)).await;
            let answer = answer.map_err(|status| Error::of_side(side, status))?;
            total = total.saturating_add(answer.into_inner().count);
        }
    }
    Ok(total)
}

async fn work(core: &Core) {
    loop {
        let pause = match round(core).await {
            Ok(true) => continue,
            Ok(false) => BEAT,
            Err(error) => {
                tracing::warn!(%error, "comparisons wait");
                AWAY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// One range of each comparison under way, so that none waits for all of another. Answers whether there
/// is more to do.
async fn round(core: &Core) -> Result<bool, Error> {
    let under_way = {
        let mut connection = core.store.pool().acquire().await?;
        store::under_way(&mut connection).await?
    };
    let mut more = false;
    let mut away = None;
    for comparison in under_way {
        match step(core, &comparison).await {
            Ok(stepped) => more |= stepped,
            // Others may have no need of what does not answer.
            Err(error @ (Error::PeerUnavailable { .. } | Error::Busy)) => away = Some(error),
            Err(error @ Error::PeerRefused { .. }) => fail(core, &comparison, &error).await?,
            Err(error) => return Err(error),
        }
    }
    match away {
        Some(error) if !more => Err(error),
        _ => Ok(more),
    }
}

/// One range. Answers whether there was anything to do.
async fn step(core: &Core, comparison: &Comparison) -> Result<bool, Error> {
    let Some(map) = core.maps.get(&comparison.map) else { return Ok(false) };
    if map.state() == MapState::Initializing {
        return Ok(false);
    }
    let Some(compiled) = &map.compiled else {
        if core.maps.tables().current().1.is_none() {
            return Ok(false);
        }
        let problem = map.problem.as_deref().unwrap_or("the map does not fit the tables");
        let problem = Error::StateText {
            resource: map.name.clone(),
            state: "invalid",
            message: problem.to_owned(),
        };
        fail(core, comparison, &problem).await?;
        return Ok(true);
    };
    compare(core, comparison, &map, compiled).await
}

async fn compare(
    core: &Core,
    comparison: &Comparison,
    map: &ActiveMap,
    compiled: &CompiledMap,
) -> Result<bool, Error> {
    let range = comparison.range();
    let Some(company) = comparison.companies.get(range.company_index) else {
        return advance(core, comparison, 0, &[], None).await;
    };
    let judge = judge(map, compiled);
    let pages = Pages::new(core, map, &judge);
    let page = pages.read(range.source, company, range.after.clone()).await?;
    let mut found = pages.differing(range.source, &page).await?;
    cause::explain(core, map, range.source, &mut found).await;
    let next = match page.last {
        Some(last) if page.more => Some(Range { after: Some(last), ..range }),
        _ => following(&range, comparison.companies.len()),
    };
    advance(core, comparison, page.pairs.len(), &found, next.as_ref()).await
}

fn judge<'a>(map: &ActiveMap, compiled: &'a CompiledMap) -> Judge<'a> {
    Judge::new(compiled, map.side(Side::FinanceAndOperations), map.side(Side::Platform))
}

/// The first range of the next company, or of the other side; `None`: all are done.
fn following(range: &Range, companies: usize) -> Option<Range> {
    let company_index = range.company_index + 1;
    match range.source {
        source if company_index < companies => Some(Range { source, company_index, after: None }),
        Side::FinanceAndOperations => {
            Some(Range { source: Side::Platform, company_index: 0, after: None })
        }
        Side::Platform | Side::Unspecified => None,
    }
}

async fn advance(
    core: &Core,
    comparison: &Comparison,
    compared: usize,
    found: &[compare::Found],
    next: Option<&Range>,
) -> Result<bool, Error> {
    let mut transaction = core.store.begin().await?;
    store::advance(&mut transaction, comparison, compared, found, next).await?;
    transaction.commit().await?;
    Ok(true)
}

/// It would fail again.
async fn fail(core: &Core, comparison: &Comparison, error: &Error) -> Result<(), Error> {
    tracing::warn!(%error, comparison = comparison.name(), "a comparison failed");
    let failure = match error {
        Error::PeerRefused { side, cause } => {
            refusal::sync_error(cause, *side, &core.config.web_api_url, "")
        }
        other => refusal::own_error(SyncErrorKind::BadRequest, other.to_string()),
    };
    let mut connection = core.store.pool().acquire().await?;
    let state = ReconciliationState::Failed;
    store::end(&mut connection, comparison.number, state, Some(&failure)).await?;
    Ok(())
}
