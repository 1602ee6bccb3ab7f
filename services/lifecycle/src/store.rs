//! The tenant's database: the schema `lifecycle`, and ways to it.

pub(crate) mod add_in;
pub(crate) mod backup;
pub(crate) mod finance_and_operations;
pub(crate) mod hold;
pub(crate) mod link;
pub(crate) mod name_claim;
pub(crate) mod operation;
pub(crate) mod platform;
pub(crate) mod settings;

use std::time::Duration;

use schema::{OpenError, Schema};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgRow, Postgres};
use sqlx::{ConnectOptions as _, Row as _, Transaction};

use crate::words::Word;

const SCHEMA: Schema = Schema {
    name: "lifecycle",
    migrations: &[(1, "environments", include_str!("../migrations/0001_environments.sql"))],
    statement_timeout: Duration::from_secs(15),
    lock_timeout: None,
};

/// A member of an enum, by its word.
fn word<T: Word>(row: &PgRow, column: &str) -> Result<T, sqlx::Error> {
    let word: String = row.try_get(column)?;
    T::of_word(&word).ok_or_else(|| sqlx::Error::Decode(format!("`{column}`: `{word}`").into()))
}

/// The store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: PgPool,
    url: String,
}

impl Store {
    /// Brings the schema up to date.
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        Ok(Self { pool: SCHEMA.open(url).await?, url: url.to_owned() })
    }

    /// For reads, one statement at a time.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A transaction of a handler.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.pool.begin().await
    }

    /// A connection of its own, with a session that lasts.
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let options: PgConnectOptions = self.url.parse()?;
        let timeout = SCHEMA.statement_timeout.as_millis().to_string();
        let options = options
            .options([("search_path", SCHEMA.name.to_owned()), ("statement_timeout", timeout)]);
        options.connect().await
    }

    /// For who listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}
