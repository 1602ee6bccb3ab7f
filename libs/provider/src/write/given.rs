//! What a request gives, taken apart and checked against the model and the database's own limits.

use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;

use rpc::Caller;

use super::digits::Digits;
use super::entity::Entity;
use super::statement::{casing, known};
use super::table::TableColumn;
use crate::authority::Privilege;
use crate::binding::{Casing, Column, Field, Kind};
use crate::error::Error;
use crate::plan::{self, Argument};

/// Values of fields, by index.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    pub(super) values: Vec<GivenValue>,
}

#[derive(Clone, Debug)]
pub(super) struct GivenValue {
    pub(super) field: usize,
    pub(super) value: pb::Value,
    /// Nobody gave it: the model's default.
    pub(super) is_default: bool,
}

/// A value for a column.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) column: Column,
    /// `None` for null.
    pub(super) value: Option<Argument>,
    pub(super) casing: Casing,
    pub(super) is_default: bool,
}

/// What the values are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Create,
    Update,
}

// === impl Given ===

impl Given {
    /// The values of a request, which may be given for this purpose.
    pub(super) fn of(
        entity: &Entity,
        purpose: Purpose,
        values: &[pb::FieldValue],
    ) -> Result<Self, Error> {
        let mut given = Self::default();
        for pb::FieldValue { field: name, value } in values {
            let index = entity.binding.fields.iter().position(|it| it.name == *name);
            let found = index.and_then(|it| entity.binding.fields.get(it).map(|field| (it, field)));
            let (index, field) = found.ok_or_else(|| Error::ColumnNotFound {
                entity: entity.name().to_owned(),
                column: name.clone(),
            })?;
            if !entity.grant.writes(index) {
                let privilege = match purpose {
                    Purpose::Create => Privilege::Create,
                    Purpose::Update => Privilege::Update,
                };
                return Err(entity.grant.column_denied(name, privilege));
            }
            let may = match purpose {
                Purpose::Create => field.limits.on_create,
                Purpose::Update => field.limits.on_update,
            };
            let is_written = field.column.as_ref().is_some_and(|it| entity.writes(it.source));
            let may = may || entity.grant.is_of_service() && is_written;
            let is_generated = column(entity, field)?.is_some_and(|it| it.is_generated);
            if !may || field.column.is_none() || is_generated {
                return Err(Error::ReadOnly { column: name.clone() });
            }
            if given.get(index).is_some() {
                return Err(refused(field, "is given twice"));
            }
            let value = value.clone().ok_or(Error::Missing("value"))?;
            given.values.push(GivenValue { field: index, value, is_default: false });
        }
        Ok(given)
    }

    pub(super) fn get(&self, field: usize) -> Option<&pb::Value> {
        self.values.iter().find(|it| it.field == field).map(|it| &it.value)
    }

    /// Each value as its column takes it.
    pub(super) fn cells(&self, entity: &Entity) -> Result<Vec<Cell>, Error> {
        let fields = &entity.binding.fields;
        let cells = self.values.iter().filter_map(|it| {
            let field = fields.get(it.field)?;
            let column = field.column.clone()?;
            Some(cell(entity, it.field, field, &it.value).map(|value| Cell {
                column,
                value,
                casing: casing(&field.kind, field.casing),
                is_default: it.is_default,
            }))
        });
        cells.collect()
    }

    /// Refuses a company, or an owner, that the caller may not touch, before the database could tell what it has
    /// there. What the row became is compared when it is written.
    pub(super) fn check_company(&self, entity: &Entity, caller: &Caller) -> Result<(), Error> {
        let Some(index) = entity.grant.restricted_by() else { return Ok(()) };
        let allowed = entity.grant.allowed();
        let field = entity.grant.restricted_field();
        let is_exact = field.is_some_and(|it| it.casing == Casing::Exact);
        let same = |one: &str, other: &str| match is_exact {
            true => one == other,
            false => one.to_lowercase() == other.to_lowercase(),
        };
        match self.get(index).and_then(|it| it.kind.as_ref()) {
            Some(Value::StringValue(it)) if !allowed.iter().any(|own| same(own, it)) => {
                Err(entity.denied(caller))
            }
            Some(Value::GuidValue(it)) if !allowed.iter().any(|own| is_guid(own, it)) => {
                Err(entity.denied(caller))
            }
            _ => Ok(()),
        }
    }

    /// What must be given and is not, among the fields of the sources that are written.
    pub(super) fn check_complete(
        &self,
        entity: &Entity,
        is_written: impl Fn(usize) -> bool,
    ) -> Result<(), Error> {
        for (index, field) in entity.binding.fields.iter().enumerate() {
            let Some(place) = &field.column else { continue };
            let wanted = field.limits.mandatory && field.limits.on_create;
            if !wanted || !is_written(place.source) || self.get(index).is_some() {
                continue;
            }
            let has_default = column(entity, field)?.is_some_and(|it| it.has_default);
            let is_linked = entity.links(place.source).iter().any(|it| it.0 == place.name);
            if !has_default && !is_linked {
                return Err(refused(field, "must be given"));
            }
        }
        Ok(())
    }
}

