//! Measurements over time: all of two days, one an hour of sixty, one a day of four hundred.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::error::Error;
use crate::pool::Amounts;

/// One measurement; of no environment, the whole tenant's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) environment: String,
    pub(crate) amounts: Amounts,
    pub(crate) time: DateTime<Utc>,
}

/// As the tenant's own samples are stored.
pub(crate) const TENANT: &str = "";

pub(crate) async fn insert(connection: &mut PgConnection, it: &Sample) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO sample (environment, taken_at, amounts) VALUES ($1, $2, $3)
         ON CONFLICT (environment, taken_at) DO UPDATE SET amounts = excluded.amounts",
    )
    .bind(&it.environment)
    .bind(it.time)
    .bind(it.amounts.to_vec())
    .execute(connection)
    .await?;
    Ok(())
}

/// The oldest first: at or after the one moment, and before the other.
pub(crate) async fn list(
    connection: &mut PgConnection,
    environment: &str,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
    after: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<Sample>, Error> {
    let rows: Vec<(String, DateTime<Utc>, Vec<i64>)> = sqlx::query_as(
        "SELECT environment, taken_at, amounts FROM sample
         WHERE environment = $1 AND taken_at >= $2 AND taken_at < $3
             AND ($4::timestamptz IS NULL OR taken_at > $4)
         ORDER BY taken_at LIMIT $5",
    )
    .bind(environment)
    .bind(start)
    .bind(end)
    .bind(after)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(environment, time, amounts)| {
            Ok(Sample { environment, amounts: Amounts::try_from(amounts)?, time })
        })
        .collect()
}

/// Whether anything was ever measured of it that is still remembered.
pub(crate) async fn is_known(
    connection: &mut PgConnection,
    environment: &str,
) -> Result<bool, Error> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM environment WHERE name = $1)
             OR EXISTS (SELECT FROM sample WHERE environment = $1)",
    )
    .bind(environment)
    .fetch_one(connection)
    .await?)
}

/// Leaves of each hour, and of each older day, the first.
pub(super) async fn thin(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("DELETE FROM sample WHERE taken_at < now() - interval '400 days'")
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "DELETE FROM sample USING (
             SELECT environment, taken_at, row_number() OVER (
                 PARTITION BY environment, taken_at < now() - interval '60 days', date_trunc(
                     CASE WHEN taken_at < now() - interval '60 days' THEN 'day' ELSE 'hour' END,
                     taken_at, 'UTC')
                 ORDER BY taken_at) AS place
             FROM sample WHERE taken_at < now() - interval '2 days'
         ) AS old
         WHERE place > 1 AND sample.environment = old.environment
             AND sample.taken_at = old.taken_at",
    )
    .execute(connection)
    .await?;
    Ok(())
}
