//! Every way the log can fail its caller.

/// Why changes cannot be captured or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// That part of the log is not kept, or never was: read the rows anew.
    #[error("changes from this position on are no longer kept; read the rows anew")]
    Expired,
    /// A table was emptied as a whole, which the log does not tell row by row.
    #[error("{0} was emptied as a whole (TRUNCATE); read the rows anew")]
    Emptied(String),
    /// The triggers of a table are younger than the position: before, they were switched off, dropped, or not yet
    /// wanted, and nobody knows what was written meanwhile.
    #[error(
        "changes of {0} were not captured all the time: its triggers were switched off, dropped or made \
         anew; read the rows anew"
    )]
    Interrupted(String),
    /// The position speaks of transactions that have not been.
    #[error("the position was not given out by this log")]
    ForeignPosition,
    /// Some relation has no triggers, or not as they should be: reconcile first.
    #[error("changes of {0} are not captured yet")]
    NotCaptured(String),
    /// A table cannot be captured as it is.
    #[error("{relation} {reason}, so its changes cannot be captured")]
    Unsuitable {
        /// As the log names it.
        relation: String,
        /// What it is instead.
        reason: &'static str,
    },
    /// The database user may not do it. Says what to grant.
    #[error("the database refuses to capture changes: {0}")]
    NotGranted(String),
    /// Somebody holds a lock; nothing was waited for. The same call works later.
    #[error("a table is locked by somebody else; try again")]
    Busy(#[source] sqlx::Error),
    /// The database does not answer, or cannot do it.
    #[error("the database could not be asked for changes")]
    Database(#[from] sqlx::Error),
}

impl Error {
    /// Sorts out what only has to wait.
    pub(crate) fn of(error: sqlx::Error) -> Self {
        /// A lock was not to be had, or two transactions waited for each other.
        const LOCKED: [&str; 2] = ["55P03", "40P01"];
        if LOCKED.contains(&code(&error).as_str()) {
            Self::Busy(error)
        } else {
            Self::Database(error)
        }
    }
}

/// The SQLSTATE, empty for what did not come from the database.
pub(crate) fn code(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|it| it.code());
    code.map(std::borrow::Cow::into_owned).unwrap_or_default()
}

/// The user lacks a privilege.
pub(crate) fn is_denied(error: &sqlx::Error) -> bool {
    code(error) == "42501"
}
