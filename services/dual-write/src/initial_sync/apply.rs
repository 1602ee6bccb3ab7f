//! Writes rows to a side, as many as it takes in one transaction; rows that it refuses are singled out.

use std::ops::Range;
use std::time::{Duration, Instant};

use proto::dual_write::v1::{self as pb, Side};
use proto::query::v1::AppliedRow;
use tonic::Status;

use super::copy::Candidate;
use super::failure::{Stop, Verdict, is_locked, peer_failure, verdict};
use super::work::{TRIES, Work, delays};
use crate::follow::refusal::sync_error;

/// For one transaction.
const DEADLINE: Duration = Duration::from_secs(120);

/// A row that was written.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) row: AppliedRow,
    /// Not at the first try: an answer may have been lost.
    pub(super) repeated: bool,
}

/// A row that was refused.
#[derive(Clone, Debug)]
pub(super) struct Refusals {
    pub(super) index: usize,
    pub(super) error: pb::SyncError,
}

/// A stretch of rows that was refused, and which row is at fault, where the side says so.
struct Refused {
    status: Status,
    index: Option<usize>,
}

/// Writes all rows that the side takes: in one transaction where it takes all, else in as few as it needs. What
/// became of each, and those it refused.
pub(super) async fn all(
    work: &Work,
    target: Side,
    rows: &[Candidate],
) -> Result<(Vec<Option<Outcome>>, Vec<Refusals>), Stop> {
    let mut outcomes: Vec<Option<Outcome>> = vec![None; rows.len()];
    let mut refusals = Vec::new();
    let mut open: Vec<Range<usize>> = Vec::new();
    push(&mut open, 0..rows.len());
    while let Some(stretch) = open.pop() {
        let candidates = rows.get(stretch.clone()).unwrap_or_default();
        match once(work, target, candidates).await? {
            Ok(written) => {
                let places = outcomes.get_mut(stretch).into_iter().flatten();
                places.zip(written).for_each(|(place, it)| *place = Some(it));
            }
            Err(Refused { status, index }) => {
                let single = (stretch.len() == 1).then_some(stretch.start);
                let index = index.filter(|it| *it < stretch.len()).map(|it| stretch.start + it);
                match single.or(index) {
                    Some(index) => {
                        let url = &work.core.config.web_api_url;
                        let error = sync_error(&status, target, url, &work.run.name);
                        refusals.push(Refusals { index, error });
                        push(&mut open, index + 1..stretch.end);
                        push(&mut open, stretch.start..index);
                    }
                    None => {
                        let middle = stretch.start + stretch.len() / 2;
                        push(&mut open, middle..stretch.end);
                        push(&mut open, stretch.start..middle);
                    }
                }
            }
        }
    }
    Ok((outcomes, refusals))
}

fn push(open: &mut Vec<Range<usize>>, stretch: Range<usize>) {
    if !stretch.is_empty() {
        open.push(stretch);
    }
}

/// Writes all rows or none, patiently.
async fn once(
    work: &Work,
    target: Side,
    rows: &[Candidate],
) -> Result<Result<Vec<Outcome>, Refused>, Stop> {
    let mut delays = delays();
    let mut tries = 1;
    loop {
        let status = match transaction(work, target, rows).await {
            Ok(written) => {
                let outcome = |row| Outcome { row, repeated: tries > 1 };
                return Ok(Ok(written.into_iter().map(outcome).collect()));
            }
            Err(status) => status,
        };
        let index = match verdict(&status) {
            Verdict::Refused(index) => return Ok(Err(Refused { status, index })),
            Verdict::Wait => None,
        };
        let Some(delay) = delays.next() else {
            // Whoever holds a row for so long holds up that row only.
            return match is_locked(&status) {
                true => Ok(Err(Refused { status, index })),
                false => Err(Stop::Failed(Box::new(peer_failure(target, &status, TRIES)))),
            };
        };
        tracing::warn!(run = work.run.name, ?target, %status, tries, "rows are written again");
        tokio::time::sleep(delay).await;
        tries += 1;
    }
}

async fn transaction(
    work: &Work,
    target: Side,
    rows: &[Candidate],
) -> Result<Vec<AppliedRow>, Status> {
    let origin = &work.run.name;
    let mut transaction = work.core.sides.of(target).begin(Instant::now() + DEADLINE).await?;
    let sent = rows.iter().map(|it| it.row.clone()).collect();
    let written = transaction.apply(sent, origin).await?;
    commit::step("initial-sync:applied");
    transaction.commit().await?;
    commit::step("initial-sync:committed");
    Ok(written)
}
