//! Paths behind a record: its properties, its related rows, and where they are.

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use serde_json::Value;
use tests::assert_error;
use tests::tables::CUSTOMERS;

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    api_07_properties_are_values_alone,
    api_07_lookups_are_parts_of_keys,
    api_07_related_rows_are_collections_with_options_and_pages,
    api_07_paths_go_on_over_both_stores,
    api_07_what_is_not_there_is_not_found,
    explain_is_shown_to_administrators,
];

const PLACED: &str = "mserp_FK_SalesOrderHeaderV2Entity_OrderingCustomer";
const OF_COMPANY: &str = "mserp_cdm_company_CustCustomerV3Entity_dataAreaId";

/// A customer with orders.
async fn customer(world: &World) -> Result<(Value, String)> {
    let path = format!("{}?$filter={PLACED}/any()&$top=1", CUSTOMERS.set);
    let row = world.admin.json(&path).await?["value"][0].clone();
    let id = row[CUSTOMERS.id].as_str().context("no customer with orders")?;
    let path = format!("{}({id})", CUSTOMERS.set);
    Ok((row, path))
}

async fn api_07_properties_are_values_alone(world: &World) -> Result<()> {
    let (row, path) = customer(world).await?;
    let (mut nulls, mut values) = (0, 0);
    for (name, value) in row.as_object().context("no row")?.iter().filter(|it| !it.0.contains('@'))
    {
        let answer = world.admin.get(&format!("{path}/{name}")).await?;
        if value.is_null() {
            ensure!(answer.status == StatusCode::NO_CONTENT, "{name}: {answer:?}");
            nulls += 1;
            continue;
        }
        let answer = answer.ok()?;
        ensure!(answer["value"] == *value, "{name}: {answer} {value}");
        let context = answer["@odata.context"].as_str().unwrap_or_default();
        ensure!(context.ends_with(&format!("$metadata#{path}/{name}")), "{context}");
        values += 1;
    }
    ensure!(nulls > 0 && values > 10, "{nulls} nulls, {values} values");
    let raw = world.admin.get(&format!("{path}/mserp_creditlimit/$value")).await?;
    assert_error(&raw, 400, "0x80060888", "$value")
}

async fn api_07_lookups_are_parts_of_keys(world: &World) -> Result<()> {
    let (row, path) = customer(world).await?;
    let company = row["_mserp_dataareaid_id_value"].as_str().context("no company")?;
    let account = row["mserp_customeraccount"].as_str().context("no account")?;
    for key in [
        format!("_mserp_dataareaid_id_value={company},mserp_customeraccount='{account}'"),
        format!("mserp_customeraccount='{account}',_mserp_dataareaid_id_value={company}"),
    ] {
        let path = format!("{}({key})", CUSTOMERS.set);
        let found = world.admin.json(&path).await?;
        ensure!(found[CUSTOMERS.id] == row[CUSTOMERS.id], "{key}: {found}");
        let group = world.admin.json(&format!("{path}/mserp_FK_CustomerGroup_id")).await?;
        ensure!(group["mserp_customergroupid"] == row["mserp_customergroupid"], "{group}");
    }
    let absent = format!(
        "{}(_mserp_dataareaid_id_value={company},mserp_customeraccount='no-such')",
        CUSTOMERS.set
    );
    assert_error(&world.admin.get(&absent).await?, 404, "0x80060891", "specified key values")?;
    ensure!(
        world.admin.json(&path).await?["mserp_customeraccount"] == row["mserp_customeraccount"]
    );
    Ok(())
}

async fn api_07_related_rows_are_collections_with_options_and_pages(world: &World) -> Result<()> {
    let company = "cdm_companies?$select=cdm_companycode&$filter=cdm_companycode eq 'USMF'";
    let company = world.admin.json(company).await?["value"][0]["cdm_companyid"].clone();
    let customers = format!("cdm_companies({})/{OF_COMPANY}", company.as_str().context("no id")?);
    let all = format!(
        "{}?$select=mserp_customeraccount&$filter=mserp_dataareaid eq 'USMF'",
        CUSTOMERS.set
    );
    let all = world.admin.json(&format!("{all}&$orderby=mserp_customeraccount")).await?;
    let path = format!("{customers}?$select=mserp_customeraccount&$orderby=mserp_customeraccount");
    let same = world.admin.json(&path).await?;
    ensure!(same["value"] == all["value"], "the company's customers are others");
    let total = all["value"].as_array().map(Vec::len).unwrap_or_default();
    let count = world.admin.get(&format!("{customers}/$count")).await?;
    ensure!(count.body == total.to_string(), "{count:?}");
    let (paged, sizes) = world.admin.pages(&path, 100).await?;
    ensure!(sizes.len() > 2 && Some(&paged) == all["value"].as_array(), "{sizes:?}");
    let rich = format!("{path}&$filter=mserp_creditlimit gt 500000&$count=true&$top=1");
    let rich = world.admin.json(&rich).await?;
    let expected = world
        .erp
        .count(
            "SELECT count(*) FROM erp.custtable WHERE dataareaid = 'USMF' AND creditmax > 500000",
        )
        .await?;
    ensure!(rich["@odata.count"] == expected, "{} {expected}", rich["@odata.count"]);
    let references = world.admin.json(&format!("{customers}/$ref?$top=2")).await?;
    for it in references["value"].as_array().context("no references")? {
        world.admin.json(it["@odata.id"].as_str().context("no address")?).await?;
    }
    let clerk = world.reader.json(&customers).await?;
    ensure!(
        clerk["value"].as_array().is_some_and(Vec::is_empty),
        "another company's rows: {clerk}"
    );
    Ok(())
}

