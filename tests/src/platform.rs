//! The platform's own database, which `tombolo dev` keeps in its data directory.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};

const DATABASE: &str = "platform";

/// Looks into the database past `tombolo`, while `tombolo` runs.
#[derive(Clone, Debug)]
pub struct Platform {
    cluster: PathBuf,
}

impl Platform {
    /// That of the system with this data directory.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self { cluster: data.join("postgres") }
    }

    /// A connection by the server's socket.
    pub async fn connect(&self) -> Result<PgConnection> {
        self.connect_to(DATABASE).await
    }

    /// A connection to another database of the same server.
    pub async fn connect_to(&self, database: &str) -> Result<PgConnection> {
        let home = std::fs::read_to_string(self.cluster.join("location"));
        let home = home.map_or_else(|_| self.cluster.clone(), |it| PathBuf::from(it.trim_end()));
        let record = std::fs::read_to_string(home.join("data/postmaster.pid"));
        let record = record.context("the platform's PostgreSQL is not running")?;
        let mut lines = record.lines().skip(3);
        let port = lines.next().context("no port")?.trim().parse()?;
        let socket = lines.next().context("no socket")?.trim();
        let password = std::fs::read_to_string(home.join("password"))?;
        let options = PgConnectOptions::new_without_pgpass()
            .socket(socket)
            .port(port)
            .username("postgres")
            .password(password.trim())
            .database(database)
            .ssl_mode(PgSslMode::Disable);
        Ok(options.connect().await?)
    }

    /// Runs SQL of the test's own.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
        Ok(())
    }

    /// One number.
    pub async fn count(&self, sql: &str) -> Result<i64> {
        let mut connection = self.connect().await?;
        Ok(sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await?)
    }
}
