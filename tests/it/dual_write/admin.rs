//! What administrators see and do, by the Web API and on the command line.

use anyhow::{Context as _, Result, ensure};
use proto::dual_write::v1::MapState;
use serde_json::{Value, json};

use super::world::{Case, MAP, SOON, World};

pub(super) const CASES: &[Case] = tests::cases![World:
    maps_are_listed_paused_and_resumed_by_the_web_api,
    the_command_lists_maps_and_checks_health,
    the_commands_exit_codes_say_what_was_wrong,
    filters_are_tried_with_their_sql,
    each_side_shows_its_row_of_a_map,
];

fn has(list: &Value, name: &str, state: &str) -> bool {
    let maps = list["maps"].as_array();
    maps.is_some_and(|them| them.iter().any(|it| it["name"] == name && it["state"] == state))
}

async fn maps_are_listed_paused_and_resumed_by_the_web_api(world: &World) -> Result<()> {
    let web = &world.web;
    let list = web.json("tombolo_DualWriteListMaps(pageSize=100)").await?;
    ensure!(has(&list, MAP, "MAP_STATE_RUNNING"), "{list}");
    ensure!(has(&list, "maps/vendors-v2-msdyn-vendors", "MAP_STATE_NOT_RUNNING"), "{list}");
    let one = web.json(&format!("tombolo_DualWriteGetMap(name='{}')", tests::encode(MAP))).await?;
    ensure!(one["map"]["platformTable"] == "account", "{one}");

    let row = world.customer("DW-WEB").await?;
    let names = json!({ "names": [MAP] });
    let paused = web.post("tombolo_DualWritePauseMaps", names).await?.ok()?;
    ensure!(paused["maps"][0]["name"] == MAP, "{paused}");
    world.maps.reaches(MAP, MapState::Paused, SOON).await?;
    world.save(&row, json!({ "description": "by web" })).await?;
    let parent = tests::encode(MAP);
    let queued = web.json(&format!("tombolo_DualWriteListQueuedRecords(parent='{parent}')")).await;
    let resume = json!({ "names": [MAP], "mode": "RESUME_MODE_CATCH_UP" });
    let resumed = web.post("tombolo_DualWriteResumeMaps", resume).await?;
    ensure!(resumed.status == 200, "{resumed:?}");
    world.maps.reaches(MAP, MapState::Running, SOON).await?;
    let queued = queued?;
    ensure!(queued["changes"].as_array().map(Vec::len) == Some(1), "{queued}");
    world.both_have("DW-WEB", ("description", "c.memo"), "by web").await?;

    let log = web.json(&format!("tombolo_DualWriteListActivities(parent='{parent}')")).await?;
    let kinds = log["activities"].as_array().context("no activities")?;
    let kinds: Vec<_> = kinds.iter().filter_map(|it| it["kind"].as_str()).collect();
    for kind in ["MapStarted", "MapPaused", "MapResuming", "CaughtUp"] {
        ensure!(kinds.contains(&kind), "no {kind} in {kinds:?}");
    }
    let unknown = web.get("tombolo_DualWriteGetMap(name='maps%2Fnone')").await?;
    ensure!(unknown.status == 404, "{unknown:?}");
    let metadata = web.get("$metadata").await?.body;
    ensure!(metadata.contains("tombolo_DualWriteStartMaps"), "$metadata lacks it");
    Ok(())
}

