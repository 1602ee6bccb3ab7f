//! The statements of a write. Each tells the database who acts, in the same statement, so that triggers
//! see it.

use std::fmt::Write as _;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::entity::Entity;
use super::given::Cell;
use super::table::TableColumn;
use super::{Session, Written, violation};
use crate::binding::{Binding, Casing, Identity, Kind};
use crate::error::Error;
use crate::ids;
use crate::names::Ident;
use crate::plan::{self, Argument, Arguments, RowParts};

/// Where the acting user is told ([`plan::settings`]).
const ACTING: &str = "\"acting user\"";
/// Where the values of several rows stand.
const GIVEN: &str = "\"given\"";

/// The first row that a statement answers.
pub(super) async fn fetch(
    connection: &mut PgConnection,
    sql: &str,
    arguments: Arguments,
) -> Result<Option<PgRow>, sqlx::Error> {
    sqlx::query_with(AssertSqlSafe(sql), arguments.encode()?).fetch_optional(connection).await
}

pub(super) fn text(row: &PgRow, column: usize) -> Result<Option<String>, Error> {
    row.try_get(column).map_err(Error::Row)
}

pub(super) fn boolean(row: &PgRow, column: usize) -> Result<Option<bool>, Error> {
    row.try_get(column).map_err(Error::Row)
}

/// `WITH …`: the acting user, as a table of one row that the statement is to read from. From there on
/// no lock is waited for when nobody waits for the answer any more: a statement by itself would be done
/// all the same.
fn acting(session: &Session<'_>, arguments: &mut Arguments) -> String {
    let settings = plan::settings(session.caller, &session.origin, arguments);
    let patience = arguments.push(Argument::Text(session.patience().as_millis().to_string()));
    format!(
        "WITH {ACTING} AS MATERIALIZED (SELECT {settings}, \
         set_config('lock_timeout', {patience}::text, true))"
    )
}

/// Inserts a row of a source; answers what `returning` says.
pub(super) async fn insert(
    session: &mut Session<'_>,
    entity: &Entity,
    source: usize,
    cells: &[&Cell],
    (mut arguments, returning): (Arguments, &str),
) -> Result<Option<PgRow>, Error> {
    let (table, facts) = entity.source(source)?;
    let (name, alias) = (&table.table, &table.alias);
    let with = acting(session, &mut arguments);
    let mut columns = Vec::with_capacity(cells.len());
    let mut values = Vec::with_capacity(cells.len());
    for cell in cells {
        let column = known(entity, facts.column(&cell.column.name), &cell.column.name)?;
        columns.push(Ident(&column.name).to_string());
        values.push(cell.sql(column, &mut arguments));
    }
    let columns = match columns.as_slice() {
        [] => String::new(),
        columns => format!(" ({})", columns.join(", ")),
    };
    let values = values.join(", ");
    let sql = format!(
        "{with} INSERT INTO {name} AS {alias}{columns} SELECT {values} FROM {ACTING} RETURNING \
         {returning}"
    );
    let row = fetch(session.connection, &sql, arguments).await;
    row.map_err(|error| violation::told(session, entity, error, false))
}

