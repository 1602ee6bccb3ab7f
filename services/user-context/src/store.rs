//! The directory in PostgreSQL, schema `user_context`.
//!
//! A change reads everything, is decided on plain values, and writes the rows that differ: directories
//! are small, and seldom changed.

mod read;
mod write;

use std::time::Duration;

use schema::{OpenError, Place, Schema};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::content::{Content, Source};

const NAME: &str = "user_context";
/// How long a change waits for the one before it, here or in another replica.
const WAIT_BUDGET: Duration = Duration::from_secs(5);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
const SCHEMA: Schema = Schema {
    name: NAME,
    // In order; what has been released is never changed.
    migrations: &[
        (1, "directory", include_str!("../migrations/0001_directory.sql")),
        (2, "locked", include_str!("../migrations/0002_locked.sql")),
    ],
    statement_timeout: STATEMENT_TIMEOUT,
    lock_timeout: Some(WAIT_BUDGET),
};

/// The store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: PgPool,
}

/// Which state of which directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    /// Tells a database from another one that takes its name.
    pub(crate) database: i64,
    pub(crate) revision: i64,
}

/// Everything the store knows, at one revision.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) version: Version,
    pub(crate) content: Content,
    /// Whose assertions of which revisions are not believed any more.
    pub(crate) revocations: Vec<(Uuid, i64)>,
}

/// A change under way. Nobody else changes the directory until it is committed or dropped.
pub(crate) struct Change {
    transaction: Transaction<'static, Postgres>,
}

// === impl Store ===

impl Store {
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        Ok(Self { pool: SCHEMA.open(url).await? })
    }

    /// Another environment's, to be closed by whoever opens it.
    pub(crate) async fn open_in(url: &str, place: &Place) -> Result<Self, OpenError> {
        Ok(Self { pool: SCHEMA.open_in(url, place).await? })
    }

    /// As [`Self::open_in`], where nothing is to be changed, and there may be no directory.
    pub(crate) async fn visit(url: &str, place: &Place) -> Result<Self, OpenError> {
        Ok(Self { pool: SCHEMA.visit(url, place).await? })
    }

    /// Returns when there is no connection any more.
    pub(crate) async fn close(self) {
        self.pool.close().await;
    }

    /// In one database, its revision grows with every change.
    pub(crate) async fn version(&self) -> Result<Version, sqlx::Error> {
        read::version(&mut *self.pool.acquire().await?).await
    }

    pub(crate) async fn state(&self) -> Result<State, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        // One moment's view of all tables.
        sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .execute(&mut *transaction)
            .await?;
        read::state(&mut transaction).await
    }

    /// Begins a change, after those that others have begun.
    pub(crate) async fn change(&self) -> Result<Change, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SELECT number FROM revision FOR UPDATE").execute(&mut *transaction).await?;
        Ok(Change { transaction })
    }
}

// === impl Change ===

impl Change {
    pub(crate) async fn state(&mut self) -> Result<State, sqlx::Error> {
        read::state(&mut self.transaction).await
    }

    /// Makes the store say `after` where it says `before`.
    pub(crate) async fn write(
        &mut self,
        before: &Content,
        after: &Content,
    ) -> Result<(), sqlx::Error> {
        write::differences(&mut self.transaction, before, after).await
    }

    /// What the source said last.
    pub(crate) async fn digest(&mut self, source: Source) -> Result<Option<String>, sqlx::Error> {
        sqlx::query_scalar("SELECT digest FROM source_digest WHERE source = $1")
            .bind(source.name())
            .fetch_optional(&mut *self.transaction)
            .await
    }

    pub(crate) async fn set_digest(
        &mut self,
        source: Source,
        digest: &str,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO source_digest (source, digest) VALUES ($1, $2)
             ON CONFLICT (source) DO UPDATE SET digest = excluded.digest",
        )
        .bind(source.name())
        .bind(digest)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Raises the revision beyond `known`, has assertions of these users that were made before it refused
    /// for at least `remembered`, and makes the change everybody's.
    pub(crate) async fn commit(
        mut self,
        revoked: &[Uuid],
        remembered: Duration,
        known: i64,
    ) -> Result<State, sqlx::Error> {
        // Microseconds, so that whoever follows several databases in turn sees it grow.
        sqlx::query(
            "UPDATE revision SET number = greatest(number + 1, $1 + 1,
                 (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)",
        )
        .bind(known)
        .execute(&mut *self.transaction)
        .await?;
        write::revocations(&mut self.transaction, revoked, remembered).await?;
        let state = read::state(&mut self.transaction).await?;
        self.transaction.commit().await?;
        Ok(state)
    }

    /// Makes what the directory does not show everybody's.
    pub(crate) async fn commit_unseen(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }
}