async fn the_command_lists_maps_and_checks_health(world: &World) -> Result<()> {
    let list = world.cli(&["list"]).await?;
    ensure!(list.status.code() == Some(0), "{list:?}");
    let line = list.stdout.lines().find(|it| it.contains("customers-v3-accounts"));
    ensure!(line.is_some_and(|it| it.contains("running")), "{}", list.stdout);
    let list = world.cli(&["list", "--output", "json"]).await?;
    let parsed: Value = serde_json::from_str(&list.stdout).with_context(|| list.stdout.clone())?;
    ensure!(parsed.as_array().is_some_and(|it| it.len() >= 13), "{parsed}");
    let health = world.cli(&["health"]).await?;
    ensure!(health.status.code() == Some(0), "{health:?}");
    let show = world.cli(&["show", "customers-v3-accounts"]).await?;
    ensure!(show.status.success() && show.stdout.contains("address1_city"), "{show:?}");
    let valid = world.cli(&["validate", "customers-v3-accounts"]).await?;
    ensure!(valid.status.code() == Some(0), "{valid:?}");
    let errors = world.cli(&["errors"]).await?;
    ensure!(errors.status.code() == Some(0), "{errors:?}");
    Ok(())
}

async fn the_commands_exit_codes_say_what_was_wrong(world: &World) -> Result<()> {
    let cases: [(&[&str], i32); 5] = [
        (&["show", "no-such-map"], 5),
        (&["pause", "vendors-v2-msdyn-vendors"], 4),
        (&["start", "customers-v3-accounts"], 4),
        (&["explain", "platform", "account", "not-a-key"], 2),
        (&["explain", "platform", "nothing", "a=b"], 5),
    ];
    for (arguments, code) in cases {
        let output = world.cli(arguments).await?;
        ensure!(output.status.code() == Some(code), "{arguments:?}: not {code}: {output:?}");
        ensure!(!output.stderr.is_empty(), "{arguments:?} says nothing");
    }
    Ok(())
}

async fn filters_are_tried_with_their_sql(world: &World) -> Result<()> {
    let number = "DW-FILTER";
    world.customer(number).await?;
    let (source, reversed) =
        (format!("(CustomerAccount == \"{number}\")"), format!("accountnumber eq '{number}'"));
    let filters = ["--source-filter", &source, "--reversed-source-filter", &reversed];
    let arguments = [&["test-filters", "customers-v3-accounts"], &filters[..]].concat();
    let tried = world.cli(&arguments).await?;
    ensure!(tried.status.success(), "{tried:?}");
    let statements = tried.stdout.matches("SELECT count(*) FROM").count();
    ensure!(statements == 2 && tried.stdout.contains("custtable"), "{}", tried.stdout);
    ensure!(tried.stdout.matches("$1 = ").count() == 2, "{}", tried.stdout);
    let tried = world.cli(&[&arguments[..], &["--output", "json"]].concat()).await?;
    let tests: Value = serde_json::from_str(&tried.stdout)?;
    for test in tests.as_array().context("no tests")? {
        ensure!(test["matching_row_count"] == 1, "{tests:#}");
        ensure!(
            test["statement"]["plan"].as_str().is_some_and(|it| it.contains("Plan")),
            "{tests:#}"
        );
    }
    Ok(())
}

async fn each_side_shows_its_row_of_a_map(world: &World) -> Result<()> {
    let rows =
        "msdyn_dualwriteruntimeconfigs?$filter=msdyn_projectname eq 'maps/customers-v3-accounts'";
    let rows = world.web.json(rows).await?;
    let row = &rows["value"][0];
    ensure!(row["msdyn_internalentityname"] == "account", "{rows}");
    ensure!(row["msdyn_externalentityname"] == "CustCustomerV3Entity", "{rows}");
    ensure!(row["msdyn_queryfilterexpression"] == "customertypecode eq 3", "{rows}");
    let sql = "SELECT concat_ws('|', externalentityname, internalentityname, queryfilterexpression,
            integrationkey, status)
        FROM tombolo.dualwriteprojectconfiguration WHERE projectname = $1";
    let mut connection = world.erp.connect().await?;
    let row: String = sqlx::query_scalar(sql).bind(MAP).fetch_one(&mut connection).await?;
    let expected = "account|CustCustomerV3Entity|((PartyType == \"Organization\"))|\
        CustomerAccount, dataAreaId|1";
    ensure!(row == expected, "{row}");
    Ok(())
}