/// Inserts rows into the only source of an entity, which have values for the same columns, in their order;
/// answers what `returning` says of each.
pub(super) async fn insert_many(
    session: &mut Session<'_>,
    entity: &Entity,
    rows: &[&[Cell]],
    (mut arguments, returning): (Arguments, &str),
) -> Result<Vec<PgRow>, Error> {
    let (table, facts) = entity.source(0)?;
    let (name, alias) = (&table.table, &table.alias);
    let with = acting(session, &mut arguments);
    let first = rows.first().copied().unwrap_or_default();
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    let (mut lists, mut names) = (Vec::new(), Vec::new());
    for (at, cell) in first.iter().enumerate() {
        let column = known(entity, facts.column(&cell.column.name), &cell.column.name)?;
        let own: Vec<Option<Argument>> =
            rows.iter().map(|it| it.get(at).and_then(|it| it.value.clone())).collect();
        let wire = own.iter().flatten().next().map_or("text", Argument::wire);
        let list = Argument::list(wire, own).ok_or(Error::Missing("value"))?;
        let list = arguments.push(list);
        columns.push(Ident(&column.name).to_string());
        lists.push(format!("{list}::{wire}[]"));
        names.push(format!("c{at}"));
        values.push(cell.cast(column, &format!("{GIVEN}.c{at}"), wire));
    }
    if lists.is_empty() {
        return Err(Error::Missing("value"));
    }
    let (columns, values) = (columns.join(", "), values.join(", "));
    let (lists, names) = (lists.join(", "), names.join(", "));
    let sql = format!(
        "{with} INSERT INTO {name} AS {alias} ({columns}) SELECT {values} FROM {ACTING} CROSS JOIN \
         unnest({lists}) WITH ORDINALITY AS {GIVEN}({names}, ord) ORDER BY ord RETURNING {returning}"
    );
    let arguments = arguments.encode().map_err(|error| Error::of(entity.name(), error))?;
    let rows = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(&mut *session.connection);
    rows.await.map_err(|error| violation::told(session, entity, error, false))
}

/// Updates the rows of a source that a condition finds.
pub(super) async fn update(
    session: &mut Session<'_>,
    entity: &Entity,
    source: usize,
    cells: &[&Cell],
    (mut arguments, condition, returning): (Arguments, &str, &str),
) -> Result<Option<PgRow>, Error> {
    let (table, facts) = entity.source(source)?;
    let (name, alias) = (&table.table, &table.alias);
    let with = acting(session, &mut arguments);
    let mut changes = Vec::with_capacity(cells.len());
    for cell in cells {
        let column = known(entity, facts.column(&cell.column.name), &cell.column.name)?;
        let value = cell.sql(column, &mut arguments);
        changes.push(format!("{} = {value}", Ident(&column.name)));
    }
    let changes = changes.join(", ");
    let asked = session.known.as_ref().map(|it| it.asked(&entity.binding, source));
    let asked = asked.unwrap_or_default();
    let told: String = asked.iter().map(|it| format!(", {}", it.sql)).collect();
    let sql = format!(
        "{with} UPDATE {name} AS {alias} SET {changes} FROM {ACTING} WHERE {condition} RETURNING \
         {returning}{told}"
    );
    let row = fetch(session.connection, &sql, arguments).await;
    let row = row.map_err(|error| violation::told(session, entity, error, false))?;
    if let (Some(row), Some(known)) = (&row, &mut session.known) {
        known.tell(&entity.binding, &asked, row)?;
    }
    Ok(row)
}

/// Deletes the rows of a source that a condition finds. Whether there were any.
pub(super) async fn delete(
    session: &mut Session<'_>,
    entity: &Entity,
    source: usize,
    (mut arguments, condition): (Arguments, &str),
) -> Result<bool, Error> {
    let (table, _) = entity.source(source)?;
    let (name, alias) = (&table.table, &table.alias);
    let with = acting(session, &mut arguments);
    let sql = format!(
        "{with} DELETE FROM {name} AS {alias} USING {ACTING} WHERE {condition} RETURNING true"
    );
    let row = fetch(session.connection, &sql, arguments).await;
    let row = row.map_err(|error| violation::told(session, entity, error, true))?;
    Ok(row.is_some())
}

/// Deletes rows of several sources at once. Whether there was one of each.
pub(super) async fn delete_all(
    session: &mut Session<'_>,
    entity: &Entity,
    rows: &[(usize, String)],
    mut arguments: Arguments,
) -> Result<bool, Error> {
    let mut sql = acting(session, &mut arguments);
    let mut all = Vec::with_capacity(rows.len());
    for (source, condition) in rows {
        let (table, _) = entity.source(*source)?;
        let (name, alias, gone) = (&table.table, &table.alias, format!("\"gone {source}\""));
        let _ = write!(
            sql,
            ", {gone} AS (DELETE FROM {name} AS {alias} USING {ACTING} WHERE {condition} RETURNING \
             true)"
        );
        all.push(format!("EXISTS (SELECT 1 FROM {gone})"));
    }
    let _ = write!(sql, " SELECT {}", all.join(" AND "));
    let row = fetch(session.connection, &sql, arguments).await;
    let row = row.map_err(|error| violation::told(session, entity, error, true))?;
    Ok(row.map(|it| boolean(&it, 0)).transpose()?.flatten() == Some(true))
}

