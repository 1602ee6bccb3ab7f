//! Whose changes are tracked: by the model at first, then by an administrator.

use proto::catalog::v1 as pb;
use proto::query::v1 as query;
use proto::query::v1::value::Kind;
use tonic::{Code, Status};

use crate::changes::{next_set, visible, watch};
use crate::world::{Running, World};

async fn track(
    world: &World,
    running: &Running,
    name: &str,
    flags: &[(&str, bool)],
) -> Result<(), Status> {
    let text = Some(query::Value { kind: Some(Kind::StringValue(name.to_owned())) });
    let name = query::FieldValue { field: "PhysicalName".to_owned(), value: text };
    let key = query::AlternateKeyValues { values: vec![name] };
    let value = |(field, flag): &(&str, bool)| query::FieldValue {
        field: (*field).to_owned(),
        value: Some(query::Value { kind: Some(Kind::BoolValue(*flag)) }),
    };
    let request = query::UpdateRequest {
        entity_name: "CDSVirtualEntityListEntity".to_owned(),
        key: Some(query::RecordKey { key: Some(query::record_key::Key::Alternate(key)) }),
        values: flags.iter().map(value).collect(),
        ..query::UpdateRequest::default()
    };
    running.rows().update(world.admin(request)).await.map(|_| ())
}

/// Revision, and whether the table and the definition of the entity say that it is tracked.
async fn tracked(running: &Running, world: &World, name: &str) -> (i64, bool, bool) {
    let set = next_set(&mut watch(running).await).await;
    let table = set.tables.iter().find(|it| it.external_name == name).unwrap();
    let request = world.clerk(pb::WatchDataEntitiesRequest {});
    let mut entities = running.catalog().watch_data_entities(request).await.unwrap().into_inner();
    let entities = entities.message().await.unwrap().unwrap().data_entities;
    let entity = entities.iter().find(|it| it.name == name).unwrap();
    (set.revision, table.change_tracking_enabled, entity.change_tracking)
}

const TRACKED: &str = "ChangeTrackingEnabled";

#[tokio::test]
async fn an_administrator_says_what_is_tracked() {
    let world = World::new().await;
    let running = world.start().await;
    let (before, table, entity) = tracked(&running, &world, "Beta").await;
    assert!(!table && !entity);
    track(&world, &running, "Beta", &[(TRACKED, true)]).await.unwrap();
    assert_eq!(tracked(&running, &world, "Beta").await, (before + 1, true, true));
    assert_eq!(tracked(&running, &world, "Alpha").await, (before + 1, false, false));
    let get = pb::GetDataEntityRequest { name: "dataEntities/Beta".into() };
    let entry = running.catalog().get_data_entity(world.clerk(get)).await.unwrap().into_inner();
    assert!(entry.entry.unwrap().change_tracking_enabled);
    // So it stays, also after a restart and whatever the model says.
    let again = world.start().await;
    assert_eq!(tracked(&again, &world, "Beta").await, (before + 2, true, true));
    track(&world, &again, "Beta", &[(TRACKED, false)]).await.unwrap();
    assert_eq!(tracked(&again, &world, "Beta").await, (before + 3, false, false));
}

#[tokio::test]
async fn the_model_decides_until_an_administrator_does() {
    let world = World::new().await;
    world.prepend("Beta", "change_tracking = true");
    let running = world.start().await;
    let revision = tracked(&running, &world, "Beta").await.0;
    assert_eq!(tracked(&running, &world, "Beta").await, (revision, true, true));
    track(&world, &running, "Beta", &[(TRACKED, false)]).await.unwrap();
    running.catalog().refresh_model(world.admin(pb::RefreshModelRequest {})).await.unwrap();
    assert_eq!(tracked(&running, &world, "Beta").await, (revision + 2, false, false));
}

#[tokio::test]
async fn what_cannot_be_tracked_says_why() {
    let world = World::new().await;
    world.write_view("Gamma");
    let running = world.start().await;
    let view = track(&world, &running, "Gamma", &[(TRACKED, true)]).await.unwrap_err();
    assert_eq!(view.code(), Code::FailedPrecondition);
    assert_eq!(
        view.message(),
        "Change tracking can't be enabled since the data source 't' in the finance and operations \
         entity 'Gamma' isn't a table."
    );
    assert!(!tracked(&running, &world, "Gamma").await.1);

    running.catalog().update_data_entity(world.admin(visible("Beta", false))).await.unwrap();
    let hidden = track(&world, &running, "Beta", &[(TRACKED, true)]).await.unwrap_err();
    assert_eq!(hidden.code(), Code::NotFound);
    assert_eq!(
        hidden.message(),
        "Could not find an entity with name mserp_beta and id 00000000-0000-0000-0000-000000000000"
    );
    // Shown and tracked at once is fine; hidden and tracked at once only hides.
    let both = |shown| [("HasBeenGenerated", shown), (TRACKED, true)];
    track(&world, &running, "Beta", &both(true)).await.unwrap();
    assert!(tracked(&running, &world, "Beta").await.1);
    track(&world, &running, "Alpha", &both(false)).await.unwrap();
    running.catalog().update_data_entity(world.admin(visible("Alpha", true))).await.unwrap();
    assert!(!tracked(&running, &world, "Alpha").await.1);
}
