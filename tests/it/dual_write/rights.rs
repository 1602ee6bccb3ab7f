//! Who makes rows of mapped tables.

use anyhow::{Result, ensure};
use proto::user_context::v1 as users;
use proto::user_context::v1::directory_service_client::DirectoryServiceClient;
use tests::dual_write::maps::timed;
use tests::tenant::access;

use super::world::{Case, World};

pub(super) const CASES: &[Case] = tests::cases![World:
    only_runtime_users_make_accounts,
    maps_are_their_administrators_alone,
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
