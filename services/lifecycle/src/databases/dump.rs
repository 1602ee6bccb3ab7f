//! Databases as files, and back.

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use super::program::{Programs, output, run};
use super::{DatabaseError, Server};

/// Whose rows are customizations or what these hang on: all of a schema, or one of its tables. A copy without
/// users could be entered by nobody.
const CUSTOMIZATIONS: [(&str, &str); 11] = [
    ("catalog", "*"),
    ("user_context", "*"),
    ("*", "_sqlx_migrations"),
    ("organization", "organization"),
    ("organization", "businessunit"),
    ("organization", "team"),
    ("organization", "cdm_company"),
    ("organization", "systemuser"),
    ("organization", "savedquery"),
    ("organization", "solution"),
    ("organization", "portal_mapping_revision"),
];

/// What names of files that are not finished end in: a dump's, and a list's of what to restore of one.
const UNFINISHED: [&str; 2] = ["part", "list"];
/// A file that is being written is written to all the time.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// What of a database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Content {
    /// Everything.
    Full,
    /// Every table, and the rows of those that hold customizations.
    Customizations,
}

/// A file that a database is or was written to.
#[derive(Clone, Debug)]
pub(crate) struct Dump {
    file: PathBuf,
}

impl Dump {
    /// In this file, of the backups' directory.
    pub(crate) fn new(directory: &Path, name: &str) -> Self {
        Self { file: directory.join(name) }
    }

    /// Whether it was written to its end.
    pub(crate) fn exists(&self) -> bool {
        self.file.is_file()
    }

    /// Writes the database, unless the file is there: aside first, so that a file under its name is whole.
    pub(crate) async fn write(
        &self,
        programs: &Programs,
        server: &Server,
        database: &str,
    ) -> Result<(), DatabaseError> {
        if self.exists() {
            return Ok(());
        }
        let aside = self.file.with_extension(format!("{}.part", Uuid::new_v4().simple()));
        let guard = RemovedUnlessKept(aside.clone());
        let empty = aside.clone();
        let made = tokio::task::spawn_blocking(move || make_private(&empty)).await;
        made.map_err(|error| DatabaseError::Later(error.to_string()))?
            .map_err(|error| file_error(&aside, &error))?;
        let mut command = programs.command("pg_dump", server, database)?;
        command.args(["--format=custom", "--no-password", "--file"]).arg(&aside);
        run(command).await?;
        commit::step("dump-written");
        let file = self.file.clone();
        let kept = tokio::task::spawn_blocking(move || keep(&aside, &file)).await;
        drop(guard);
        kept.map_err(|error| DatabaseError::Later(error.to_string()))?
            .map_err(|error| file_error(&self.file, &error))
    }

    /// Restores into a new database of this owner (empty: ourselves); what is there of an interrupted attempt
    /// is dropped first.
    pub(crate) async fn restore(
        &self,
        programs: &Programs,
        server: &Server,
        target: Target<'_>,
        content: Content,
    ) -> Result<(), DatabaseError> {
        if !self.exists() {
            let text = format!("the file {} of the backup is gone", self.file.display());
            return Err(DatabaseError::Refused(text));
        }
        server.drop_database(target.database).await?;
        server.ensure_empty(target.database, target.owner).await?;
        commit::step("restoring");
        match content {
            Content::Full => self.run_restore(programs, server, target, &[]).await?,
            Content::Customizations => {
                self.run_restore(programs, server, target, &["--section=pre-data"]).await?;
                let list = self.list_customizations(programs, server, target).await?;
                let argument = format!("--use-list={}", list.0.display());
                self.run_restore(programs, server, target, &["--section=data", &argument]).await?;
                self.run_restore(programs, server, target, &["--section=post-data"]).await?;
            }
        }
        commit::step("restored");
        Ok(())
    }

