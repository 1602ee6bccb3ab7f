//! Every value of every row as SQL has it.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use tests::tables::{self, CUSTOMERS, Table};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    every_value_of_every_row_is_that_of_sql,
    money_is_exact_to_the_last_digit,
    the_empty_text_is_not_null,
    text_of_any_kind_arrives_unchanged,
    dates_and_moments_are_utc_and_1900_is_none,
    api_18_formatted_values_are_text_for_people,
    the_primary_field_joins_the_key,
];

async fn every_value_of_every_row_is_that_of_sql(world: &World) -> Result<()> {
    for table in tables::ALL {
        compare(world, &table).await.with_context(|| table.set)?;
    }
    Ok(())
}

async fn compare(world: &World, table: &Table) -> Result<()> {
    let expected = world.rows(table).await?;
    let path = format!("{}?$select={}", table.set, table.select());
    let (answered, _) = world.admin.pages(&path, 5_000).await?;
    ensure!(answered.len() == expected.len(), "{} rows of {}", answered.len(), expected.len());
    let answered = answered.iter().map(|it| Ok((table.record_id_of(it)?, it)));
    let answered: HashMap<_, _> = answered.collect::<Result<_>>()?;
    for row in &expected {
        let answer = answered.get(&row.record_id).context("a row is missing")?;
        let cells = table.answered(answer)?;
        for ((column, got), cell) in table.columns.iter().zip(&cells).zip(&row.cells) {
            // The largest number of the ODD customers is beyond what this test's JSON reader keeps.
            let huge =
                matches!(cell, tables::Cell::Decimal(it) if it.unsigned_abs() > 10_u128.pow(26));
            ensure!(
                huge || got == cell,
                "{} of {}: {got:?}, not {cell:?}",
                column.name,
                row.record_id
            );
        }
    }
    Ok(())
}

async fn money_is_exact_to_the_last_digit(world: &World) -> Result<()> {
    let path = format!(
        "{}?$select=mserp_creditlimit&$filter=mserp_organizationname eq 'zebra'&$orderby=mserp_customeraccount",
        CUSTOMERS.set
    );
    let body = world.admin.get(&path).await?.body;
    for digits in ["12345678901234567890123456.123456", "0.000001", "0.1"] {
        let member = format!("\"mserp_creditlimit\":{digits}");
        let end = body.find(&member).map(|at| at + member.len());
        let next = end.and_then(|it| body.as_bytes().get(it));
        ensure!(matches!(next, Some(b',' | b'}' | b'0')), "no {member} in {body}");
    }
    let path = format!(
        "{}?$select=mserp_creditlimit&$filter=mserp_creditlimit eq 12345678901234567890123456.123456",
        CUSTOMERS.set
    );
    let exact = world.admin.json(&path).await?;
    ensure!(exact["value"].as_array().map(Vec::len) == Some(1), "{exact}");
    Ok(())
}

async fn the_empty_text_is_not_null(world: &World) -> Result<()> {
    let count = async |filter: &str| -> Result<i64> {
        let path = format!("{}?$top=0&$count=true&$filter={filter}", CUSTOMERS.set);
        world.admin.json(&path).await?["@odata.count"].as_i64().context("no count")
    };
    let sql = async |condition: &str| {
        world.erp.count(&format!("SELECT count(*) FROM erp.custtable WHERE {condition}")).await
    };
    let none = count("mserp_paymentterms eq null").await?;
    ensure!(none > 0 && none == sql("paymtermid IS NULL").await?, "{none}");
    ensure!(count("mserp_paymentterms eq ''").await? == 0);
    let empty = count("mserp_creditrating eq ''").await?;
    ensure!(empty > 0 && empty == sql("creditrating = ''").await?, "{empty}");
    ensure!(count("mserp_creditrating eq null").await? == 0);
    Ok(())
}

