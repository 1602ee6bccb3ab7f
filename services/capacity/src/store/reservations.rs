//! Reservations. A held one whose time is over is void, whether or not anybody has noticed.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::consumption::Commitment;
use crate::error::Error;
use crate::operations::Operation;
use crate::pool::Amounts;
use crate::reservations::{Reservation, State};

type Row = (Uuid, String, String, i16, Vec<i64>, String, DateTime<Utc>, DateTime<Utc>);

/// In the order of [`Row`], with the state that the time makes of it.
const COLUMNS: &str = "SELECT id, holder, environment, operation, amounts,
    CASE WHEN state = 'held' AND expire_time <= clock_timestamp() THEN 'expired' ELSE state END,
    create_time, expire_time FROM reservation";

/// The newest first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    state: Option<State>,
    after: Option<&(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Reservation>, Error> {
    let mut sql = QueryBuilder::<Postgres>::new(COLUMNS);
    sql.push(" WHERE true");
    if let Some((time, id)) = after {
        sql.push(" AND (create_time < ").push_bind(*time).push(" OR create_time = ");
        sql.push_bind(*time).push(" AND id > ").push_bind(*id).push(")");
    }
    match state {
        Some(State::Held) => {
            sql.push(" AND state = 'held' AND expire_time > clock_timestamp()");
        }
        Some(State::Expired) => {
            sql.push(" AND (state = 'expired'");
            sql.push(" OR state = 'held' AND expire_time <= clock_timestamp())");
        }
        Some(state @ (State::Committed | State::Released)) => {
            sql.push(" AND state = ").push_bind(state.name());
        }
        None => {}
    }
    sql.push(" ORDER BY create_time DESC, id LIMIT ").push_bind(limit);
    let rows: Vec<Row> = sql.build_query_as().fetch_all(connection).await?;
    rows.into_iter().map(reservation).collect()
}

pub(crate) async fn get(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Reservation>, Error> {
    let mut sql = QueryBuilder::<Postgres>::new(COLUMNS);
    sql.push(" WHERE id = ").push_bind(id);
    let row: Option<Row> = sql.build_query_as().fetch_optional(connection).await?;
    row.map(reservation).transpose()
}

/// What the holder has: held or committed. Within a decision, after which a void one is void for good.
pub(crate) async fn of_holder(
    connection: &mut PgConnection,
    holder: &str,
) -> Result<Option<Reservation>, Error> {
    sqlx::query(
        "UPDATE reservation SET state = 'expired', end_time = expire_time
         WHERE holder = $1 AND state = 'held' AND expire_time <= clock_timestamp()",
    )
    .bind(holder)
    .execute(&mut *connection)
    .await?;
    let mut sql = QueryBuilder::<Postgres>::new(COLUMNS);
    sql.push(" WHERE state IN ('held', 'committed') AND holder = ").push_bind(holder);
    let row: Option<Row> = sql.build_query_as().fetch_optional(connection).await?;
    row.map(reservation).transpose()
}

pub(crate) async fn insert(connection: &mut PgConnection, it: &Reservation) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO reservation (id, holder, environment, operation, amounts, state, create_time,
             expire_time)
         VALUES ($1, $2, $3, $4, $5, 'held', $6, $7)",
    )
    .bind(it.id)
    .bind(&it.holder)
    .bind(&it.environment)
    .bind(it.operation.number())
    .bind(it.amounts.to_vec())
    .bind(it.create_time)
    .bind(it.expire_time)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn extend(
    connection: &mut PgConnection,
    id: Uuid,
    expire_time: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query("UPDATE reservation SET expire_time = $2 WHERE id = $1")
        .bind(id)
        .bind(expire_time)
        .execute(connection)
        .await?;
    Ok(())
}

/// Commits or releases.
pub(crate) async fn end(
    connection: &mut PgConnection,
    id: Uuid,
    state: State,
) -> Result<(), Error> {
    sqlx::query("UPDATE reservation SET state = $2, end_time = clock_timestamp() WHERE id = $1")
        .bind(id)
        .bind(state.name())
        .execute(connection)
        .await?;
    Ok(())
}

/// All that is held at this moment.
pub(super) async fn held(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Amounts, Error> {
    let rows: Vec<(Vec<i64>,)> =
        sqlx::query_as("SELECT amounts FROM reservation WHERE state = 'held' AND expire_time > $1")
            .bind(now)
            .fetch_all(connection)
            .await?;
    rows.into_iter().try_fold(Amounts::NONE, |sum, (it,)| Ok(sum.plus(&Amounts::try_from(it)?)))
}

/// By environment, what is committed and not measured yet: of an environment that is not listed, until
/// a listing without it.
pub(super) async fn committed(connection: &mut PgConnection) -> Result<Vec<Commitment>, Error> {
    let rows: Vec<(String, i16, Vec<i64>)> = sqlx::query_as(
        "SELECT reservation.environment, reservation.operation, reservation.amounts
         FROM reservation
         CROSS JOIN decision
         LEFT JOIN environment ON environment.name = reservation.environment
         WHERE state = 'committed' AND coalesce(
             reservation.end_time >=
                 CASE WHEN environment.name IS NULL THEN listed_at ELSE measured_at END,
             true)",
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(environment, operation, amounts)| {
            let unknown = || {
                Error::Stored(format!("{environment} has a reservation for operation {operation}"))
            };
            let operation = Operation::of_number(operation).ok_or_else(unknown)?;
            Ok(Commitment { environment, operation, amounts: Amounts::try_from(amounts)? })
        })
        .collect()
}

/// Forgets what ended long ago.
pub(super) async fn forget(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query(
        "DELETE FROM reservation WHERE coalesce(end_time, expire_time) < now() - interval '90 days'",
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn reservation(row: Row) -> Result<Reservation, Error> {
    let (id, holder, environment, operation, amounts, state, create_time, expire_time) = row;
    let unknown = |what: String| Error::Stored(format!("reservation {id} {what}"));
    Ok(Reservation {
        id,
        holder,
        environment,
        operation: Operation::of_number(operation)
            .ok_or_else(|| unknown(format!("is for operation {operation}")))?,
        amounts: Amounts::try_from(amounts)?,
        state: State::of_name(&state).ok_or_else(|| unknown(format!("is {state}")))?,
        create_time,
        expire_time,
    })
}
