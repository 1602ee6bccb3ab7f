//! A change of a row on its way to the other side.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use prost::Message as _;
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::Side;
use proto::query::v1::{self as wire, SharedKind};
use sha2::{Digest as _, Sha256};

use crate::image;
use crate::map::CompiledMap;
use crate::maps::ActiveMap;

/// One change of one row, or all that became of a row in a stretch of the log.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) map: Arc<ActiveMap>,
    pub(super) compiled: Arc<CompiledMap>,
    pub(super) row: wire::SharedRow,
    pub(super) before: Option<wire::Image>,
    /// Grows in the order of the side's commits.
    pub(super) number: i64,
    pub(super) time: Option<prost_types::Timestamp>,
    pub(super) user: String,
    pub(super) images: Images,
    /// Of a history, where the row was made within it: whether the other side may have it by now.
    pub(super) went: Option<Arc<AtomicBool>>,
    /// What was changed behind this position goes over later; empty: nothing does.
    pub(super) behind: Arc<str>,
}

/// Which state of the row goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Images {
    /// The present one, held until the other side has it.
    Current,
    /// The one after the change, whatever came later.
    OfTheChange,
}

/// What tells a row of a map from the others: its id, and as well its key, as a row that was deleted and
/// created anew is the same to the other side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RowIdentity {
    pub(crate) map: String,
    pub(crate) record_id: Vec<u8>,
    pub(crate) key_digest: Vec<u8>,
}

/// Names of what an image holds.
#[derive(Clone, Debug)]
pub(crate) struct FieldNames {
    side: Side,
    map_side: wire::MapSide,
}

// === impl Change ===

impl Change {
    pub(super) fn is_delete(&self) -> bool {
        self.row.kind() == SharedKind::Deleted
    }

    /// Its row is there, and goes over as it is.
    pub(super) fn is_upsert(&self) -> bool {
        is_upsert(&self.row)
    }

    pub(super) fn record_id(&self) -> &[u8] {
        self.row.image.as_ref().map(|it| &*it.record_id).unwrap_or_default()
    }

    pub(super) fn identity(&self, source: Side) -> RowIdentity {
        let key = self.key(source);
        RowIdentity {
            map: self.map.name.clone(),
            record_id: self.record_id().to_vec(),
            key_digest: key_digest(&key),
        }
    }

    /// Company and key of its row.
    pub(super) fn key(&self, source: Side) -> wire::ImageKey {
        let image = self.row.image.clone().unwrap_or_default();
        image::key(&self.map.side(source), &image)
    }

    /// As it is shown.
    pub(super) fn pending(&self, source: Side) -> pb::PendingChange {
        let names = FieldNames::new(source, self.map.side(source));
        let change = wire::RowChangeImage {
            change: self.number,
            row: Some(self.row.clone()),
            before: self.before.clone(),
            user: self.user.clone(),
            change_time: self.time,
        };
        pending_of_change(&names, &change)
    }
}

/// The row is there.
pub(super) fn is_upsert(row: &wire::SharedRow) -> bool {
    matches!(row.kind(), SharedKind::Created | SharedKind::Changed)
}

/// A change of the log, as it is shown.
pub(crate) fn pending_of_change(
    names: &FieldNames,
    change: &wire::RowChangeImage,
) -> pb::PendingChange {
    let row = change.row.clone().unwrap_or_default();
    let image = row.image.clone().unwrap_or_default();
    let operation = match row.kind() {
        SharedKind::Created => pb::ChangeOperation::Create,
        SharedKind::Deleted => pb::ChangeOperation::Delete,
        SharedKind::Changed | SharedKind::Left | SharedKind::Unspecified => {
            pb::ChangeOperation::Update
        }
    };
    let gone = operation == pb::ChangeOperation::Delete;
    let before = match change.before.as_ref().or(gone.then_some(&image)) {
        Some(before) => names.values(before),
        // Of a row as it is now, no more than the key that it had is told.
        None => names.of_key(&row.previous_key),
    };
    let after = if gone { Vec::new() } else { names.values(&image) };
    pb::PendingChange {
        position: change.change,
        record: Some(names.record(&image)),
        operation: operation.into(),
        before,
        after,
        user: change.user.clone(),
        commit_time: change.change_time,
    }
}

/// What is stored of a key to find it again.
pub(crate) fn key_digest(key: &wire::ImageKey) -> Vec<u8> {
    Sha256::digest(key.encode_to_vec()).to_vec()
}

// === impl FieldNames ===

impl FieldNames {
    pub(crate) fn new(side: Side, map_side: wire::MapSide) -> Self {
        Self { side, map_side }
    }

    /// Values of an image, by column.
    pub(crate) fn values(&self, image: &wire::Image) -> Vec<wire::FieldValue> {
        let named = self.map_side.columns.iter().zip(&image.values);
        named
            .map(|(field, value)| wire::FieldValue {
                field: field.clone(),
                value: Some(value.clone()),
            })
            .collect()
    }

    /// Positions of the columns that one of these changed; of all, where one does not tell what was before.
    pub(crate) fn changed<'a>(
        &self,
        changes: impl Iterator<Item = &'a pb::PendingChange> + Clone,
    ) -> Vec<i32> {
        let tells = |it: &pb::PendingChange| !it.before.is_empty() && !it.after.is_empty();
        let tell = changes.clone().all(tells);
        let differs = |column: &String| {
            let value = |of: &'a [wire::FieldValue]| of.iter().find(|it| it.field == *column);
            changes.clone().any(|it| value(&it.before) != value(&it.after))
        };
        let columns = self.map_side.columns.iter().enumerate();
        let changed = columns.filter(|(_, column)| !tell || differs(column));
        changed.filter_map(|(at, _)| i32::try_from(at).ok()).collect()
    }

    /// Names an image's row.
    pub(crate) fn record(&self, image: &wire::Image) -> pb::Record {
        pb::Record {
            side: self.side.into(),
            entity_name: self.map_side.entity_name.clone(),
            record_id: image.record_id.clone(),
            key: self.of_key(&image::key(&self.map_side, image).values),
            company: image.company.clone(),
        }
    }

    /// Values of a key, by column.
    fn of_key(&self, values: &[wire::Value]) -> Vec<wire::FieldValue> {
        let named = self.key_columns().zip(values);
        named
            .map(|(field, value)| wire::FieldValue {
                field: field.clone(),
                value: Some(value.clone()),
            })
            .collect()
    }

    /// The key among the values of columns; `None` where not all of it is told.
    pub(crate) fn key_among(&self, values: &[wire::FieldValue]) -> Option<Vec<wire::Value>> {
        let value = |column: &String| values.iter().find(|it| it.field == *column)?.value.clone();
        let key: Option<Vec<_>> = self.key_columns().map(value).collect();
        key.filter(|it| !it.is_empty())
    }

    fn key_columns(&self) -> impl Iterator<Item = &String> {
        image::columns(&self.map_side, &self.map_side.key_columns)
    }

    /// The image that [`Self::values`] and [`Self::record`] were made of, as far as they tell.
    pub(crate) fn image(&self, record: &pb::Record, values: &[wire::FieldValue]) -> wire::Image {
        let value = |column: &String| {
            let all = values.iter().chain(&record.key);
            let found = all.into_iter().find(|it| it.field == *column);
            found.and_then(|it| it.value.clone()).unwrap_or_default()
        };
        wire::Image {
            record_id: record.record_id.clone(),
            company: record.company.clone(),
            values: self.map_side.columns.iter().map(value).collect(),
        }
    }
}
