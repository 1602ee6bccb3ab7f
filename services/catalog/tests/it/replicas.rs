//! Several catalogs over one store.

use proto::catalog::v1 as pb;

use crate::changes::{next, next_set, visible, watch};
use crate::world::{Running, World};

#[tokio::test]
async fn what_one_replica_changes_the_others_publish() {
    let world = World::new().await;
    let (first, second) = (world.start().await, world.start().await);
    let mut tables = watch(&first).await;
    let request = world.admin(visible("Alpha", false));
    second.catalog().update_data_entity(request).await.unwrap();
    while next(&mut tables).await != ["Beta"] {}
    let request = world.admin(visible("Alpha", true));
    second.catalog().update_data_entity(request).await.unwrap();
    while next(&mut tables).await != ["Alpha", "Beta"] {}
}

#[tokio::test]
async fn what_one_replica_reads_again_the_others_read_too() {
    let world = World::new().await;
    let (first, second) = (world.start().await, world.start().await);
    let mut tables = watch(&first).await;
    world.write_enum(&["Low", "Mid", "High"]);
    world.write_entity("Gamma");
    second.catalog().refresh_model(world.admin(pb::RefreshModelRequest {})).await.unwrap();
    while next(&mut tables).await != ["Alpha", "Beta", "Gamma"] {}

    world.write_fields("Beta", &["Code", "Note"]);
    let request = pb::RefreshDataEntityRequest { name: "dataEntities/Beta".into() };
    second.catalog().refresh_data_entity(world.admin(request)).await.unwrap();
    loop {
        let set = next_set(&mut tables).await;
        let beta = set.tables.iter().find(|it| it.external_name == "Beta").unwrap();
        if beta.columns.iter().any(|it| it.logical_name == "mserp_note") {
            break;
        }
    }
    let options = option_values(&first).await;
    assert_eq!(options, option_values(&second).await);
    assert_eq!(options, [200_000_000, 200_000_002, 200_000_001]);
}

/// A replica whose folder is another one must not publish symbols that have no number.
#[tokio::test]
async fn a_replica_with_another_folder_keeps_its_definitions() {
    let (world, other) = (World::new().await, tempfile::TempDir::new().unwrap());
    copy(world.model.path(), other.path());
    let first = world.try_start(other.path()).await.unwrap();
    let mut tables = watch(&first).await;
    world.write_entity("Gamma");
    // The other folder goes further than what is refreshed.
    let text = std::fs::read_to_string(other.path().join("model.toml")).unwrap();
    let more = "[[enums]]\nname = \"New\"\nmembers = [{ symbol = \"A\", stored = \"A\" }]\n";
    std::fs::write(other.path().join("model.toml"), format!("{text}{more}")).unwrap();
    let second = world.start().await;
    second.catalog().refresh_model(world.admin(pb::RefreshModelRequest {})).await.unwrap();
    let request = world.admin(visible("Alpha", false));
    second.catalog().update_data_entity(request).await.unwrap();
    loop {
        let set = next_set(&mut tables).await;
        let options: Vec<_> = set.option_sets.iter().flat_map(|it| &it.options).collect();
        assert!(options.iter().all(|it| it.value >= 200_000_000), "{options:?}");
        let names: Vec<_> = set.tables.iter().map(|it| it.external_name.as_str()).collect();
        if !names.contains(&"Alpha") {
            assert!(names.contains(&"Beta"));
            break;
        }
    }
}

/// Whoever knows fewer entities must not take the others' away by reading one again.
#[tokio::test]
async fn a_replica_with_fewer_entities_leaves_the_rest_in_the_store() {
    let (world, other) = (World::new().await, tempfile::TempDir::new().unwrap());
    copy(world.model.path(), other.path());
    let small = world.try_start(other.path()).await.unwrap();
    world.write_entity("Gamma");
    let large = world.start().await;
    let request = pb::RefreshDataEntityRequest { name: "dataEntities/Beta".into() };
    small.catalog().refresh_data_entity(world.admin(request)).await.unwrap();
    let request = world.admin(visible("Alpha", false));
    large.catalog().update_data_entity(request).await.unwrap();
    assert_eq!(next(&mut watch(&large).await).await, ["Beta", "Gamma"]);
}

#[tokio::test]
async fn replicas_may_start_at_the_same_time() {
    let world = World::new().await;
    world.scratch.database("platform").await.unwrap();
    let started = futures::future::join_all((0..4).map(|_| world.start())).await;
    for running in &started {
        assert_eq!(next(&mut watch(running).await).await, ["Alpha", "Beta"]);
    }
}

/// Behind some poolers nothing is ever heard; then it is asked for.
#[tokio::test]
async fn a_change_that_nobody_told_of_is_found() {
    let world = World::new().await;
    let running = world.start().await;
    let mut tables = watch(&running).await;
    assert_eq!(next(&mut tables).await, ["Alpha", "Beta"]);
    let mut connection = world.connect("platform").await;
    // A catalog that starts looks twice by itself; the third change takes more.
    for name in ["Alpha", "Beta", "Alpha"] {
        sqlx::query("UPDATE catalog.data_entity SET has_been_generated = physical_name = $1")
            .bind(name)
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query("UPDATE catalog.revision SET number = number + 1")
            .execute(&mut connection)
            .await
            .unwrap();
        while next(&mut tables).await != [name] {}
    }
}

async fn option_values(running: &Running) -> Vec<i32> {
    let set = next_set(&mut watch(running).await).await;
    set.option_sets[0].options.iter().map(|it| it.value).collect()
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to.join("entities")).unwrap();
    for file in ["model.toml", "entities/Alpha.toml", "entities/Beta.toml"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}
