//! What the sampler found: environments, their sizes and their tables'.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, Postgres, Transaction};

use crate::consumption::MeterKind;
use crate::error::Error;
use crate::pool::{Amounts, Pool};
use crate::store::samples::{self, Sample, TENANT};
use crate::store::{Change, Store, book, idempotency, notices, reservations};
use crate::tables::TableSize;

/// Of the lock that says who samples.
const SAMPLING_LOCK: i64 = 0x746f_6d62_6f6c_6f63;
const THIN_EVERY: TimeDelta = TimeDelta::hours(1);

/// An environment that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) kind: MeterKind,
    pub(crate) has_database: bool,
}

/// What was measured of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) environment: String,
    pub(crate) amounts: Amounts,
    pub(crate) tables: Vec<TableSize>,
}

/// What is known when environments are listed anew.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// By name, and whether its database was measured.
    environments: BTreeMap<String, (Listed, bool)>,
    /// Those with what is committed and not measured yet.
    committed: BTreeSet<String>,
}

/// Nobody else samples until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _lock: Transaction<'static, Postgres>,
    /// When somebody sampled last, and what time it is now.
    pub(crate) sampled_at: Option<DateTime<Utc>>,
    pub(crate) now: DateTime<Utc>,
}

impl Store {
    /// The right to sample, if nobody has it.
    pub(crate) async fn turn(&self) -> Result<Option<Turn>, Error> {
        let mut lock = self.pool.begin().await?;
        let (ours,): (bool,) = sqlx::query_as("SELECT pg_try_advisory_xact_lock($1)")
            .bind(SAMPLING_LOCK)
            .fetch_one(&mut *lock)
            .await?;
        if !ours {
            return Ok(None);
        }
        let (sampled_at, now) =
            sqlx::query_as("SELECT sampled_at, clock_timestamp() FROM decision")
                .fetch_one(&mut *lock)
                .await?;
        Ok(Some(Turn { _lock: lock, sampled_at, now }))
    }
}

impl Change {
    /// Records a listing and what was measured after it, all as of `began`; what is known of a later
    /// moment stays. `complete`: all of the environments were to be measured.
    pub(crate) async fn record(
        &mut self,
        began: DateTime<Utc>,
        listed: &[Listed],
        measured: &[Measured],
        complete: bool,
    ) -> Result<(), Error> {
        self.decide().await?;
        let connection = self.connection();
        let newest: bool =
            sqlx::query_scalar("SELECT coalesce(listed_at < $1, true) FROM decision")
                .bind(began)
                .fetch_one(&mut *connection)
                .await?;
        if newest {
            list(connection, began, listed).await?;
        }
        for it in measured {
            measure(connection, began, it).await?;
        }
        if complete {
            let sampled = "UPDATE decision SET sampled_at = greatest(sampled_at, $1)";
            sqlx::query(sampled).bind(began).execute(&mut *connection).await?;
        }
        let amounts = book::read(connection).await?.standing().used;
        let sample = Sample { environment: TENANT.to_owned(), amounts, time: began };
        samples::insert(connection, &sample).await?;
        self.review_notices().await
    }

    /// Forgets what is too old, now and then.
    pub(crate) async fn tidy(&mut self, now: DateTime<Utc>) -> Result<(), Error> {
        let due = sqlx::query(
            "UPDATE decision SET thinned_at = $1 WHERE coalesce(thinned_at < $2, true)",
        )
        .bind(now)
        .bind(now - THIN_EVERY)
        .execute(self.connection())
        .await?;
        if due.rows_affected() == 1 {
            samples::thin(self.connection()).await?;
            reservations::forget(self.connection()).await?;
            notices::forget(self.connection()).await?;
            idempotency::forget(self.connection()).await?;
        }
        Ok(())
    }
}

/// The largest first.
pub(crate) async fn tables(
    connection: &mut PgConnection,
    environment: &str,
    pool: Option<Pool>,
    after: Option<&(i64, String, String)>,
    limit: i64,
) -> Result<Vec<TableSize>, Error> {
    let rows: Vec<(String, String, i16, i64, i64)> = sqlx::query_as(
        "SELECT schema_name, table_name, pool, size_bytes, row_count FROM table_size
         WHERE environment = $1 AND ($2::smallint IS NULL OR pool = $2)
             AND ($3::bigint IS NULL OR size_bytes < $3
                 OR size_bytes = $3 AND (schema_name, table_name) > ($4, $5))
         ORDER BY size_bytes DESC, schema_name, table_name LIMIT $6",
    )
    .bind(environment)
    .bind(pool.map(Pool::number))
    .bind(after.map(|it| it.0))
    .bind(after.map(|it| &it.1))
    .bind(after.map(|it| &it.2))
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(schema, table, pool, bytes, rows)| {
            let unknown = || Error::Stored(format!("table `{table}` is of pool {pool}"));
            let pool = Pool::of_number(pool).ok_or_else(unknown)?;
            Ok(TableSize { schema, table, pool, bytes, rows })
        })
        .collect()
}

