//! A service's own schema of a database: what it is made of, and the way to it. Start with
//! [`Schema::open`]; the other ways are to the same schema of another [`Place`].

mod place;

use std::time::Duration;

use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

pub use place::{InvalidName, Place};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECTIONS: u32 = 4;
/// There is no such database; there is no such role.
const MISSING: [&str; 2] = ["3D000", "22023"];

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
        self.migrated(self.connect(url.parse()?).await?).await
    }

    /// The same in another database of the server. Whoever asks closes the connections when it is done:
    /// as long as they are open, the database can be neither renamed nor dropped.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open`]; see [`OpenError::is_missing`].
    pub async fn open_in(&self, url: &str, place: &Place) -> Result<PgPool, OpenError> {
        self.migrated(self.visit(url, place).await?).await
    }

    /// The same without touching the schema, which need not even be there.
    ///
    /// # Errors
    ///
    /// When the URL is malformed or the database does not answer; see [`OpenError::is_missing`].
    pub async fn visit(&self, url: &str, place: &Place) -> Result<PgPool, OpenError> {
        Ok(self.connect(place.of(url.parse()?)).await?)
    }

    async fn connect(&self, options: PgConnectOptions) -> Result<PgPool, sqlx::Error> {
        let milliseconds = |it: Duration| it.as_millis().to_string();
        let mut options = options.options([
            ("search_path", self.name.to_owned()),
            ("statement_timeout", milliseconds(self.statement_timeout)),
        ]);
        if let Some(timeout) = self.lock_timeout {
            options = options.options([("lock_timeout", milliseconds(timeout))]);
        }
        PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_with(options)
            .await
    }

    async fn migrated(&self, pool: PgPool) -> Result<PgPool, OpenError> {
        match self.migrator().run(&pool).await {
            Ok(()) => Ok(pool),
            Err(error) => {
                pool.close().await;
                Err(error.into())
            }
        }
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

impl OpenError {
    /// Whether there is no such database, or no such role.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        let Self::Connect(error) = self else { return false };
        let code = error.as_database_error().and_then(|it| it.code());
        code.is_some_and(|it| MISSING.contains(&&*it))
    }

    /// What PostgreSQL said.
    #[must_use]
    pub fn into_cause(self) -> sqlx::Error {
        match self {
            Self::Connect(error)
            | Self::Migrate(
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
            ) => error,
            Self::Migrate(error) => error.into(),
        }
    }
}

/// Which database a URL leads to.
///
/// # Errors
///
/// When the URL is malformed.
pub fn database_of(url: &str) -> Result<String, sqlx::Error> {
    let options: PgConnectOptions = url.parse()?;
    Ok(options.get_database().unwrap_or_else(|| options.get_username()).to_owned())
}
