//! Operations of messages as a change set.

use std::sync::Arc;

use proto::gateway::v1 as pb;
use proto::gateway::v1::transaction_operation::Operation;
use proto::query::v1 as query;
use proto::query::v1::AttributeType as Type;
use proto::query::v1::value::Kind;
use uuid::Uuid;

use super::convert;
use crate::error::GatewayError;
use crate::metadata::{ColumnKind, Snapshot, Table};
use crate::translate::{Fit, RowKey, fit, literal_of, value};
use crate::write::{Assignment, ChangeSet, Failed, RowRef, Step, StepAction};

/// One step for each operation.
pub(super) fn of(snapshot: &Snapshot, operations: &[Operation]) -> Result<ChangeSet, Failed> {
    let mut steps: Vec<Step> = Vec::with_capacity(operations.len());
    for (at, operation) in operations.iter().enumerate() {
        let step = step(snapshot, &steps, operation);
        steps.push(step.map_err(|error| Failed { step: Some(at), error })?);
    }
    Ok(ChangeSet { steps })
}

fn step(snapshot: &Snapshot, before: &[Step], operation: &Operation) -> Result<Step, GatewayError> {
    let (table, action) = match operation {
        Operation::Create(it) => {
            let table = table(snapshot, &it.table)?;
            let values = assignments(snapshot, before, table, &it.values)?;
            let id = (!it.id.is_empty()).then(|| guid(&it.id)).transpose()?;
            (table, StepAction::Create { id, values })
        }
        Operation::Update(it) => {
            let table = table(snapshot, &it.table)?;
            let row = RowRef::Key(convert::key(table, it.key.as_ref())?);
            let values = assignments(snapshot, before, table, &it.values)?;
            (table, StepAction::Update { row, values, etag: etag(&it.etag) })
        }
        Operation::Upsert(it) => {
            let table = table(snapshot, &it.table)?;
            let key = convert::key(table, it.key.as_ref())?;
            let values = assignments(snapshot, before, table, &it.values)?;
            (table, StepAction::Upsert { key, values, create_only: false })
        }
        Operation::Delete(it) => {
            let table = table(snapshot, &it.table)?;
            let row = RowRef::Key(convert::key(table, it.key.as_ref())?);
            (table, StepAction::Delete { row, etag: etag(&it.etag) })
        }
        Operation::PerformAction(it) => perform(snapshot, it)?,
    };
    Ok(Step { table: Arc::clone(table), action })
}

fn perform<'s>(
    snapshot: &'s Snapshot,
    request: &pb::PerformActionRequest,
) -> Result<(&'s Arc<Table>, StepAction), GatewayError> {
    let found = snapshot.tables.iter().find_map(|table| {
        let mut actions = table.definition.actions.iter();
        Some((table, actions.find(|it| it.unique_name == request.action)?))
    });
    let (table, definition) =
        found.ok_or_else(|| GatewayError::UnknownSegment(request.action.clone()))?;
    let bound = definition.target() == query::ActionTarget::Entity;
    let row = match (bound, request.id.is_empty()) {
        (true, false) => Some(RowRef::Key(RowKey::Id(guid(&request.id)?))),
        (false, true) => None,
        (true, true) => return Err(invalid(format!("'{}' runs on a row.", request.action))),
        (false, false) => return Err(invalid(format!("'{}' runs on no row.", request.action))),
    };
    let parameters = request.parameters.iter().map(|it| parameter(definition, it));
    let parameters = parameters.collect::<Result<_, _>>()?;
    let action = definition.external_name.clone();
    Ok((table, StepAction::Perform { action, row, parameters }))
}

fn parameter(
    action: &query::ActionDefinition,
    given: &pb::ColumnValue,
) -> Result<query::FieldValue, GatewayError> {
    let name = &given.column;
    let definition = action.parameters.iter().find(|it| it.name == *name);
    let definition = definition
        .ok_or_else(|| invalid(format!("'{}' has no parameter '{name}'.", action.unique_name)))?;
    let kind = given.value.as_ref().and_then(|it| it.kind.as_ref());
    let fits = match (definition.r#type(), kind) {
        (_, Some(Kind::NullValue(_))) => !definition.required,
        (Type::String | Type::Memo, Some(Kind::StringValue(_)))
        | (Type::Integer | Type::BigInt | Type::Picklist, Some(Kind::Int64Value(_)))
        | (Type::Decimal, Some(Kind::Int64Value(_) | Kind::DecimalValue(_)))
        | (Type::Double, Some(Kind::Int64Value(_) | Kind::DoubleValue(_)))
        | (Type::Boolean, Some(Kind::BoolValue(_)))
        | (Type::DateTime, Some(Kind::TimestampMicrosValue(_)))
        | (Type::Date, Some(Kind::DateValue(_)))
        | (Type::Uniqueidentifier | Type::Lookup, Some(Kind::GuidValue(_))) => true,
        _ => false,
    };
    match fits && given.row_of_operation == 0 {
        true => Ok(query::FieldValue { field: name.clone(), value: given.value.clone() }),
        false => Err(no_value(name)),
    }
}

