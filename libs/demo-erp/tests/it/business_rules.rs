//! Each rule of `docs/demo-erp.md`, in a transaction that is rolled back.

use anyhow::{Context, Result};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use crate::postgres::Postgres;

/// A customer of USMF without credit limit, not blocked, with an order `T-1` of two lines.
pub(crate) const FIXTURE: &str = "
    INSERT INTO erp.dirpartytable (name) VALUES ('Test Party');
    INSERT INTO erp.custtable (dataareaid, accountnum, party, custgroup)
        SELECT 'USMF', 'TEST', recid, '10' FROM erp.dirpartytable WHERE name = 'Test Party';
    INSERT INTO erp.salestable (dataareaid, salesid, custaccount) VALUES ('USMF', 'T-1', 'TEST');
    INSERT INTO erp.salesline (dataareaid, salesid, itemid, salesqty, salesprice, linedisc, linepercent)
        SELECT 'USMF', 'T-1', itemid, 3, 10.5, 1, 10 FROM erp.inventtable WHERE recid = 5637144576;
    INSERT INTO erp.salesline (dataareaid, salesid, itemid, salesqty)
        SELECT 'USMF', 'T-1', itemid, 2 FROM erp.inventtable WHERE recid = 5637144576;
";

const NEW_ORDER: &str =
    "INSERT INTO erp.salestable (dataareaid, custaccount) VALUES ('USMF', 'TEST')";
const NEW_LINE: &str =
    "INSERT INTO erp.salesline (dataareaid, salesid, itemid, salesqty, salesprice)
    SELECT 'USMF', 'T-1', itemid, 1, 100 FROM erp.inventtable WHERE recid = 5637144576";

