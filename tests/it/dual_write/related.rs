//! Maps that a start or a pause takes along.

use anyhow::{Context as _, Result, ensure};
use proto::dual_write::v1::{MapState, ResumeMode};
use serde_json::json;
use tests::Output;

use super::world::{Case, MAP, SOON, World};

pub(super) const CASES: &[Case] = tests::cases![World:
    what_a_map_needs_and_what_needs_it_are_listed,
    a_pause_takes_along_what_runs_and_needs_the_map,
    what_refers_to_new_rows_of_a_paused_map_is_refused,
];

const GROUPS: &str = "maps/customer-groups-msdyn-customergroups";
const TERMS: &str = "maps/terms-of-payment-msdyn-paymentterms";

/// Maps of a table that the command has printed, in its order.
fn listed(output: &Output) -> Result<Vec<&str>> {
    ensure!(output.status.success(), "{output:?}");
    let names = output.stdout.lines().skip(1).filter_map(|it| it.split_whitespace().next());
    Ok(names.collect())
}

fn id(map: &str) -> &str {
    map.strip_prefix("maps/").unwrap_or(map)
}

async fn what_a_map_needs_and_what_needs_it_are_listed(world: &World) -> Result<()> {
    let output = world.cli(&["related", id(MAP)]).await?;
    let needed = listed(&output)?;
    let place = |map: &str| needed.iter().position(|it| *it == id(map));
    let (terms, groups) = (place(TERMS).context("no terms")?, place(GROUPS).context("no groups")?);
    ensure!(terms < groups, "parents come first: {needed:?}");
    ensure!(place(MAP).is_none(), "it needs itself: {needed:?}");

    let output = world.cli(&["related", id(TERMS), "--pause"]).await?;
    let needing = listed(&output)?;
    let place = |map: &str| needing.iter().position(|it| *it == id(map));
    let (accounts, groups) = (place(MAP).context("no accounts")?, place(GROUPS));
    ensure!(groups.is_some_and(|it| accounts < it), "children come first: {needing:?}");

    let (parent, relation) = (tests::encode(TERMS), "MAP_RELATION_NEEDING");
    let call = format!("tombolo_DualWriteListRelatedMaps(parent='{parent}',relation='{relation}')");
    let answer = world.web.json(&call).await?;
    let maps = answer["maps"].as_array().context("no maps")?;
    let named: Vec<_> = maps.iter().filter_map(|it| it["name"].as_str()).map(id).collect();
    ensure!(named == needing, "{named:?} {needing:?}");
    let wrong = format!("tombolo_DualWriteListRelatedMaps(parent='{parent}',relation='X')");
    ensure!(world.web.get(&wrong).await?.status == 400);
    Ok(())
}

async fn a_pause_takes_along_what_runs_and_needs_the_map(world: &World) -> Result<()> {
    let paused = world.cli(&["pause", id(GROUPS), "--related"]).await?;
    // The map of contacts needs groups as well, and does not run.
    let (paused, expected) = (listed(&paused)?.join(" "), [id(MAP), id(GROUPS)].join(" "));
    for map in [GROUPS, MAP] {
        world.maps.reaches(map, MapState::Paused, SOON).await?;
        world.maps.resume(map, ResumeMode::CatchUp).await?;
        world.maps.reaches(map, MapState::Running, SOON).await?;
    }
    ensure!(paused == expected, "{paused}");
    Ok(())
}

async fn what_refers_to_new_rows_of_a_paused_map_is_refused(world: &World) -> Result<()> {
    let company = "cdm_companies(cdm_companycode='USMF')";
    let group = json!({ "msdyn_groupid": "DWREL", "msdyn_company@odata.bind": company });
    world.maps.pause(GROUPS).await?;
    world.maps.reaches(GROUPS, MapState::Paused, SOON).await?;
    let group = world.web.create("msdyn_customergroups", group).await;
    let mut account = world.new_account("DW-REL");
    if let Ok(group) = &group {
        account["msdyn_customergroupid@odata.bind"] =
            json!(format!("msdyn_customergroups({group})"));
    }
    let refused = world.web.post("accounts", account).await;
    if let Ok(group) = &group {
        world.web.delete(&format!("msdyn_customergroups({group})")).await?.expect(204)?;
    }
    world.maps.resume(GROUPS, ResumeMode::CatchUp).await?;
    world.maps.reaches(GROUPS, MapState::Running, SOON).await?;
    group?;
    let refused = refused?;
    ensure!(refused.status == 400, "{refused:?}");
    ensure!(refused.body.contains("CustomerGroupId"), "{refused:?}");
    ensure!(world.account_id("DW-REL").await?.is_none(), "it is there");
    Ok(())
}
