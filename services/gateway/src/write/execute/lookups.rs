//! Lookups: the row that one is to lead to, as values of the columns that lead there.

use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as External;
use proto::query::v1::value::Kind;
use proto::query::v1::{RequiredLevel, SystemColumn};

use super::super::change_set::{Assignment, RowRef, Step, StepAction};
use super::run::Run;
use super::{Refusal, values};
use crate::error::GatewayError;
use crate::metadata::{Navigation, Table};
use crate::translate::{RowKey, guid, value};

type Target = (Arc<Table>, RowRef);

/// The lookups that an action assigns.
pub(super) fn of(action: &StepAction) -> impl Iterator<Item = (&str, Option<&Target>)> {
    assignments(action).iter().filter_map(|it| match it {
        Assignment::Lookup { navigation, target } => Some((navigation.as_str(), target.as_ref())),
        Assignment::Field(_) => None,
    })
}

/// The field that holds the target's GUID, where that is all there is to it: the store itself then
/// knows whether there is such a row.
pub(super) fn direct<'t>(
    table: &'t Table,
    navigation: &str,
    (target, row): &Target,
) -> Option<&'t str> {
    let by_id = matches!(row, RowRef::Key(RowKey::Id(_)) | RowRef::Step(_));
    match table.navigation(navigation)?.pairs.as_slice() {
        [(own, theirs)] if by_id && target.source == table.source && is_record_id(theirs) => {
            field(own)
        }
        _ => None,
    }
}

/// All that a step assigns, in fields. `row` is the row that it changes.
pub(super) async fn values(
    run: &mut Run<'_>,
    at: usize,
    step: &Step,
    row: Option<&RowKey>,
) -> Result<Vec<pb::FieldValue>, Refusal> {
    let plain = assignments(&step.action).iter().filter_map(|it| match it {
        Assignment::Field(it) => Some(it.clone()),
        Assignment::Lookup { .. } => None,
    });
    let mut fields = Fields { at, table: &step.table, given: plain.collect() };
    for (name, target) in of(&step.action) {
        let navigation = step.table.navigation(name).filter(|it| !it.is_collection);
        let navigation = navigation
            .ok_or_else(|| Refusal::new(at, GatewayError::UnknownSegment(name.to_owned())))?;
        match target {
            None => fields.clear(navigation)?,
            Some(target) => lead(run, &mut fields, (step, row), navigation, target).await?,
        }
    }
    Ok(fields.given)
}

/// Refused unless the row leads to the other one. Answers the version of the one that holds what leads
/// there, where it has one.
pub(super) async fn require_related(
    run: &mut Run<'_>,
    at: usize,
    (table, row): (&Table, &RowKey),
    name: &str,
    other: &RowKey,
) -> Result<Option<String>, Refusal> {
    let unknown = || Refusal::new(at, GatewayError::UnknownSegment(name.to_owned()));
    let navigation = table.navigation(name).ok_or_else(unknown)?;
    let target = Arc::clone(run.context.snapshot.by_name(&navigation.target).ok_or_else(unknown)?);
    let version = pb::ColumnRef {
        column: Some(External::System(SystemColumn::RowVersion.into())),
        ..Default::default()
    };
    let (mut own, mut theirs): (Vec<_>, Vec<_>) =
        navigation.pairs.iter().map(|(own, theirs)| (own, theirs)).unzip();
    let holder = if navigation.is_collection { &mut theirs } else { &mut own };
    holder.push(&version);
    let mut own = run.read_anew(at, (table, row), &own).await?;
    let mut theirs = run.read_anew(at, (&target, other), &theirs).await?;
    let holder = if navigation.is_collection { &mut theirs } else { &mut own };
    let version = holder.pop().flatten().map(|it| values::text(&it));
    let related = own.iter().zip(&theirs).all(|pair| match pair {
        (Some(own), Some(theirs)) => values::equal(own, theirs, navigation.exact),
        _ => false,
    });
    match related && !own.is_empty() {
        // Of what has no version, the tag is empty.
        true => Ok(version.filter(|it| it.len() > "W/\"\"".len())),
        false => Err(Refusal::new(at, other.not_found(&target))),
    }
}

async fn lead(
    run: &mut Run<'_>,
    fields: &mut Fields<'_>,
    (step, row): (&Step, Option<&RowKey>),
    navigation: &Navigation,
    target: &Target,
) -> Result<(), Refusal> {
    let at = fields.at;
    let (table, target_row) = target;
    let key = run.key(at, target_row).await?;
    if let (Some(field), RowKey::Id(id)) = (direct(&step.table, &navigation.name, target), &key) {
        return fields.give(navigation, field, guid(*id));
    }
    let columns: Vec<_> = navigation.pairs.iter().map(|(_, theirs)| theirs).collect();
    let found = run.read(at, (table, &key), &columns).await?;
    for ((own, _), found) in navigation.pairs.iter().zip(found) {
        let own = field(own).ok_or_else(|| fields.refuse(not_written(navigation)))?;
        let found = found.ok_or_else(|| {
            let name = &table.logical_name;
            fields.refuse(format!(
                "The row of '{name}' lacks a value that '{}' needs.",
                navigation.name
            ))
        })?;
        match fields.company() == Some(own) {
            true => match company_of(run, fields, (step, row), own).await? {
                Some(company) => fields.require_company(&company, &found)?,
                None => fields.give(navigation, own, found)?,
            },
            false => fields.give(navigation, own, found)?,
        }
    }
    Ok(())
}

