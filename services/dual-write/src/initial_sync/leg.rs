//! One leg: its source is cut into ranges as it is read, several of which are copied at once.

use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use proto::dual_write::v1::InitialSyncState;
use proto::query::v1 as query;

use super::copy::{Copied, DONE};
use super::failure::Stop;
use super::model::Leg;
use super::source::Source;
use super::store::{self, Cursor, Plan, Range};
use super::work::Work;

/// Where the map says nothing.
const TASKS: usize = 4;
const THRESHOLD: i64 = 10_000;
/// However many a map asks for: each holds a page of rows, and a connection of a side.
const MOST_TASKS: usize = 16;

/// A range to copy.
struct Job {
    range: Range,
    /// As they were read; `None`: a process died over it, and they are read again.
    images: Option<Vec<query::Image>>,
}

/// Copies what is left of a leg.
pub(super) async fn run(work: &Work, leg: &Leg) -> Result<(), Stop> {
    let mut change = work.change().await?;
    store::set_leg_state(&mut change, work.run.id, leg.number, InitialSyncState::Running).await?;
    change.commit().await?;
    let mut conn = work.conn().await?;
    let unfinished = store::unfinished(&mut conn, work.run.id, leg.number).await?;
    let end = store::ranges_end(&mut conn, work.run.id, leg.number).await?;
    drop(conn);
    let again = unfinished.into_iter().map(|range| Ok(Job { range, images: None }));
    let jobs = stream::iter(again).chain(fresh(work, leg, end));
    let tasks = tasks(work, leg);
    jobs.try_for_each_concurrent(tasks, |job| copy_range(work, leg, job)).await?;
    let mut change = work.change().await?;
    store::set_leg_state(&mut change, work.run.id, leg.number, DONE).await?;
    change.commit().await?;
    Ok(())
}

fn tasks(work: &Work, leg: &Leg) -> usize {
    let map = &work.active.table_map;
    let threshold = match i64::from(map.import_threshold_row_count) {
        0 => THRESHOLD,
        given => given,
    };
    if leg.counts.total < threshold {
        return 1;
    }
    match usize::try_from(map.import_task_count).unwrap_or_default() {
        0 => TASKS,
        given => given.min(MOST_TASKS),
    }
}

/// Ranges that nobody has begun, as far as they are asked for.
fn fresh<'w>(
    work: &'w Work,
    leg: &'w Leg,
    end: Option<(i64, Cursor)>,
) -> impl Stream<Item = Result<Job, Stop>> + 'w {
    let (number, after) = match end {
        Some((number, end)) => (number + 1, Some(end)),
        None => (1, None),
    };
    stream::try_unfold(Some((number, after)), async move |place| {
        let Some((number, after)) = place else { return Ok(None) };
        work.check()?;
        let page = Source::new(work, leg).page(after.as_deref(), None).await?;
        let Some(until) = page.end else { return Ok(None) };
        let range = Range { number, after, until: until.clone(), plan: None };
        let mut change = work.change().await?;
        store::begin_range(&mut change, work.run.id, leg.number, &range).await?;
        change.commit().await?;
        commit::step("initial-sync:range-begun");
        let next = page.more.then_some((number + 1, Some(until)));
        Ok(Some((Job { range, images: Some(page.images) }, next)))
    })
}

async fn copy_range(work: &Work, leg: &Leg, job: Job) -> Result<(), Stop> {
    work.check()?;
    let Job { range, images } = job;
    let mut copied = Copied::default();
    match images {
        Some(images) => copied.add(copy_page(work, leg, &range, images).await?),
        None => {
            let mut after = range.after.clone();
            loop {
                let source = Source::new(work, leg);
                let page = source.page(after.as_deref(), Some(&range.until)).await?;
                copied.add(copy_page(work, leg, &range, page.images).await?);
                // Rows that came in between make more of a range than one page; a list has its pages.
                let is_over = !page.more || page.end.as_ref() == Some(&range.until);
                if is_over || page.end.is_none() {
                    break;
                }
                after = page.end;
            }
        }
    }
    remember(work, leg, &range, copied).await
}

async fn copy_page(
    work: &Work,
    leg: &Leg,
    range: &Range,
    images: Vec<query::Image>,
) -> Result<Copied, Stop> {
    let done = range.plan.as_ref();
    let compared = work.compare(leg, images, done).await?;
    let plan: Plan = compared.plan(done);
    if !compared.candidates.is_empty() {
        let mut change = work.change().await?;
        store::plan(&mut change, work.run.id, leg.number, range.number, &plan).await?;
        change.commit().await?;
        commit::step("initial-sync:range-planned");
    }
    work.write(leg, compared, done).await
}

/// Range, counts, errors and lookups in one transaction.
async fn remember(work: &Work, leg: &Leg, range: &Range, copied: Copied) -> Result<(), Stop> {
    let (run, number) = (work.run.id, leg.number);
    let mut change = work.change().await?;
    let rows = copied.counts.exported;
    if store::finish_range(&mut change, run, number, range.number, rows).await? {
        store::add_to_leg(&mut change, run, number, copied.counts).await?;
        store::add_errors(&mut change, run, number, &copied.errors).await?;
        store::add_lookups(&mut change, run, number, &copied.lookups).await?;
    }
    change.commit().await?;
    commit::step("initial-sync:range-remembered");
    Ok(())
}

impl Copied {
    fn add(&mut self, other: Self) {
        self.counts = self.counts.plus(other.counts);
        self.errors.extend(other.errors);
        self.lookups.extend(other.lookups);
    }
}
