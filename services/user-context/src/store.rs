//! The directory in PostgreSQL, schema `user_context`.
//!
//! A change reads everything, is decided on plain values, and writes the rows that differ: directories
//! are small, and seldom changed.

mod read;
mod write;

use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::content::{Content, Source};

const SCHEMA: &str = "user_context";
/// How long a change waits for the one before it, here or in another replica.
const WAIT_BUDGET: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// In order; what has been released is never changed.
const MIGRATIONS: [(i64, &str, &str); 2] = [
    (1, "directory", include_str!("../migrations/0001_directory.sql")),
    (2, "locked", include_str!("../migrations/0002_locked.sql")),
];

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database does not answer, or not as it should.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error(transparent)]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

/// The store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: PgPool,
}

/// Everything the store knows, at one revision.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) revision: i64,
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
        let options: PgConnectOptions = url.parse()?;
        let milliseconds = |it: Duration| it.as_millis().to_string();
        let options = options.options([
            ("search_path", SCHEMA.to_owned()),
            ("lock_timeout", milliseconds(WAIT_BUDGET)),
            ("statement_timeout", milliseconds(STATEMENT_TIMEOUT)),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_with(options)
            .await?;
        migrator().run(&pool).await?;
        Ok(Self { pool })
    }

    /// Grows with every change.
    pub(crate) async fn revision(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT number FROM revision").fetch_one(&self.pool).await
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

    /// Raises the revision, has assertions of these users that were made before it refused for at
    /// least `remembered`, and makes the change everybody's.
    pub(crate) async fn commit(
        mut self,
        revoked: &[Uuid],
        remembered: Duration,
    ) -> Result<State, sqlx::Error> {
        sqlx::query("UPDATE revision SET number = number + 1")
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

fn migrator() -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        let sql = sqlx::SqlStr::from_static(sql);
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    };
    let mut migrator = Migrator::with_migrations(MIGRATIONS.map(migration).into());
    // Under the migrator's lock, so that replicas may start at the same time.
    migrator.create_schema(SCHEMA);
    migrator
}
