//! Dual-write in PostgreSQL, schema `dual_write`.
//!
//! A write of somebody begins with [`Store::write`], which knows repetitions; the service's own begin with
//! [`Store::begin`].

pub(crate) mod activity;
pub(crate) mod configurations;
pub(crate) mod health;
pub(crate) mod idempotency;
pub(crate) mod leader;
pub(crate) mod links;
pub(crate) mod maps;
pub(crate) mod positions;
pub(crate) mod reports;
pub(crate) mod solutions;
pub(crate) mod versions;

use std::sync::Arc;
use std::time::Duration;

use proto::dual_write::v1::{MapState, Side};
use schema::{OpenError, Schema};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;
pub(crate) use idempotency::Once;
pub(crate) use leader::Leader;

/// How long a decision waits for the one before it, here or in another replica.
const WAIT_BUDGET: Duration = Duration::from_secs(10);
/// At once in this process. A write holds its connection while both sides are asked, and reads by another:
/// more of them could take all that there are.
const WRITES: usize = 2;
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
const SCHEMA: Schema = Schema {
    name: "dual_write",
    // In order; what has been released is never changed.
    migrations: &[
        (1, "maps", include_str!("../migrations/0001_maps.sql")),
        (2, "initial_sync", include_str!("../migrations/0002_initial_sync.sql")),
        (3, "changes", include_str!("../migrations/0003_changes.sql")),
        (4, "alerts", include_str!("../migrations/0004_alerts.sql")),
        (5, "reconcile", include_str!("../migrations/0005_reconcile.sql")),
        (6, "skipped", include_str!("../migrations/0006_skipped.sql")),
        (7, "heartbeats", include_str!("../migrations/0007_heartbeats.sql")),
    ],
    statement_timeout: STATEMENT_TIMEOUT,
    lock_timeout: Some(WAIT_BUDGET),
};

/// The store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: PgPool,
    url: String,
    writes: Arc<Semaphore>,
}

/// A write under way: everybody's when it is committed, nobody's when it is dropped.
#[derive(Debug)]
pub(crate) struct Write {
    transaction: Transaction<'static, Postgres>,
    once: Option<Once>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// A write that is committed, and whose answer was not known by then.
#[derive(Debug)]
pub(crate) struct Again(Option<Once>);

/// What a write finds when it begins.
pub(crate) enum Begun {
    Fresh(Write),
    /// It was done before, with this answer.
    Answered(Vec<u8>),
}

// === impl Store ===

impl Store {
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        let writes = Arc::new(Semaphore::new(WRITES));
        Ok(Self { pool: SCHEMA.open(url).await?, url: url.to_owned(), writes })
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, Error> {
        Ok(self.pool.begin().await?)
    }

    /// Begins a write that may come again with the same key.
    pub(crate) async fn write(&self, once: Option<Once>) -> Result<Begun, Error> {
        // Never closed.
        let permit = Arc::clone(&self.writes).acquire_owned().await.ok();
        let mut transaction = self.pool.begin().await?;
        if let Some(once) = &once
            && let Some(answer) = idempotency::begin(&mut transaction, once).await?
        {
            return Ok(Begun::Answered(answer));
        }
        Ok(Begun::Fresh(Write { transaction, once, _permit: permit }))
    }

    /// Waits until this process is the one that does `part`, of all that use this database.
    pub(crate) async fn leader(&self, part: &'static str) -> Leader {
        Leader::wait(&self.url, part).await
    }

    /// Where to listen.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

// === impl Write ===

impl Write {
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// For an answer that is known only after the write is everybody's.
    pub(crate) fn again(&self) -> Again {
        Again(self.once.clone())
    }

    /// Makes the write everybody's; `answer` is what a repetition gets.
    pub(crate) async fn commit(mut self, answer: &[u8]) -> Result<(), Error> {
        if let Some(once) = self.once.take() {
            idempotency::finish(&mut self.transaction, &once, answer).await?;
        }
        Ok(self.transaction.commit().await?)
    }
}

// === impl Again ===

impl Again {
    /// What a repetition gets from now on.
    pub(crate) async fn answer(self, store: &Store, answer: &[u8]) -> Result<(), Error> {
        let Some(once) = self.0 else { return Ok(()) };
        idempotency::finish(&mut *store.pool.acquire().await?, &once, answer).await
    }
}

/// As the store writes a side.
pub(crate) fn side_text(side: Side) -> &'static str {
    let name = side.as_str_name();
    name.strip_prefix("SIDE_").unwrap_or(name)
}

/// What [`side_text`] wrote.
pub(crate) fn side_of(text: &str) -> Result<Side, Error> {
    Side::from_str_name(&format!("SIDE_{text}"))
        .ok_or_else(|| Error::Stored(format!("a side `{text}`")))
}

/// As the store writes a state.
pub(crate) fn state_text(state: MapState) -> &'static str {
    let name = state.as_str_name();
    name.strip_prefix("MAP_STATE_").unwrap_or(name)
}

/// What [`state_text`] wrote.
pub(crate) fn state_of(text: &str) -> Result<MapState, Error> {
    MapState::from_str_name(&format!("MAP_STATE_{text}"))
        .ok_or_else(|| Error::Stored(format!("a state `{text}`")))
}
