//! Reads a PostgreSQL schema and writes a model: every table that has a key becomes a data entity.
//!
//! Start with [`import`]. `catalog` asks PostgreSQL what is there, in a handful of queries; `types`
//! decides what a column becomes, `checks` what a CHECK says, `names` what things are called, and
//! `entities` puts it together. What is left out, and why, is part of the answer.

mod catalog;
mod checks;
mod entities;
mod enums;
mod names;
mod types;

use model::Model;
use sqlx::PgConnection;

/// What to read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the model.
    pub name: String,
    /// Only these schemas; empty for all but PostgreSQL's own.
    pub schemas: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Import {
    /// Serves as it is: every entity is visible.
    pub model: Model,
    /// In order of their names.
    pub skipped: Vec<Skipped>,
}

/// A table or a column that is not in the model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// `schema.table` or `schema.table.column`.
    pub what: String,
    /// And, where something can be done about it, what.
    pub reason: String,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A mistake of the caller's.
    #[error("the database has no schema `{0}`")]
    UnknownSchema(String),
    /// The database said no, or went away.
    #[error("cannot read the database's schema")]
    Database(#[from] sqlx::Error),
}

/// Reads the schema that `connection` sees. Nothing is changed there.
///
/// # Errors
///
/// A schema that does not exist, and whatever the database says.
pub async fn import(connection: &mut PgConnection, options: &Options) -> Result<Import, Error> {
    let catalog = catalog::read(connection, &options.schemas).await?;
    Ok(entities::build(&catalog, &options.name))
}
