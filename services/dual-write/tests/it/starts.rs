//! Starting maps.

use proto::dual_write::v1::{self as pb, MapState};
use proto::query::v1::MapSide;
use rpc::ErrorReason;

use crate::cases::{Databases, cases};
use crate::world::{GROUPS, UNITS, World, reason};

cases! { async |_| () =>
    nothing_starts_while_a_side_is_away,
    nothing_starts_beside_configuration_of_another_pair,
    nothing_starts_that_does_not_fit_its_tables,
    a_copy_begins_with_the_map,
    another_replica_hears_of_it,
}

async fn nothing_starts_while_a_side_is_away(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.platform.set_away(true);
    let refused = world.go_live(&running, &[GROUPS, UNITS]).await;
    assert_eq!(reason(refused), ErrorReason::PeerUnavailable);
    assert_eq!(world.state(&running, UNITS).await, MapState::NotRunning);
    assert!(world.erp.map(GROUPS).is_none());
    world.platform.set_away(false);
    world.go_live(&running, &[GROUPS, UNITS]).await.unwrap();
    assert_eq!(world.state(&running, UNITS).await, MapState::Running);
}

async fn nothing_starts_beside_configuration_of_another_pair(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let link = "financeAndOperationsEnvironments/old|platformEnvironments/old".to_owned();
    world.platform.plant(MapSide { map: "maps/old".into(), link, ..Default::default() });
    let refused = world.go_live(&running, &[GROUPS]).await;
    assert!(refused.as_ref().unwrap_err().message().starts_with("SecureConfig Organization ("));
    assert_eq!(reason(refused), ErrorReason::EnvironmentMismatch);
}

async fn nothing_starts_that_does_not_fit_its_tables(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.tables.drop_table("uom");
    world
        .until(async || {
            let request = pb::ValidateMapVersionRequest {
                parent: UNITS.into(),
                version: crate::world::units().version,
            };
            let answer = running.maps().validate_map_version(world.admin(request)).await;
            answer.unwrap().into_inner().issues.iter().any(|it| it.code == "DIPV1020")
        })
        .await;
    let refused = world.go_live(&running, &[UNITS]).await;
    let message = refused.as_ref().unwrap_err().message().to_owned();
    assert!(message.starts_with("Project validation failed. [DIPV1020] "), "{message}");
    assert_eq!(reason(refused), ErrorReason::ValidationFailed);
    assert_eq!(world.state(&running, UNITS).await, MapState::NotRunning);
}

async fn a_copy_begins_with_the_map(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let starts = vec![pb::MapStart { name: GROUPS.into(), ..Default::default() }];
    let key = "once".to_owned();
    let request = pb::StartMapsRequest { starts, idempotency_key: key };
    let answer = running.maps().start_maps(world.admin(request.clone())).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!(answer.maps[0].state(), MapState::Initializing);
    assert!(answer.initial_syncs[0].starts_with("maps/groups/initialSyncs/"));
    // The same request is the same start.
    let again = running.maps().start_maps(world.admin(request)).await.unwrap().into_inner();
    assert_eq!(again, answer);
}

async fn another_replica_hears_of_it(databases: &Databases) {
    let world = World::new(databases).await;
    let first = world.linked().await;
    let second = world.start().await;
    world.go_live(&first, &[GROUPS]).await.unwrap();
    world.until(async || world.pause(&second, &[GROUPS]).await.is_ok()).await;
    assert_eq!(world.state(&first, GROUPS).await, MapState::Paused);
}
