//! From a translated query to its rows: one statement where one provider has everything; otherwise
//! the far side's rows first, and behind the page one more statement for each level of children.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use chrono::Utc;
use proto::gateway::v1::ExplainStep;
use proto::query::v1 as pb;
use uuid::Uuid;

use super::batch;
use super::lower::{self, Context, Lowered};
use super::{Read, resolve};
use crate::Core;
use crate::error::GatewayError;
use crate::http::Ask;
use crate::metadata::{Snapshot, Source};
use crate::providers::{Call, Rows};
use crate::translate::{RowKey, guid};

/// Runs queries for one request.
pub(super) struct Executor<'a> {
    pub(super) core: &'a Core,
    pub(super) call: Call<'a>,
    /// What links to rows begin with.
    pub(super) root: &'a str,
    /// What was asked of whom, where somebody wants to know.
    pub(super) steps: Option<Mutex<Vec<ExplainStep>>>,
    /// Bytes of rows that are held until all are there.
    held: AtomicUsize,
}

/// A page of rows, all of it, with what it is joined by.
pub(super) struct Collected {
    /// One JSON object each.
    pub(super) rows: Vec<Bytes>,
    pub(super) keys: pb::ColumnBatch,
    pub(super) end: pb::PageEnd,
    pub(super) total_count: Option<i64>,
    pub(super) total_count_limit_exceeded: bool,
}

/// A page of rows; by column only without expands.
///
/// # Errors
///
/// What is wrong with the query, or what a provider says.
pub(crate) async fn page(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    read: &Read,
    format: pb::RowFormat,
) -> Result<Rows, GatewayError> {
    let executor = Executor::new(core, ask.call(), &ask.root);
    let lowered = executor.lower(snapshot, read).await?;
    executor.rows(lowered, format).await
}

/// One row, as JSON.
///
/// # Errors
///
/// As [`page`], and when there is no such row.
pub(crate) async fn record(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    read: &Read,
    key: &RowKey,
) -> Result<Bytes, GatewayError> {
    let executor = Executor::new(core, ask.call(), &ask.root);
    let lowered = executor.lower(snapshot, read).await?;
    executor.record(lowered, key).await
}

/// Every row of a page, by its id.
///
/// # Errors
///
/// As [`page`].
pub(crate) async fn rows_by_id(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    read: &Read,
) -> Result<HashMap<Uuid, Bytes>, GatewayError> {
    let executor = Executor::new(core, ask.call(), &ask.root);
    let mut lowered = executor.lower(snapshot, read).await?;
    executor.ship(&mut lowered).await?;
    let id = pb::column_ref::Column::System(pb::SystemColumn::RecordId.into());
    let id = pb::ColumnRef { column: Some(id), link: String::new() };
    let found = executor.collect("rows", &lowered, lowered.query.clone(), &[id]).await?;
    let ids = found.keys.columns.last().and_then(|it| it.values.as_ref());
    match ids {
        Some(pb::column_values::Values::Guids(ids)) if ids.len() == found.rows.len() * 16 => {
            let ids = ids.chunks_exact(16).filter_map(|it| Uuid::from_slice(it).ok());
            Ok(ids.zip(found.rows).collect())
        }
        _ if found.rows.is_empty() => Ok(HashMap::new()),
        _ => {
            tracing::error!(table = lowered.table.logical_name, "rows came without their ids");
            Err(GatewayError::Internal)
        }
    }
}

/// How many rows there are.
///
/// # Errors
///
/// As [`page`].
pub(crate) async fn count(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    read: &Read,
) -> Result<i64, GatewayError> {
    let mut read = read.clone();
    read.tree.columns.clear();
    read.tree.all_columns = false;
    read.tree.orders.clear();
    read.tree.page = Some(pb::Page { size: lower::COUNT_ONLY, ..Default::default() });
    read.tree.total_count = pb::TotalCount::Exact.into();
    let rows = page(core, ask, snapshot, &read, pb::RowFormat::Json).await?;
    rows.first.total_count.ok_or_else(|| {
        tracing::error!("a provider did not count");
        GatewayError::Internal
    })
}

