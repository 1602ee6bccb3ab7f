//! Requests that make, change and delete rows.

use std::sync::Arc;

use axum::http::Method;
use proto::query::v1::FieldValue;

use super::change_set::{Assignment, ChangeSet, RowRef, StepAction};
use super::json::{Json, Object};
use super::payload::{self, Purpose, push};
use super::plan::Scene;
use super::values::typed;
use super::writable;
use crate::error::GatewayError;
use crate::http::Ask;
use crate::metadata::{Source, Table};
use crate::translate::RowKey;

/// What has to be true of a row for a request to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    None,
    /// It is there.
    Exists,
    /// It is not there.
    Absent,
    Version(String),
}

/// `PATCH set(key)`: an update, or an upsert where no condition says which. Answers its step.
pub(super) fn change(
    scene: Scene<'_>,
    table: &Arc<Table>,
    row: RowRef,
    body: &[u8],
    changes: &mut ChangeSet,
) -> Result<usize, GatewayError> {
    let members = payload::object(table, body)?;
    let condition = condition(scene.ask)?;
    write(scene, table, row, &members, condition, changes)
}

/// One of the rows of an UpdateMultiple, which has to be there, or of an UpsertMultiple.
pub(super) fn change_one_of_many(
    scene: Scene<'_>,
    table: &Arc<Table>,
    key: RowKey,
    members: &Object,
    may_create: bool,
    changes: &mut ChangeSet,
) -> Result<usize, GatewayError> {
    let condition = if may_create { Condition::None } else { Condition::Exists };
    write(scene, table, RowRef::Key(key), members, condition, changes)
}

fn write(
    scene: Scene<'_>,
    table: &Arc<Table>,
    row: RowRef,
    members: &Object,
    condition: Condition,
    changes: &mut ChangeSet,
) -> Result<usize, GatewayError> {
    let upserted = match (&condition, &row) {
        (Condition::None | Condition::Absent, RowRef::Key(key)) => Some(key),
        _ => None,
    };
    // Rows of the catalog's list are there or not, whatever anybody wants.
    let upserted = upserted.filter(|_| table.source != Source::Catalog);
    let purpose = upserted.map_or(Purpose::Update(&row), Purpose::Upsert);
    let mut content = payload::read(scene, table, members, purpose, changes)?;
    writable::check_company(table, &content.values, "Update")?;
    if table.source == Source::Catalog && content.values.is_empty() {
        let detail = "The body names no property to update.".to_owned();
        return Err(payload::payload(table, detail));
    }
    let values = std::mem::take(&mut content.values);
    let action = match (upserted, condition) {
        (Some(key), condition) => {
            let create_only = condition == Condition::Absent;
            StepAction::Upsert { key: key.clone(), values, create_only }
        }
        (None, Condition::Absent) => return Err(GatewayError::RecordExists),
        (None, Condition::Version(etag)) => StepAction::Update { row, values, etag: Some(etag) },
        (None, Condition::None | Condition::Exists) => {
            StepAction::Update { row, values, etag: None }
        }
    };
    let at = push(changes, table, action)?;
    content.related(scene, (table, RowRef::Step(at)), changes)?;
    Ok(at)
}

/// `DELETE set(key)`.
pub(super) fn delete(
    ask: &Ask,
    table: &Arc<Table>,
    row: RowRef,
    changes: &mut ChangeSet,
) -> Result<usize, GatewayError> {
    let etag = version(ask)?;
    push(changes, table, StepAction::Delete { row, etag })
}

/// `PUT set(key)/column` with a value, `DELETE set(key)/column`.
pub(super) fn property(
    scene: Scene<'_>,
    (table, row): (&Arc<Table>, RowRef),
    name: &str,
    (method, body): (&Method, &[u8]),
    changes: &mut ChangeSet,
) -> Result<usize, GatewayError> {
    let purpose = Purpose::Update(&row);
    let column = table.by_property(name);
    let column = column.ok_or_else(|| GatewayError::unknown_column(table, name))?;
    let field = column.field().filter(|_| column.valid_for_update && !column.is_lookup());
    let field = field.ok_or_else(|| writable::read_only(table, name, purpose))?;
    let value = match *method == Method::DELETE {
        true => payload::cleared(field),
        false => {
            let members = payload::object(table, body)?;
            let value = payload::member(&members, "value");
            let value = value.ok_or_else(|| {
                payload::payload(table, "The body has no property 'value'.".to_owned())
            })?;
            let (field, value) = (field.to_owned(), Some(typed(table, column, value)?));
            Assignment::Field(FieldValue { field, value })
        }
    };
    let etag = version(scene.ask)?;
    push(changes, table, StepAction::Update { row, values: vec![value], etag })
}

/// A body's `"@odata.id"`.
pub(super) fn address_in(table: &Table, body: &[u8]) -> Result<String, GatewayError> {
    let members = payload::object(table, body)?;
    match payload::member(&members, "@odata.id") {
        Some(Json::Text(address)) => Ok(address.clone()),
        _ => {
            let detail = "The body names no row in '@odata.id'.".to_owned();
            Err(payload::payload(table, detail))
        }
    }
}

/// Of requests that take rows to be there.
fn version(ask: &Ask) -> Result<Option<String>, GatewayError> {
    match condition(ask)? {
        Condition::None | Condition::Exists => Ok(None),
        Condition::Version(etag) => Ok(Some(etag)),
        Condition::Absent => {
            let message = "'If-None-Match: *' has no meaning for requests that need the record.";
            Err(GatewayError::InvalidQuery(message.to_owned()))
        }
    }
}

fn condition(ask: &Ask) -> Result<Condition, GatewayError> {
    match (ask.if_match.as_deref(), ask.if_none_match.as_deref()) {
        (None, None) => Ok(Condition::None),
        (Some("*"), None) => Ok(Condition::Exists),
        (Some(etag), None) if is_list(etag) => {
            let message = "'If-Match' takes one entity tag, or '*'.";
            Err(GatewayError::InvalidQuery(message.to_owned()))
        }
        (Some(etag), None) => Ok(Condition::Version(etag.to_owned())),
        (None, Some("*")) => Ok(Condition::Absent),
        // A write that is only to be done where the row has changed is nobody's wish.
        (None, Some(_)) => {
            let message = "Of 'If-None-Match', only '*' has a meaning for requests that write.";
            Err(GatewayError::InvalidQuery(message.to_owned()))
        }
        (Some(_), Some(_)) => {
            let message = "'If-Match' and 'If-None-Match' cannot both be true of a row.";
            Err(GatewayError::InvalidQuery(message.to_owned()))
        }
    }
}

/// Entity tags have two quotes each.
fn is_list(etag: &str) -> bool {
    etag.bytes().filter(|it| *it == b'"').count() > 2
}
