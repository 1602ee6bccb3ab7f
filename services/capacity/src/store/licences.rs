//! Purchases, and who holds them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::entitlement::Licence;
use crate::error::Error;

/// A purchase, how many of it are assigned, and which version of it this is.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) licence: Licence,
    pub(crate) assigned: i64,
    pub(crate) version: i64,
}

/// A user holds a licence.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) licence: String,
    pub(crate) user_key: String,
    pub(crate) user: String,
    pub(crate) create_time: DateTime<Utc>,
}

type Row = (String, String, i64, DateTime<Utc>, Option<DateTime<Utc>>, i64, i64);
type AssignmentRow = (String, String, String, DateTime<Utc>);

/// In the order of ids.
pub(crate) async fn list(
    connection: &mut PgConnection,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Stored>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, accrual, quantity, start_time, end_time,
             (SELECT count(*) FROM assignment WHERE assignment.licence = licence.id), version
         FROM licence WHERE id > $1 ORDER BY id LIMIT $2",
    )
    .bind(after.unwrap_or_default())
    .bind(limit)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(stored).collect())
}

pub(crate) async fn get(connection: &mut PgConnection, id: &str) -> Result<Option<Stored>, Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT id, accrual, quantity, start_time, end_time,
             (SELECT count(*) FROM assignment WHERE assignment.licence = licence.id), version
         FROM licence WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(stored))
}

/// One purchase; nobody changes or assigns it before this transaction ends.
pub(crate) async fn lock(connection: &mut PgConnection, id: &str) -> Result<Option<Stored>, Error> {
    // What is counted after the lock was waited for has to be counted by a statement of its own.
    sqlx::query("SELECT FROM licence WHERE id = $1 FOR UPDATE")
        .bind(id)
        .execute(&mut *connection)
        .await?;
    get(connection, id).await
}

/// Answers whether the name was free.
pub(crate) async fn insert(connection: &mut PgConnection, it: &Licence) -> Result<bool, Error> {
    let done = sqlx::query(
        "INSERT INTO licence (id, accrual, quantity, start_time, end_time)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(&it.id)
    .bind(&it.accrual)
    .bind(it.quantity)
    .bind(it.start_time)
    .bind(it.end_time)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn update(connection: &mut PgConnection, it: &Licence) -> Result<(), Error> {
    sqlx::query(
        "UPDATE licence SET quantity = $2, start_time = $3, end_time = $4, version = version + 1
         WHERE id = $1",
    )
    .bind(&it.id)
    .bind(it.quantity)
    .bind(it.start_time)
    .bind(it.end_time)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn delete(connection: &mut PgConnection, id: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM licence WHERE id = $1").bind(id).execute(connection).await?;
    Ok(())
}

/// Of one licence or of all, of one user or of all, by licence and user.
pub(crate) async fn list_assignments(
    connection: &mut PgConnection,
    licence: Option<&str>,
    user_key: Option<&str>,
    after: Option<&(String, String)>,
    limit: i64,
) -> Result<Vec<Assignment>, Error> {
    let rows: Vec<AssignmentRow> = sqlx::query_as(
        "SELECT licence, user_key, user_name, create_time FROM assignment
         WHERE ($1::text IS NULL OR licence = $1) AND ($2::text IS NULL OR user_key = $2)
             AND (licence, user_key) > ($3, $4)
         ORDER BY licence, user_key LIMIT $5",
    )
    .bind(licence)
    .bind(user_key)
    .bind(after.map_or("", |it| it.0.as_str()))
    .bind(after.map_or("", |it| it.1.as_str()))
    .bind(limit)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(assignment).collect())
}

/// `None` when the user holds the licence already.
pub(crate) async fn assign(
    connection: &mut PgConnection,
    licence: &str,
    user_key: &str,
    user: &str,
) -> Result<Option<Assignment>, Error> {
    let row: Option<AssignmentRow> = sqlx::query_as(
        "INSERT INTO assignment (licence, user_key, user_name, create_time)
         VALUES ($1, $2, $3, clock_timestamp()) ON CONFLICT DO NOTHING
         RETURNING licence, user_key, user_name, create_time",
    )
    .bind(licence)
    .bind(user_key)
    .bind(user)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(assignment))
}

/// Answers whether the user held the licence.
pub(crate) async fn take_away(
    connection: &mut PgConnection,
    licence: &str,
    user_key: &str,
) -> Result<bool, Error> {
    let done = sqlx::query("DELETE FROM assignment WHERE licence = $1 AND user_key = $2")
        .bind(licence)
        .bind(user_key)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

fn stored(row: Row) -> Stored {
    let (id, accrual, quantity, start_time, end_time, assigned, version) = row;
    let licence = Licence { id, accrual, quantity, start_time, end_time };
    Stored { licence, assigned, version }
}

fn assignment((licence, user_key, user, create_time): AssignmentRow) -> Assignment {
    Assignment { licence, user_key, user, create_time }
}
