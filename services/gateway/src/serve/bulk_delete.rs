//! `BulkDelete`: rows that queries find are deleted, each by itself (API-31).
//!
//! Which rows these are is known before the job begins. The answer waits for the job for as long as a
//! request may take; a longer one goes on behind it, for as long as its caller may.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use proto::query::v1 as pb;
use proto::query::v1::column_values::Values;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::functions::{missing, response_context, wrong_type};
use crate::Core;
use crate::callers::Session;
use crate::deadline::Deadline;
use crate::error::GatewayError;
use crate::http::{Annotations, Ask, Response, json, quoted};
use crate::metadata::{Snapshot, Table};
use crate::query::{self, Dialect, Read, Style};
use crate::translate::{self, RowKey};
use crate::write::{self, ChangeSet, Failed, RowRef, Step, StepAction, Ways};

const MAX_BODY: usize = 4 << 20;
const MAX_QUERIES: usize = 100;
/// Rows of one job at most.
const MAX_ROWS: usize = 50_000;
const PAGE_SIZE: i32 = 5_000;
/// Rows of one job that are deleted at the same time.
const AT_ONCE: usize = 4;
/// A job may take so long, if its caller may go on.
const LONGEST: Duration = Duration::from_secs(10 * 60);
/// Clients name their own present moment as the start.
const CLOCKS_DIFFER: chrono::TimeDelta = chrono::TimeDelta::minutes(5);
/// Before the request's deadline, to answer in time.
const TO_ANSWER: Duration = Duration::from_millis(100);

/// Jobs that run, of all callers.
#[derive(Clone, Debug)]
pub(crate) struct Jobs(Arc<Semaphore>);

/// Rows to delete, and on whose behalf.
struct Job {
    id: Uuid,
    rows: Vec<(Arc<Table>, Bytes)>,
    ways: Ways,
    snapshot: Arc<Snapshot>,
    session: Arc<Session>,
    deadline: Instant,
    /// Nobody waits for its end any more.
    alone: Arc<AtomicBool>,
    _place: OwnedSemaphorePermit,
}

impl Jobs {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(32)))
    }
}

/// `BulkDelete` with `{"JobName": …, "QuerySet": [QueryExpression, …]}`.
pub(crate) async fn bulk_delete(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    body: Body,
) -> Result<Response, GatewayError> {
    let body = tokio::time::timeout_at(ask.deadline.at().into(), to_bytes(body, MAX_BODY)).await;
    let body = body.map_err(|_| GatewayError::Timeout)?;
    let body = body.map_err(|_| GatewayError::BodyTooLarge(MAX_BODY))?;
    let queries = queries(&body)?;
    let place = Arc::clone(&core.bulk_deletes.0).try_acquire_owned().map_err(|_| {
        let message = "Too many bulk deletions are running; try again later.";
        GatewayError::Unavailable(message.to_owned())
    })?;
    let mut rows = Vec::new();
    for tree in queries {
        find(core, ask, snapshot, tree, &mut rows).await?;
    }
    let (id, alone) = (Uuid::new_v4(), Arc::new(AtomicBool::new(false)));
    let job = Job {
        id,
        rows,
        ways: core.ways.clone(),
        snapshot: core.metadata.current(),
        session: Arc::clone(&ask.session),
        deadline: Instant::now() + LONGEST,
        alone: Arc::clone(&alone),
        _place: place,
    };
    let (callers, session) = (Arc::clone(&core.callers), Arc::clone(&ask.session));
    let mut running =
        tokio::spawn(async move { Box::pin(callers.renewing(&session, job.run())).await });
    let deadline = ask.deadline.at();
    let until = deadline.checked_sub(TO_ANSWER).unwrap_or(deadline);
    match tokio::time::timeout_at(until.into(), &mut running).await {
        Ok(Ok(outcome)) => outcome?,
        Ok(Err(_)) => return Err(GatewayError::Internal),
        Err(_) => {
            alone.store(true, Ordering::Relaxed);
            let aside = core.limiter.aside(&ask.session);
            tokio::spawn(async move {
                // Its end is all that counts here; what became of it, it says itself.
                let _ = running.await;
                drop(aside);
            });
        }
    }
    let context = response_context(ask, "BulkDelete");
    Ok(json(format!("{{\"@odata.context\":{context},\"JobId\":{}}}", quoted(&id.to_string()))))
}

fn queries(body: &[u8]) -> Result<Vec<pb::QueryExpression>, GatewayError> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| GatewayError::InvalidDocument(error.to_string()))?;
    // One that is to run later or again would never do.
    if body.get("RecurrencePattern").and_then(Value::as_str).is_some_and(|it| !it.is_empty()) {
        return Err(GatewayError::NotOffered("A recurring bulk deletion".to_owned()));
    }
    if body.get("StartDateTime").is_some_and(is_later) {
        return Err(GatewayError::NotOffered("A bulk deletion that starts later".to_owned()));
    }
    let set = body.get("QuerySet").ok_or_else(|| missing("QuerySet"))?;
    let set = set.as_array().filter(|it| (1..=MAX_QUERIES).contains(&it.len()));
    let set = set.ok_or_else(|| wrong_type("QuerySet", "Collection(mscrm.QueryBase)"))?;
    set.iter().map(|it| fetchxml::from_json(it).map_err(GatewayError::from)).collect()
}

