//! PostgreSQL's own programs, run so that they end with the operation and no password is seen.

use std::path::PathBuf;
use std::process::Stdio;

use cluster::Search;
use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tokio::process::Command;

use super::{DatabaseError, Server};
use crate::StartError;

/// What the loader or a wrapper around the programs may need. What else PostgreSQL reads from the environment
/// is set here or nowhere.
const KEPT_VARIABLES: [&str; 4] = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LOCPATH"];

/// How much of what a program complains of is kept.
const TAIL: usize = 600;

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    search: Search,
    /// Where an operator says they are.
    given: Option<PathBuf>,
}

impl Programs {
    /// In this directory, or as PostgreSQL itself is searched for.
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        let given = directory.clone();
        Self { search: Search::from_env().with_explicit(directory), given }
    }

    /// Whether they are in the directory that was given.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let Some(directory) = &self.given else { return Ok(()) };
        match self.missing() {
            None => Ok(()),
            Some(name) => Err(StartError::Config(format!(
                "lifecycle's `pg_bin`: there is no program `{name}` in `{}`",
                directory.display()
            ))),
        }
    }

    /// One that is not there.
    pub(super) fn missing(&self) -> Option<&'static str> {
        ["pg_dump", "pg_restore"].into_iter().find(|it| self.search.program(it).is_none())
    }

    /// A program that connects to a database of the server, and is killed when nobody waits for it.
    pub(super) fn command(
        &self,
        name: &'static str,
        server: &Server,
        database: &str,
    ) -> Result<Command, DatabaseError> {
        let program = self.search.program(name).ok_or(DatabaseError::NoProgram(name))?;
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").stdin(Stdio::null());
        for variable in KEPT_VARIABLES {
            if let Some(value) = std::env::var_os(variable) {
                command.env(variable, value);
            }
        }
        connect(&mut command, &server.options(database));
        command.kill_on_drop(true);
        Ok(command)
    }
}

/// Says where to connect, through the environment: arguments are seen by everybody on the machine.
fn connect(command: &mut Command, options: &PgConnectOptions) {
    match options.get_socket() {
        Some(socket) => command.env("PGHOST", socket),
        None => command.env("PGHOST", options.get_host()),
    };
    command.env("PGPORT", options.get_port().to_string()).env("PGUSER", options.get_username());
    if let Some(database) = options.get_database() {
        command.env("PGDATABASE", database);
    }
    let url = options.to_url_lossy();
    if let Some(password) = url.password() {
        command.env("PGPASSWORD", percent_decode_str(password).decode_utf8_lossy().as_ref());
    }
    for (key, value) in url.query_pairs() {
        let variable = match key.as_ref() {
            "sslmode" | "ssl-mode" => "PGSSLMODE",
            "sslrootcert" | "ssl-root-cert" => "PGSSLROOTCERT",
            "sslcert" | "ssl-cert" => "PGSSLCERT",
            "sslkey" | "ssl-key" => "PGSSLKEY",
            _ => continue,
        };
        command.env(variable, value.as_ref());
    }
}

/// Runs it to its end.
pub(super) async fn run(command: Command) -> Result<(), DatabaseError> {
    output(command).await.map(drop)
}

/// Runs it to its end, and answers what it wrote.
pub(super) async fn output(mut command: Command) -> Result<String, DatabaseError> {
    let output = command.output().await.map_err(|error| DatabaseError::Later(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let start = said.char_indices().rev().nth(TAIL).map_or(0, |(at, _)| at);
    let said = said.get(start..).unwrap_or_default().trim();
    // Also when the server went away under it: tried again, and told when that does not help.
    Err(DatabaseError::Later(said.to_owned()))
}
