//! What capturing changes costs who writes: the same write on two tables that are alike but for it, in
//! turns, on one connection.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use change_log::Relation;
use hdrhistogram::Histogram;
use sqlx::{AssertSqlSafe, PgConnection};

const WARM_UP: u64 = 200;
/// Rows of each table.
const ROWS: u64 = 10_000;
const TABLES: [&str; 2] = ["plain", "captured"];

/// One way of writing. `{table}` and `$1` stand for the table and the number of the turn.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// For people.
    pub name: &'static str,
    sql: &'static str,
}

/// The writes that are measured.
pub const WRITES: [Write; 3] = [
    Write {
        name: "update of one row",
        sql: "UPDATE load.{table} SET creditmax = creditmax + 1 WHERE recid = (
                  SELECT recid FROM load.numbers WHERE number = $1::bigint % 10000)",
    },
    Write {
        name: "insert of one row",
        sql: "INSERT INTO load.{table} SELECT made.* FROM
                  (SELECT old FROM load.{table} AS old WHERE recid > 0 ORDER BY recid LIMIT 1) AS one,
                  LATERAL jsonb_populate_record(
                      one.old, jsonb_build_object('recid', -$1::bigint - 1)) AS made",
    },
    Write {
        name: "update of 100 rows",
        sql: "UPDATE load.{table} SET creditmax = creditmax + 1 WHERE recid IN (
                  SELECT recid FROM load.numbers
                  WHERE number BETWEEN $1::bigint % 9900 AND $1::bigint % 9900 + 99)",
    },
];

/// How long both took, in nanoseconds.
#[derive(Debug)]
pub struct Cost {
    /// Which write.
    pub name: &'static str,
    /// Without capture.
    pub plain: Histogram<u64>,
    /// With it.
    pub captured: Histogram<u64>,
}

impl Cost {
    /// The median with capture over the one without.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.captured.value_at_quantile(0.5) as f64 / self.plain.value_at_quantile(0.5) as f64
    }
}

/// Makes two tables like the demo ERP's customers, of which one is captured.
pub async fn prepare(connection: &mut PgConnection) -> Result<()> {
    let mut sql = String::from("DROP SCHEMA IF EXISTS load CASCADE; CREATE SCHEMA load;");
    for table in TABLES {
        sql.push_str(&format!(
            "CREATE TABLE load.{table} AS SELECT * FROM erp.custtable ORDER BY recid LIMIT {ROWS};
             ALTER TABLE load.{table} ADD PRIMARY KEY (recid);"
        ));
    }
    sql.push_str(
        "CREATE TABLE load.numbers AS
             SELECT row_number() OVER (ORDER BY recid) - 1 AS number, recid FROM load.plain;
         ALTER TABLE load.numbers ADD PRIMARY KEY (number); ANALYZE load.numbers",
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    change_log::install(connection).await?;
    let wanted = [Relation::new("load", "captured")];
    let done = change_log::reconcile(connection, &wanted, Duration::from_secs(86_400)).await?;
    ensure!(done.added == 1 && done.failed.is_empty(), "not captured: {done:?}");
    Ok(())
}

/// Measures one write for some time.
pub async fn measure(
    connection: &mut PgConnection,
    write: Write,
    duration: Duration,
) -> Result<Cost> {
    let [plain_sql, captured_sql] = TABLES.map(|table| write.sql.replace("{table}", table));
    let (mut plain, mut captured) = (Histogram::new(3)?, Histogram::new(3)?);
    let mut end = None;
    for turn in 0_u64.. {
        let number = i64::try_from(turn)?;
        // Who goes first changes.
        let (one, other) = if turn % 2 == 0 {
            let one = timed(connection, &plain_sql, number).await?;
            (one, timed(connection, &captured_sql, number).await?)
        } else {
            let other = timed(connection, &captured_sql, number).await?;
            (timed(connection, &plain_sql, number).await?, other)
        };
        if turn < WARM_UP {
            continue;
        }
        plain.record(one)?;
        captured.record(other)?;
        if Instant::now() >= *end.get_or_insert_with(|| Instant::now() + duration) {
            break;
        }
    }
    Ok(Cost { name: write.name, plain, captured })
}

async fn timed(connection: &mut PgConnection, sql: &str, number: i64) -> Result<u64> {
    let started = Instant::now();
    let done = sqlx::query(AssertSqlSafe(sql)).bind(number).execute(connection).await?;
    let took = u64::try_from(started.elapsed().as_nanos())?;
    ensure!(done.rows_affected() > 0, "nothing was written: {sql}");
    Ok(took)
}