/// Whether the job is to wait; what cannot be read is not taken for now.
fn is_later(start: &Value) -> bool {
    let latest = chrono::Utc::now() + CLOCKS_DIFFER;
    match start {
        Value::Null => false,
        Value::String(text) => {
            chrono::DateTime::parse_from_rfc3339(text).map_or(true, |start| start > latest)
        }
        _ => true,
    }
}

/// The rows that a query finds, behind those that were found before.
async fn find(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    mut tree: pb::QueryExpression,
    found: &mut Vec<(Arc<Table>, Bytes)>,
) -> Result<(), GatewayError> {
    let table = snapshot.by_name(&tree.entity_name);
    let table = table.ok_or_else(|| GatewayError::UnknownTable(tree.entity_name.clone()))?;
    let column = pb::ColumnRef {
        column: Some(pb::column_ref::Column::Field(table.primary_id.clone())),
        ..Default::default()
    };
    tree.columns = vec![pb::OutputColumn { column: Some(column), ..Default::default() }];
    tree.all_columns = false;
    let top = tree.top_count;
    tree.page = (top == 0).then(|| pb::Page { size: PAGE_SIZE, ..Default::default() });
    let (annotations, dialect) = (Annotations::default(), Dialect::Message);
    let style = Style { annotations, dialect, numbers_as_strings: false };
    let mut read = Read { tree, expands: Vec::new(), style, position: None };
    let mut page_number = 1;
    loop {
        let mut rows = query::page(core, ask, snapshot, &read, pb::RowFormat::Columns).await?;
        let mut message = std::mem::take(&mut rows.first);
        let end = loop {
            collect(table, &message, found)?;
            match message.end.take() {
                Some(end) => break end,
                None => {
                    let next = rows.next().await;
                    message = next.map_err(|it| GatewayError::of_provider(&it, table))?;
                }
            }
        };
        read.position = translate::next_position(&end, page_number)?.filter(|_| top == 0);
        page_number += 1;
        if read.position.is_none() {
            return Ok(());
        }
    }
}

fn collect(
    table: &Arc<Table>,
    message: &pb::RetrieveMultipleResponse,
    found: &mut Vec<(Arc<Table>, Bytes)>,
) -> Result<(), GatewayError> {
    let Some(pb::RowBatch { rows: Some(pb::row_batch::Rows::Columns(batch)), .. }) = &message.batch
    else {
        return Ok(());
    };
    let Some(Values::Guids(ids)) = batch.columns.first().and_then(|it| it.values.as_ref()) else {
        return Ok(());
    };
    let ids = ids.chunks_exact(16).map(|it| (Arc::clone(table), Bytes::copy_from_slice(it)));
    found.extend(ids);
    match found.len() > MAX_ROWS {
        true => Err(GatewayError::InvalidQuery(format!(
            "A bulk deletion deletes {MAX_ROWS} rows at most; these are more."
        ))),
        false => Ok(()),
    }
}

impl Job {
    /// Deletes every row that can be. The first refusal is told, to whoever waits, or to the log.
    async fn run(mut self) -> Result<(), GatewayError> {
        let rows = std::mem::take(&mut self.rows);
        let (job, count) = (&self, rows.len());
        let refusals: Vec<_> = stream::iter(rows)
            .map(|(table, id)| async move { Box::pin(job.delete(table, &id)).await.err() })
            .buffer_unordered(AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        let (job, refused) = (self.id, refusals.len());
        tracing::info!(%job, rows = count, refused, "a bulk deletion ended");
        match refusals.into_iter().next() {
            None => Ok(()),
            Some(error) => {
                if self.alone.load(Ordering::Relaxed) {
                    tracing::warn!(%job, %error, refused, "rows were not deleted");
                }
                Err(error)
            }
        }
    }

    /// A row that is gone already is no loss.
    async fn delete(&self, table: Arc<Table>, id: &[u8]) -> Result<(), GatewayError> {
        let id = Uuid::from_slice(id).map_err(|_| GatewayError::Internal)?;
        let action = StepAction::Delete { row: RowRef::Key(RowKey::Id(id)), etag: None };
        let changes = ChangeSet { steps: vec![Step { table, action }] };
        let who = (&*self.session, &Deadline::from(self.deadline));
        match write::execute(&self.ways, who, &self.snapshot, changes, None).await {
            Ok(_) => Ok(()),
            Err(Failed { error: GatewayError::RecordNotFound { .. }, .. }) => Ok(()),
            Err(failed) => Err(failed.error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_31_a_job_that_is_to_start_later_is_refused() {
        let at = |minutes| {
            let start = chrono::Utc::now() + chrono::TimeDelta::minutes(minutes);
            is_later(&Value::String(start.to_rfc3339()))
        };
        assert!(!at(-60) && !at(1) && at(60));
        assert!(!is_later(&Value::Null));
        assert!(is_later(&Value::String("tomorrow".into())) && is_later(&Value::from(5)));
    }
}
