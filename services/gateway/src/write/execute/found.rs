//! What was read of rows within one attempt, so that the many rows that lead to one read it once.

use proto::query::v1 as pb;

use super::super::change_set::{Step, StepAction};
use crate::metadata::Table;
use crate::translate::RowKey;

/// Reads that are remembered at most; they are looked through one by one.
const MAX_FOUND: usize = 64;

/// Values of rows, as the steps so far leave them.
#[derive(Debug, Default)]
pub(super) struct Found(Vec<Read>);

#[derive(Debug)]
struct Read {
    table: String,
    key: RowKey,
    columns: Vec<pb::ColumnRef>,
    values: Vec<Option<pb::Value>>,
}

impl Found {
    pub(super) fn get(
        &self,
        (table, key): (&Table, &RowKey),
        columns: &[&pb::ColumnRef],
    ) -> Option<Vec<Option<pb::Value>>> {
        let same = |it: &&Read| {
            it.table == table.logical_name
                && it.key == *key
                && it.columns.iter().eq(columns.iter().copied())
        };
        self.0.iter().find(same).map(|it| it.values.clone())
    }

    pub(super) fn remember(
        &mut self,
        (table, key): (&Table, &RowKey),
        columns: &[&pb::ColumnRef],
        values: &[Option<pb::Value>],
    ) {
        if self.0.len() == MAX_FOUND {
            self.0.remove(0);
        }
        self.0.push(Read {
            table: table.logical_name.clone(),
            key: key.clone(),
            columns: columns.iter().map(|it| (*it).clone()).collect(),
            values: values.to_vec(),
        });
    }

    /// What a step may change; `row` is the one that it is about. A row has several names, so that only
    /// those that are both called by their ids are known to be two. Deletions and actions reach further.
    pub(super) fn forget(&mut self, step: &Step, row: Option<&RowKey>) {
        let written = match (&step.action, row) {
            (StepAction::Create { .. }, _) => return,
            (StepAction::Upsert { key, .. }, _) | (StepAction::Update { .. }, Some(key)) => key,
            _ => return self.0.clear(),
        };
        self.0.retain(|it| {
            it.table != step.table.logical_name
                || matches!((&it.key, written), (RowKey::Id(read), RowKey::Id(written)) if read != written)
        });
    }
}
