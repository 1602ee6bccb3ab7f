//! Clients that write pairs until the system is gone.

use anyhow::{Context as _, Result, bail, ensure};
use tokio::sync::watch;

use super::pair::{Change, Pair};
use crate::Web;
use crate::batch::parts;
use crate::random::Random;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    Done,
    Refused,
    /// Nobody said anything, or that it cannot be said yet.
    Unknown,
}

/// What a client got through.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) acknowledged: usize,
    pub(super) refused: usize,
}

/// Writes to these pairs, one change set after the other, until one is not answered or `limit` were.
/// Tells all who write how many are done.
pub(super) async fn write(
    web: &Web,
    pairs: &mut [Pair],
    mut random: Random,
    limit: usize,
    acknowledged: &watch::Sender<usize>,
) -> Result<Count> {
    let mut count = Count::default();
    for _ in 0..limit {
        let number = random.below(pairs.len());
        let pair = &mut pairs[number];
        if pair.pending.is_some() {
            continue;
        }
        let mut change = pair.change(&mut random);
        // A change set that insists on versions fails when it is done twice.
        if pair.word.is_some() && random.one_in(2) {
            let Some(tags) = tags(web, pair).await? else { return Ok(count) };
            change.tags = Some(tags);
        }
        match send(web, pair, &change).await? {
            Answered::Done => {
                count.acknowledged += 1;
                acknowledged.send_modify(|it| *it += 1);
                pair.word = change.after;
            }
            Answered::Refused => count.refused += 1,
            Answered::Unknown => {
                pair.pending = Some(change);
                return Ok(count);
            }
        }
    }
    Ok(count)
}

/// The versions of both rows; none when the system is gone.
async fn tags(web: &Web, pair: &Pair) -> Result<Option<[String; 2]>> {
    let mut tags = Vec::new();
    for path in pair.paths() {
        let Ok(answer) = web.get(&path).await else { return Ok(None) };
        if answer.status.is_server_error() {
            return Ok(None);
        }
        let row = answer.ok()?;
        tags.push(row["@odata.etag"].as_str().context("no version")?.to_owned());
    }
    Ok(tags.try_into().ok())
}

/// Sends a change set. An answer that does not fit what it does is a failure.
pub(super) async fn send(web: &Web, pair: &Pair, change: &Change) -> Result<Answered> {
    let headers = [("x-ms-client-request-id", change.request_id.as_str())];
    let Ok(answer) = change.batch(pair).send(web, &headers).await else {
        return Ok(Answered::Unknown);
    };
    if [503, 504].contains(&answer.status.as_u16()) {
        return Ok(Answered::Unknown);
    }
    let told = || format!("{change:?} of {pair:?}: {} {}", answer.status, answer.body);
    let parts = parts(&answer).with_context(told)?;
    if parts.iter().any(|it| [503, 504].contains(&it.status)) {
        return Ok(Answered::Unknown);
    }
    if answer.status == 200 {
        ensure!(parts.len() == 2 && parts.iter().all(|it| it.status == 204), "{}", told());
        ensure!(change.is_good(), "not refused: {}", told());
        return Ok(Answered::Done);
    }
    if answer.status == 400 && !change.is_good() {
        ensure!(parts.len() == 1 && [400, 404].contains(&parts[0].status), "{}", told());
        return Ok(Answered::Refused);
    }
    bail!("{}", told())
}
