//! `$filter` against an oracle: filters made at random, decided here over rows read by SQL.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use tests::oracle::Filter;
use tests::random::Random;
use tests::tables::{self, Row, Table};
use tests::{assert_error, encode};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    filters_written_by_hand_answer_what_the_platform_would,
    ve_071_api_09_random_filters_answer_what_the_oracle_says,
    a_filter_and_an_order_and_pages_go_together,
];

/// Filters of each table.
const ROUNDS: usize = 120;

async fn filters_written_by_hand_answer_what_the_platform_would(world: &World) -> Result<()> {
    let set = tables::CUSTOMERS.set;
    let from = tables::CUSTOMERS.from;
    let cases = [
        ("mserp_dataareaid eq 'usmf'", "c.dataareaid = 'USMF'"),
        ("mserp_onholdstatus eq 200000002", "c.blocked = 2"),
        ("mserp_onholdstatus gt 200000001", "c.blocked > 1"),
        ("mserp_onholdstatus ne 200000000", "c.blocked <> 0"),
        ("mserp_partytype eq 200000001", "p.partytype = 'Person'"),
        ("mserp_paymentterms ne 'net30'", "lower(c.paymtermid) IS DISTINCT FROM 'net30'"),
        ("not contains(mserp_paymentterms,'30')", "(c.paymtermid LIKE '%30%') IS NOT TRUE"),
        ("mserp_invoiceaccount eq mserp_customeraccount", "c.invoiceaccount = c.accountnum"),
        (
            "mserp_creditlimit ge 750000.0 and mserp_creditlimit lt 1e6",
            "c.creditmax >= 750000 AND c.creditmax < 1000000",
        ),
        ("1000000 lt mserp_creditlimit", "c.creditmax > 1000000"),
        ("mserp_partyrecordid gt 5637144700.5", "c.party > 5637144700.5"),
        // Both are decimals to the platform, whatever the ERP stores.
        ("mserp_creditlimit lt mserp_partyrecordid", "c.creditmax < c.party"),
        ("mserp_creditreviewdate eq null", "c.creditreviewdate = '1900-01-01'"),
        (
            "mserp_creditreviewdate lt 2024-06-01",
            "c.creditreviewdate < '2024-06-01' AND c.creditreviewdate <> '1900-01-01'",
        ),
        ("mserp_createddatetime ge 2022-01-01T00:00:00Z", "c.createddatetime >= '2022-01-01'"),
        (
            "mserp_createddatetime ge 2022-01-01T02:00:00%2B02:00",
            "c.createddatetime >= '2022-01-01'",
        ),
        ("startswith(mserp_organizationname,'Z')", "lower(p.name) LIKE 'z%'"),
        ("endswith(mserp_organizationname,'GMBH')", "lower(p.name) LIKE '%gmbh'"),
        ("contains(mserp_organizationname,'[%25]')", "p.name LIKE '%\\%%'"),
        ("contains(mserp_organizationname,'[0-9]')", "p.name ~ '[0-9]'"),
        ("mserp_customergroupid in ('10','90')", "c.custgroup IN ('10', '90')"),
        (
            "Microsoft.Dynamics.CRM.In(PropertyName='mserp_customergroupid',PropertyValues=[\"10\",\"90\"])",
            "c.custgroup IN ('10', '90')",
        ),
        (
            "Microsoft.Dynamics.CRM.NotIn(PropertyName='mserp_paymentterms',PropertyValues=['Cash'])",
            "c.paymtermid IS DISTINCT FROM 'Cash'",
        ),
        (
            "mserp_dataareaid eq 'USMF' and (mserp_onholdstatus eq 200000002 or mserp_creditlimit gt 0)",
            "c.dataareaid = 'USMF' AND (c.blocked = 2 OR c.creditmax > 0)",
        ),
    ];
    for (filter, condition) in cases {
        let expected =
            world.erp.count(&format!("SELECT count(*) FROM {from} WHERE {condition}")).await?;
        let list = world.admin.json(&format!("{set}?$top=0&$count=true&$filter={filter}")).await?;
        ensure!(
            list["@odata.count"] == expected,
            "{filter}: {}, not {expected}",
            list["@odata.count"]
        );
    }
    Ok(())
}

