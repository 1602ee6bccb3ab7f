//! Repeating a write with the same key has one effect and the same answer. The key is inserted in the
//! write's own transaction, first: a repetition waits for that transaction to end.

use prost::Message;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use crate::error::Error;

const LONGEST_KEY: usize = 128;

/// A write that may come again.
#[derive(Clone, Debug)]
pub(crate) struct Once {
    /// Keys of different callers never meet.
    caller: String,
    key: String,
    digest: Vec<u8>,
}

impl Once {
    /// `None` without a key: then nothing protects a repetition.
    pub(crate) fn of(
        caller: &str,
        operation: &str,
        key: &str,
        request: &impl Message,
    ) -> Result<Option<Self>, Error> {
        if key.is_empty() {
            return Ok(None);
        }
        if key.chars().count() > LONGEST_KEY || key.chars().any(char::is_control) {
            let reason = format!("has at most {LONGEST_KEY} characters, none of them for control");
            return Err(Error::invalid("idempotency_key", reason));
        }
        let digest = Sha256::new().chain_update(operation).chain_update([0]);
        let digest = digest.chain_update(request.encode_to_vec()).finalize().to_vec();
        Ok(Some(Self { caller: caller.to_owned(), key: key.to_owned(), digest }))
    }
}

/// The answer, if it was given already; else takes the key.
pub(super) async fn begin(
    connection: &mut PgConnection,
    once: &Once,
) -> Result<Option<Vec<u8>>, Error> {
    sqlx::query(
        "DELETE FROM idempotency
         WHERE caller = $1 AND key = $2 AND create_time < now() - interval '24 hours'",
    )
    .bind(&once.caller)
    .bind(&once.key)
    .execute(&mut *connection)
    .await?;
    let inserted = sqlx::query(
        "INSERT INTO idempotency (caller, key, digest) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(&once.caller)
    .bind(&once.key)
    .bind(&once.digest)
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok(None);
    }
    let known: Option<(bool, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT digest = $3, answer FROM idempotency WHERE caller = $1 AND key = $2",
    )
    .bind(&once.caller)
    .bind(&once.key)
    .bind(&once.digest)
    .fetch_optional(connection)
    .await?;
    match known {
        Some((true, Some(answer))) => Ok(Some(answer)),
        Some((false, _)) => Err(Error::KeyReused(once.key.clone())),
        // Forgotten between the statements: the next try is the first.
        Some((true, None)) | None => Err(Error::Busy),
    }
}

pub(super) async fn finish(
    connection: &mut PgConnection,
    once: &Once,
    answer: &[u8],
) -> Result<(), Error> {
    sqlx::query("UPDATE idempotency SET answer = $3 WHERE caller = $1 AND key = $2")
        .bind(&once.caller)
        .bind(&once.key)
        .bind(answer)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets what is older than a day.
pub(crate) async fn forget(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("DELETE FROM idempotency WHERE create_time < now() - interval '24 hours'")
        .execute(connection)
        .await?;
    Ok(())
}
