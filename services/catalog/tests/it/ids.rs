//! What clients store must not change: ids of entities, values of options.

use std::collections::BTreeMap;

use proto::catalog::v1::WatchDataEntitiesRequest;

use crate::world::{Running, World};

/// Entity ids, and option values by symbol.
async fn numbers(running: &Running) -> (BTreeMap<String, u32>, BTreeMap<String, i32>) {
    let mut sets = running
        .catalog()
        .watch_data_entities(WatchDataEntitiesRequest {})
        .await
        .unwrap()
        .into_inner();
    let set = sets.message().await.unwrap().unwrap();
    let options = set.data_entities[0].fields.iter().find(|it| it.name == "Mood").unwrap();
    (
        set.data_entities.iter().map(|it| (it.name.clone(), it.entity_id)).collect(),
        options.members.iter().map(|it| (it.symbol.clone(), it.option_value)).collect(),
    )
}

#[tokio::test]
async fn ids_and_option_values_outlive_restarts_and_changes_of_the_model() {
    let world = World::new().await;
    let (ids, options) = numbers(&world.start().await).await;
    assert_eq!(ids, BTreeMap::from([("Alpha".into(), 11_000), ("Beta".into(), 11_001)]));
    assert_eq!(
        options,
        BTreeMap::from([("High".into(), 200_000_001), ("Low".into(), 200_000_000)])
    );

    world.write_enum(&["Low", "Mid", "High"]);
    world.write_entity("Aardvark");
    world.remove_entity("Alpha");
    let (ids, options) = numbers(&world.start().await).await;
    assert_eq!(ids, BTreeMap::from([("Aardvark".into(), 11_002), ("Beta".into(), 11_001)]));
    assert_eq!(options["Mid"], 200_000_002);
    assert_eq!(options["High"], 200_000_001);

    world.write_entity("Alpha");
    let (ids, _) = numbers(&world.start().await).await;
    assert_eq!(ids["Alpha"], 11_000);
}

#[tokio::test]
async fn a_wrong_model_keeps_the_catalog_from_starting_and_says_where() {
    let world = World::new().await;
    world.write_fields("Gamma", &["Code", "Code"]);
    let error = world.try_start(world.model.path()).await.err().unwrap().to_string();
    assert!(error.contains("Gamma.toml:"), "{error}");
}