async fn text_of_any_kind_arrives_unchanged(world: &World) -> Result<()> {
    let path = format!(
        "{}?$filter=startswith(mserp_customeraccount,'odd-')&$select=mserp_notes",
        CUSTOMERS.set
    );
    let list = world.admin.json(&path).await?;
    let notes = list["value"].as_array().context("no value")?.iter();
    let notes: Vec<_> = notes.filter_map(|it| it["mserp_notes"].as_str()).collect();
    for text in ["Quote ' and \\ and <&> and \t tab", "Ünïcödé 日本語 🦓", "two\nlines"] {
        ensure!(notes.contains(&text), "{text:?} is not in {notes:?}");
        let filter = tests::encode(&format!("mserp_notes eq '{}'", text.replace('\'', "''")));
        let found = world.admin.json(&format!("{}?$filter={filter}", CUSTOMERS.set)).await?;
        ensure!(
            found["value"].as_array().map(Vec::len) == Some(1),
            "{text:?} is not found: {found}"
        );
    }
    Ok(())
}

async fn dates_and_moments_are_utc_and_1900_is_none(world: &World) -> Result<()> {
    let path = format!(
        "{}?$filter=mserp_organizationname eq 'zebra'&$orderby=mserp_customeraccount&$select=mserp_creditreviewdate",
        CUSTOMERS.set
    );
    let list = world.admin.json(&path).await?;
    let dates = list["value"].as_array().context("no value")?.iter();
    let dates: Vec<_> = dates.map(|it| it["mserp_creditreviewdate"].as_str()).collect();
    ensure!(
        dates == [Some("9999-12-31T00:00:00Z"), None, Some("1900-01-02T00:00:00Z")],
        "{dates:?}"
    );
    let forms = ["9999-12-31", "9999-12-31T00:00:00Z"];
    for form in forms {
        let path =
            format!("{}?$filter=mserp_creditreviewdate eq {form}&$count=true", CUSTOMERS.set);
        ensure!(world.admin.json(&path).await?["@odata.count"] == 1, "{form}");
    }
    Ok(())
}

async fn api_18_formatted_values_are_text_for_people(world: &World) -> Result<()> {
    let path = format!(
        "{}?$filter=mserp_organizationname eq 'zebra' and mserp_creditlimit gt 1&$select=mserp_creditlimit,mserp_creditreviewdate,mserp_onholdstatus,mserp_isonetimecustomer,mserp_organizationname",
        CUSTOMERS.set
    );
    let prefer = "odata.include-annotations=\"OData.Community.Display.V1.FormattedValue\"";
    let answer = world.admin.get_prefer(&path, prefer).await?;
    ensure!(answer.header("preference-applied").contains("include-annotations"), "{answer:?}");
    let list = answer.ok()?;
    let formatted = |column: &str| {
        list["value"][0][format!("{column}@OData.Community.Display.V1.FormattedValue")].clone()
    };
    ensure!(
        formatted("mserp_creditlimit") == "12,345,678,901,234,567,890,123,456.123456",
        "{list}"
    );
    ensure!(formatted("mserp_creditreviewdate") == "12/31/9999", "{list}");
    ensure!(formatted("mserp_onholdstatus") == "No", "{list}");
    ensure!(formatted("mserp_isonetimecustomer") == "No", "{list}");
    ensure!(formatted("mserp_organizationname").is_null(), "{list}");
    Ok(())
}

async fn the_primary_field_joins_the_key(world: &World) -> Result<()> {
    let path = format!(
        "{}?$select=mserp_primaryfield,mserp_dataareaid,mserp_customeraccount&$top=20",
        CUSTOMERS.set
    );
    let list = world.admin.json(&path).await?;
    for row in list["value"].as_array().context("no value")? {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let expected = format!("{} | {}", text("mserp_dataareaid"), text("mserp_customeraccount"));
        ensure!(text("mserp_primaryfield") == expected, "{row}");
    }
    Ok(())
}