/// A value that its field does not take.
pub(super) fn refused(field: &Field, why: impl std::fmt::Display) -> Error {
    Error::Refused { column: Some(field.name.clone()), message: format!("`{}` {why}", field.name) }
}

/// What the database says of a field's column.
fn column<'e>(entity: &'e Entity, field: &Field) -> Result<Option<&'e TableColumn>, Error> {
    let Some(place) = &field.column else { return Ok(None) };
    let (_, table) = entity.source(place.source)?;
    known(entity, table.column(&place.name), &place.name).map(Some)
}

fn cell(
    entity: &Entity,
    index: usize,
    field: &Field,
    value: &pb::Value,
) -> Result<Option<Argument>, Error> {
    let column = column(entity, field)?;
    match &value.kind {
        None | Some(Value::NullValue(_)) => {
            let is_dated = matches!(field.kind, Kind::Date | Kind::DateTime { .. });
            if let (true, Some(none)) = (is_dated, entity.binding.null_date) {
                return Ok(Some(Argument::Text(none.to_string())));
            }
            let is_optional = field.column.as_ref().is_some_and(|it| entity.is_optional(it.source));
            let not_null = column.is_some_and(|it| it.not_null) && !is_optional;
            if field.limits.mandatory || entity.binding.key.contains(&index) || not_null {
                return Err(refused(field, "may not be empty"));
            }
            return Ok(None);
        }
        Some(Value::DoubleValue(_)) => {
            return Err(refused(field, "takes exact numbers, not binary fractions"));
        }
        Some(_) => {}
    }
    let argument = plan::stored(&entity.binding, field, value)?;
    let argument = argument.ok_or_else(|| match &field.kind {
        Kind::Enum(_) => refused(field, "has no such option"),
        _ => refused(field, "has a character that cannot be stored"),
    })?;
    match (&field.kind, &argument) {
        (Kind::Text, Argument::Text(text)) => check_length(field, column, text)?,
        (Kind::Integer, Argument::Int(number)) => {
            check_width(field, column, *number)?;
            check_range(field, &number.to_string())?;
        }
        (Kind::Integer, _) => return Err(refused(field, "takes whole numbers of 64 bits")),
        (Kind::Decimal, Argument::Text(number)) => {
            check_digits(field, column, number)?;
            check_range(field, number)?;
        }
        _ => {}
    }
    Ok(Some(argument))
}

fn check_length(field: &Field, column: Option<&TableColumn>, text: &str) -> Result<(), Error> {
    let most = [field.limits.max_length, column.and_then(|it| it.length)];
    match most.into_iter().flatten().min() {
        Some(most) if text.chars().count() > most => {
            Err(refused(field, format_args!("takes {most} characters at most")))
        }
        _ => Ok(()),
    }
}

fn check_width(field: &Field, column: Option<&TableColumn>, number: i64) -> Result<(), Error> {
    let fits = match column.map(|it| it.base.as_str()) {
        Some("smallint") => i16::try_from(number).is_ok(),
        Some("integer") => i32::try_from(number).is_ok(),
        _ => true,
    };
    if fits { Ok(()) } else { Err(refused(field, "takes smaller numbers")) }
}

fn check_digits(field: &Field, column: Option<&TableColumn>, number: &str) -> Result<(), Error> {
    let digits = Digits::of(number);
    let precision = column.and_then(|it| it.precision);
    let scale = precision.and_then(|it| usize::try_from(it.1).ok());
    let most = [field.limits.scale, scale];
    if let Some(most) = most.into_iter().flatten().min()
        && digits.fraction().len() > most
    {
        return Err(refused(field, format_args!("takes {most} digits after the point at most")));
    }
    let whole = precision.map(|(precision, scale)| precision - scale);
    if let Some(most) = whole.and_then(|it| usize::try_from(it).ok())
        && digits.whole().len() > most
    {
        return Err(refused(field, format_args!("takes {most} digits before the point at most")));
    }
    Ok(())
}

fn check_range(field: &Field, number: &str) -> Result<(), Error> {
    let number = Digits::of(number);
    if let Some(min) = &field.limits.min
        && number < Digits::of(min)
    {
        return Err(refused(field, format_args!("is {min} at least")));
    }
    if let Some(max) = &field.limits.max
        && number > Digits::of(max)
    {
        return Err(refused(field, format_args!("is {max} at most")));
    }
    Ok(())
}

/// Whether the text is the GUID of these bytes.
fn is_guid(text: &str, bytes: &[u8]) -> bool {
    text.parse::<uuid::Uuid>().is_ok_and(|it| it.as_bytes() == bytes)
}
