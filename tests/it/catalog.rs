//! What is visible: the catalog as a table, by the command line, and who may change it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use tests::{assert_error, encode, run_tombolo};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    the_catalog_lists_every_entity,
    the_catalog_is_filtered_like_any_table,
    a_hidden_entity_is_gone_within_a_second_and_comes_back,
    only_administrators_change_what_is_visible,
    bad_changes_are_refused,
    the_command_line_does_the_same,
];

const CATALOG: &str = "mserp_financeandoperationsentities";
const CURRENCIES: &str = "mserp_currencyentities";
const WITHIN: Duration = Duration::from_secs(1);

async fn row(world: &World, entity: &str) -> Result<serde_json::Value> {
    let filter = encode(&format!("mserp_physicalname eq '{entity}'"));
    let list = world.admin.json(&format!("{CATALOG}?$filter={filter}")).await?;
    let rows = list["value"].as_array().context("no rows")?;
    ensure!(rows.len() == 1, "{} rows of {entity}", rows.len());
    Ok(rows[0].clone())
}

async fn path_of(world: &World, entity: &str) -> Result<String> {
    let row = row(world, entity).await?;
    let id = row["mserp_financeandoperationsentityid"].as_str().context("no id")?;
    Ok(format!("{CATALOG}({id})"))
}

async fn the_catalog_lists_every_entity(world: &World) -> Result<()> {
    let list =
        world.admin.json(&format!("{CATALOG}?$count=true&$orderby=mserp_physicalname")).await?;
    let rows = list["value"].as_array().context("no rows")?;
    let files = std::fs::read_dir(tests::workspace().join("models/demo/entities"))?.count();
    ensure!(
        rows.len() == files && list["@odata.count"] == files,
        "{} rows, {files} files",
        rows.len()
    );
    for row in rows {
        ensure!(row["mserp_hasbeengenerated"] == true, "{row}");
        ensure!(row["mserp_refresh"] == false, "{row}");
    }
    Ok(())
}

async fn the_catalog_is_filtered_like_any_table(world: &World) -> Result<()> {
    let count = async |filter: &str| -> Result<i64> {
        let list =
            world.admin.json(&format!("{CATALOG}?$count=true&$filter={}", encode(filter))).await?;
        list["@odata.count"].as_i64().context("no count")
    };
    ensure!(count("mserp_physicalname eq 'CustCustomerV3Entity'").await? == 1);
    ensure!(count("mserp_physicalname eq 'custcustomerv3entity'").await? == 1);
    ensure!(count("contains(mserp_physicalname,'SalesOrder')").await? == 2);
    ensure!(
        count("contains(mserp_physicalname,'salesorder') and mserp_hasbeengenerated eq true")
            .await?
            == 2
    );
    ensure!(count("mserp_hasbeengenerated eq false").await? == 0);
    let row = row(world, "CustCustomerV3Entity").await?;
    let id = row["mserp_financeandoperationsentityid"].as_str().context("no id")?;
    let single = world.admin.json(&format!("{CATALOG}({id})?$select=mserp_physicalname")).await?;
    ensure!(single["mserp_physicalname"] == "CustCustomerV3Entity", "{single}");
    Ok(())
}

