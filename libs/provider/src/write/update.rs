//! A row that is changed.

use std::collections::HashMap;

use proto::query::v1 as pb;
use sqlx::postgres::PgRow;

use super::clear::clear;
use super::create::{self, Links, dropped, equal, insert, keep, keep_from, read_back, returning};
use super::entity::Entity;
use super::given::{Cell, Given, Purpose};
use super::order::order;
use super::references::{self, veiled};
use super::same::without_own_key;
use super::{Session, Written, rules, statement};
use crate::binding::Column;
use crate::error::Error;
use crate::plan::{self, Argument, Arguments, Guard, RowParts, row_parts};

/// What [`lock`] and [`missed`] select first: how many rows have the key.
const SOLE: Guard = Guard { column: 0, limit: 1 };
/// Behind it, what [`statement::outcome`] begins with.
const FIRST_VERSION: usize = 3;

/// A row that nobody else can change until the transaction ends.
pub(super) struct Locked {
    /// Which of its sources have a row.
    pub(super) present: Vec<bool>,
    pub(super) links: Links,
    /// Stored values of fields, as text, where rules need them.
    pub(super) fields: HashMap<usize, Option<String>>,
    etag: String,
    written: Option<Written>,
}

/// Why a row is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purposes {
    Change,
    /// The same, and the rules want to see what is stored.
    ChangeByRules,
    Delete,
}

/// Changes a row; `None` where there is none that the caller may see.
pub(super) async fn update(
    session: &mut Session<'_>,
    entity: &Entity,
    key: &pb::record_key::Key,
    values: &[pb::FieldValue],
    etag: &str,
) -> Result<Option<Written>, Error> {
    let values = without_own_key(session, entity, key, values).await?;
    let given = match Given::of(entity, Purpose::Update, &values) {
        // What is not there may still be made, with all that can only be given then.
        Err(Error::ReadOnly { .. }) if !exists(session, entity, key).await? => return Ok(None),
        given => given?,
    };
    given.check_company(entity, session.caller)?;
    let cells = given.cells(entity)?;
    let mut by_rules = entity.rules_on_update();
    let known = session.known.as_ref().and_then(|it| rules::known(&entity.binding, it));
    if let Some(known) = known.filter(|_| by_rules) {
        rules::check(session, entity, &given, Some(known))?;
        by_rules = false;
    }
    let veiled = veiled(session, entity, &values);
    let is_judged_later = by_rules || entity.is_judged_later() || !veiled.is_empty();
    if entity.is_one_table() && !is_judged_later && !cells.is_empty() {
        return at_once(session, entity, key, &cells, etag).await;
    }
    if !session.origin.is_empty()
        && etag.is_empty()
        && !is_judged_later
        && let Some(written) = in_root(session, entity, key, &cells).await?
    {
        return Ok(Some(written));
    }
    let purpose = if by_rules { Purposes::ChangeByRules } else { Purposes::Change };
    let Some(mut locked) = lock(session, entity, key, etag, purpose).await? else {
        return Ok(None);
    };
    if by_rules {
        let before = rules::stored(&entity.binding, &locked.fields);
        rules::check(session, entity, &given, Some(before))?;
    }
    if cells.is_empty() {
        return Ok(locked.written);
    }
    let unseen = references::unseen(session, entity, &values, &veiled).await?;
    let changed = change_all(session, entity, cells, &mut locked).await;
    let written = changed.map_err(|error| references::discreet(error, unseen.as_deref()))?;
    references::check(session, entity, &locked.links, &veiled).await?;
    Ok(Some(written))
}

/// Whether there is such a row that the caller may see.
pub(super) async fn exists(
    session: &mut Session<'_>,
    entity: &Entity,
    key: &pb::record_key::Key,
) -> Result<bool, Error> {
    let parts = row_parts(&entity.grant, Some(key))?;
    let predicate = parts.predicate.unwrap_or_else(|| "false".to_owned());
    let sql = format!("SELECT 1 FROM {} WHERE {predicate} LIMIT 1", parts.from);
    let row = statement::fetch(session.connection, &sql, parts.arguments).await;
    Ok(row.map_err(|error| Error::of(entity.name(), error))?.is_some())
}

