use crate::{Cluster, Error, Options};
use std::fs;
use std::path::PathBuf;

use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tempfile::TempDir;

/// A cluster for tests: new, fast because it would not survive a crash, and gone when dropped.
///
/// ```no_run
/// # async fn test() -> Result<(), cluster::Error> {
/// let scratch = cluster::Scratch::start().await?;
/// let erp = scratch.database("erp").await?; // a URL
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Scratch {
    // Dropped in this order: the server, then its files.
    cluster: Cluster,
    _elsewhere: Option<Elsewhere>,
    _directory: TempDir,
}

impl Scratch {
    /// A running cluster in a temporary directory.
    pub async fn start() -> Result<Self, Error> {
        Self::start_with(&[]).await
    }

    /// The same, with more settings, such as `("shared_preload_libraries", "pg_stat_statements")`.
    pub async fn start_with(settings: &[(&str, &str)]) -> Result<Self, Error> {
        let place = std::env::temp_dir();
        let directory = tempfile::Builder::new()
            .prefix("tombolo-scratch-")
            .tempdir_in(&place)
            .map_err(Error::io("cannot create a directory in", &place))?;
        let mut options = Options::new(directory.path().join("cluster"))
            .setting("fsync", "off")
            .setting("full_page_writes", "off")
            .setting("shared_buffers", "32MB");
        for (name, value) in settings {
            options = options.setting(*name, *value);
        }
        // Root made the temporary directory for itself; PostgreSQL runs as another user.
        Self::open_to_others(&directory)?;
        let mut cluster = Cluster::start(&options).await?;
        cluster.discard_on_drop();
        let inside = cluster.home().starts_with(directory.path());
        let elsewhere = (!inside).then(|| Elsewhere(cluster.home().to_owned()));
        Ok(Self { cluster, _elsewhere: elsewhere, _directory: directory })
    }

    /// Creates a database if it does not exist, and answers its URL.
    pub async fn database(&self, name: &str) -> Result<String, Error> {
        self.cluster.ensure_database(name).await?;
        Ok(self.cluster.url(name))
    }

    /// Puts the database `new` in the place of `served`, which is called `old` from then on, as the lifecycle
    /// of environments does: nobody is connected to either meanwhile. The names are the test's own.
    pub async fn swap(&self, served: &str, new: &str, old: &str) -> Result<(), Error> {
        let mut outside = self.cluster.connect_options("postgres").connect().await?;
        for name in [served, new] {
            let close = format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false");
            sqlx::raw_sql(AssertSqlSafe(close)).execute(&mut outside).await?;
            sqlx::query(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1",
            )
            .bind(name)
            .execute(&mut outside)
            .await?;
        }
        let rename = format!(
            "ALTER DATABASE {served} RENAME TO {old};
             ALTER DATABASE {new} RENAME TO {served};
             ALTER DATABASE {served} WITH ALLOW_CONNECTIONS true"
        );
        sqlx::raw_sql(AssertSqlSafe(rename)).execute(&mut outside).await?;
        Ok(())
    }

    /// The cluster itself.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn open_to_others(directory: &TempDir) -> Result<(), Error> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = directory.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o711))
            .map_err(Error::io("cannot set the mode of", path))
    }
}

/// Files of the cluster that had to be kept outside the temporary directory.
#[derive(Debug)]
struct Elsewhere(PathBuf);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove a scratch cluster");
        }
    }
}
