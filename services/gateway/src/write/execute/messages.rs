//! Steps as a provider's operations, and its answers as outcomes.

use bytes::Bytes;
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation;
use proto::query::v1::operation_result::Result as Answer;
use uuid::Uuid;

use super::super::change_set::{Outcome, RowRef, Step, StepAction};
use crate::translate::RowKey;

/// What an answer is about.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) step: usize,
    /// Absent where there is no row yet, or none at all.
    pub(super) row: Option<RowKey>,
    /// It depends on what was read of the row before, and so on its version then.
    pub(super) judged: bool,
}

/// The row that a step is about, where it names one. That of an upsert is told by its key alone.
pub(super) fn row(action: &StepAction) -> Option<&RowRef> {
    match action {
        StepAction::Update { row, .. }
        | StepAction::Delete { row, .. }
        | StepAction::RequireRelated { row, .. } => Some(row),
        StepAction::Perform { row, .. } => row.as_ref(),
        StepAction::Create { .. } | StepAction::Upsert { .. } => None,
    }
}

/// The key of a row, if it has one: `outcomes` are those of the steps before.
pub(super) fn key(row: &RowRef, outcomes: &[Option<Outcome>]) -> Option<RowKey> {
    match row {
        RowRef::Key(key) => Some(key.clone()),
        RowRef::Step(at) => outcomes.get(*at)?.as_ref()?.id.map(RowKey::Id),
    }
}

/// The message of a step that writes; `row` is the key of [`row`], and `values` its assignments.
pub(super) fn operation(
    step: &Step,
    row: Option<&RowKey>,
    values: Vec<pb::FieldValue>,
) -> Option<Operation> {
    let entity_name = step.table.external_name.clone();
    let etag = |it: &Option<String>| it.clone().unwrap_or_default();
    let key = row.map(RowKey::to_message);
    Some(match &step.action {
        StepAction::Create { id, .. } => Operation::Create(pb::CreateRequest {
            entity_name,
            values,
            record_id: id.map(|it| bytes_of(&it)).unwrap_or_default(),
            ..Default::default()
        }),
        StepAction::Update { etag: version, .. } => Operation::Update(pb::UpdateRequest {
            entity_name,
            key: Some(key?),
            values,
            etag: etag(version),
            ..Default::default()
        }),
        StepAction::Upsert { key, create_only, .. } => Operation::Upsert(pb::UpsertRequest {
            entity_name,
            key: Some(key.to_message()),
            values,
            create_only: *create_only,
            ..Default::default()
        }),
        StepAction::Delete { etag: version, .. } => Operation::Delete(pb::DeleteRequest {
            entity_name,
            key: Some(key?),
            etag: etag(version),
            ..Default::default()
        }),
        StepAction::Perform { action, parameters, .. } => {
            Operation::PerformAction(pb::PerformActionRequest {
                entity_name,
                action: action.clone(),
                key,
                parameters: parameters.clone(),
                ..Default::default()
            })
        }
        StepAction::RequireRelated { .. } => return None,
    })
}

/// What the answer to an operation says. `None` for one that makes no sense.
pub(super) fn outcome(answer: &Answer, sent: &Sent) -> Option<Outcome> {
    let named = match &sent.row {
        Some(RowKey::Id(id)) => Some(*id),
        Some(RowKey::Alternate(_)) | None => None,
    };
    let written = |id: &Bytes, etag: &str, created| {
        let id = Some(Uuid::from_slice(id).ok()?);
        let etag = (!etag.is_empty()).then(|| etag.to_owned());
        Some(Outcome { id, etag, created, result: None })
    };
    match answer {
        Answer::Create(it) => written(&it.record_id, &it.etag, true),
        // The catalog does not say what it changed.
        Answer::Update(it) if it.record_id.is_empty() => {
            Some(Outcome { id: named, ..Outcome::default() })
        }
        Answer::Update(it) => written(&it.record_id, &it.etag, false),
        Answer::Upsert(it) => written(&it.record_id, &it.etag, it.created),
        Answer::Delete(_) => Some(Outcome { id: named, ..Outcome::default() }),
        Answer::PerformAction(it) => {
            Some(Outcome { id: named, result: it.result.clone(), ..Outcome::default() })
        }
        Answer::Retrieve(_) => None,
    }
}

fn bytes_of(id: &Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}