async fn api_07_paths_go_on_over_both_stores(world: &World) -> Result<()> {
    let (row, path) = customer(world).await?;
    let company = world.admin.json(&format!("{path}/mserp_dataAreaId_id/cdm_companycode")).await?;
    ensure!(company["value"] == row["mserp_dataareaid"], "{company}");
    let account = row["mserp_customeraccount"].as_str().context("no account")?;
    let back = format!(
        "{path}/mserp_dataAreaId_id/{OF_COMPANY}?$select=mserp_customeraccount&$filter=\
         mserp_customeraccount eq '{account}'"
    );
    let back = world.admin.json(&back).await?;
    ensure!(back["value"][0][CUSTOMERS.id] == row[CUSTOMERS.id], "{back}");
    let order = world.admin.json(&format!("{path}/{PLACED}?$top=1")).await?["value"][0].clone();
    let id = order["mserp_salesorderheaderv2entityid"].as_str().context("no order")?;
    let deep = format!("{path}/{PLACED}({id})/mserp_FK_OrderingCustomer_id/mserp_customeraccount");
    ensure!(world.admin.json(&deep).await?["value"] == row["mserp_customeraccount"]);
    Ok(())
}

async fn api_07_what_is_not_there_is_not_found(world: &World) -> Result<()> {
    let (_, path) = customer(world).await?;
    let nobody = format!("{}(00000000-0000-0000-0000-000000000001)", CUSTOMERS.set);
    let other = "00000000-0000-0000-0000-000000000002";
    for (path, status, code) in [
        (format!("{nobody}/mserp_customeraccount"), 404, "0x80040217"),
        (format!("{nobody}/{PLACED}"), 404, "0x80040217"),
        (format!("{nobody}/{PLACED}/$count"), 404, "0x80040217"),
        (format!("{nobody}/mserp_FK_CustomerGroup_id"), 404, "0x80040217"),
        (format!("{path}/{PLACED}({other})"), 404, "0x80040217"),
        (format!("{path}/nope"), 404, "0x8006088a"),
        (format!("{path}/{PLACED}/nope"), 404, "0x8006088a"),
        (format!("{path}/$count"), 404, "0x8006088a"),
        (format!("{path}/Nope(A=1)"), 400, "0x80060888"),
    ] {
        assert_error(&world.admin.get(&path).await?, status, code, "")
            .with_context(|| path.clone())?;
    }
    Ok(())
}

async fn explain_is_shown_to_administrators(world: &World) -> Result<()> {
    let (_, path) = customer(world).await?;
    for path in [
        format!("{}?$filter=mserp_creditlimit gt 5&$top=1", CUSTOMERS.set),
        format!("{path}/{PLACED}"),
        path.clone(),
        format!("{}?$apply=aggregate($count as n)", CUSTOMERS.set),
        format!("{}/$count", CUSTOMERS.set),
    ] {
        let answer = world.admin.get_prefer(&path, "tombolo.explain").await?;
        ensure!(answer.header("preference-applied") == "tombolo.explain", "{answer:?}");
        let json = answer.ok()?;
        let steps = json["steps"].as_array().context("no steps")?;
        let sql = steps.iter().any(|it| it["sql"].as_str().is_some_and(|it| it.contains("SELECT")));
        ensure!(sql, "{path}: {json}");
        ensure!(json["query"]["entity"].is_string(), "{json}");
        let refused = world.clerk.get_prefer(&path, "tombolo.explain").await?;
        assert_error(&refused, 403, "0x80040220", "administrator")?;
    }
    Ok(())
}
