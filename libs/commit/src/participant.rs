//! The side that prepares and follows: the platform's database.

use std::time::{Duration, SystemTime};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::ended::{is_there, roll_back};
use crate::error::{Error, code};
use crate::id::{Decision, PREPARED_PREFIX, RETENTION, TransactionId};

const TABLE: &str = "tombolo.settled";
const ENABLED: &str = "SELECT current_setting('max_prepared_transactions')::int > 0";
/// Deleted by one statement.
const FORGET_AT_ONCE: i64 = 10_000;

/// A transaction that is prepared and waits for its decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Which.
    pub id: TransactionId,
    /// Since when, by the database's clock.
    pub at: SystemTime,
}

/// Ends the open transaction by `PREPARE TRANSACTION` with [`TransactionId::prepared_name`]; the mark goes with it, in
/// the same message. `first` are statements that come before, any of which may refuse; empty for none.
///
/// # Errors
///
/// [`Error::Aborted`] when the transaction was settled so before; [`Error::PreparingDisabled`]; otherwise the
/// database's own, and the connection may be in the failed transaction still.
pub async fn prepare(
    connection: &mut PgConnection,
    id: TransactionId,
    first: &str,
) -> Result<(), Error> {
    /// Of several things, preparing where that is disabled among them.
    const NOT_NOW: &str = "55000";
    if !id.may_end() {
        return Err(Error::TooOld(id));
    }
    // The names hold hexadecimal digits.
    let (uuid, name, decision) = (id.as_uuid(), id.prepared_name(), Decision::Commit.as_str());
    // It fails in a transaction that has failed, which preparing does not.
    let mark =
        format!("INSERT INTO {TABLE} (transaction_id, decision) VALUES ('{uuid}', '{decision}')");
    let statements = format!("{first};{mark}; PREPARE TRANSACTION '{name}'");
    let ended = sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *connection).await;
    let Err(error) = ended else { return Ok(()) };
    let was_settled = is_there(&error, "settled");
    if !was_settled && code(&error) != NOT_NOW {
        return Err(Error::of(error));
    }
    roll_back(connection).await?;
    if !was_settled {
        let enabled = sqlx::query_scalar(ENABLED).fetch_one(&mut *connection).await;
        let enabled: bool = enabled.map_err(Error::of)?;
        return Err(if enabled { Error::of(error) } else { Error::PreparingDisabled });
    }
    match settled(connection, id).await? {
        Some(Decision::Commit) => Err(Error::IdReused(id)),
        Some(Decision::Abort) | None => Err(Error::Aborted(id)),
    }
}

/// Ends a prepared transaction. Repeating it is harmless. An abort of one that was never prepared is
/// remembered, and [`prepare`] refuses it later. On a connection without an open transaction.
///
/// # Errors
///
/// [`Error::NeverPrepared`], [`Error::SettledOtherwise`]; [`Error::Busy`] while somebody else settles
/// it, or it is about to be prepared.
pub async fn settle(
    connection: &mut PgConnection,
    id: TransactionId,
    decision: Decision,
) -> Result<(), Error> {
    let was_prepared = finish_prepared(connection, id, decision).await?;
    match decision {
        Decision::Commit if was_prepared => Ok(()),
        Decision::Commit => match settled(connection, id).await? {
            Some(Decision::Commit) => Ok(()),
            Some(decision) => Err(Error::SettledOtherwise { id, decision }),
            None if id.may_be_forgotten() => Err(Error::TooOld(id)),
            None => Err(Error::NeverPrepared(id)),
        },
        // Waits for a transaction that has written its mark and neither ended nor prepared yet.
        Decision::Abort => match insert(connection, TABLE, id, Decision::Abort).await? {
            true => Ok(()),
            false => match settled(connection, id).await? {
                Some(Decision::Commit) => {
                    Err(Error::SettledOtherwise { id, decision: Decision::Commit })
                }
                Some(Decision::Abort) | None => Ok(()),
            },
        },
    }
}