/// How a page would be read. What the far side has to tell is read for it.
///
/// # Errors
///
/// As [`page`], and for who is no administrator.
pub(crate) async fn explain(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    read: &Read,
) -> Result<Vec<ExplainStep>, GatewayError> {
    let executor =
        Executor { steps: Some(Mutex::default()), ..Executor::new(core, ask.call(), &ask.root) };
    let lowered = executor.lower(snapshot, read).await?;
    if lowered.children.is_empty() && lowered.fars.is_empty() {
        executor.note("rows", lowered.table.source, &lowered.query).await?;
    } else {
        executor.rows(lowered, pb::RowFormat::Json).await?;
    }
    let steps = executor.steps.unwrap_or_default();
    Ok(steps.into_inner().unwrap_or_else(PoisonError::into_inner))
}

impl<'a> Executor<'a> {
    fn new(core: &'a Core, call: Call<'a>, root: &'a str) -> Self {
        Self { core, call, root, steps: None, held: AtomicUsize::new(0) }
    }

    async fn lower(&self, snapshot: &Snapshot, read: &Read) -> Result<Lowered, GatewayError> {
        let session = self.call.session;
        let resolved = resolve::resolve(self.core, self.call, snapshot, read).await?;
        let context = Context {
            snapshot,
            companies: &resolved.companies,
            calendar: &resolved.calendar,
            now: Utc::now(),
            language: session.language(),
            style: &read.style,
            may_read: &|table, columns| session.may_read(table, columns),
        };
        lower::lower(context, resolved.read.as_ref().unwrap_or(read))
    }

    async fn rows(
        &self,
        mut lowered: Lowered,
        format: pb::RowFormat,
    ) -> Result<Rows, GatewayError> {
        self.ship(&mut lowered).await?;
        if lowered.children.is_empty() {
            self.note("rows", lowered.table.source, &lowered.query).await?;
            return self.send(&lowered, lowered.query.clone(), format, Vec::new()).await;
        }
        let collected = self.collect("rows", &lowered, lowered.query.clone(), &[]).await?;
        let (end, total_count) = (collected.end.clone(), collected.total_count);
        let total_count_limit_exceeded = collected.total_count_limit_exceeded;
        let rows = self.with_children(&lowered, collected).await?;
        let first = pb::RetrieveMultipleResponse {
            batch: Some(joined(&rows)),
            total_count,
            total_count_limit_exceeded,
            end: Some(end),
        };
        Ok(Rows { first, rest: None, deadline: self.call.deadline })
    }

    async fn record(&self, mut lowered: Lowered, key: &RowKey) -> Result<Bytes, GatewayError> {
        // Far rows are those of this row alone.
        lowered.query.criteria = Some(is_row(key));
        self.ship(&mut lowered).await?;
        let table = &lowered.table;
        let query = std::mem::take(&mut lowered.query);
        let request = pb::RetrieveRequest {
            entity_name: query.entity_name,
            key: Some(key.to_message()),
            columns: query.columns,
            format: pb::RowFormat::Json.into(),
            links: query.links,
            keys: lowered.keys.clone(),
        };
        let batch = self.core.providers.retrieve(self.call, table.source, request).await;
        let batch = batch.map_err(|status| match rpc::reason(&status) {
            Some(rpc::ErrorReason::RecordNotFound) => key.not_found(table),
            _ => GatewayError::of_provider(&status, table),
        })?;
        let keys = batch.keys.clone().unwrap_or_default();
        let Some(pb::row_batch::Rows::Json(row)) = batch.rows else {
            tracing::error!(table = table.logical_name, "a provider wrote no JSON row");
            return Err(GatewayError::Internal);
        };
        if lowered.children.is_empty() {
            return Ok(row);
        }
        let collected = Collected {
            rows: vec![row],
            keys,
            end: pb::PageEnd::default(),
            total_count: None,
            total_count_limit_exceeded: false,
        };
        let rows = self.with_children(&lowered, collected).await?;
        rows.into_iter().next().ok_or(GatewayError::Internal)
    }

    /// Asks the provider; returns when the first batch is there.
    pub(super) async fn send(
        &self,
        lowered: &Lowered,
        query: pb::QueryExpression,
        format: pb::RowFormat,
        keys: Vec<pb::ColumnRef>,
    ) -> Result<Rows, GatewayError> {
        let table = &lowered.table;
        let request =
            pb::RetrieveMultipleRequest { query: Some(query), format: format.into(), keys };
        let rows = self.core.providers.retrieve_multiple(self.call, table.source, request).await;
        rows.map_err(|status| GatewayError::of_provider(&status, table))
    }

