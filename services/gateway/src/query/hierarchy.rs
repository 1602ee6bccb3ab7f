//! Who stands above or below a row: level by level, one statement each, never one per row.

use std::collections::HashSet;
use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::ConditionOperator as Operator;
use proto::query::v1::column_values::Values;
use uuid::Uuid;

use crate::Core;
use crate::error::GatewayError;
use crate::metadata::{Column, ColumnKind, Navigation, Table};
use crate::providers::Call;
use crate::translate::guid;

const MOST_LEVELS: usize = 100;
const MOST_ROWS: usize = 5_000;

/// A table whose rows lead to rows of their own kind.
pub(super) struct Hierarchy {
    table: Arc<Table>,
    /// What leads to the row above.
    parent: pb::ColumnRef,
}

impl Hierarchy {
    /// By the column itself if it is a lookup; else by the first one that leads to its own table.
    pub(super) fn of(table: Arc<Table>, column: Option<&Column>) -> Option<Self> {
        let wanted = column.filter(|it| matches!(it.kind, ColumnKind::Lookup { .. }));
        let is_parent = |it: &&Navigation| {
            !it.is_collection
                && it.target == table.logical_name
                && wanted.is_none_or(|column| column.logical_name == it.lookup)
        };
        let lookup = table.navigations().find(is_parent)?.lookup.clone();
        let parent = table.by_name(&lookup)?.external.clone();
        Some(Self { table, parent })
    }

    /// Ids of the rows below `id`, or above it, without itself.
    pub(super) async fn related(
        &self,
        core: &Core,
        call: Call<'_>,
        id: Uuid,
        down: bool,
    ) -> Result<Vec<Uuid>, GatewayError> {
        let mut seen = HashSet::from([id]);
        let mut level = vec![id];
        let mut all = Vec::new();
        for _ in 0..MOST_LEVELS {
            let found = self.step(core, call, &level, down).await?;
            level = found.into_iter().filter(|it| seen.insert(*it)).collect();
            if level.is_empty() {
                return Ok(all);
            }
            all.extend(&level);
            if all.len() > MOST_ROWS {
                break;
            }
        }
        Err(self.too_large())
    }

    /// The rows one level further.
    async fn step(
        &self,
        core: &Core,
        call: Call<'_>,
        level: &[Uuid],
        down: bool,
    ) -> Result<Vec<Uuid>, GatewayError> {
        let query = Some(self.query(level, down));
        let format = pb::RowFormat::Columns.into();
        let request = pb::RetrieveMultipleRequest { query, format, ..Default::default() };
        let table = &self.table;
        let of = |status| GatewayError::of_provider(&status, table);
        let rows = core.providers.retrieve_multiple(call, table.source, request).await;
        let mut rows = rows.map_err(of)?;
        let mut ids = Vec::new();
        let mut message = std::mem::take(&mut rows.first);
        loop {
            take_ids(&message, &mut ids);
            match message.end {
                Some(end) if end.more_rows => return Err(self.too_large()),
                Some(_) => return Ok(ids),
                None => message = rows.next().await.map_err(of)?,
            }
        }
    }

    fn query(&self, level: &[Uuid], down: bool) -> pb::QueryExpression {
        let id = pb::ColumnRef {
            column: Some(pb::column_ref::Column::System(pb::SystemColumn::RecordId.into())),
            link: String::new(),
        };
        let parent = self.parent.clone();
        let (wanted, known) = if down { (id, parent) } else { (parent, id) };
        let condition = pb::ConditionExpression {
            column: Some(known),
            operator: Operator::In.into(),
            values: level.iter().copied().map(guid).collect(),
            ..Default::default()
        };
        let column =
            pb::OutputColumn { column: Some(wanted), key: "id".to_owned(), ..Default::default() };
        let size = i32::try_from(MOST_ROWS).unwrap_or(i32::MAX);
        pb::QueryExpression {
            entity_name: self.table.external_name.clone(),
            columns: vec![column],
            criteria: Some(pb::FilterExpression {
                conditions: vec![condition],
                ..Default::default()
            }),
            page: Some(pb::Page { size, ..Default::default() }),
            ..Default::default()
        }
    }

    fn too_large(&self) -> GatewayError {
        GatewayError::InvalidQuery(format!(
            "The hierarchy of '{}' has more than {MOST_LEVELS} levels or {MOST_ROWS} rows on one \
             side of this row.",
            self.table.logical_name
        ))
    }
}

/// The one column of a batch, without its nulls, which stand there as zeros.
fn take_ids(message: &pb::RetrieveMultipleResponse, ids: &mut Vec<Uuid>) {
    if let Some(pb::RowBatch { rows: Some(pb::row_batch::Rows::Columns(batch)), .. }) =
        &message.batch
        && let [pb::ColumnValues { values: Some(Values::Guids(bytes)), .. }] =
            batch.columns.as_slice()
    {
        let all = bytes.chunks_exact(16).filter_map(|it| Uuid::from_slice(it).ok());
        ids.extend(all.filter(|it| !it.is_nil()));
    }
}
