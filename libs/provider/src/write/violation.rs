//! What the database refuses, in the model's words: no SQL, no names of constraints or tables.

use rpc::Caller;
use sqlx::postgres::PgDatabaseError;

use super::Session;
use super::entity::Entity;
use super::table::Table;
use crate::error::Error;

/// The part of PL/pgSQL that raises what a function says on purpose.
const RAISE: &str = "exec_stmt_raise";

/// A refused statement; `deleting` tells what a broken reference means.
pub(super) fn told(
    session: &Session<'_>,
    entity: &Entity,
    error: sqlx::Error,
    deleting: bool,
) -> Error {
    if let Some(refusal) = refusal(entity, &error, deleting) {
        let is_nameless = match &refusal {
            Error::Refused { column, .. } => column.is_none(),
            Error::RecordExists { columns } => columns.is_empty(),
            _ => false,
        };
        if is_nameless {
            // A constraint that is not known may be new.
            session.provider.tables().forget();
        }
        tracing::info!(entity = entity.name(), %error, "the database refused a write");
        return refusal;
    }
    Error::of(entity.name(), error)
}

fn refusal(entity: &Entity, error: &sqlx::Error, deleting: bool) -> Option<Error> {
    let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    let fields = fields(entity, error);
    // Every key has the company in it; it is the other part that is wrong.
    let company = entity.binding.company_field().map(|it| it.name.as_str());
    let telling = fields.iter().find(|it| Some(it.as_str()) != company);
    let column = telling.or(fields.first()).cloned();
    let refused = |why: &str| {
        let message = match &column {
            Some(column) => format!("`{column}` {why}"),
            None => format!("a value {why}"),
        };
        Some(Error::Refused { column: column.clone(), message })
    };
    match error.code() {
        // Whatever code it takes: it is the word of a function of the ERP. Conflicts stay what they are.
        code if error.routine() == Some(RAISE) && !code.starts_with("40") => {
            Some(Error::BusinessRule { column, message: error.message().to_owned() })
        }
        "23502" => refused("may not be empty"),
        "23514" | "44000" => refused("is not allowed"),
        "22001" => refused("is too long"),
        "22003" => refused("is out of range"),
        "22P02" | "22007" | "22008" => refused("has a form that cannot be stored"),
        "428C9" => Some(Error::ReadOnly { column: column.unwrap_or_default() }),
        "23505" | "23P01" => Some(Error::RecordExists { columns: fields }),
        "23503" if deleting || fields.is_empty() => {
            Some(Error::InUse { entity: entity.name().to_owned(), used_by: user(entity, error) })
        }
        "23503" => Some(Error::NoSuchReference { column: column? }),
        _ => None,
    }
}

/// What must be unique in all companies, or beyond a policy, would tell a caller of rows that are none
/// of theirs.
pub(super) fn discreet(entity: &Entity, caller: &Caller, error: Error) -> Error {
    let Error::RecordExists { columns } = &error else { return error };
    let company = entity.binding.company_field().map(|it| &it.name);
    let is_of_company = company.is_some_and(|it| columns.contains(it));
    let has_policies = entity.grant.policies().is_some();
    if !entity.is_restricted() || is_of_company && !has_policies {
        return error;
    }
    // Were the value free, the row might still be one that the caller may not touch: it is told the same.
    let is_of_key = entity.binding.key_fields().any(|it| columns.contains(&it.name));
    if has_policies && (entity.is_being_made() || is_of_key) {
        return entity.denied(caller);
    }
    let column = columns.first().cloned();
    let message = match &column {
        Some(column) => format!("`{column}` cannot be used"),
        None => "a value cannot be used".to_owned(),
    };
    Error::Refused { column, message }
}

/// Names of the fields that the constraint is about.
fn fields(entity: &Entity, error: &PgDatabaseError) -> Vec<String> {
    let mut fields = Vec::new();
    for (index, _, table) in entity.sources() {
        let is_it = |it: &Table| {
            error.table() == Some(it.name.as_str()) && error.schema() == Some(it.schema.as_str())
        };
        // An error in a domain names no table.
        let columns = match (error.data_type(), error.table()) {
            (Some(domain), None) => {
                let within = table.columns.iter().filter(|it| it.domain.as_deref() == Some(domain));
                within.map(|it| it.name.as_str()).collect()
            }
            _ if is_it(table) => columns(table, error),
            _ => Vec::new(),
        };
        for column in columns {
            if let Some(field) = entity.field_of(index, column)
                && !fields.contains(&field.name)
            {
                fields.push(field.name.clone());
            }
        }
    }
    fields
}

fn columns<'t>(table: &'t Table, error: &'t PgDatabaseError) -> Vec<&'t str> {
    if let Some(column) = error.column() {
        return vec![column];
    }
    let Some(name) = error.constraint() else { return Vec::new() };
    let keys = table.keys.iter().filter(|it| it.name == name).map(|it| &it.columns);
    let checks = table.checks.iter().filter(|it| it.name == name).map(|it| &it.columns);
    let references = table.references.iter().filter(|it| it.name == name).map(|it| &it.columns);
    keys.chain(checks).chain(references).flatten().map(String::as_str).collect()
}

/// The entity whose rows still need the one at hand, where it is the same.
fn user(entity: &Entity, error: &PgDatabaseError) -> Option<String> {
    let root = entity.tables.first()?;
    let is_own =
        error.table() == Some(root.name.as_str()) && error.schema() == Some(root.schema.as_str());
    is_own.then(|| entity.name().to_owned())
}