/// Finds, compares and changes the row of one table in one statement.
async fn at_once(
    session: &mut Session<'_>,
    entity: &Entity,
    key: &pb::record_key::Key,
    cells: &[Cell],
    etag: &str,
) -> Result<Option<Written>, Error> {
    let mut parts = row_parts(&entity.grant, Some(key))?;
    let outcome = statement::outcome(&parts);
    let condition = unchanged(&mut parts, etag);
    let cells: Vec<&Cell> = cells.iter().collect();
    let changing = (parts.arguments, condition.as_str(), outcome.as_str());
    match statement::update(session, entity, 0, &cells, changing).await? {
        Some(row) => statement::written(session, entity, &row, 0).map(Some),
        None => missed(session, entity, key, etag).await,
    }
}

/// Changes what of a row is kept in its first table, in one statement; `None` where that is not all, or not enough to
/// find it. For what is applied: whoever applies has locked the row, and asks for no version of it.
async fn in_root(
    session: &mut Session<'_>,
    entity: &Entity,
    key: &pb::record_key::Key,
    cells: &[Cell],
) -> Result<Option<Written>, Error> {
    let pb::record_key::Key::RecordId(id) = key else { return Ok(None) };
    if cells.is_empty() || cells.iter().any(|it| it.column.source != 0) || entity.is_restricted() {
        return Ok(None);
    }
    let parts = row_parts(&entity.grant, Some(key))?;
    let (Some(predicate), None) = (&parts.predicate, &parts.alike) else { return Ok(None) };
    let cells: Vec<&Cell> = cells.iter().collect();
    let changing = (parts.arguments, predicate.as_str(), "true");
    let row = statement::update(session, entity, 0, &cells, changing).await?;
    let record_id = uuid::Uuid::from_slice(id).unwrap_or_default();
    Ok(row.map(|_| Written { record_id, etag: String::new() }))
}

/// The row's condition, with the version that it must still have. Of several with its key it is none.
pub(super) fn unchanged(parts: &mut RowParts, etag: &str) -> String {
    let predicate = parts.predicate.take().unwrap_or_else(|| "false".to_owned());
    let predicate = match parts.alike.take() {
        Some(alike) => format!("({predicate}) AND {alike} < 2"),
        None => predicate,
    };
    if etag.is_empty() {
        return predicate;
    }
    let version = match parts.versions.as_slice() {
        [] => "''".to_owned(),
        versions => format!("concat('W/\"', {}, '\"')", versions.join(", '.', ")),
    };
    let etag = parts.arguments.push(Argument::Text(etag.to_owned()));
    format!("({predicate}) AND {version} = {etag}::text")
}

/// Why a statement found no row to write.
pub(super) async fn missed<T>(
    session: &mut Session<'_>,
    entity: &Entity,
    key: &pb::record_key::Key,
    etag: &str,
) -> Result<Option<T>, Error> {
    let parts = row_parts(&entity.grant, Some(key))?;
    let predicate = parts.predicate.unwrap_or_else(|| "false".to_owned());
    let versions: Vec<String> = parts.versions.iter().map(|it| format!(", {it}")).collect();
    let versions = versions.concat();
    let alike = parts.alike.as_deref().unwrap_or("1::bigint");
    let sql = format!("SELECT {alike}{versions} FROM {} WHERE {predicate} LIMIT 1", parts.from);
    let row = statement::fetch(session.connection, &sql, parts.arguments).await;
    let Some(row) = row.map_err(|error| Error::of(entity.name(), error))? else {
        return Ok(None);
    };
    plan::check_sole(Some(SOLE), &row, &entity.binding)?;
    if !etag.is_empty() && statement::etag(&entity.binding, &row, 1)? != etag {
        return Err(Error::VersionMismatch);
    }
    Err(lost(entity))
}

