//! Clients of Dataverse that know nothing of us, writing: npm `dynamics-web-api`, and Microsoft's own
//! SDK for Python, which insists on HTTPS.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::actions::names;
use crate::write_world::{Case, World, customer_key, matches};

pub(crate) const CASES: &[Case] = tests::cases![World:
    dynamics_web_api_creates_updates_upserts_deletes_relates_batches_and_acts,
    the_dataverse_sdk_creates_updates_upserts_deletes_batches_and_bulks,
];

fn is_guid(value: &Value) -> bool {
    value.as_str().is_some_and(|it| uuid::Uuid::parse_str(it).is_ok())
}

async fn accounts_named(world: &World, name: &str) -> Result<i64> {
    let sql = format!("SELECT count(*) FROM organization.account WHERE name = '{name}'");
    world.platform.count(&sql).await
}

async fn customers(world: &World, numbers: &str) -> Result<i64> {
    let sql = format!("SELECT count(*) FROM erp.custtable WHERE accountnum IN ({numbers})");
    world.erp.count(&sql).await
}

async fn dynamics_web_api_creates_updates_upserts_deletes_relates_batches_and_acts(
    world: &World,
) -> Result<()> {
    let admin = world.admin().await?;
    let actions = names(&admin).await?.join(",");
    let got = tests::node::run_with("write.mjs", &admin, &[("ACTIONS", &actions)]).await?;
    ensure!(is_guid(&got["id"]), "{}", got["id"]);
    matches(&got["represented"], &json!({ "mserp_customeraccount": "DWA-2" }))?;
    matches(&got["read"], &json!({ "mserp_customeraccount": "DWA-1", "mserp_notes": "" }))?;
    matches(
        &got["updated"],
        &json!({ "mserp_organizationname": "Renamed", "mserp_notes": "updated" }),
    )?;
    matches(&got["single"], &json!({ "mserp_notes": "single" }))?;
    matches(&got["upserted"], &json!({ "mserp_organizationname": "Upserted" }))?;
    matches(
        &got["upsertedAgain"],
        &json!({ "mserp_organizationname": "Upserted", "mserp_notes": "again" }),
    )?;
    // The client's own words for the two conditions that are refused.
    ensure!(
        got["stale"] == false || got["stale"]["status"] == 412 || got["stale"].is_null(),
        "{}",
        got["stale"]
    );
    ensure!(got["single"]["mserp_notes"] == "single");
    ensure!(got["gone"]["status"] == 404, "{}", got["gone"]);
    ensure!(got["related"]["_primarycontactid_value"] == got["contactId"], "{}", got["related"]);
    matches(&got["unrelated"], &json!({ "telephone1": null, "_primarycontactid_value": null }))?;
    let batch = got["batch"].as_array().context("no batch")?;
    ensure!(batch.len() == 3 && batch.iter().all(is_guid), "{batch:?}");
    ensure!(
        got["failed"]["message"].as_str().is_some_and(|it| it.contains("mserp_customergroupid")),
        "{}",
        got["failed"]
    );
    ensure!(
        customers(world, "'DWA-4'").await? == 1 && accounts_named(world, "DWA batch").await? == 1
    );
    ensure!(customers(world, "'DWA-2', 'DWA-5', 'DWA-6', 'DWA-7'").await? == 0);
    ensure!(got["continued"].to_string().contains("DWA batch"), "{}", got["continued"]);
    ensure!(
        got["held"]["mserp_notes"].as_str().is_some_and(|it| it.contains("said so")),
        "{}",
        got["held"]
    );
    let again = got["heldAgain"]["message"].as_str().unwrap_or_default();
    ensure!(again.contains("is on hold already"), "{}", got["heldAgain"]);
    ensure!(got["released"].to_string().contains("true"), "{}", got["released"]);
    ensure!(got["moment"].to_string().contains("20"), "{}", got["moment"]);
    ensure!(got["badGroup"]["status"] == 400, "{}", got["badGroup"]);
    Ok(())
}

async fn the_dataverse_sdk_creates_updates_upserts_deletes_batches_and_bulks(
    world: &World,
) -> Result<()> {
    let admin = world.admin().await?;
    let got = tests::python::run_securely("write.py", &admin).await?;
    for table in ["mserp_custcustomerv3entity", "account"] {
        let one = &got[table];
        ensure!(
            is_guid(&one["id"]) && one["updated"] == "updated" && one["gone"] == true,
            "{table}: {one}"
        );
        let many = &got[format!("{table} many")];
        ensure!(many["read"] == json!(["own 0", "own 1", "own 2"]), "{table}: {many}");
        ensure!(many["gone"] == json!([true, true, true]), "{table}: {many}");
    }
    ensure!(got["held"] == 200_000_002, "{}", got["held"]);
    for (name, status, text) in [
        ("refused", 400, "mserp_customergroupid"),
        ("unknown", 400, "mserp_nosuch"),
        ("missing", 404, "Does Not Exist"),
        ("many refused", 400, "mserp_customergroupid"),
    ] {
        let refusal = &got[name];
        let told = refusal["message"].as_str().is_some_and(|it| it.contains(text));
        ensure!(refusal["status"] == status && told, "{name}: {refusal}");
    }
    ensure!(admin.json(&customer_key("SDK-4")).await?["mserp_organizationname"] == "many");
    ensure!(customers(world, "'SDK-4', 'SDK-5', 'SDK-6', 'SDK-30'").await? == 4);
    ensure!(customers(world, "'SDK-3', 'SDK-20', 'SDK-21', 'SDK-31'").await? == 0);
    let batch = got["batch"].as_array().context("no batch")?;
    let statuses: Vec<_> = batch.iter().filter_map(|it| it["status"].as_u64()).collect();
    ensure!(statuses == [204, 204, 204, 204, 204, 204, 200, 404], "{statuses:?} {batch:?}");
    ensure!(accounts_named(world, "SDK batch").await? == 4);
    let failed = got["failed"].as_array().context("no batch")?;
    ensure!(failed.len() == 1 && failed[0]["status"] == 400, "{failed:?}");
    ensure!(accounts_named(world, "SDK failed").await? == 0);
    Ok(())
}
