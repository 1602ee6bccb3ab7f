//! A scratch PostgreSQL, reached through a socket in its own directory and stopped when dropped.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};
use tempfile::TempDir;

pub(crate) struct Postgres {
    directory: TempDir,
    binaries: PathBuf,
}

impl Postgres {
    pub(crate) fn start() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("demo-erp").tempdir()?;
        let postgres = Self { directory, binaries: find_binaries()? };
        if is_root()? {
            run(Command::new("chown").arg("postgres").arg(postgres.path()))?;
        }
        let data = postgres.data();
        run(postgres
            .command("initdb")
            .args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "-D", &data]))?;
        let options = format!("-c listen_addresses= -c fsync=off -k {}", postgres.path().display());
        run(postgres.command("pg_ctl").args([
            "start",
            "-w",
            "-D",
            &data,
            "-o",
            &options,
            "-l",
            &format!("{data}.log"),
        ]))?;
        Ok(postgres)
    }

    /// A new database.
    pub(crate) async fn database(&self, name: &str) -> Result<PgConnection> {
        let mut admin = self.connect("postgres").await?;
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await?;
        self.connect(name).await
    }

    pub(crate) async fn connect(&self, database: &str) -> Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(self.path())
            .username("postgres")
            .database(database);
        Ok(options.connect().await?)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self) -> String {
        self.path().join("data").display().to_string()
    }

    /// PostgreSQL refuses to run as root.
    fn command(&self, binary: &str) -> Command {
        let binary = self.binaries.join(binary);
        if is_root().unwrap_or(false) {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]);
            command.arg(binary);
            command
        } else {
            Command::new(binary)
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        let _ = run(self.command("pg_ctl").args(["stop", "-m", "immediate", "-D", &data]));
    }
}

fn is_root() -> Result<bool> {
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}

fn find_binaries() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        candidates.extend(versions.flatten().map(|it| it.path().join("bin")));
    }
    candidates
        .into_iter()
        .find(|it| it.join("initdb").exists() && it.join("pg_ctl").exists())
        .context("no initdb in PATH or /usr/lib/postgresql/*/bin")
}

/// The server would keep a captured pipe open for as long as it runs.
fn run(command: &mut Command) -> Result<()> {
    let status = command
        .current_dir("/")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
