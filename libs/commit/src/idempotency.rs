//! Repeating a write with the same key has one effect and the same answer. The key is inserted in the
//! write's own transaction, first; a repetition waits for that transaction to end, and then either
//! reads its answer or, after a rollback, is the first itself.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::error::Error;
use crate::participant::forget_from;

/// How long answers are kept.
pub const RETENTION: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// Who may repeat which request: keys of different callers never meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whose key it is.
    pub caller: String,
    /// Chosen by the caller.
    pub key: String,
    /// Of everything that the request says.
    pub digest: Vec<u8>,
}

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it is to be done, and [`finish`] to be called before the commit.
    Fresh,
    /// It was done, with this answer.
    Answered(Vec<u8>),
    /// Its key came before with another request.
    Reused,
}

/// Looks the key up and takes it, within the open transaction.
///
/// # Errors
///
/// [`Error::Busy`] when the same request is still being done and `lock_timeout` passes.
pub async fn begin(connection: &mut PgConnection, request: &Request) -> Result<Known, Error> {
    let insert = "INSERT INTO tombolo.idempotency (caller, key, digest) VALUES ($1, $2, $3)
                  ON CONFLICT DO NOTHING";
    let insert = sqlx::query(insert).bind(&request.caller).bind(&request.key).bind(&request.digest);
    if insert.execute(&mut *connection).await.map_err(Error::of)?.rows_affected() == 1 {
        return Ok(Known::Fresh);
    }
    let find = "SELECT digest = $3, answer FROM tombolo.idempotency WHERE caller = $1 AND key = $2";
    let find = sqlx::query(find).bind(&request.caller).bind(&request.key).bind(&request.digest);
    match find.fetch_optional(connection).await.map_err(Error::of)? {
        Some(row) if row.try_get(0)? => Ok(Known::Answered(row.try_get(1)?)),
        Some(_) => Ok(Known::Reused),
        // Forgotten between the two statements: the next try is the first.
        None => Err(Error::Busy(sqlx::Error::RowNotFound)),
    }
}

/// Records the answer of a fresh request, within the same transaction.
///
/// # Errors
///
/// The database's own.
pub async fn finish(
    connection: &mut PgConnection,
    request: &Request,
    answer: &[u8],
) -> Result<(), Error> {
    let update = "UPDATE tombolo.idempotency SET answer = $3 WHERE caller = $1 AND key = $2";
    let update = sqlx::query(update).bind(&request.caller).bind(&request.key).bind(answer);
    update.execute(connection).await.map_err(Error::of)?;
    Ok(())
}

/// Forgets answers older than [`RETENTION`], some thousands at once; answers how many.
///
/// # Errors
///
/// The database's own.
pub async fn forget(connection: &mut PgConnection) -> Result<u64, Error> {
    forget_from(connection, "tombolo.idempotency", "created_at", RETENTION).await
}
