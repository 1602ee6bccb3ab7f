//! A row that is made.

use std::collections::{HashMap, HashSet};

use proto::query::v1 as pb;
use uuid::Uuid;

use super::entity::Entity;
use super::given::{Cell, Given, Purpose};
use super::order::order;
use super::references::{self, veiled};
use super::{Session, Written, rules, statement};
use crate::binding::{Casing, Column, Identity};
use crate::error::Error;
use crate::ids;
use crate::names::Ident;
use crate::plan::{Argument, Arguments, RowParts, row_parts};

/// Values of columns that are known so far, by which sources are linked.
pub(super) type Links = HashMap<Column, Cell>;

/// Makes a row, with the GUID if one was chosen.
pub(super) async fn create(
    session: &mut Session<'_>,
    entity: &Entity,
    record_id: Option<Uuid>,
    values: &[pb::FieldValue],
) -> Result<Written, Error> {
    let (cells, sources) = checked(session, entity, record_id, values)?;
    let veiled = veiled(session, entity, values);
    let written = if entity.is_one_table() && !entity.is_judged_later() && veiled.is_empty() {
        let cells: Vec<&Cell> = cells.iter().collect();
        let mut parts = row_parts(&entity.grant, None)?;
        let arguments = std::mem::take(&mut parts.arguments);
        let outcome = statement::outcome(&parts);
        let row = statement::insert(session, entity, 0, &cells, (arguments, &outcome)).await?;
        let row = row.ok_or_else(|| dropped(entity))?;
        statement::written(session, entity, &row, 0)?
    } else {
        let unseen = references::unseen(session, entity, values, &veiled).await?;
        let mut links = links_of(&cells);
        let made = insert_all(session, entity, (&cells, &sources), &mut links).await;
        let written = made.map_err(|error| references::discreet(error, unseen.as_deref()))?;
        references::check(session, entity, &links, &veiled).await?;
        written
    };
    match record_id {
        Some(id) if id != written.record_id => Err(Error::Refused {
            column: None,
            message: "the record id is not the one that the row's key gives".to_owned(),
        }),
        _ => Ok(written),
    }
}

/// What is to be written, and to which sources: with its defaults, and as the model and its rules allow.
pub(super) fn checked(
    session: &Session<'_>,
    entity: &Entity,
    record_id: Option<Uuid>,
    values: &[pb::FieldValue],
) -> Result<(Vec<Cell>, HashSet<usize>), Error> {
    let offered = entity.binding.fields.iter().any(|it| it.limits.on_create);
    if !offered && !entity.grant.is_of_service() {
        return Err(Error::NotOffered(format!("making rows of `{}`", entity.name())));
    }
    let mut given = Given::of(entity, Purpose::Create, values)?;
    rules::add_defaults(session, entity, &mut given)?;
    given.check_company(entity, session.caller)?;
    let mut cells = given.cells(entity)?;
    if let Some(id) = record_id
        && let Some(identity) = identity(entity, id)?
    {
        put(entity, &mut cells, identity)?;
    }
    let sources = sources(entity, &cells);
    given.check_complete(entity, |it| sources.contains(&it))?;
    rules::check(session, entity, &given, None)?;
    Ok((cells, sources))
}

/// Inserts the rows of the sources, one after the other; what became of them.
async fn insert_all(
    session: &mut Session<'_>,
    entity: &Entity,
    (cells, sources): (&[Cell], &HashSet<usize>),
    links: &mut Links,
) -> Result<Written, Error> {
    for source in order(entity).into_iter().filter(|it| sources.contains(it)) {
        insert(session, entity, source, cells, links).await?;
    }
    read_back(session, entity, links).await
}

