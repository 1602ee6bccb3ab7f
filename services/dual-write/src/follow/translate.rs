//! A row of one side in the words of the other.

use proto::dual_write::v1::{Side, SyncError, SyncErrorKind};
use proto::query::v1::{ApplyRow, SharedRow};

use super::change::Images;
use super::refusal;
use crate::map::{CompiledMap, Owner, TranslateContext, TranslateError};
use crate::maps::ActiveMap;

/// What has to become of a row on the other side; absent: nothing. Of a row as it was, only what was changed: what it
/// held long ago beside that the other side may have changed since.
///
/// # Errors
///
/// When the other side cannot hold it, as it is told to people.
pub(crate) fn translate(
    map: &ActiveMap,
    compiled: &CompiledMap,
    source: Side,
    (row, images): (&SharedRow, Images),
) -> Result<Option<ApplyRow>, Box<SyncError>> {
    let context = TranslateContext {
        primary_side: map.table_map.primary_side(),
        owning_team: Owner::parse(&map.table_map.owning_team),
        only_changes: images == Images::OfTheChange,
        ..TranslateContext::default()
    };
    compiled.translate(source, row, &context).map_err(|it| Box::new(refused(&it)))
}

fn refused(error: &TranslateError) -> SyncError {
    let kind = match error {
        TranslateError::Shape => SyncErrorKind::BadRequest,
        TranslateError::Value { .. } | TranslateError::NoKey(_) | TranslateError::NoCompany => {
            SyncErrorKind::Application
        }
    };
    let mut told = refusal::own_error(kind, error.to_string());
    error.field().clone_into(&mut told.field);
    told.correlation_id = uuid::Uuid::new_v4().simple().to_string();
    told
}
