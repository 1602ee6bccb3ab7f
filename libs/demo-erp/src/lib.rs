//! The demo ERP: a PostgreSQL schema in finance-and-operations shape with its own business logic,
//! and as many rows as wanted.
//!
//! [`create`] makes it, [`installed`] says whether a database holds it. What is in it is SQL: tables,
//! fixed rows, generators, constraints and business logic, in the folder `sql/`. The generators are
//! listed in [`plan`]; `docs/demo-erp.md` describes the result and `models/demo` its data entities.

mod plan;

use std::ops::Range;

use sqlx::postgres::PgConnection;

use plan::Step;

/// More customers than this are refused: the generators' arithmetic is made for fewer.
pub const MAX_CUSTOMERS: u64 = 100_000_000;

/// Rows that one statement generates, so that progress can be told in between.
const CHUNK: u64 = 10_000;

/// The demo ERP cannot be created or looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Beyond [`MAX_CUSTOMERS`].
    #[error("a demo ERP of {0} customers is too large; {MAX_CUSTOMERS} is the most")]
    TooManyCustomers(u64),
    /// A schema `erp` that [`create`] did not make: it is somebody's data.
    #[error("the database has a schema erp that is not the demo ERP; it is left as it is")]
    SchemaTaken,
    /// The database refused a statement or went away.
    #[error("the demo ERP's database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Creates the schema `erp` with exactly `customers` customers over all companies, and everything
/// else in proportion. An earlier demo ERP is dropped, complete or not. The same scale makes the same
/// rows.
///
/// Calls `progress(step, done, total)` while a step runs; `done` reaches `total` when it is over. The
/// connection must not be in a transaction. What an interrupted call leaves behind is not
/// [`installed`].
pub async fn create(
    connection: &mut PgConnection,
    customers: u64,
    mut progress: impl FnMut(&str, u64, u64),
) -> Result<(), Error> {
    if customers > MAX_CUSTOMERS {
        return Err(Error::TooManyCustomers(customers));
    }
    let taken: bool = sqlx::query_scalar(
        "SELECT to_regnamespace('erp') IS NOT NULL AND to_regnamespace('erp_demo') IS NULL",
    )
    .fetch_one(&mut *connection)
    .await?;
    if taken {
        return Err(Error::SchemaTaken);
    }
    run(connection, &plan::PREPARE, &mut progress).await?;
    for generator in plan::generators(customers) {
        progress(generator.label, 0, generator.count);
        for chunk in chunks(generator.count) {
            let done = chunk.end;
            // The bounds are below MAX_CUSTOMERS times a small factor.
            sqlx::query(generator.sql)
                .bind(chunk.start as i64)
                .bind(chunk.end as i64)
                .execute(&mut *connection)
                .await?;
            progress(generator.label, done, generator.count);
        }
    }
    run(connection, &plan::COMPLETE, &mut progress).await?;
    sqlx::raw_sql(include_str!("../sql/vacuum.sql")).execute(&mut *connection).await?;
    mark_complete(connection, customers).await
}

/// Gives a complete demo ERP what it lacks because an earlier version made it. Rows stay as they are.
pub async fn update(connection: &mut PgConnection) -> Result<(), Error> {
    let is_new: bool = sqlx::query_scalar("SELECT to_regclass('erp.custportaluser') IS NULL")
        .fetch_one(&mut *connection)
        .await?;
    if is_new {
        sqlx::raw_sql(plan::ADDED).execute(connection).await?;
    }
    Ok(())
}

/// The scale that this database's demo ERP was created at; none if it holds no complete one.
pub async fn installed(connection: &mut PgConnection) -> Result<Option<u64>, Error> {
    let exists: bool = sqlx::query_scalar(
        "SELECT to_regclass('erp_demo.installation') IS NOT NULL AND to_regnamespace('erp') IS NOT NULL",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !exists {
        return Ok(None);
    }
    let customers: Option<i64> = sqlx::query_scalar("SELECT customers FROM erp_demo.installation")
        .fetch_optional(&mut *connection)
        .await?;
    Ok(customers.map(i64::unsigned_abs))
}

async fn run(
    connection: &mut PgConnection,
    steps: &[Step],
    progress: &mut impl FnMut(&str, u64, u64),
) -> Result<(), Error> {
    for step in steps {
        let total = step.scripts.len() as u64;
        progress(step.label, 0, total);
        for (done, script) in (1..).zip(step.scripts) {
            sqlx::raw_sql(*script).execute(&mut *connection).await?;
            progress(step.label, done, total);
        }
    }
    Ok(())
}

/// The mark is in a schema of its own, so that it is no table of the ERP.
async fn mark_complete(connection: &mut PgConnection, customers: u64) -> Result<(), Error> {
    sqlx::query("INSERT INTO erp_demo.installation (customers) VALUES ($1)")
        .bind(customers as i64)
        .execute(connection)
        .await?;
    Ok(())
}

fn chunks(count: u64) -> impl Iterator<Item = Range<u64>> {
    (0..count.div_ceil(CHUNK)).map(move |it| it * CHUNK..count.min((it + 1) * CHUNK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_a_count_without_gaps() {
        for count in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let mut reached = 0;
            for chunk in chunks(count) {
                assert_eq!(chunk.start, reached);
                assert!(!chunk.is_empty() && chunk.end - chunk.start <= CHUNK, "{chunk:?}");
                reached = chunk.end;
            }
            assert_eq!(reached, count);
        }
    }
}
