//! The side whose commit decides: the ERP's database.

use sqlx::postgres::PgConnection;

use crate::error::Error;
use crate::id::{Decision, RETENTION, TransactionId};
use crate::participant::{forget_from, insert};
use crate::step::is_left_out;

const TABLE: &str = "tombolo.decision";

/// The decision. An ERP that does not wait for its disk would lose decisions that the platform has followed.
const RECORD: &str = "
    WITH durable AS MATERIALIZED (
        SELECT set_config('synchronous_commit', 'on', true)
        WHERE current_setting('synchronous_commit') = 'off'
    )
    INSERT INTO tombolo.decision (transaction_id, decision)
    SELECT $1, $2 FROM (SELECT count(*) FROM durable) AS it ON CONFLICT DO NOTHING";

/// Records within the open transaction that it commits, at any time before. Its `COMMIT` is then the decision.
///
/// # Errors
///
/// [`Error::Aborted`] when somebody has recorded that before; the transaction can only be rolled back.
pub async fn record(connection: &mut PgConnection, id: TransactionId) -> Result<(), Error> {
    if !id.may_end() {
        return Err(Error::TooOld(id));
    }
    if is_left_out("decision-record") {
        return Ok(());
    }
    let record = sqlx::query(RECORD).bind(id.as_uuid()).bind(Decision::Commit.as_str());
    let recorded = record.execute(&mut *connection).await.map_err(Error::of)?;
    if recorded.rows_affected() == 1 {
        return Ok(());
    }
    match find(connection, id).await? {
        Some(Decision::Commit) => Err(Error::IdReused(id)),
        Some(Decision::Abort) | None => Err(Error::Aborted(id)),
    }
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