/// What happens first, what is then refused, what the refusal says.
const REFUSALS: &[(&str, &str, &str)] = &[
    ("UPDATE erp.custtable SET blocked = 2 WHERE accountnum = 'TEST'", NEW_ORDER,
        "Customer TEST of company USMF is blocked for new sales orders."),
    ("UPDATE erp.custtable SET blocked = 5 WHERE accountnum = 'TEST'", NEW_ORDER, "is blocked for new sales orders"),
    ("UPDATE erp.custtable SET blocked = 1 WHERE accountnum = 'TEST'",
        "UPDATE erp.salestable SET salesstatus = 3 WHERE salesid = 'T-1'", "is blocked for invoicing"),
    ("UPDATE erp.custtable SET creditmax = 120 WHERE accountnum = 'TEST'", NEW_LINE,
        "Credit limit of customer TEST of company USMF exceeded"),
    (
        "UPDATE erp.salestable SET salesstatus = 2 WHERE salesid = 'T-1';
         UPDATE erp.custtable SET creditmax = 1 WHERE accountnum = 'TEST'",
        "UPDATE erp.salestable SET salesstatus = 1 WHERE salesid = 'T-1'",
        "Credit limit of customer TEST of company USMF exceeded",
    ),
    ("UPDATE erp.inventtable SET stoppedforsales = 1 WHERE recid = 5637144576", NEW_LINE, "is stopped for sales in company USMF"),
    ("UPDATE erp.salestable SET salesstatus = 3 WHERE salesid = 'T-1'",
        "UPDATE erp.salestable SET notes = 'x' WHERE salesid = 'T-1'", "is invoiced and cannot be changed"),
    ("UPDATE erp.salestable SET salesstatus = 3 WHERE salesid = 'T-1'",
        "DELETE FROM erp.salesline WHERE salesid = 'T-1'", "is invoiced and its lines cannot be changed"),
    ("UPDATE erp.salestable SET salesstatus = 4 WHERE salesid = 'T-1'", NEW_LINE, "is canceled and its lines cannot be changed"),
    ("UPDATE erp.salestable SET salesstatus = 4 WHERE salesid = 'T-1'",
        "UPDATE erp.salestable SET salesstatus = 1 WHERE salesid = 'T-1'", "cannot be opened again"),
    ("UPDATE erp.salestable SET salesstatus = 2 WHERE salesid = 'T-1'",
        "DELETE FROM erp.salestable WHERE salesid = 'T-1'", "is delivered or invoiced and cannot be deleted"),
    ("", "UPDATE erp.salestable SET custaccount = 'US-000001' WHERE salesid = 'T-1'", "it has lines"),
    ("", "UPDATE erp.salesline SET linedisc = 1000 WHERE salesid = 'T-1' AND linenum = 1", "greater than its amount"),
    ("", "UPDATE erp.salesline SET salesqty = 0 WHERE salesid = 'T-1' AND linenum = 2", "salesline_salesqty_positive"),
    ("", "UPDATE erp.custtable SET creditmax = -1 WHERE accountnum = 'TEST'", "custtable_creditmax_positive"),
    ("", "UPDATE erp.custtable SET dataareaid = 'USRT' WHERE accountnum = 'TEST'", "cannot be moved to company USRT"),
    ("", "UPDATE erp.custtable SET accountnum = 'test' WHERE accountnum = 'TEST'", "custtable_accountnum_check"),
    ("", "UPDATE erp.custtable SET custgroup = 'NONE' WHERE accountnum = 'TEST'", "foreign key"),
    ("", "DELETE FROM erp.custgroup WHERE dataareaid = 'USMF' AND custgroup = '10'", "foreign key"),
    ("", "DELETE FROM erp.custtable WHERE accountnum = 'TEST'", "foreign key"),
    ("", "DELETE FROM erp.salestable WHERE salesid = 'T-1'", "foreign key"),
    ("", "UPDATE erp.dirpartytable SET name = '  ' WHERE name = 'Test Party'", "dirpartytable_name_given"),
    ("", "INSERT INTO erp.logisticselectronicaddress (type, locator) VALUES (2, 'nobody')", "is not valid"),
    ("", "INSERT INTO erp.salestable (dataareaid, custaccount) VALUES ('USMF', 'NOBODY')", "Customer NOBODY does not exist"),
    ("", "INSERT INTO erp.salestable (dataareaid, custaccount, salesstatus) VALUES ('USMF', 'TEST', 3)", "must be open"),
    ("", "INSERT INTO erp.salesline (dataareaid, salesid, itemid) VALUES ('USMF', 'T-1', 'NOTHING')", "Item NOTHING is not released"),
    ("", "INSERT INTO erp.salesline (dataareaid, salesid, itemid) VALUES ('USMF', 'T-0', 'NOTHING')", "Sales order T-0 does not exist"),
    ("", "UPDATE erp.salesline SET salesid = 'SO-0000001' WHERE salesid = 'T-1'", "cannot be moved to sales order"),
    ("", "INSERT INTO erp.custtable (dataareaid, accountnum, party, custgroup)
        SELECT dataareaid, accountnum, 5637144576, custgroup FROM erp.custtable WHERE accountnum = 'TEST'", "custtable_key"),
];

#[tokio::test]
async fn rules_refuse_what_they_should() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut connection = postgres.database("demo").await?;
    demo_erp::create(&mut connection, 100, |_, _, _| {}).await?;

    for (before, refused, message) in REFUSALS {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(FIXTURE).execute(&mut *transaction).await?;
        sqlx::raw_sql(*before).execute(&mut *transaction).await.context(*before)?;
        let error = match sqlx::raw_sql(*refused).execute(&mut *transaction).await {
            Ok(_) => anyhow::bail!("accepted: {refused}"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(message), "{refused}: {error}");
        transaction.rollback().await?;
    }
    Ok(())
}

#[tokio::test]
async fn rules_calculate_amounts_and_totals() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut connection = postgres.database("demo").await?;
    demo_erp::create(&mut connection, 100, |_, _, _| {}).await?;
    let mut transaction = connection.begin().await?;
    let connection = &mut *transaction;
    sqlx::raw_sql(FIXTURE).execute(&mut *connection).await?;

    // Line amounts and totals: 3 * 10.5 less a tenth less 1; the second line has the item's price.
    let line = "SELECT lineamount::text || ' ' || linenum FROM erp.salesline WHERE salesid = 'T-1'";
    assert_eq!(text(connection, &format!("{line} AND linenum = 1")).await?, "27.350000 1");
    let totals = "SELECT (ordertotal = (SELECT sum(lineamount) FROM erp.salesline WHERE salesid = 'T-1')) || ' ' || linecount
        FROM erp.salestable WHERE salesid = 'T-1'";
    assert_eq!(text(connection, totals).await?, "true 2");
    let price = "SELECT (l.salesprice = m.price AND m.price > 0)::text FROM erp.salesline l
        JOIN erp.inventtablemodulesales m USING (dataareaid, itemid) WHERE l.salesid = 'T-1' AND l.linenum = 2";
    assert_eq!(text(connection, price).await?, "true");
    // Whatever is written to a calculated column, the rule decides.
    for change in [
        "UPDATE erp.salesline SET lineamount = 1, salesqty = 4 WHERE salesid = 'T-1' AND linenum = 1",
        "UPDATE erp.salestable SET ordertotal = 1, linecount = 7 WHERE salesid = 'T-1'",
    ] {
        sqlx::raw_sql(change).execute(&mut *connection).await?;
        assert_eq!(text(connection, totals).await?, "true 2", "{change}");
    }
    assert_eq!(text(connection, &format!("{line} AND linenum = 1")).await?, "36.800000 1");
    sqlx::raw_sql("DELETE FROM erp.salesline WHERE salesid = 'T-1' AND linenum = 1")
        .execute(&mut *connection)
        .await?;
    assert_eq!(text(connection, totals).await?, "true 1");
    Ok(())
}

