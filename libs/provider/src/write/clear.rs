//! A part of a row that is given up: where all that is kept of it is emptied, its row goes.

use super::create::{keep, returning};
use super::delete::{depends, is_referred_to, release, take};
use super::entity::Entity;
use super::given::{Cell, refused};
use super::order::order;
use super::update::{Locked, own_row};
use super::{Session, statement};
use crate::binding::{Casing, Column, Field, Kind};
use crate::error::Error;
use crate::plan::{Argument, Arguments};

/// Gives up the row of an optional source that cannot be without what is to be emptied; refuses it
/// where something of it is left. Whether the row is given up.
pub(super) async fn clear(
    session: &mut Session<'_>,
    entity: &Entity,
    source: usize,
    own: &[&Cell],
    locked: &mut Locked,
) -> Result<bool, Error> {
    let (_, facts) = entity.source(source)?;
    let is_fixed = |it: &&&Cell| {
        it.value.is_none() && facts.column(&it.column.name).is_some_and(|it| it.not_null)
    };
    let fixed = own.iter().find(is_fixed).filter(|_| entity.is_optional(source));
    let Some(field) = fixed.and_then(|it| entity.field_of(source, &it.column.name)) else {
        return Ok(false);
    };
    let is_emptied = own.iter().all(|cell| match (&cell.value, &cell.column) {
        (None, _) => true,
        (Some(Argument::Text(text)), column) => entity
            .field_of(source, &column.name)
            .is_some_and(|field| is_no_date(entity, field, text)),
        _ => false,
    });
    if !is_emptied || has_more(session, entity, source, own, locked).await? {
        return Err(refused(field, "may not be empty while other fields of the same part are not"));
    }
    let referring = referring(entity, source)?;
    if referring.is_empty() && !depends(entity, source)? {
        return Err(refused(field, "may not be empty"));
    }
    for column in &referring {
        let cell =
            Cell { column: column.clone(), value: None, casing: Casing::Any, is_default: false };
        let mut arguments = Arguments::default();
        let condition = own_row(entity, column.source, &locked.links, &mut arguments)?;
        let returning = returning(entity, column.source)?;
        let changing = (arguments, condition.as_str(), returning.as_str());
        let row = statement::update(session, entity, column.source, &[&cell], changing).await?;
        keep(entity, column.source, &row.ok_or(Error::Conflict)?, &mut locked.links)?;
    }
    if referring.is_empty() {
        take(session, entity, source, locked).await?;
    } else if is_referred_to(entity, source)? {
        release(session, entity, &[source], locked).await?;
    }
    locked.links.retain(|column, _| column.source != source);
    if let Some(present) = locked.present.get_mut(source) {
        *present = false;
    }
    Ok(true)
}

/// Whether the source's row has a value in a field that may be written and is not among the cells.
async fn has_more(
    session: &mut Session<'_>,
    entity: &Entity,
    source: usize,
    own: &[&Cell],
    locked: &Locked,
) -> Result<bool, Error> {
    let (table, _) = entity.source(source)?;
    let links = entity.link_columns(source);
    let others = entity.binding.fields.iter().filter(|field| {
        let is_other = |it: &Column| {
            it.source == source
                && !links.contains(&it.name.as_str())
                && !own.iter().any(|cell| cell.column == *it)
        };
        let may = field.limits.on_create || field.limits.on_update;
        may && field.column.as_ref().is_some_and(is_other)
    });
    let others: Vec<&Field> = others.collect();
    let columns: Vec<String> = others.iter().map(|it| format!(", ({})::text", it.sql)).collect();
    let mut arguments = Arguments::default();
    let condition = own_row(entity, source, &locked.links, &mut arguments)?;
    let (name, alias, columns) = (&table.table, &table.alias, columns.concat());
    let sql = format!("SELECT ''{columns} FROM {name} AS {alias} WHERE {condition} FOR UPDATE");
    let row = statement::fetch(session.connection, &sql, arguments).await;
    let row = row.map_err(|error| Error::of(entity.name(), error))?.ok_or(Error::Conflict)?;
    for (at, field) in others.iter().enumerate() {
        if statement::text(&row, at + 1)?.is_some_and(|it| !is_no_date(entity, field, &it)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The date that stands for none.
fn is_no_date(entity: &Entity, field: &Field, text: &str) -> bool {
    let is_dated = matches!(field.kind, Kind::Date | Kind::DateTime { .. });
    let none = entity.binding.null_date.filter(|_| is_dated);
    none.is_some_and(|it| text.starts_with(&it.to_string()))
}

/// Columns of other sources that refer to the source's row, and may refer to none.
fn referring(entity: &Entity, source: usize) -> Result<Vec<Column>, Error> {
    let order = order(entity);
    let place = |source| order.iter().position(|it| *it == source);
    let (table, _) = entity.source(source)?;
    let mut columns = Vec::new();
    for (_, other) in table.join.iter().flat_map(|it| &it.pairs) {
        let (_, facts) = entity.source(other.source)?;
        let is_key =
            entity.binding.key_fields().any(|it| it.column.as_ref().is_some_and(|it| it == other));
        let may_be_null = facts.column(&other.name).is_some_and(|it| !it.not_null);
        if place(source) < place(other.source) && may_be_null && !is_key {
            columns.push(other.clone());
        }
    }
    Ok(columns)
}
