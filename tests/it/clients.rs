//! A client of Dataverse that knows nothing of us: npm `dynamics-web-api`.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::tables::{CUSTOMERS, Cell};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] =
    tests::cases![World: dynamics_web_api_lists_filters_sorts_counts_pages_and_retrieves];

async fn dynamics_web_api_lists_filters_sorts_counts_pages_and_retrieves(
    world: &World,
) -> Result<()> {
    let got = tests::node::run("read.mjs", &world.admin).await?;
    let rows = world.rows(&CUSTOMERS).await?;
    let of_company = |code: &str| rows.iter().filter(|it| it.company == code).count();

    ensure!(got["page"].as_array().map(Vec::len) == Some(3), "{}", got["page"]);
    check_filtered(&got["filtered"], &rows)?;
    check_sorted(&got["sorted"])?;
    ensure!(got["count"] == rows.len(), "count {}", got["count"]);
    ensure!(got["countOnly"] == of_company("DEMF"), "countOnly {}", got["countOnly"]);
    ensure!(got["countAll"] == rows.len(), "countAll {}", got["countAll"]);

    let pages: Vec<_> =
        got["pages"].as_array().context("no pages")?.iter().filter_map(Value::as_array).collect();
    ensure!(pages.len() == rows.len().div_ceil(700), "{} pages", pages.len());
    let paged: BTreeSet<_> =
        pages.iter().flat_map(|it| it.iter()).filter_map(Value::as_str).collect();
    ensure!(paged.len() == rows.len(), "{} different rows in the pages", paged.len());
    let all = got["all"].as_array().context("no all")?;
    let all: BTreeSet<_> = all.iter().filter_map(Value::as_str).collect();
    ensure!(all == paged, "retrieveAll and the pages differ");

    check_annotated(&got["annotated"][0])?;
    let account = &got["page"][0]["mserp_customeraccount"];
    ensure!(got["byId"]["mserp_customeraccount"] == *account, "{}", got["byId"]);
    ensure!(got["byUpperCaseId"]["mserp_customeraccount"] == *account, "{}", got["byUpperCaseId"]);
    ensure!(got["byKey"]["mserp_dataareaid"] == "USRT", "{}", got["byKey"]);

    for (name, status) in [("unknownTable", 404), ("unknownColumn", 400), ("unknownRow", 404)] {
        let error = &got[name];
        let told = error["message"].as_str().is_some_and(|it| !it.is_empty());
        ensure!(error["status"] == status && told, "{name}: {error}");
    }
    Ok(())
}

fn check_filtered(answer: &Value, rows: &[tests::tables::Row]) -> Result<()> {
    let (limit, name) =
        (CUSTOMERS.index("mserp_creditlimit")?, CUSTOMERS.index("mserp_organizationname")?);
    let least = Cell::Decimal(700_000 * 1_000_000_000_000);
    let expected = rows.iter().filter(|it| {
        let excluded =
            matches!(&it.cells[name], Cell::Text(text) if text.to_lowercase().contains("o'brian"));
        it.company == "USMF" && it.cells[limit].order(&least).is_gt() && !excluded
    });
    let expected: BTreeSet<_> = expected.map(|it| it.record_id).collect();
    let got = answer.as_array().context("no rows")?.iter().map(|it| CUSTOMERS.record_id_of(it));
    let got: BTreeSet<_> = got.collect::<Result<_>>()?;
    ensure!(
        !expected.is_empty() && got == expected,
        "filtered: {} rows, not {}",
        got.len(),
        expected.len()
    );
    Ok(())
}

fn check_sorted(answer: &Value) -> Result<()> {
    let rows = answer.as_array().context("no rows")?;
    ensure!(rows.len() == 50, "{} rows", rows.len());
    let key =
        |row: &Value| row["mserp_organizationname"].as_str().unwrap_or_default().to_lowercase();
    ensure!(rows.iter().map(key).is_sorted_by(|left, right| left >= right), "not sorted: {answer}");
    Ok(())
}

fn check_annotated(row: &Value) -> Result<()> {
    const FORMATTED: &str = "@OData.Community.Display.V1.FormattedValue";
    let formatted =
        |column: &str| row[format!("{column}{FORMATTED}")].as_str().unwrap_or_default().to_owned();
    ensure!(formatted("mserp_onholdstatus") == "All", "{row}");
    ensure!(formatted("mserp_creditreviewdate").split('/').count() == 3, "{row}");
    ensure!(formatted("mserp_creditlimit").contains('.'), "{row}");
    let company = formatted("_mserp_dataareaid_id_value");
    ensure!(["USMF", "USRT", "DEMF", "GBSI"].contains(&company.as_str()), "{row}");
    let target = &row["_mserp_dataareaid_id_value@Microsoft.Dynamics.CRM.lookuplogicalname"];
    ensure!(target == "cdm_company", "{row}");
    Ok(())
}