/// A row that was there was not written: a trigger did not let it be, or somebody else was faster.
fn lost(entity: &Entity) -> Error {
    match entity.tables.iter().any(|it| it.has_triggers) {
        true => dropped(entity),
        false => Error::Conflict,
    }
}

/// Finds and locks a row, and compares its version.
pub(super) async fn lock(
    session: &mut Session<'_>,
    entity: &Entity,
    key: &pb::record_key::Key,
    etag: &str,
    purpose: Purposes,
) -> Result<Option<Locked>, Error> {
    let parts = row_parts(&entity.grant, Some(key))?;
    let mut columns = vec![statement::outcome(&parts)];
    for (index, source, _) in entity.sources() {
        columns.push(match source.has_version {
            true => format!("{}.ctid IS NOT NULL", source.alias),
            false => "true".to_owned(),
        });
        columns.push(returning(entity, index)?);
    }
    if purpose == Purposes::ChangeByRules {
        columns.extend(entity.binding.fields.iter().map(|it| format!("({})::text", it.sql)));
    }
    let locking: Vec<&str> = entity
        .sources()
        .filter(|(index, source, _)| {
            source.has_version && entity.writes(*index) && !entity.is_optional(*index)
        })
        .map(|(_, source, _)| source.alias.as_str())
        .collect();
    let strength = if purpose == Purposes::Delete { "UPDATE" } else { "NO KEY UPDATE" };
    let locking = match locking.as_slice() {
        [] => String::new(),
        aliases => format!(" FOR {strength} OF {}", aliases.join(", ")),
    };
    let predicate = parts.predicate.unwrap_or_else(|| "false".to_owned());
    let (columns, from) = (columns.join(", "), parts.from);
    let alike = parts.alike.as_deref().unwrap_or("1::bigint");
    let sql = format!("SELECT {alike}, {columns} FROM {from} WHERE {predicate} LIMIT 1{locking}");
    let row = statement::fetch(session.connection, &sql, parts.arguments).await;
    let Some(row) = row.map_err(|error| Error::of(entity.name(), error))? else {
        return Ok(None);
    };
    plan::check_sole(Some(SOLE), &row, &entity.binding)?;
    let locked = read(session, entity, &row, purpose)?;
    if !etag.is_empty() {
        if locked.etag != etag {
            return Err(Error::VersionMismatch);
        }
        lock_optional(session, entity, &row, &locked).await?;
    }
    Ok(Some(locked))
}

/// Takes apart what [`lock`] selects.
fn read(
    session: &Session<'_>,
    entity: &Entity,
    row: &PgRow,
    purpose: Purposes,
) -> Result<Locked, Error> {
    let written = statement::written(session, entity, row, 1)?;
    let mut at = FIRST_VERSION + versions(entity).count();
    let (mut present, mut links) = (Vec::new(), Links::new());
    for (index, ..) in entity.sources() {
        present.push(statement::boolean(row, at)? == Some(true));
        keep_from(entity, index, row, at + 1, &mut links)?;
        at += 1 + entity.link_columns(index).len().max(1);
    }
    let mut fields = HashMap::new();
    if purpose == Purposes::ChangeByRules {
        for index in 0..entity.binding.fields.len() {
            fields.insert(index, statement::text(row, at + index)?);
        }
    }
    let etag = written.etag.clone();
    Ok(Locked { present, links, fields, etag, written: Some(written) })
}

/// Sources that have a version.
fn versions(entity: &Entity) -> impl Iterator<Item = usize> {
    entity.sources().filter(|it| it.1.has_version).map(|it| it.0)
}

