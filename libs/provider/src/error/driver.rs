//! What a database driver's error means to whoever called.

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use super::Error;

impl Error {
    /// Sorts a driver's error by what the caller can do about it.
    pub(crate) fn of(entity: &str, error: sqlx::Error) -> Self {
        if is_busy(&error) {
            return Self::Busy(error);
        }
        if is_unavailable(&error) {
            return Self::Unavailable(error);
        }
        let code = error.as_database_error().and_then(|it| it.code()).unwrap_or_default();
        match code.as_ref() {
            "57014" => Self::DeadlineExceeded,
            "40001" | "40P01" => Self::Conflict,
            "42501" => Self::NotGranted(error),
            "23505" | "23P01" => Self::RecordExists { columns: Vec::new() },
            code if code.starts_with("23") => {
                tracing::info!(entity, %error, "a constraint does not hold");
                let message = "the change is not allowed between the records";
                Self::Refused { column: None, message: message.to_owned() }
            }
            code if is_raised(code) => {
                let message = error.as_database_error().map(|it| it.message().to_owned());
                Self::BusinessRule { column: None, message: message.unwrap_or_default() }
            }
            "42P01" | "42703" | "42883" | "3F000" => {
                Self::SchemaMismatch { entity: entity.to_owned(), source: error }
            }
            // Data exceptions: a value that the database cannot compute with.
            code if code.starts_with("22") => {
                tracing::info!(entity, %error, "a value could not be computed with");
                let message = "a value of the query is out of the range of its column";
                Self::InvalidQuery(message.to_owned())
            }
            _ => Self::Failed(error),
        }
    }

    /// [`Self::of`] where no entity is at fault.
    pub(crate) fn database(error: sqlx::Error) -> Self {
        Self::of("", error)
    }
}

/// An error that code in the database raised, not the database itself: PL/pgSQL's own class, and
/// classes that the standard leaves to whoever writes code.
fn is_raised(code: &str) -> bool {
    let class = code.get(..2).unwrap_or_default();
    class == "P0"
        || class == "45"
        || class.starts_with(['5', '6', '7', '8', '9'])
            && !matches!(class, "53" | "54" | "55" | "57" | "58" | "72")
}

/// Whether the database is there, and only has no hand free for this.
fn is_busy(error: &sqlx::Error) -> bool {
    /// A lock was not to be had.
    const LOCKED: &str = "55P03";
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|it| it == LOCKED),
        sqlx::Error::PoolTimedOut => true,
        _ => false,
    }
}

/// Whether the database is away or cannot serve now, so that the same may work later. Otherwise it
/// has answered, and would answer the same again.
#[must_use]
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    /// A statement that took too long: the server is there.
    const CANCELED: &str = "57014";
    /// No such database (any more).
    const NO_DATABASE: &str = "3D000";
    /// Of a connection: the database takes none, because another is about to take its place.
    const NOT_READY: &str = "55000";
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            let classes = ["08", "28", "53", "57"];
            let postgres = error.try_downcast_ref::<PgDatabaseError>();
            let fatal = postgres.is_some_and(|it| it.severity() == PgSeverity::Fatal);
            code == NO_DATABASE
                || (code == NOT_READY && fatal)
                || (code != CANCELED && classes.iter().any(|class| code.starts_with(class)))
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => true,
        _ => false,
    }
}