#[tokio::test]
async fn rules_fill_in_what_is_missing() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut connection = postgres.database("demo").await?;
    demo_erp::create(&mut connection, 100, |_, _, _| {}).await?;
    let mut transaction = connection.begin().await?;
    let connection = &mut *transaction;
    sqlx::raw_sql(FIXTURE).execute(&mut *connection).await?;

    let defaults = "SELECT concat_ws(' ', o.salesname, o.currencycode, o.paymtermid, o.invoiceaccount, c.currency, c.paymtermid)
        FROM erp.salestable o JOIN erp.custtable c ON c.accountnum = o.custaccount WHERE o.salesid = 'T-1'";
    assert_eq!(text(connection, defaults).await?, "Test Party USD Net30 TEST USD Net30");
    let party = "SELECT partynumber FROM erp.dirpartytable WHERE name = 'Test Party'";
    assert!(text(connection, party).await?.starts_with("P-000000"));
    let order = "INSERT INTO erp.salestable (dataareaid, salesid, custaccount) VALUES ('USMF', '', 'TEST') RETURNING salesid";
    assert_eq!(text(connection, order).await?, "SO-0000051");
    let customer =
        "INSERT INTO erp.custtable (dataareaid, party, custgroup) VALUES ('DEMF', 5637144576, '20')
        RETURNING accountnum || ' ' || currency || ' ' || paymtermid";
    assert_eq!(text(connection, customer).await?, "C-000001 EUR Net60");
    Ok(())
}

#[tokio::test]
async fn vendors_prices_versions_and_addresses_have_rules() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut connection = postgres.database("demo").await?;
    demo_erp::create(&mut connection, 100, |_, _, _| {}).await?;
    let mut transaction = connection.begin().await?;
    let connection = &mut *transaction;
    sqlx::raw_sql(FIXTURE).execute(&mut *connection).await?;

    let vendor = "INSERT INTO erp.vendtable (dataareaid, party, vendgroup)
        VALUES ('GBSI', 5637144576, '20')
        RETURNING accountnum || ' ' || currency || ' ' || paymtermid";
    assert_eq!(text(connection, vendor).await?, "W-000001 GBP Net10");
    let update = "UPDATE erp.inventtablemodulesales SET price = price + 1
        WHERE recid = 5637144578 RETURNING recversion || ' ' || moduletype";
    assert_eq!(text(connection, update).await?, "2 2");
    // Product 7 has no sales price of its own.
    let insert = "INSERT INTO erp.inventtablemodulesales (dataareaid, itemid, price)
        SELECT dataareaid, itemid, 5 FROM erp.inventtable WHERE recid = 5637144576 + 4 * 7
        RETURNING moduletype || ' ' || unitid";
    assert_eq!(text(connection, insert).await?, "2 ea");

    // Versions and moments.
    let touch = "UPDATE erp.custtable SET recversion = 77, createddatetime = '2000-01-01', memo = 'x' WHERE accountnum = 'US-000002'
        RETURNING recversion || ' ' || (createddatetime >= '2020-01-01') || ' ' || (modifieddatetime > now() AT TIME ZONE 'utc' - interval '1 hour')";
    assert_eq!(text(connection, touch).await?, "2 true true");

    // An address that was there first becomes its party's own.
    let owner = "WITH address AS (INSERT INTO erp.logisticspostaladdress (city) VALUES ('Aarhus') RETURNING recid)
        UPDATE erp.dirpartytable SET primarypostaladdress = address.recid FROM address WHERE name = 'Test Party' RETURNING name";
    assert_eq!(text(connection, owner).await?, "Test Party");
    let owned = "SELECT p.name FROM erp.logisticspostaladdress a JOIN erp.dirpartytable p ON p.recid = a.party WHERE a.city = 'Aarhus'";
    assert_eq!(text(connection, owned).await?, "Test Party");
    Ok(())
}

async fn text(connection: &mut PgConnection, sql: &str) -> Result<String> {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(connection)
        .await
        .with_context(|| sql.to_owned())
}
