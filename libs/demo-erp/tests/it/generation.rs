use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use crate::postgres::Postgres;

#[tokio::test]
async fn rows_depend_on_the_scale_only() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut first = postgres.database("first").await?;
    let mut second = postgres.database("second").await?;
    let mut larger = postgres.database("larger").await?;
    demo_erp::create(&mut first, 333, |_, _, _| {}).await?;
    demo_erp::create(&mut second, 333, |_, _, _| {}).await?;
    demo_erp::create(&mut larger, 1234, |_, _, _| {}).await?;

    let rows = all_rows(&mut first).await?;
    assert_eq!(rows, all_rows(&mut second).await?);
    assert_eq!(rows.len(), 21, "tables: {:?}", rows.keys());

    let larger_rows = all_rows(&mut larger).await?;
    for (table, rows) in &rows {
        assert!(!rows.is_empty(), "{table} is empty");
        let larger: HashSet<&String> = larger_rows[table].iter().collect();
        let missing: Vec<_> = rows.iter().filter(|it| !larger.contains(it)).collect();
        assert!(missing.is_empty(), "{table}: {missing:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_earlier_version_gets_what_it_lacks_and_keeps_its_rows() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut connection = postgres.database("demo").await?;
    demo_erp::create(&mut connection, 20, |_, _, _| {}).await?;
    let count = "SELECT count(*) FROM erp.custportaluser";
    assert_eq!(number(&mut connection, count).await?, 2);
    sqlx::raw_sql("DELETE FROM erp.custportaluser").execute(&mut connection).await?;
    demo_erp::update(&mut connection).await?;
    assert_eq!(number(&mut connection, count).await?, 0, "what was changed stays");
    sqlx::raw_sql("DROP TABLE erp.custportaluser").execute(&mut connection).await?;
    demo_erp::update(&mut connection).await?;
    assert_eq!(number(&mut connection, count).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_scale_is_the_exact_number_of_customers() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut connection = postgres.database("demo").await?;
    for customers in [0, 1, 2, 7, 100, 10_001] {
        demo_erp::create(&mut connection, customers, |_, _, _| {}).await?;
        let count = number(&mut connection, "SELECT count(*) FROM erp.custtable").await?;
        assert_eq!(count, customers as i64);
        assert_eq!(demo_erp::installed(&mut connection).await?, Some(customers));
        let orders = number(&mut connection, "SELECT count(*) FROM erp.salestable").await?;
        assert_eq!(orders, customers as i64 / 2);
    }
    let refused =
        demo_erp::create(&mut connection, demo_erp::MAX_CUSTOMERS + 1, |_, _, _| {}).await;
    assert!(matches!(refused, Err(demo_erp::Error::TooManyCustomers(_))), "{refused:?}");
    assert_eq!(demo_erp::installed(&mut connection).await?, Some(10_001), "nothing was dropped");
    Ok(())
}

/// Rules, and counts of the rows that break them.
const VIOLATIONS: &[(&str, &str)] = &[
    (
        "totals",
        "SELECT count(*) FROM erp.salestable o FULL JOIN
        (SELECT dataareaid, salesid, sum(lineamount) AS total, count(*) AS lines FROM erp.salesline GROUP BY 1, 2) l
        USING (dataareaid, salesid) WHERE (o.ordertotal, o.linecount) IS DISTINCT FROM (l.total, l.lines)",
    ),
    (
        "amounts",
        "SELECT count(*) FROM erp.salesline WHERE lineamount <>
        round(salesqty * salesprice * (1 - linepercent / 100) - linedisc, 6)",
    ),
    (
        "blocked",
        "SELECT count(*) FROM erp.salestable o JOIN erp.custtable c
        ON c.dataareaid = o.dataareaid AND c.accountnum = o.custaccount WHERE c.blocked <> 0",
    ),
    (
        "stopped",
        "SELECT count(*) FROM erp.salesline l JOIN erp.inventtable i USING (dataareaid, itemid)
        WHERE i.stoppedforsales = 1",
    ),
    (
        "credit",
        "SELECT count(*) FROM erp.custtable c WHERE creditmax > 0 AND creditmax <
        (SELECT sum(ordertotal) FROM erp.salestable o WHERE o.dataareaid = c.dataareaid
         AND o.custaccount = c.accountnum AND salesstatus = 1)",
    ),
    ("dates", "SELECT count(*) FROM erp.custtable WHERE modifieddatetime < createddatetime"),
    ("helpers", "SELECT count(*) FROM pg_namespace WHERE nspname = 'erp_gen'"),
];

/// What there must be some of, and counts of it.
const CURIOSITIES: &[(&str, &str)] = &[
    (
        "one account number in several companies",
        "SELECT count(*) FROM (SELECT accountnum FROM erp.custtable
        GROUP BY 1 HAVING count(*) > 2) a",
    ),
    (
        "one party in several companies",
        "SELECT count(*) FROM (SELECT party FROM erp.custtable
        GROUP BY 1 HAVING count(*) > 1) a",
    ),
    (
        "awkward names",
        "SELECT count(*) FROM erp.dirpartytable WHERE name LIKE '% ' OR name ~ '[_%\"]'",
    ),
    ("emoji", "SELECT count(*) FROM erp.dirpartytable WHERE name LIKE '%🚀'"),
    ("no dates", "SELECT count(*) FROM erp.salestable WHERE shippingdaterequested = '1900-01-01'"),
    (
        "six decimals",
        "SELECT count(*) FROM erp.salestable WHERE ordertotal <> round(ordertotal, 4)",
    ),
];

