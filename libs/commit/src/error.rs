//! Every way a database can refuse to take part.

use crate::id::{Decision, TransactionId};

/// Why a step of a transaction could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was given up before.
    #[error("transaction {0} was given up before this call")]
    Aborted(TransactionId),
    /// Another transaction of the same id was here before.
    #[error("the transaction id {0} was used before")]
    IdReused(TransactionId),
    /// To be committed, and never prepared.
    #[error("transaction {0} was never prepared")]
    NeverPrepared(TransactionId),
    /// It was settled the other way.
    #[error("transaction {id} was settled before, by {decision}")]
    SettledOtherwise {
        /// Which.
        id: TransactionId,
        /// How it was.
        decision: Decision,
    },
    /// So old that its decision may have been forgotten; a person has to look at both sides.
    #[error("transaction {0} is too old: its decision may have been forgotten")]
    TooOld(TransactionId),
    /// Somebody else is at work on the same; the same call works later.
    #[error("somebody else is at work on the same transaction; try again")]
    Busy(#[source] sqlx::Error),
    /// The database's server does not prepare transactions.
    #[error("the database prepares no transactions: set `max_prepared_transactions`")]
    PreparingDisabled,
    /// The database user may not keep Tombolo's own tables.
    #[error(
        "the database user `{user}` may not keep Tombolo's own tables; let it: CREATE SCHEMA tombolo \
         AUTHORIZATION {user}, or, where that exists, GRANT USAGE, CREATE ON SCHEMA tombolo TO \
         {user}"
    )]
    NotGranted {
        /// Of the database, as SQL quotes it.
        user: String,
    },
    /// The database does not answer, or cannot do it.
    #[error("the database could not take part")]
    Database(#[from] sqlx::Error),
}

impl Error {
    /// Sorts out what only has to wait.
    pub(crate) fn of(error: sqlx::Error) -> Self {
        /// A lock was not to be had within `lock_timeout`.
        const LOCKED: &str = "55P03";
        if code(&error) == LOCKED { Self::Busy(error) } else { Self::Database(error) }
    }
}

/// The SQLSTATE, empty for what did not come from the database.
pub(crate) fn code(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|it| it.code());
    code.map(std::borrow::Cow::into_owned).unwrap_or_default()
}
