//! Actions of tables and of rows, and those of nothing: what a request to one means
//! (spec lifecycle-and-web-api §2.8).

use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::ActionTarget;
use proto::query::v1::AttributeType;

use super::change_set::{ChangeSet, RowRef, StepAction};
use super::json::{Json, Object};
use super::payload::push;
use super::plan::Reply;
use super::values;
use crate::error::GatewayError;
use crate::metadata::{Column, Snapshot, Table};

/// The action of that name that is bound to nothing, and the table whose provider runs it.
pub(crate) fn unbound<'s>(
    snapshot: &'s Snapshot,
    name: &str,
) -> Option<(&'s Arc<Table>, &'s pb::ActionDefinition)> {
    let of = |table: &'s Arc<Table>| Some((table, find(table, name, ActionTarget::Global)?));
    snapshot.tables.iter().find_map(of)
}

/// The action of that name that is bound to the table, or to a row of it.
pub(crate) fn bound<'t>(
    table: &'t Table,
    name: &str,
    to_row: bool,
) -> Option<&'t pb::ActionDefinition> {
    let target = if to_row { ActionTarget::Entity } else { ActionTarget::EntityCollection };
    find(table, name, target)
}

fn find<'t>(
    table: &'t Table,
    name: &str,
    target: ActionTarget,
) -> Option<&'t pb::ActionDefinition> {
    let mut actions = table.definition.actions.iter();
    actions.find(|it| it.unique_name == name && it.target() == target)
}

/// Adds the step that runs the action.
pub(super) fn plan(
    (table, action): (&Arc<Table>, &pb::ActionDefinition),
    row: Option<RowRef>,
    body: &[u8],
    changes: &mut ChangeSet,
) -> Result<Reply, GatewayError> {
    let parameters = parameters(table, action, body)?;
    let step = StepAction::Perform { action: action.external_name.clone(), row, parameters };
    let step = push(changes, table, step)?;
    Ok(match action.result() {
        AttributeType::Unspecified => Reply::Done,
        result => Reply::Result { step, action: action.unique_name.clone(), result },
    })
}

fn parameters(
    table: &Table,
    action: &pb::ActionDefinition,
    body: &[u8],
) -> Result<Vec<pb::FieldValue>, GatewayError> {
    let refuse = |detail: String| GatewayError::Payload { set: table.set_name.clone(), detail };
    let members = members(body).map_err(refuse)?;
    let mut parameters = Vec::with_capacity(members.len());
    for (name, json) in members.iter().filter(|(name, _)| !name.contains('@')) {
        let declared = action.parameters.iter().find(|it| it.name == *name);
        let column = declared.and_then(Column::of_parameter).ok_or_else(|| {
            refuse(format!(
                "The parameter '{name}' in the request payload is not a valid parameter for the \
                 operation '{}'.",
                action.unique_name
            ))
        })?;
        let value = Some(values::typed(table, &column, json)?);
        parameters.push((json, pb::FieldValue { field: name.clone(), value }));
    }
    let given =
        |name: &str| parameters.iter().any(|(json, it)| it.field == name && **json != Json::Null);
    match action.parameters.iter().find(|it| it.required && !given(&it.name)) {
        Some(missing) => Err(refuse(format!(
            "The parameter '{}' of the operation '{}' is required.",
            missing.name, action.unique_name
        ))),
        None => Ok(parameters.into_iter().map(|(_, it)| it).collect()),
    }
}

/// Clients send no body where an action takes nothing.
fn members(body: &[u8]) -> Result<Object, String> {
    if body.trim_ascii().is_empty() {
        return Ok(Object::new());
    }
    match Json::parse(body).map_err(|error| error.to_string())? {
        Json::Object(members) => Ok(members),
        other => Err(format!("The body is {}, and not an object.", other.kind())),
    }
}