/// Whether a row may be made with a GUID that was chosen; otherwise the database gives it one.
pub(super) fn takes_record_id(entity: &Entity) -> Result<bool, Error> {
    let is_integer = match &entity.binding.identity {
        Identity::Uuid { .. } => false,
        Identity::Integer { .. } => true,
        Identity::Hash { .. } => return Ok(true),
    };
    let Some(name) = entity.binding.identity_columns.first() else { return Ok(true) };
    let (_, table) = entity.source(0)?;
    let column = statement::known(entity, table.column(name), name)?;
    let is_given = column.is_generated || (is_integer && column.has_default);
    Ok(!is_given)
}

/// What the chosen GUID puts into the row.
fn identity(entity: &Entity, id: Uuid) -> Result<Option<Cell>, Error> {
    let refused = |message: &str| Error::Refused { column: None, message: message.to_owned() };
    let value = match &entity.binding.identity {
        Identity::Uuid { .. } => Argument::Guid(id),
        Identity::Integer { .. } => {
            let number = ids::decode_record_guid(entity.binding.entity_id, id);
            Argument::Int(number.ok_or_else(|| {
                refused("the record id is none of this entity, which gives them out itself")
            })?)
        }
        // Checked when the row is there: the GUID is made of its key.
        Identity::Hash { .. } => return Ok(None),
    };
    let Some(name) = entity.binding.identity_columns.first() else { return Ok(None) };
    if !takes_record_id(entity)? {
        return Err(refused("the record id cannot be chosen: its side gives record ids out"));
    }
    let column = Column { source: 0, name: name.clone() };
    Ok(Some(Cell { column, value: Some(value), casing: Casing::Any, is_default: false }))
}

/// Puts the chosen identity among the values, of which one may have been given for the same column.
fn put(entity: &Entity, cells: &mut Vec<Cell>, identity: Cell) -> Result<(), Error> {
    let known = cells.iter_mut().find(|it| it.column == identity.column);
    match known {
        None => cells.push(identity),
        Some(known) if known.is_default => *known = identity,
        Some(known) if known.value == identity.value => {}
        Some(_) => {
            let field = entity.field_of(0, &identity.column.name);
            return Err(Error::Refused {
                column: field.map(|it| it.name.clone()),
                message: "the record id is not the one that the row's key gives".to_owned(),
            });
        }
    }
    Ok(())
}

/// The sources that get a row.
fn sources(entity: &Entity, cells: &[Cell]) -> HashSet<usize> {
    let is_given = |source: usize| {
        let within = |it: &&Cell| it.column.source == source && !it.is_default;
        cells.iter().filter(within).any(|it| it.value.is_some())
    };
    (0..entity.tables.len())
        .filter(|&it| entity.writes(it) && (!entity.is_optional(it) || is_given(it)))
        .collect()
}

/// Values that are known because they were given.
pub(super) fn links_of(cells: &[Cell]) -> Links {
    let known = cells.iter().filter(|it| it.value.is_some());
    known.map(|it| (it.column.clone(), it.clone())).collect()
}

/// Inserts the row of one source, with what other sources give it; keeps what it gives them.
pub(super) async fn insert(
    session: &mut Session<'_>,
    entity: &Entity,
    source: usize,
    cells: &[Cell],
    links: &mut Links,
) -> Result<(), Error> {
    let own: Vec<&Cell> = cells.iter().filter(|it| it.column.source == source).collect();
    let mut fed: Vec<Cell> = Vec::new();
    for (name, other) in entity.links(source) {
        let is_there = own.iter().any(|it| it.column.name == name && it.value.is_some())
            || fed.iter().any(|it| it.column.name == name);
        if let (false, Some(cell)) = (is_there, links.get(&other)) {
            let column = Column { source, name: name.to_owned() };
            fed.push(Cell { column, ..cell.clone() });
        }
    }
    let is_fed = |it: &Cell| fed.iter().any(|fed| fed.column == it.column);
    let mut all: Vec<&Cell> = own.into_iter().filter(|it| !is_fed(it)).collect();
    all.extend(&fed);
    let returning = returning(entity, source)?;
    let statement = (Arguments::default(), returning.as_str());
    let row = statement::insert(session, entity, source, &all, statement).await?;
    keep(entity, source, &row.ok_or_else(|| dropped(entity))?, links)
}