async fn a_hidden_entity_is_gone_within_a_second_and_comes_back(world: &World) -> Result<()> {
    let path = path_of(world, "CurrencyEntity").await?;
    let list = format!("{CURRENCIES}?$top=1");
    ensure!(world.admin.get(&list).await?.status == 200);
    for round in 0..3 {
        let hidden = world
            .admin
            .send(Method::PATCH, &path, &[], Some(json!({ "mserp_hasbeengenerated": false })))
            .await?;
        ensure!(hidden.status == 204 && hidden.body.is_empty(), "{hidden:?}");
        let gone = world.admin.eventually(&list, WITHIN, |it| it.status == 404).await?;
        assert_error(&world.admin.get(&list).await?, 404, "0x8006088a", CURRENCIES)?;
        let document = world.admin.get("").await?.body;
        ensure!(!document.contains(CURRENCIES), "still in the service document");
        ensure!(row(world, "CurrencyEntity").await?["mserp_hasbeengenerated"] == false);

        let shown = world
            .admin
            .send(Method::PATCH, &path, &[], Some(json!({ "mserp_hasbeengenerated": true })))
            .await?;
        ensure!(shown.status == 204, "{shown:?}");
        let back = world.admin.eventually(&list, WITHIN, |it| it.status == 200).await?;
        ensure!(gone < WITHIN && back < WITHIN, "round {round}: {gone:?}, {back:?}");
    }
    Ok(())
}

async fn only_administrators_change_what_is_visible(world: &World) -> Result<()> {
    let path = path_of(world, "CurrencyEntity").await?;
    for web in [&world.clerk, &world.reader] {
        let body = json!({ "mserp_hasbeengenerated": false });
        let answer = web.send(Method::PATCH, &path, &[], Some(body)).await?;
        assert_error(&answer, 403, "0x80040220", "")?;
    }
    ensure!(world.admin.get(&format!("{CURRENCIES}?$top=1")).await?.status == 200);
    Ok(())
}

async fn bad_changes_are_refused(world: &World) -> Result<()> {
    let path = path_of(world, "CurrencyEntity").await?;
    let patch = async |path: &str, body: serde_json::Value| {
        world.admin.send(Method::PATCH, path, &[], Some(body)).await
    };
    let answer = patch(&path, json!({ "mserp_hasbeengenerated": "perhaps" })).await?;
    assert_error(&answer, 400, "0x80048d19", "mserp_hasbeengenerated")?;
    let answer = patch(&path, json!({ "mserp_nosuchcolumn": true })).await?;
    assert_error(&answer, 400, "0x0", "mserp_nosuchcolumn")?;
    let answer = patch(&path, json!([1, 2])).await?;
    assert_error(&answer, 400, "0x80048d19", "")?;
    let nobody = format!("{CATALOG}(00000000-0000-0000-0000-000000000001)");
    let answer = patch(&nobody, json!({ "mserp_hasbeengenerated": true })).await?;
    assert_error(&answer, 404, "0x80040217", "Does Not Exist")
}

async fn the_command_line_does_the_same(world: &World) -> Result<()> {
    let data = world.data().display().to_string();
    let run = async |words: &[&str]| {
        let mut arguments = vec!["catalog", "--server", &world.system.grpc, "--data", &data];
        arguments.extend(words);
        run_tombolo(&arguments).await
    };
    let list = run(&["list"]).await?;
    ensure!(list.status.success() && list.stdout.contains("CustCustomerV3Entity"), "{list:?}");
    let table = format!("{CURRENCIES}?$top=1");
    let hidden = run(&["hide", "CurrencyEntity"]).await?;
    ensure!(hidden.status.success(), "{hidden:?}");
    world.admin.eventually(&table, WITHIN, |it| it.status == 404).await?;
    let shown = run(&["show", "CurrencyEntity"]).await?;
    ensure!(shown.status.success(), "{shown:?}");
    world.admin.eventually(&table, WITHIN, |it| it.status == 200).await?;
    ensure!(run(&["refresh"]).await?.status.success());
    ensure!(run(&["refresh", "CurrencyEntity"]).await?.status.success());

    let unknown = run(&["hide", "NoSuchEntity"]).await?;
    ensure!(!unknown.status.success() && unknown.stderr.contains("NoSuchEntity"), "{unknown:?}");
    let clerk = run(&["--user", "usmf-clerk", "hide", "CurrencyEntity"]).await?;
    ensure!(!clerk.status.success(), "{clerk:?}");
    ensure!(world.admin.get(&table).await?.status == 200);
    Ok(())
}