/// Up to `limit` transactions that wait, oldest first, from behind `after` on.
///
/// # Errors
///
/// The database's own.
pub async fn list(
    connection: &mut PgConnection,
    after: Option<Prepared>,
    limit: u32,
) -> Result<Vec<Prepared>, Error> {
    let statement = "
        SELECT gid, (extract(epoch FROM prepared) * 1000000)::bigint
          FROM pg_prepared_xacts
         WHERE database = current_database() AND starts_with(gid, $1)
           AND ($2::bigint IS NULL
                OR ((extract(epoch FROM prepared) * 1000000)::bigint, gid) > ($2, $3))
         ORDER BY 2, 1
         LIMIT $4";
    let rows = sqlx::query(statement)
        .bind(PREPARED_PREFIX)
        .bind(after.map(|it| micros(it.at)))
        .bind(after.map(|it| it.id.prepared_name()))
        .bind(i64::from(limit))
        .fetch_all(connection);
    let mut found = Vec::new();
    for row in rows.await.map_err(Error::of)? {
        let name: String = row.try_get(0)?;
        let micros = u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or_default();
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
        match TransactionId::of_prepared_name(&name) {
            Some(id) => found.push(Prepared { id, at }),
            None => tracing::warn!(name, "a prepared transaction that nobody here has made"),
        }
    }
    Ok(found)
}

/// Forgets marks older than [`RETENTION`], some thousands at once; answers how many.
///
/// # Errors
///
/// The database's own.
pub async fn forget(connection: &mut PgConnection) -> Result<u64, Error> {
    forget_from(connection, TABLE, "recorded_at", RETENTION).await
}

/// Whether there was one to finish.
async fn finish_prepared(
    connection: &mut PgConnection,
    id: TransactionId,
    decision: Decision,
) -> Result<bool, Error> {
    const NOT_PREPARED: &str = "42704";
    const IN_OTHER_HANDS: &str = "55000";
    let verb = match decision {
        Decision::Commit => "COMMIT",
        Decision::Abort => "ROLLBACK",
    };
    // The statement takes a literal only; the name holds hexadecimal digits.
    let statement = format!("{verb} PREPARED '{}'", id.prepared_name());
    match sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await {
        Ok(_) => Ok(true),
        Err(error) => match code(&error).as_str() {
            NOT_PREPARED => Ok(false),
            IN_OTHER_HANDS => Err(Error::Busy(error)),
            _ => Err(Error::of(error)),
        },
    }
}

async fn settled(
    connection: &mut PgConnection,
    id: TransactionId,
) -> Result<Option<Decision>, Error> {
    let found = sqlx::query_scalar::<_, String>(
        "SELECT decision FROM tombolo.settled WHERE transaction_id = $1",
    );
    let found = found.bind(id.as_uuid()).fetch_optional(connection).await.map_err(Error::of)?;
    Ok(found.map(|it| Decision::of(&it)))
}

fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Whether the row is new. Waits for a transaction that is inserting the same.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    table: &'static str,
    id: TransactionId,
    decision: Decision,
) -> Result<bool, Error> {
    let statement = format!(
        "INSERT INTO {table} (transaction_id, decision) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    );
    let insert = sqlx::query(AssertSqlSafe(statement)).bind(id.as_uuid()).bind(decision.as_str());
    let done = insert.execute(connection).await.map_err(Error::of)?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn forget_from(
    connection: &mut PgConnection,
    table: &'static str,
    column: &'static str,
    retention: Duration,
) -> Result<u64, Error> {
    let statement = format!(
        "DELETE FROM {table} WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM {table} WHERE {column} < now() - make_interval(secs => $1) LIMIT $2))"
    );
    let delete = sqlx::query(AssertSqlSafe(statement)).bind(retention.as_secs_f64());
    let done = delete.bind(FORGET_AT_ONCE).execute(connection).await.map_err(Error::of)?;
    Ok(done.rows_affected())
}