    /// All rows of a query, with the keys of its children and those given.
    pub(super) async fn collect(
        &self,
        purpose: &str,
        lowered: &Lowered,
        query: pb::QueryExpression,
        more_keys: &[pb::ColumnRef],
    ) -> Result<Collected, GatewayError> {
        self.note(purpose, lowered.table.source, &query).await?;
        let keys = lowered.keys.iter().chain(more_keys).cloned().collect();
        let mut rows = self.send(lowered, query, pb::RowFormat::Json, keys).await?;
        let mut collected = Collected {
            rows: Vec::new(),
            keys: pb::ColumnBatch::default(),
            end: pb::PageEnd::default(),
            total_count: rows.first.total_count,
            total_count_limit_exceeded: rows.first.total_count_limit_exceeded,
        };
        let mut message = std::mem::take(&mut rows.first);
        loop {
            if let Some(batch) = message.batch.take() {
                self.spend(&batch)?;
                take_batch(&mut collected, batch);
            }
            if let Some(end) = message.end.take() {
                collected.end = end;
                return Ok(collected);
            }
            let next = rows.next().await;
            message = next.map_err(|it| GatewayError::of_provider(&it, &lowered.table))?;
        }
    }

    /// Counts rows that are held until all are there.
    fn spend(&self, batch: &pb::RowBatch) -> Result<(), GatewayError> {
        let size = prost::Message::encoded_len(batch);
        let held = self.held.fetch_add(size, Ordering::Relaxed).saturating_add(size);
        if held <= self.core.config.expand_bytes {
            return Ok(());
        }
        Err(GatewayError::InvalidQuery(
            "The rows and their expanded rows are too many for one answer. Select fewer columns, or \
             ask for smaller pages with 'Prefer: odata.maxpagesize'."
                .to_owned(),
        ))
    }

    /// Remembers what is asked, with how the provider would answer.
    pub(super) async fn note(
        &self,
        purpose: &str,
        source: Source,
        query: &pb::QueryExpression,
    ) -> Result<(), GatewayError> {
        let Some(steps) = &self.steps else { return Ok(()) };
        let request = pb::ExplainRequest { query: Some(query.clone()) };
        let statement = self.core.providers.explain(self.call, source, request).await;
        let statement = statement.map_err(|status| GatewayError::of_service(&status))?;
        let service = match source {
            Source::Erp => "query",
            Source::Organization => "organization",
            Source::Catalog => "catalog",
        };
        steps.lock().unwrap_or_else(PoisonError::into_inner).push(ExplainStep {
            purpose: purpose.to_owned(),
            service: service.to_owned(),
            query: Some(query.clone()),
            statement: Some(statement),
        });
        Ok(())
    }
}

/// Splits a batch into its rows.
fn take_batch(collected: &mut Collected, message: pb::RowBatch) {
    let Some(pb::row_batch::Rows::Json(json)) = message.rows else { return };
    let mut start = 0;
    for end in message.row_ends {
        let end = usize::try_from(end).unwrap_or(usize::MAX).min(json.len());
        collected.rows.push(json.slice(start.min(end)..end));
        // Behind each row but the last stands a comma.
        start = end + 1;
    }
    if let Some(keys) = message.keys {
        batch::append(&mut collected.keys, keys);
    }
}

/// The row of a key, as a filter.
fn is_row(key: &RowKey) -> pb::FilterExpression {
    use pb::column_ref::Column as Named;
    let equal = |column: Named, value: Option<pb::Value>| pb::ConditionExpression {
        column: Some(pb::ColumnRef { column: Some(column), link: String::new() }),
        operator: pb::ConditionOperator::Equal.into(),
        values: value.into_iter().collect(),
        ..Default::default()
    };
    let conditions = match key {
        RowKey::Id(id) => {
            let system = Named::System(pb::SystemColumn::RecordId.into());
            vec![equal(system, Some(guid(*id)))]
        }
        RowKey::Alternate(values) => {
            let equal =
                |it: &pb::FieldValue| equal(Named::Field(it.field.clone()), it.value.clone());
            values.iter().map(equal).collect()
        }
    };
    let operator = pb::FilterOperator::And.into();
    pb::FilterExpression { operator, conditions, ..Default::default() }
}

fn joined(rows: &[Bytes]) -> pb::RowBatch {
    let length = rows.iter().map(|it| it.len() + 1).sum();
    let mut json = Vec::with_capacity(length);
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        json.extend_from_slice(row);
    }
    pb::RowBatch {
        row_count: i64::try_from(rows.len()).unwrap_or(i64::MAX),
        rows: Some(pb::row_batch::Rows::Json(json.into())),
        ..Default::default()
    }
}
