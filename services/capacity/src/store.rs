//! Capacity in PostgreSQL, schema `capacity`.
//!
//! Rules are decided on plain values that [`book`] reads; what must be decided one after the other, here
//! and in other replicas, takes [`Change::decide`] first.

pub(crate) mod accruals;
pub(crate) mod book;
mod idempotency;
pub(crate) mod licences;
pub(crate) mod notices;
pub(crate) mod reservations;
pub(crate) mod samples;
pub(crate) mod usage;

use std::time::Duration;

use chrono::{DateTime, Utc};
use schema::{OpenError, Schema};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::error::Error;
pub(crate) use idempotency::Once;
use notices::Telling;

/// How long a decision waits for the one before it, here or in another replica.
const WAIT_BUDGET: Duration = Duration::from_secs(10);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
const SCHEMA: Schema = Schema {
    name: "capacity",
    // In order; what has been released is never changed.
    migrations: &[(1, "capacity", include_str!("../migrations/0001_capacity.sql"))],
    statement_timeout: STATEMENT_TIMEOUT,
    lock_timeout: Some(WAIT_BUDGET),
};

/// The store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: PgPool,
}

/// A change under way: everybody's when it is committed, nobody's when it is dropped.
pub(crate) struct Change {
    transaction: Transaction<'static, Postgres>,
    once: Option<Once>,
    telling: Vec<Telling>,
}

/// What a write finds when it begins.
pub(crate) enum Begun {
    Fresh(Change),
    /// It was done before, with this answer.
    Answered(Vec<u8>),
}

// === impl Store ===

impl Store {
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        Ok(Self { pool: SCHEMA.open(url).await? })
    }

    /// One moment's view of everything.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, Postgres>, Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    /// Begins a change of this service's own.
    pub(crate) async fn change(&self) -> Result<Change, Error> {
        let transaction = self.pool.begin().await?;
        Ok(Change { transaction, once: None, telling: Vec::new() })
    }

    /// Begins a write that may come again with the same key.
    pub(crate) async fn begin(&self, once: Option<Once>) -> Result<Begun, Error> {
        let mut change = self.change().await?;
        if let Some(once) = &once
            && let Some(answer) = idempotency::begin(&mut change.transaction, once).await?
        {
            return Ok(Begun::Answered(answer));
        }
        Ok(Begun::Fresh(Change { once, ..change }))
    }
}

// === impl Change ===

impl Change {
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// From here on nobody else decides until this is committed or dropped.
    pub(crate) async fn decide(&mut self) -> Result<(), Error> {
        sqlx::query("SELECT FROM decision FOR UPDATE").execute(self.connection()).await?;
        Ok(())
    }

    /// Begins and ends notices as things stand in this change.
    pub(crate) async fn review_notices(&mut self) -> Result<(), Error> {
        self.decide().await?;
        let book = book::read(self.connection()).await?;
        let told = notices::review(self.connection(), &book.standing(), book.now).await?;
        self.telling.extend(told);
        Ok(())
    }

    /// Makes the change everybody's; `answer` is what a repetition gets.
    pub(crate) async fn commit(mut self, answer: &[u8]) -> Result<(), Error> {
        if let Some(once) = self.once.take() {
            idempotency::finish(&mut self.transaction, &once, answer).await?;
        }
        self.transaction.commit().await?;
        self.telling.iter().for_each(Telling::tell);
        Ok(())
    }
}

/// The database's clock, now and not when the transaction began.
pub(crate) async fn now(connection: &mut PgConnection) -> Result<DateTime<Utc>, Error> {
    Ok(sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(connection).await?)
}