#[tokio::test]
async fn generated_rows_obey_the_rules() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut connection = postgres.database("demo").await?;
    let mut steps = BTreeMap::<String, (u64, u64)>::new();
    demo_erp::create(&mut connection, 20_000, |step, done, total| {
        assert!(done <= total);
        steps.insert(step.to_owned(), (done, total));
    })
    .await?;
    assert!(steps.len() > 10, "{steps:?}");
    assert!(steps.values().all(|(done, total)| done == total), "{steps:?}");

    for (rule, violations) in VIOLATIONS {
        let count = number(&mut connection, violations).await?;
        assert_eq!(count, 0, "{rule}");
    }
    for (what, found) in CURIOSITIES {
        assert!(number(&mut connection, found).await? > 0, "{what}");
    }
    Ok(())
}

#[tokio::test]
async fn an_interrupted_creation_is_not_installed_and_starts_over() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut connection = postgres.database("demo").await?;
    assert_eq!(demo_erp::installed(&mut connection).await?, None);

    let mut interrupted = postgres.connect("demo").await?;
    let (sender, mut steps) = tokio::sync::mpsc::unbounded_channel();
    let creation = tokio::spawn(async move {
        demo_erp::create(&mut interrupted, 50_000, move |step, _, _| {
            let _ = sender.send(step.to_owned());
        })
        .await
    });
    while steps.recv().await.context("the creation ended")? != "Customers" {}
    creation.abort();
    assert!(creation.await.is_err_and(|it| it.is_cancelled()));
    assert_eq!(demo_erp::installed(&mut connection).await?, None);

    demo_erp::create(&mut connection, 10, |_, _, _| {}).await?;
    assert_eq!(demo_erp::installed(&mut connection).await?, Some(10));
    assert_eq!(number(&mut connection, "SELECT count(*) FROM erp.custtable").await?, 10);
    Ok(())
}

#[tokio::test]
async fn a_schema_of_somebody_else_is_left_alone() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut connection = postgres.database("demo").await?;
    sqlx::raw_sql("CREATE SCHEMA erp; CREATE TABLE erp.custtable AS SELECT 1 AS recid")
        .execute(&mut connection)
        .await?;
    let refused = demo_erp::create(&mut connection, 10, |_, _, _| {}).await;
    assert!(matches!(refused, Err(demo_erp::Error::SchemaTaken)), "{refused:?}");
    assert_eq!(number(&mut connection, "SELECT count(*) FROM erp.custtable").await?, 1);
    assert_eq!(demo_erp::installed(&mut connection).await?, None);
    Ok(())
}

async fn all_rows(connection: &mut PgConnection) -> Result<BTreeMap<String, Vec<String>>> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'erp'::regnamespace AND relkind = 'r'",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut rows = BTreeMap::new();
    for table in tables {
        let sql = format!("SELECT it::text FROM erp.{table} it ORDER BY 1");
        rows.insert(
            table,
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut *connection).await?,
        );
    }
    Ok(rows)
}

async fn number(connection: &mut PgConnection, sql: &'static str) -> Result<i64> {
    sqlx::query_scalar(sql).fetch_one(connection).await.context(sql)
}