    /// The file is gone afterwards.
    pub(crate) async fn remove(&self) -> Result<(), DatabaseError> {
        match tokio::fs::remove_file(&self.file).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(file_error(&self.file, &error))
            }
            _ => Ok(()),
        }
    }

    /// A file with those parts of the dump that are rows of customizations.
    async fn list_customizations(
        &self,
        programs: &Programs,
        server: &Server,
        target: Target<'_>,
    ) -> Result<RemovedUnlessKept, DatabaseError> {
        let mut command = programs.command("pg_restore", server, target.database)?;
        command.arg("--list").arg(&self.file);
        let parts = output(command).await?;
        let kept: Vec<&str> = parts.lines().filter(|line| is_customization(line)).collect();
        let list = RemovedUnlessKept(self.file.with_extension(format!("{}.list", target.database)));
        tokio::fs::write(&list.0, kept.join("\n"))
            .await
            .map_err(|error| file_error(&list.0, &error))?;
        Ok(list)
    }

    async fn run_restore(
        &self,
        programs: &Programs,
        server: &Server,
        target: Target<'_>,
        arguments: &[&str],
    ) -> Result<(), DatabaseError> {
        let mut command = programs.command("pg_restore", server, target.database)?;
        command.args(["--exit-on-error", "--no-owner", "--no-privileges", "--no-password"]);
        if !target.owner.is_empty() {
            command.arg(format!("--role={}", target.owner));
        }
        command.args(arguments).arg("--dbname").arg(target.database).arg(&self.file);
        run(command).await
    }
}

/// Where a dump is restored to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) database: &'a str,
    /// Empty: ourselves.
    pub(crate) owner: &'a str,
}

/// A file that is not to stay.
struct RemovedUnlessKept(PathBuf);

impl Drop for RemovedUnlessKept {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.0.display(), %error, "cannot remove a file");
            }
            _ => {}
        }
    }
}

/// Makes an empty file, and its directory, that only we can read: `pg_dump` keeps the mode of what it writes to.
fn make_private(file: &Path) -> std::io::Result<()> {
    if let Some(directory) = file.parent() {
        make_directory(directory)?;
    }
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map(drop)
}

/// Makes the backups' directory, which only we can look into.
pub(super) fn make_directory(directory: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Removes what processes that died were writing: files that are not finished and that nobody has written to for
/// long.
pub(crate) async fn remove_unfinished(directory: &Path) -> Result<(), DatabaseError> {
    let (path, directory) = (directory.to_owned(), directory.to_owned());
    let removed = tokio::task::spawn_blocking(move || remove_abandoned(&directory)).await;
    removed
        .map_err(|error| DatabaseError::Later(error.to_string()))?
        .map_err(|error| file_error(&path, &error))
}

fn remove_abandoned(directory: &Path) -> std::io::Result<()> {
    let files = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    for file in files {
        let path = file?.path();
        let unfinished =
            path.extension().is_some_and(|it| UNFINISHED.iter().any(|kind| it == *kind));
        if unfinished && is_abandoned(&path) {
            tracing::info!(path = %path.display(), "removing what was never finished");
            drop(RemovedUnlessKept(path));
        }
    }
    Ok(())
}

/// Also when somebody else removed it meanwhile.
fn is_abandoned(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|it| it.modified());
    modified.is_ok_and(|it| it.elapsed().is_ok_and(|it| it > ABANDONED))
}

/// Gives a file its name once it is safe on the disk.
fn keep(aside: &Path, file: &Path) -> std::io::Result<()> {
    std::fs::File::open(aside)?.sync_all()?;
    std::fs::rename(aside, file)?;
    match file.parent() {
        Some(directory) => std::fs::File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

fn file_error(path: &Path, error: &std::io::Error) -> DatabaseError {
    DatabaseError::Later(format!("{}: {error}", path.display()))
}

/// Of a line of `pg_restore --list`: `3345; 0 16390 TABLE DATA organization savedquery owner`.
fn is_customization(line: &str) -> bool {
    let mut words = line.split_whitespace().skip(3);
    if (words.next(), words.next()) != (Some("TABLE"), Some("DATA")) {
        return false;
    }
    let (schema, table) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let matches = |pattern: &str, name: &str| pattern == "*" || pattern == name;
    CUSTOMIZATIONS
        .iter()
        .any(|(of_schema, of_table)| matches(of_schema, schema) && matches(of_table, table))
}