/// The company of the row that is written, where it has one already.
async fn company_of(
    run: &mut Run<'_>,
    fields: &Fields<'_>,
    (step, row): (&Step, Option<&RowKey>),
    field: &str,
) -> Result<Option<pb::Value>, Refusal> {
    let key = match &step.action {
        StepAction::Upsert { key, .. } => Some(key),
        _ => row,
    };
    match key {
        Some(RowKey::Alternate(values)) if values.iter().any(|it| it.field == field) => {
            let value = values.iter().find(|it| it.field == field);
            Ok(value.and_then(|it| it.value.clone()))
        }
        Some(key) if matches!(step.action, StepAction::Update { .. }) => {
            let column = pb::ColumnRef {
                column: Some(External::Field(field.to_owned())),
                ..Default::default()
            };
            let mut found = run.read(fields.at, (&step.table, key), &[&column]).await?;
            Ok(found.pop().flatten())
        }
        _ => Ok(None),
    }
}

/// What a step gives to the fields of its table.
struct Fields<'t> {
    at: usize,
    table: &'t Table,
    given: Vec<pb::FieldValue>,
}

impl<'t> Fields<'t> {
    /// The field that says whose row it is.
    fn company(&self) -> Option<&'t str> {
        let lookup = self.table.columns.iter().find(|it| it.is(SystemColumn::CompanyId))?;
        self.table.company_code(lookup)?.field()
    }

    fn give(
        &mut self,
        navigation: &Navigation,
        field: &str,
        value: pb::Value,
    ) -> Result<(), Refusal> {
        let before = self.given.iter().find(|it| it.field == field).and_then(|it| it.value.clone());
        match before {
            Some(before) if self.company() == Some(field) => self.require_company(&before, &value),
            Some(before) if values::equal(&before, &value, navigation.exact) => Ok(()),
            Some(_) => {
                let name = &navigation.name;
                let message = format!(
                    "'{name}' is to lead to a row, and another value of the request elsewhere."
                );
                Err(self.refuse(message))
            }
            None => {
                self.given.push(pb::FieldValue { field: field.to_owned(), value: Some(value) });
                Ok(())
            }
        }
    }

    fn require_company(&self, own: &pb::Value, target: &pb::Value) -> Result<(), Refusal> {
        if values::equal(own, target, false) {
            return Ok(());
        }
        let (own, target) = (values::text(own), values::text(target));
        let table = &self.table.logical_name;
        Err(self.refuse(format!(
            "A row of '{table}' in the company '{own}' cannot lead to a row of the company '{target}'."
        )))
    }

    /// Rows lead nowhere once one of the fields that lead there is null. Those that say which row it is,
    /// and whose, stay.
    fn clear(&mut self, navigation: &Navigation) -> Result<(), Refusal> {
        let mut cleared = 0;
        for (own, _) in &navigation.pairs {
            let own = field(own).ok_or_else(|| self.refuse(not_written(navigation)))?;
            if self.company() == Some(own) || self.stays(own) {
                continue;
            }
            cleared += 1;
            self.give(navigation, own, value(Kind::NullValue(pb::NullMarker {})))?;
        }
        match cleared {
            0 => Err(self.refuse(format!("'{}' has to lead to a row.", navigation.name))),
            _ => Ok(()),
        }
    }

    fn stays(&self, field: &str) -> bool {
        let Some(column) = self.table.columns.iter().find(|it| it.field() == Some(field)) else {
            return false;
        };
        let name = &column.logical_name;
        let definitions = &self.table.definition.columns;
        let definition = definitions.iter().find(|it| it.logical_name == *name);
        let required = definition.is_some_and(|it| {
            matches!(
                it.required_level(),
                RequiredLevel::ApplicationRequired | RequiredLevel::SystemRequired
            )
        });
        required || self.table.alternate_keys.iter().any(|it| it.contains(name))
    }

    fn refuse(&self, message: String) -> Refusal {
        Refusal::new(self.at, GatewayError::InvalidValue(message))
    }
}

fn assignments(action: &StepAction) -> &[Assignment] {
    match action {
        StepAction::Create { values, .. }
        | StepAction::Update { values, .. }
        | StepAction::Upsert { values, .. } => values,
        StepAction::Delete { .. }
        | StepAction::Perform { .. }
        | StepAction::RequireRelated { .. } => &[],
    }
}

fn field(column: &pb::ColumnRef) -> Option<&str> {
    match &column.column {
        Some(External::Field(name)) => Some(name),
        Some(External::System(_) | External::Relation(_)) | None => None,
    }
}

fn is_record_id(column: &pb::ColumnRef) -> bool {
    matches!(column.column, Some(External::System(it)) if it == SystemColumn::RecordId as i32)
}

fn not_written(navigation: &Navigation) -> String {
    format!("'{}' follows from what the row is, and cannot be set.", navigation.name)
}