/// Rows of outer joins cannot be locked with the others: they are locked after them, and must be what
/// they were.
async fn lock_optional(
    session: &mut Session<'_>,
    entity: &Entity,
    row: &PgRow,
    locked: &Locked,
) -> Result<(), Error> {
    for (at, source) in versions(entity).enumerate() {
        let is_present = locked.present.get(source) == Some(&true);
        if !is_present || !entity.is_optional(source) || !entity.writes(source) {
            continue;
        }
        let (table, _) = entity.source(source)?;
        let mut arguments = Arguments::default();
        let condition = own_row(entity, source, &locked.links, &mut arguments)?;
        let (name, alias) = (&table.table, &table.alias);
        let sql = format!(
            "SELECT {alias}.xmin::text FROM {name} AS {alias} WHERE {condition} FOR NO KEY UPDATE"
        );
        let found = statement::fetch(session.connection, &sql, arguments).await;
        let found = found.map_err(|error| Error::of(entity.name(), error))?;
        let version = found.as_ref().map(|it| statement::text(it, 0)).transpose()?.flatten();
        if version != statement::text(row, FIRST_VERSION + at)? {
            return Err(Error::VersionMismatch);
        }
    }
    Ok(())
}

/// The row of a source that belongs to the entity's row.
pub(super) fn own_row(
    entity: &Entity,
    source: usize,
    links: &Links,
    arguments: &mut Arguments,
) -> Result<String, Error> {
    let Some(join) = entity.source(source)?.0.join.as_ref() else {
        return create::root_is(entity, links, arguments);
    };
    let own = |it: &(String, Column)| Column { source, name: it.0.clone() };
    let columns: Vec<_> = join.pairs.iter().map(|it| (it.0.as_str(), own(it))).collect();
    equal(entity, source, &columns, links, arguments)
}

/// Writes the changes; what became of the row. Nobody asks for the version of what is applied.
async fn change_all(
    session: &mut Session<'_>,
    entity: &Entity,
    cells: Vec<Cell>,
    locked: &mut Locked,
) -> Result<Written, Error> {
    change(session, entity, cells, locked).await?;
    if !session.origin.is_empty()
        && let Some(written) = locked.written.take()
    {
        return Ok(written);
    }
    read_back(session, entity, &locked.links).await
}

/// Writes the changes, source by source. What is missing is made, and the row that refers to it told.
async fn change(
    session: &mut Session<'_>,
    entity: &Entity,
    mut cells: Vec<Cell>,
    locked: &mut Locked,
) -> Result<(), Error> {
    for source in order(entity) {
        let is_own = |it: &&Cell| it.column.source == source;
        if locked.present.get(source) == Some(&true) {
            let own: Vec<&Cell> = cells.iter().filter(is_own).collect();
            if own.is_empty() || clear(session, entity, source, &own, locked).await? {
                continue;
            }
            let mut arguments = Arguments::default();
            let condition = own_row(entity, source, &locked.links, &mut arguments)?;
            let returning = returning(entity, source)?;
            let changing = (arguments, condition.as_str(), returning.as_str());
            let row = statement::update(session, entity, source, &own, changing).await?;
            let row = row.ok_or_else(|| lost(entity))?;
            keep(entity, source, &row, &mut locked.links)?;
            continue;
        }
        if !cells.iter().filter(is_own).any(|it| it.value.is_some()) {
            continue;
        }
        let made = insert(session, entity, source, &cells, &mut locked.links).await;
        made.map_err(|error| match error {
            // Somebody has made it since it was found missing.
            Error::RecordExists { .. } => Error::Conflict,
            error => error,
        })?;
        for (name, other) in entity.links(source) {
            let own = Column { source, name: name.to_owned() };
            let is_known = locked.links.contains_key(&other) || is_set(&cells, &other);
            let is_there = locked.present.get(other.source) == Some(&true);
            if let (false, true, Some(cell)) = (is_known, is_there, locked.links.get(&own)) {
                cells.push(Cell { column: other, ..cell.clone() });
            }
        }
        if let Some(present) = locked.present.get_mut(source) {
            *present = true;
        }
    }
    Ok(())
}

fn is_set(cells: &[Cell], column: &Column) -> bool {
    cells.iter().any(|it| it.column == *column && it.value.is_some())
}
