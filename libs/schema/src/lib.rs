//! A service's own schema of the platform's database: what it is made of, and the way to it. Start with
//! [`Schema::open`].

use std::time::Duration;

use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECTIONS: u32 = 4;

/// A schema that one service keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Its name.
    pub name: &'static str,
    /// Number, name and SQL, in order; what has been released is never changed.
    pub migrations: &'static [(i64, &'static str, &'static str)],
    /// How long a statement may take.
    pub statement_timeout: Duration,
    /// How long it may wait for a lock, if that is less.
    pub lock_timeout: Option<Duration>,
}

/// A schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database does not answer, or not as it should.
    #[error(transparent)]
    Connect(#[from] sqlx::Error),
    /// It cannot be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
}

impl Schema {
    /// Brings the schema up to date, and returns connections for which it is the only one.
    ///
    /// # Errors
    ///
    /// When the URL is malformed, the database does not answer within seconds, or a migration fails.
    pub async fn open(&self, url: &str) -> Result<PgPool, OpenError> {
        let options: PgConnectOptions = url.parse()?;
        let milliseconds = |it: Duration| it.as_millis().to_string();
        let mut options = options.options([
            ("search_path", self.name.to_owned()),
            ("statement_timeout", milliseconds(self.statement_timeout)),
        ]);
        if let Some(timeout) = self.lock_timeout {
            options = options.options([("lock_timeout", milliseconds(timeout))]);
        }
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_with(options)
            .await?;
        self.migrator().run(&pool).await?;
        Ok(pool)
    }

    fn migrator(&self) -> Migrator {
        let migration = |&(version, name, sql): &(i64, &'static str, &'static str)| {
            let sql = sqlx::SqlStr::from_static(sql);
            Migration::new(version, name.into(), MigrationType::Simple, sql, false)
        };
        let migrations: Vec<Migration> = self.migrations.iter().map(migration).collect();
        let mut migrator = Migrator::with_migrations(migrations);
        // Under the migrator's lock, so that replicas may start at the same time.
        migrator.create_schema(self.name);
        migrator
    }
}
