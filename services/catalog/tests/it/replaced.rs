//! Another database takes the place of the one that is served: a copy, a backup, an empty one.

use proto::lifecycle::v1 as lc;

use crate::changes::{next, next_set, visible, watch};
use crate::world::{Running, World};

/// With a new catalog in a database beside, and a longer history in the one that is served.
async fn with_new(world: &World) -> Running {
    let running = world.start().await;
    world.scratch.database("new_a").await.unwrap();
    let database = lc::EnvironmentDatabase { database: "new_a".into(), ..Default::default() };
    let request = lc::ProvisionDatabaseRequest { database: Some(database), ..Default::default() };
    running.provisioning().provision_database(request).await.unwrap();
    for shown in [false, true, false] {
        set_visible(world, &running, "Alpha", shown).await;
    }
    running
}

async fn set_visible(world: &World, running: &Running, name: &str, shown: bool) {
    let request = world.admin(visible(name, shown));
    running.catalog().update_data_entity(request).await.unwrap();
}

#[tokio::test]
async fn the_catalog_of_a_database_that_takes_the_place_is_served() {
    let world = World::new().await;
    let running = with_new(&world).await;
    let mut tables = watch(&running).await;
    let before = next_set(&mut tables).await.revision;
    world.scratch.swap("platform", "new_a", "old_a").await.unwrap();
    let after = next_set(&mut tables).await;
    assert!(after.revision > before, "{} after {before}", after.revision);
    assert!(after.tables.iter().any(|it| it.external_name == "Alpha"));
    set_visible(&world, &running, "Beta", false).await;
    while next(&mut tables).await != ["Alpha"] {}
}

/// Nobody has looked yet.
#[tokio::test]
async fn the_first_change_in_the_new_database_takes_it_over() {
    let world = World::new().await;
    let running = with_new(&world).await;
    world.scratch.swap("platform", "new_a", "old_a").await.unwrap();
    set_visible(&world, &running, "Beta", false).await;
    assert_eq!(next(&mut watch(&running).await).await, ["Alpha"]);
}