/// The columns of a source that tie the entity's row together, as text.
pub(super) fn returning(entity: &Entity, source: usize) -> Result<String, Error> {
    let (table, _) = entity.source(source)?;
    let columns = entity.link_columns(source);
    let columns: Vec<String> =
        columns.iter().map(|it| format!("{}.{}::text", table.alias, Ident(it))).collect();
    Ok(if columns.is_empty() { "true".to_owned() } else { columns.join(", ") })
}

/// Remembers what [`returning`] returned.
pub(super) fn keep(
    entity: &Entity,
    source: usize,
    row: &sqlx::postgres::PgRow,
    links: &mut Links,
) -> Result<(), Error> {
    keep_from(entity, source, row, 0, links)
}

/// The same, of columns that begin at `first`.
pub(super) fn keep_from(
    entity: &Entity,
    source: usize,
    row: &sqlx::postgres::PgRow,
    first: usize,
    links: &mut Links,
) -> Result<(), Error> {
    for (at, name) in entity.link_columns(source).into_iter().enumerate() {
        let column = Column { source, name: name.to_owned() };
        match statement::text(row, first + at)? {
            Some(text) => {
                let value = Some(Argument::Text(text));
                let cell = Cell { column, value, casing: Casing::Any, is_default: false };
                links.insert(cell.column.clone(), cell);
            }
            None => {
                links.remove(&column);
            }
        }
    }
    Ok(())
}

/// The root's row, by its identity.
pub(super) fn root_is(
    entity: &Entity,
    links: &Links,
    arguments: &mut Arguments,
) -> Result<String, Error> {
    let columns = entity.binding.identity_columns.iter();
    let columns: Vec<(&str, Column)> =
        columns.map(|it| (it.as_str(), Column { source: 0, name: it.clone() })).collect();
    equal(entity, 0, &columns, links, arguments)
}

/// The row of a source, by values of columns that its own columns equal.
pub(super) fn equal(
    entity: &Entity,
    source: usize,
    columns: &[(&str, Column)],
    links: &Links,
    arguments: &mut Arguments,
) -> Result<String, Error> {
    let (table, facts) = entity.source(source)?;
    let mut conditions = Vec::with_capacity(columns.len());
    for (name, known) in columns {
        let column = statement::known(entity, facts.column(name), name)?;
        // A row that is tied by nothing is not there; what else is alike must not be taken for it.
        let Some(cell) = links.get(known) else { return Ok("false".to_owned()) };
        let value = cell.sql(column, arguments);
        conditions.push(format!("{}.{} = {value}", table.alias, Ident(name)));
    }
    Ok(if conditions.is_empty() { "false".to_owned() } else { conditions.join(" AND ") })
}

/// The row as it now is, across all of its tables.
pub(super) async fn read_back(
    session: &mut Session<'_>,
    entity: &Entity,
    links: &Links,
) -> Result<Written, Error> {
    let parts = row_parts(&entity.grant, None)?;
    let outcome = statement::outcome(&parts);
    let RowParts { mut arguments, from, .. } = parts;
    let condition = root_is(entity, links, &mut arguments)?;
    let sql = format!("SELECT {outcome} FROM {from} WHERE {condition} LIMIT 1");
    let row = statement::fetch(session.connection, &sql, arguments).await;
    let row = row.map_err(|error| Error::of(entity.name(), error))?;
    let row = row.ok_or_else(|| Error::Refused {
        column: None,
        message: format!(
            "the row would be none of `{}`: what it refers to is not there",
            entity.name()
        ),
    })?;
    statement::written(session, entity, &row, 0)
}

/// A trigger let nothing happen.
pub(super) fn dropped(entity: &Entity) -> Error {
    let message =
        format!("the ERP's own rules did not let the row of `{}` be written", entity.name());
    Error::BusinessRule { column: None, message }
}
