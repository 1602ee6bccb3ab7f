use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a private cluster could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable PostgreSQL on this machine.
    #[error(
        "no PostgreSQL (version {minimum} or later) found; looked in {looked}. Install it (Debian: \
         apt-get install postgresql), or run scripts/postgres.sh, or name its bin directory with \
         --pg-bin or TOMBOLO_PG_BIN"
    )]
    NoBinaries {
        /// The oldest major version that would do.
        minimum: u32,
        /// The places, in order, with what was wrong with each.
        looked: String,
    },

    /// The directory that was named explicitly does not hold a usable PostgreSQL.
    #[error("{} is not a usable PostgreSQL bin directory: {reason}", .path.display())]
    BadBinaries {
        /// The directory as it was given.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },

    /// The data was written by a PostgreSQL that is not here.
    #[error(
        "{} was created by PostgreSQL {needed}, but only these were found: {found}. Install \
         PostgreSQL {needed} or name its bin directory with --pg-bin or TOMBOLO_PG_BIN; to start \
         with an empty database instead, move the directory away", .directory.display()
    )]
    VersionMismatch {
        /// The data directory.
        directory: PathBuf,
        /// The major version of the data.
        needed: u32,
        /// What the machine has.
        found: String,
    },

    /// Another process runs this cluster.
    #[error(
        "{} is in use by another running process{}; stop that one or choose another data directory",
        .directory.display(), .holder.as_ref().map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The directory that is locked.
        directory: PathBuf,
        /// The other process, where it is known.
        holder: Option<u32>,
    },

    /// The directory holds something that is not ours.
    #[error(
        "{} is not empty and was not created by Tombolo; choose an empty or new directory",
        .directory.display()
    )]
    Foreign {
        /// The directory that was refused.
        directory: PathBuf,
    },

    /// The cluster exists but its password does not.
    #[error(
        "{} is missing, so nobody can connect to the cluster beside it; restore the file, or move \
         the directory away to start with an empty database", .path.display()
    )]
    NoPassword {
        /// Where the password was expected.
        path: PathBuf,
    },

    /// As root there is nobody to run PostgreSQL as.
    #[error(
        "running as root, and there is neither a user postgres nor nobody to run PostgreSQL as"
    )]
    NoAccount,

    /// `initdb` failed.
    #[error("initdb failed ({status}): {output}")]
    Initialize {
        /// How it ended.
        status: String,
        /// The last lines it wrote.
        output: String,
    },

    /// PostgreSQL ended instead of becoming ready.
    #[error("PostgreSQL ended while starting ({status}); the last lines of {}:\n{tail}", .log.display())]
    Exited {
        /// How it ended.
        status: String,
        /// The whole log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// A wait ran out.
    #[error("{what} took longer than {after:?}; the last lines of {}:\n{tail}", .log.display())]
    Deadline {
        /// What was waited for.
        what: &'static str,
        /// How long.
        after: Duration,
        /// The whole log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// A database name that PostgreSQL would cut or refuse.
    #[error("{name:?} cannot be the name of a database: use 1 to 63 bytes without NUL")]
    DatabaseName {
        /// The name as it was given.
        name: String,
    },

    /// The cluster runs but refused a statement.
    #[error("the private PostgreSQL answered with an error")]
    Sql(#[from] sqlx::Error),

    /// The file system refused.
    #[error("{what} {}", .path.display())]
    Io {
        /// What was attempted, as a verb: "cannot create".
        what: &'static str,
        /// The file or program.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err`: names the file and the attempt.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
