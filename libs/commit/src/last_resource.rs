//! The side whose commit decides: the ERP's database.

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use crate::ended::{is_there, roll_back};
use crate::error::Error;
use crate::id::{Decision, RETENTION, TransactionId};
use crate::participant::{forget_from, insert};
use crate::step::is_left_out;

const TABLE: &str = "tombolo.decision";

/// Ends the open transaction by a commit that decides: the row "commit" goes with it, in the same message. An ERP that
/// does not wait for its disk does so here; it would lose decisions that the platform has followed. `first` are statements
/// that come before, any of which may refuse; empty for none.
///
/// # Errors
///
/// [`Error::Aborted`] when somebody has recorded that before; otherwise the database's own, and the connection may be in
/// the failed transaction still.
pub async fn commit(
    connection: &mut PgConnection,
    id: TransactionId,
    first: &str,
) -> Result<(), Error> {
    let record = match is_left_out("decision-record") {
        false => record(id)?,
        true => "SELECT".to_owned(),
    };
    let statements = format!("{first};{record}; COMMIT");
    let ended = sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *connection).await;
    let Err(error) = ended else { return Ok(()) };
    if !is_there(&error, "decision") {
        return Err(Error::of(error));
    }
    roll_back(connection).await?;
    match find(connection, id).await? {
        Some(Decision::Commit) => Err(Error::IdReused(id)),
        Some(Decision::Abort) | None => Err(Error::Aborted(id)),
    }
}

/// SQL that records the decision. It fails in a transaction that has failed, which a `COMMIT` does not.
fn record(id: TransactionId) -> Result<String, Error> {
    if !id.may_end() {
        return Err(Error::TooOld(id));
    }
    // The id holds hexadecimal digits.
    let (id, decision) = (id.as_uuid(), Decision::Commit.as_str());
    Ok(format!(
        "SELECT set_config('synchronous_commit', 'on', true)
         WHERE current_setting('synchronous_commit') = 'off';
         INSERT INTO {TABLE} (transaction_id, decision) VALUES ('{id}', '{decision}')"
    ))
}

/// The decision. Where there is none, "abort" is recorded and stays. On a connection without an open
/// transaction.
///
/// # Errors
///
/// [`Error::Busy`] while the transaction is about to commit and `lock_timeout` passes;
/// [`Error::TooOld`] when the decision may have been forgotten.
pub async fn resolve(connection: &mut PgConnection, id: TransactionId) -> Result<Decision, Error> {
    if id.may_be_forgotten() {
        return find(connection, id).await?.ok_or(Error::TooOld(id));
    }
    if insert(connection, TABLE, id, Decision::Abort).await? {
        return Ok(Decision::Abort);
    }
    find(connection, id).await?.ok_or(Error::TooOld(id))
}

/// Forgets decisions older than [`RETENTION`], some thousands at once; answers how many.
///
/// # Errors
///
/// The database's own.
pub async fn forget(connection: &mut PgConnection) -> Result<u64, Error> {
    forget_from(connection, TABLE, "recorded_at", RETENTION).await
}

async fn find(connection: &mut PgConnection, id: TransactionId) -> Result<Option<Decision>, Error> {
    let found = sqlx::query_scalar::<_, String>(
        "SELECT decision FROM tombolo.decision WHERE transaction_id = $1",
    );
    let found = found.bind(id.as_uuid()).fetch_optional(connection).await.map_err(Error::of)?;
    Ok(found.map(|it| Decision::of(&it)))
}
