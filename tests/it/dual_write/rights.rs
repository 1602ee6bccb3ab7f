//! Who makes rows of mapped tables, and who owns them.

use anyhow::{Context as _, Result, ensure};
use proto::user_context::v1 as users;
use proto::user_context::v1::directory_service_client::DirectoryServiceClient;
use serde_json::{Value, json};
use tests::dual_write::maps::timed;
use tests::tenant::access;

use super::world::{Case, World};
use crate::write_world::{CUSTOMER_SET, customer};

pub(super) const CASES: &[Case] = tests::cases![World:
    only_runtime_users_make_accounts,
    maps_are_their_administrators_alone,
    a_team_that_lacks_a_role_owns_nothing,
];

const CLERK: &str = "users/usmf-clerk";

async fn give(world: &World, roles: &[&str]) -> Result<()> {
    let request = users::UpdateUserRequest {
        user: Some(users::User {
            name: CLERK.to_owned(),
            roles: roles.iter().map(|it| (*it).to_owned()).collect(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["roles".to_owned()] }),
        allow_missing: false,
    };
    let mut directory = DirectoryServiceClient::new(access(&world.system, "admin").await?);
    directory.update_user(timed(request)).await?;
    Ok(())
}

async fn only_runtime_users_make_accounts(world: &World) -> Result<()> {
    let clerk = world.system.web("usmf-clerk").await?;
    let before = world.both().await?;
    let denied = clerk.post("accounts", world.new_account("DW-RIGHTS")).await?;
    tests::assert_error(&denied, 403, "0x80040220", "")?;
    world.unchanged(&before).await?;

    give(world, &["Accounts receivable clerk", "Dual-write runtime user"]).await?;
    let create = async || clerk.post("accounts", world.new_account("DW-RIGHTS")).await;
    tests::eventually(super::world::SOON, create, |it| it.status == 204).await?;
    ensure!(world.in_erp("DW-RIGHTS", "p.name").await? == "New");
    give(world, &["Accounts receivable clerk"]).await
}

async fn maps_are_their_administrators_alone(world: &World) -> Result<()> {
    let clerk = world.system.web("usmf-clerk").await?;
    let denied = clerk.get("tombolo_DualWriteListMaps()").await?;
    tests::assert_error(&denied, 403, "0x80040220", "")?;
    let names = serde_json::json!({ "names": [super::world::MAP] });
    let denied = clerk.post("tombolo_DualWritePauseMaps", names).await?;
    tests::assert_error(&denied, 403, "0x80040220", "")
}

/// What is wrong with the teams that own rows; nothing where nothing is.
async fn wrong_teams(world: &World) -> Result<String> {
    let answer = world.web.post("tombolo_DualWriteRunHealthChecks", json!({})).await?.ok()?;
    let checks = answer["healthChecks"].as_array().context("no checks")?;
    let check = checks.iter().find(|it| it["code"] == "DWDVEV1007").context("no check of teams")?;
    let message = check["message"].as_str().unwrap_or_default();
    Ok(if check["passed"] == true { String::new() } else { message.to_owned() })
}

async fn a_team_that_lacks_a_role_owns_nothing(world: &World) -> Result<()> {
    let web = &world.web;
    ensure!(wrong_teams(world).await?.is_empty(), "as it comes");
    let held = "tombolo_teamroles?$select=tombolo_teamroleid,_tombolo_teamid_value\
        &$filter=tombolo_name eq 'Dual-write app user' and tombolo_teamid/name eq 'USMF Dual Write'";
    let held = web.json(held).await?["value"][0].take();
    let id = |it: &Value| it.as_str().map(str::to_owned).context("no id");
    let (role, team) = (id(&held["tombolo_teamroleid"])?, id(&held["_tombolo_teamid_value"])?);
    web.delete(&format!("tombolo_teamroles({role})")).await?.expect(204)?;
    let before = world.both().await?;
    let refused = web.post(CUSTOMER_SET, customer("DW-TEAM", "New")).await?;
    let asked = "EntityDefinitions(LogicalName='cdm_company')?$select=ObjectTypeCode,Privileges";
    let company = web.json(asked).await?;
    let privileges = company["Privileges"].as_array().context("no privileges")?;
    let read =
        privileges.iter().find(|it| it["PrivilegeType"] == "Read").context("none to read")?;
    let text = format!(
        "Unable to write data to table account. Principal team (Id={team}, type=9, roleCount=2), is \
         missing {} privilege (Id={}) on OTC={}. Give the team the role Dual-write app user.",
        id(&read["Name"])?,
        id(&read["PrivilegeId"])?,
        company["ObjectTypeCode"]
    );
    tests::assert_error(&refused, 400, "0x80048d0b", &text)?;
    world.unchanged(&before).await?;
    let wrong = wrong_teams(world).await?;
    ensure!(wrong.contains("USMF Dual Write") && wrong.contains("Dual-write app user"), "{wrong}");

    let given = json!({
        "tombolo_name": "Dual-write app user",
        "tombolo_teamid@odata.bind": format!("teams({team})"),
    });
    web.create("tombolo_teamroles", given).await?;
    web.create(CUSTOMER_SET, customer("DW-TEAM", "New")).await?;
    ensure!(world.on_platform("DW-TEAM", "name").await? == "New");
    ensure!(wrong_teams(world).await?.is_empty(), "it has its role back");
    Ok(())
}