async fn ve_071_api_09_random_filters_answer_what_the_oracle_says(world: &World) -> Result<()> {
    let mut random = Random::for_case("ve_071_api_09_random_filters_answer_what_the_oracle_says");
    let (mut some, mut all) = (0, 0);
    for table in tables::ALL {
        let rows = world.rows(&table).await?;
        for round in 0..ROUNDS {
            let filter = Filter::random(&mut random, &table, &rows, round % 4);
            let matching = check(world, &table, &rows, &filter).await?;
            some += usize::from(matching > 0 && matching < rows.len());
            all += 1;
        }
    }
    // Filters that match nothing or everything show little.
    ensure!(some * 3 > all, "only {some} of {all} filters matched some rows and not all");
    Ok(())
}

async fn check(world: &World, table: &Table, rows: &[Row], filter: &Filter) -> Result<usize> {
    let text = filter.odata(table);
    let path = format!("{}?$select={}&$count=true&$filter={}", table.set, table.id, encode(&text));
    let answer = world.admin.get(&path).await?;
    if filter.negates_a_function() {
        assert_error(
            &answer,
            405,
            "0x80060888",
            "Not operator along with the Custom Named Condition",
        )?;
        return Ok(0);
    }
    let list = answer.ok().with_context(|| format!("{}: {text}", table.set))?;
    let answered = list["value"].as_array().context("no value")?.iter();
    let answered = answered.map(|it| table.record_id_of(it)).collect::<Result<BTreeSet<_>>>()?;
    let expected: BTreeSet<_> =
        rows.iter().filter(|it| filter.matches(it)).map(|it| it.record_id).collect();
    if answered != expected {
        let wrong = answered.symmetric_difference(&expected).next();
        let row = rows.iter().find(|it| Some(&it.record_id) == wrong);
        let wanted = wrong.is_some_and(|it| expected.contains(it));
        let named = row
            .map(|row| table.columns.iter().map(|it| it.name).zip(&row.cells).collect::<Vec<_>>());
        anyhow::bail!(
            "{}: {text}\n{} rows, not {}; for example this one {} be there: {named:?}",
            table.set,
            answered.len(),
            expected.len(),
            if wanted { "should" } else { "should not" },
        );
    }
    ensure!(list["@odata.count"] == expected.len(), "{text}: count {}", list["@odata.count"]);
    Ok(expected.len())
}

async fn a_filter_and_an_order_and_pages_go_together(world: &World) -> Result<()> {
    let table = tables::CUSTOMERS;
    let rows = world.rows(&table).await?;
    let company = table.index("mserp_dataareaid")?;
    let name = table.index("mserp_organizationname")?;
    let mut expected: Vec<_> = rows
        .iter()
        .filter(|it| it.cells[company] == tables::Cell::Text("DEMF".to_owned()))
        .collect();
    expected.sort_by(|left, right| {
        right.cells[name].order(&left.cells[name]).then(left.record_id.cmp(&right.record_id))
    });
    let path = format!(
        "{}?$select=mserp_dataareaid&$filter=mserp_dataareaid eq 'DEMF'&$orderby=mserp_organizationname desc&$count=true",
        table.set
    );
    let (answered, sizes) = world.admin.pages(&path, 37).await?;
    let answered = answered.iter().map(|it| table.record_id_of(it)).collect::<Result<Vec<_>>>()?;
    ensure!(answered == expected.iter().map(|it| it.record_id).collect::<Vec<_>>(), "other rows");
    ensure!(sizes.len() == expected.len().div_ceil(37), "{sizes:?}");
    Ok(())
}