/// Whether it is known which tables the environment has; `None` when it is not listed. A database is
/// never empty, so one without any size was not there when it was measured.
pub(crate) async fn knows_tables(
    connection: &mut PgConnection,
    name: &str,
) -> Result<Option<bool>, Error> {
    Ok(sqlx::query_scalar(
        "SELECT NOT has_database OR coalesce(0 < ANY (amounts), false) FROM environment
         WHERE name = $1",
    )
    .bind(name)
    .fetch_optional(connection)
    .await?)
}

/// The newest listing, with what counts by something else than a measurement.
pub(crate) async fn known(connection: &mut PgConnection) -> Result<Known, Error> {
    let rows: Vec<(String, i16, bool, bool)> = sqlx::query_as(
        "SELECT name, kind, has_database, coalesce(0 < ANY (amounts), false) FROM environment",
    )
    .fetch_all(&mut *connection)
    .await?;
    let known = |(name, kind, has_database, measured): (String, i16, bool, bool)| {
        let kind = MeterKind::of_number(kind);
        (name.clone(), (Listed { name, kind, has_database }, measured))
    };
    let committed = reservations::committed(connection).await?;
    Ok(Known {
        environments: rows.into_iter().map(known).collect(),
        committed: committed.into_iter().map(|it| it.environment).collect(),
    })
}

// === impl Known ===

impl Known {
    /// Whether a period is too long to wait: operations have begun to use of it what was not measured
    /// since, or its database was never measured.
    pub(crate) fn is_due(&self, it: &Listed) -> bool {
        let measured = self.environments.get(&it.name).is_some_and(|it| it.1);
        self.committed.contains(&it.name) || it.has_database && !measured
    }

    /// Whether this listing says nothing new.
    pub(crate) fn agrees(&self, listed: &[Listed]) -> bool {
        let names: BTreeSet<&str> = listed.iter().map(|it| it.name.as_str()).collect();
        let same =
            |it: &Listed| self.environments.get(&it.name).is_some_and(|known| known.0 == *it);
        names.len() == self.environments.len()
            && listed.iter().all(same)
            && self.committed.iter().all(|it| names.contains(it.as_str()))
    }
}

/// What is not listed is gone, and counts no longer.
async fn list(
    connection: &mut PgConnection,
    began: DateTime<Utc>,
    listed: &[Listed],
) -> Result<(), Error> {
    let names: Vec<&str> = listed.iter().map(|it| it.name.as_str()).collect();
    let kinds: Vec<i16> = listed.iter().map(|it| it.kind.number()).collect();
    let databases: Vec<bool> = listed.iter().map(|it| it.has_database).collect();
    sqlx::query("DELETE FROM environment WHERE name <> ALL ($1)")
        .bind(&names)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO environment (name, kind, has_database)
         SELECT DISTINCT ON (name) * FROM unnest($1::text[], $2::smallint[], $3::boolean[])
             AS given (name, kind, has_database)
         ON CONFLICT (name) DO UPDATE
             SET kind = excluded.kind, has_database = excluded.has_database",
    )
    .bind(&names)
    .bind(&kinds)
    .bind(&databases)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE decision SET listed_at = $1").bind(began).execute(connection).await?;
    Ok(())
}

async fn measure(
    connection: &mut PgConnection,
    began: DateTime<Utc>,
    it: &Measured,
) -> Result<(), Error> {
    let updated = sqlx::query(
        "UPDATE environment SET amounts = $2, measured_at = $3
         WHERE name = $1 AND coalesce(measured_at <= $3, true)",
    )
    .bind(&it.environment)
    .bind(it.amounts.to_vec())
    .bind(began)
    .execute(&mut *connection)
    .await?;
    if updated.rows_affected() == 0 {
        return Ok(());
    }
    let sample = Sample { environment: it.environment.clone(), amounts: it.amounts, time: began };
    samples::insert(connection, &sample).await?;
    sqlx::query("DELETE FROM table_size WHERE environment = $1")
        .bind(&it.environment)
        .execute(&mut *connection)
        .await?;
    let schemas: Vec<&str> = it.tables.iter().map(|it| it.schema.as_str()).collect();
    let tables: Vec<&str> = it.tables.iter().map(|it| it.table.as_str()).collect();
    let pools: Vec<i16> = it.tables.iter().map(|it| it.pool.number()).collect();
    let sizes: Vec<i64> = it.tables.iter().map(|it| it.bytes).collect();
    let rows: Vec<i64> = it.tables.iter().map(|it| it.rows).collect();
    sqlx::query(
        "INSERT INTO table_size (environment, schema_name, table_name, pool, size_bytes, row_count)
         SELECT $1, * FROM unnest($2::text[], $3::text[], $4::smallint[], $5::bigint[], $6::bigint[])
         ON CONFLICT DO NOTHING",
    )
    .bind(&it.environment)
    .bind(&schemas)
    .bind(&tables)
    .bind(&pools)
    .bind(&sizes)
    .bind(&rows)
    .execute(connection)
    .await?;
    Ok(())
}