/// A statement that has no answer.
pub(crate) async fn run(session: &mut Session<'_>, sql: &'static str) -> Result<(), Error> {
    sqlx::raw_sql(sql).execute(&mut *session.connection).await.map_err(Error::database)?;
    Ok(())
}

pub(super) fn known<'t>(
    entity: &Entity,
    column: Option<&'t TableColumn>,
    name: &str,
) -> Result<&'t TableColumn, Error> {
    column.ok_or_else(|| Error::SchemaMismatch {
        entity: entity.name().to_owned(),
        source: sqlx::Error::ColumnNotFound(name.to_owned()),
    })
}

/// The select list by which [`written`] reads what a row became.
pub(super) fn outcome(parts: &RowParts) -> String {
    let policy = parts.policy.as_deref().unwrap_or("true");
    let versions: Vec<String> = parts.versions.iter().map(|it| format!(", {it}")).collect();
    format!("({})::text, {policy}{}", parts.identity, versions.concat())
}

/// What a row became, from columns that begin at `first`; refuses one that is another company's.
pub(super) fn written(
    session: &Session<'_>,
    entity: &Entity,
    row: &PgRow,
    first: usize,
) -> Result<Written, Error> {
    if boolean(row, first + 1)? != Some(true) {
        return Err(entity.denied(session.caller));
    }
    let identity = text(row, first)?.unwrap_or_default();
    let record_id = guid(&entity.binding, &identity).ok_or_else(|| {
        let detail = "the record id is none".to_owned();
        Error::Row(sqlx::Error::Protocol(detail))
    })?;
    Ok(Written { record_id, etag: etag(&entity.binding, row, first + 2)? })
}

/// The entity tag, as the reading side writes it, from versions that begin at a column.
pub(super) fn etag(binding: &Binding, row: &PgRow, first: usize) -> Result<String, Error> {
    let count = binding.sources.iter().filter(|it| it.has_version).count();
    if count == 0 {
        return Ok(String::new());
    }
    let versions = (first..first + count).map(|it| Ok(text(row, it)?.unwrap_or_default()));
    let versions: Vec<String> = versions.collect::<Result<_, Error>>()?;
    Ok(format!("W/\"{}\"", versions.join(".")))
}

fn guid(binding: &Binding, identity: &str) -> Option<Uuid> {
    match binding.identity {
        Identity::Integer { .. } => {
            Some(ids::record_guid(binding.entity_id, identity.parse().ok()?))
        }
        Identity::Uuid { .. } => identity.parse().ok(),
        Identity::Hash { .. } => ids::hashed_guid(binding.entity_id, identity),
    }
}

// === impl Cell ===

impl Cell {
    /// The value as the column takes it.
    pub(super) fn sql(&self, column: &TableColumn, arguments: &mut Arguments) -> String {
        let Some(value) = &self.value else { return format!("NULL::{}", column.base) };
        let parameter = arguments.push(value.clone());
        self.cast(column, &parameter, value.wire())
    }

    /// What is bound as `wire`, as the column takes it.
    fn cast(&self, column: &TableColumn, parameter: &str, wire: &str) -> String {
        let value = match (self.casing, wire) {
            (Casing::Upper, "text") => format!("upper({parameter}::text)"),
            (Casing::Lower, "text") => format!("lower({parameter}::text)"),
            _ => format!("{parameter}::{wire}"),
        };
        format!("{value}::{}", column.base)
    }
}

/// Whether values of the kind are stored in one letter case.
pub(super) fn casing(kind: &Kind, casing: Casing) -> Casing {
    if matches!(kind, Kind::Text) { casing } else { Casing::Any }
}
