//! A store that goes away, or is busy.

use proto::catalog::v1 as pb;
use rpc::ErrorReason;
use sqlx::Connection as _;
use tonic::Code;

use crate::changes::{next, visible, watch};
use crate::world::World;

#[tokio::test]
async fn without_its_store_the_catalog_is_unavailable_for_changes_and_recovers_by_itself() {
    let world = World::new().await;
    let running = world.start().await;
    let mut catalog = running.catalog();
    let mut outside = world.connect("postgres").await;
    let away = "ALTER DATABASE platform RENAME TO away";
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'platform'";
    // Connections are opened again while the others end, so it takes several attempts.
    loop {
        sqlx::raw_sql(end).execute(&mut outside).await.unwrap();
        if sqlx::raw_sql(away).execute(&mut outside).await.is_ok() {
            break;
        }
    }
    let hide = || world.admin(visible("Alpha", false));
    let error = catalog.update_data_entity(hide()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    assert_eq!(rpc::reason(&error), Some(ErrorReason::StoreUnavailable));
    // What is published needs no store.
    assert_eq!(next(&mut watch(&running).await).await, ["Alpha", "Beta"]);
    let list = pb::ListDataEntitiesRequest::default();
    let entries = catalog.list_data_entities(world.clerk(list)).await.unwrap().into_inner().entries;
    assert_eq!(entries.len(), 2);

    let back = "ALTER DATABASE away RENAME TO platform";
    sqlx::raw_sql(back).execute(&mut outside).await.unwrap();
    catalog.update_data_entity(hide()).await.unwrap();
    assert_eq!(next(&mut watch(&running).await).await, ["Beta"]);
}

#[tokio::test]
async fn a_change_that_takes_too_long_makes_the_next_one_give_up() {
    let world = World::new().await;
    let running = world.start().await;
    let mut outside = world.connect("platform").await;
    let mut change = outside.begin().await.unwrap();
    sqlx::query("SELECT number FROM catalog.revision FOR UPDATE")
        .execute(&mut *change)
        .await
        .unwrap();
    let hide = || world.admin(visible("Alpha", false));
    let error = running.catalog().update_data_entity(hide()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    assert!(error.message().starts_with("PluginSqlLockManager failed to acquire lock"));
    change.rollback().await.unwrap();
    running.catalog().update_data_entity(hide()).await.unwrap();
}