fn assignments(
    snapshot: &Snapshot,
    before: &[Step],
    table: &Table,
    values: &[pb::ColumnValue],
) -> Result<Vec<Assignment>, GatewayError> {
    let mut named = std::collections::HashSet::with_capacity(values.len());
    let mut assignments = Vec::with_capacity(values.len());
    for given in values {
        if !named.insert(given.column.as_str()) {
            return Err(invalid(format!("'{}' is given twice.", given.column)));
        }
        assignments.push(assignment(snapshot, before, table, given)?);
    }
    Ok(assignments)
}

fn assignment(
    snapshot: &Snapshot,
    before: &[Step],
    table: &Table,
    given: &pb::ColumnValue,
) -> Result<Assignment, GatewayError> {
    let name = &given.column;
    let column = table.by_name(name).ok_or_else(|| GatewayError::unknown_column(table, name))?;
    let kind = given.value.as_ref().and_then(|it| it.kind.as_ref());
    if let ColumnKind::Lookup { target, navigation } = &column.kind {
        let target = target_of(snapshot, before, target, given)?;
        return Ok(Assignment::Lookup { navigation: navigation.clone(), target });
    }
    let field = column.field().filter(|_| given.row_of_operation == 0);
    let field = field.ok_or_else(|| invalid(format!("'{name}' cannot be given such a value.")))?;
    let value = match kind {
        Some(Kind::NullValue(_)) => value(Kind::NullValue(query::NullMarker {})),
        _ => {
            let literal = given.value.as_ref().and_then(literal_of);
            match fit(column, &literal.ok_or_else(|| no_value(name))?) {
                Ok(Fit::Value(value)) => value,
                Ok(Fit::Within(_) | Fit::Never) | Err(_) => return Err(no_value(name)),
            }
        }
    };
    Ok(Assignment::Field(query::FieldValue { field: field.to_owned(), value: Some(value) }))
}

/// The row that a lookup is to lead to: none, one that is there, or one of an operation before.
fn target_of(
    snapshot: &Snapshot,
    before: &[Step],
    target: &str,
    given: &pb::ColumnValue,
) -> Result<Option<(Arc<Table>, RowRef)>, GatewayError> {
    let name = &given.column;
    let table = Arc::clone(table(snapshot, target)?);
    let kind = given.value.as_ref().and_then(|it| it.kind.as_ref());
    let id = match (kind, given.row_of_operation) {
        (None, number) if number != 0 => {
            let at = usize::try_from(number).ok().and_then(|it| it.checked_sub(1));
            let step = at.and_then(|at| Some((at, before.get(at)?)));
            let step = step.filter(|(_, it)| it.table.logical_name == target);
            let (at, _) = step.ok_or_else(|| {
                invalid(format!("'{name}' names no row of '{target}' of an operation before."))
            })?;
            return Ok(Some((table, RowRef::Step(at))));
        }
        (Some(Kind::NullValue(_)), 0) => return Ok(None),
        (Some(Kind::GuidValue(bytes)), 0) => Uuid::from_slice(bytes).ok(),
        (Some(Kind::StringValue(text)), 0) => text.parse().ok(),
        _ => None,
    };
    let id = id.ok_or_else(|| no_value(name))?;
    Ok(Some((table, RowRef::Key(RowKey::Id(id)))))
}

fn table<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s Arc<Table>, GatewayError> {
    snapshot.by_name(name).ok_or_else(|| GatewayError::UnknownTable(name.to_owned()))
}

fn guid(text: &str) -> Result<Uuid, GatewayError> {
    text.parse().map_err(|_| invalid(format!("'{text}' is not a GUID.")))
}

fn etag(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn no_value(column: &str) -> GatewayError {
    invalid(format!("The value given for '{column}' does not fit it."))
}

fn invalid(message: String) -> GatewayError {
    GatewayError::InvalidValue(message)
}
