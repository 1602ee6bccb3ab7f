//! Visibility, refresh, and who hears of them.

use proto::catalog::v1 as pb;
use proto::query::v1 as query;
use proto::query::v1::value::Kind;
use tokio::time::timeout;
use tonic::Code;

use crate::world::{Running, TIMEOUT, World};

type Tables = tonic::Streaming<query::WatchTablesResponse>;

async fn watch(running: &Running) -> Tables {
    running.tables().watch_tables(query::WatchTablesRequest {}).await.unwrap().into_inner()
}

/// Virtual tables of the next set that is published.
async fn next(tables: &mut Tables) -> Vec<String> {
    let set = timeout(TIMEOUT, tables.message()).await.unwrap().unwrap().unwrap();
    let erp = set.tables.into_iter().filter(|it| it.source() == query::TableSource::Erp);
    erp.map(|it| it.external_name).collect()
}

fn visible(name: &str, visible: bool) -> pb::UpdateDataEntityRequest {
    pb::UpdateDataEntityRequest {
        entry: Some(pb::CatalogEntry {
            name: format!("dataEntities/{name}"),
            visible,
            ..pb::CatalogEntry::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["visible".into()] }),
    }
}

#[tokio::test]
async fn a_change_of_visibility_reaches_those_who_watch() {
    let world = World::new().await;
    let running = world.start().await;
    let mut tables = watch(&running).await;
    assert_eq!(next(&mut tables).await, ["Alpha", "Beta"]);
    let request = world.admin(visible("Alpha", false));
    let entry = running.catalog().update_data_entity(request).await.unwrap().into_inner().entry;
    assert!(!entry.unwrap().visible);
    assert_eq!(next(&mut tables).await, ["Beta"]);
    // Hidden it stays, also after a restart.
    let again = world.start().await;
    assert_eq!(next(&mut watch(&again).await).await, ["Beta"]);
    // The first replica hears of what the second one changes.
    let request = world.admin(visible("Alpha", true));
    again.catalog().update_data_entity(request).await.unwrap();
    while next(&mut tables).await != ["Alpha", "Beta"] {}
}

#[tokio::test]
async fn a_row_of_the_list_can_be_written_like_a_platform_row() {
    let world = World::new().await;
    let running = world.start().await;
    let mut tables = watch(&running).await;
    next(&mut tables).await;
    let get = pb::GetDataEntityRequest { name: "dataEntities/Beta".into() };
    let entry = running.catalog().get_data_entity(world.clerk(get)).await.unwrap();
    let entry = entry.into_inner().entry.unwrap();
    let id: uuid::Uuid = entry.record_id.parse().unwrap();
    let update = |field: &str, flag, etag: &str| query::UpdateRequest {
        entity_name: "CDSVirtualEntityListEntity".into(),
        key: Some(query::RecordKey {
            key: Some(query::record_key::Key::RecordId(id.as_bytes().to_vec().into())),
        }),
        values: vec![query::FieldValue {
            field: field.into(),
            value: Some(query::Value { kind: Some(Kind::BoolValue(flag)) }),
        }],
        etag: etag.into(),
        idempotency_key: String::new(),
    };
    let mut rows = running.rows();
    let refused = |code| move |error: tonic::Status| assert_eq!(error.code(), code, "{error:?}");
    let request = world.clerk(update("HasBeenGenerated", false, ""));
    rows.update(request).await.map_err(refused(Code::PermissionDenied)).unwrap_err();
    let request = world.admin(update("HasBeenGenerated", false, "W/\"1\""));
    rows.update(request).await.map_err(refused(Code::Aborted)).unwrap_err();
    let request = world.admin(update("PhysicalName", true, ""));
    rows.update(request).await.map_err(refused(Code::InvalidArgument)).unwrap_err();
    let request = world.admin(update("ChangeTrackingEnabled", true, ""));
    rows.update(request).await.map_err(refused(Code::Unimplemented)).unwrap_err();
    rows.update(world.admin(update("HasBeenGenerated", false, &entry.etag))).await.unwrap();
    assert_eq!(next(&mut tables).await, ["Alpha"]);
}

#[tokio::test]
async fn a_refresh_takes_over_the_model_or_says_what_is_wrong_with_it() {
    let world = World::new().await;
    let running = world.start().await;
    let mut catalog = running.catalog();
    let mut tables = watch(&running).await;
    next(&mut tables).await;
    world.write_entity("Gamma");
    catalog.refresh_model(world.admin(pb::RefreshModelRequest {})).await.unwrap();
    assert_eq!(next(&mut tables).await, ["Alpha", "Beta", "Gamma"]);

    world.write_fields("Beta", &["Code", "Note"]);
    let request = pb::RefreshDataEntityRequest { name: "dataEntities/Beta".into() };
    catalog.refresh_data_entity(world.admin(request.clone())).await.unwrap();
    let set = tables.message().await.unwrap().unwrap();
    let beta = set.tables.iter().find(|it| it.external_name == "Beta").unwrap();
    assert!(beta.columns.iter().any(|it| it.logical_name == "mserp_note"));

    world.write_fields("Beta", &["Code", "Code"]);
    for error in [
        catalog.refresh_model(world.admin(pb::RefreshModelRequest {})).await.unwrap_err(),
        catalog.refresh_data_entity(world.admin(request)).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Code::FailedPrecondition);
        assert!(error.message().contains("Beta.toml:"), "{}", error.message());
    }
    assert_eq!(next(&mut watch(&running).await).await, ["Alpha", "Beta", "Gamma"]);
}

#[tokio::test]
async fn only_administrators_change_and_everybody_lists() {
    let world = World::new().await;
    let running = world.start().await;
    let mut catalog = running.catalog();
    let error = catalog.update_data_entity(world.clerk(visible("Alpha", false))).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let error =
        catalog.update_data_entity(world.admin(visible("Nobody", false))).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    let list = |page_token: &str| pb::ListDataEntitiesRequest {
        page_size: 1,
        page_token: page_token.into(),
        visible: None,
    };
    let first = catalog.list_data_entities(world.clerk(list(""))).await.unwrap().into_inner();
    assert_eq!(first.entries[0].name, "dataEntities/Alpha");
    let token = &first.next_page_token;
    let second = catalog.list_data_entities(world.clerk(list(token))).await.unwrap().into_inner();
    assert_eq!(second.entries[0].name, "dataEntities/Beta");
    assert_eq!(second.next_page_token, "");
    let error = catalog.list_data_entities(world.clerk(list("junk"))).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let error = catalog.list_data_entities(list("")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn changes_at_once_all_happen() {
    let world = World::new().await;
    let running = world.start().await;
    let changes = (0..8).map(|turn| {
        let mut catalog = running.catalog();
        let name = if turn % 2 == 0 { "Alpha" } else { "Beta" };
        let request = world.admin(visible(name, turn >= 6));
        async move { catalog.update_data_entity(request).await }
    });
    for change in futures::future::join_all(changes).await {
        change.unwrap();
    }
    let set = running.tables().watch_tables(query::WatchTablesRequest {}).await.unwrap();
    let revision = set.into_inner().message().await.unwrap().unwrap().revision;
    // One for the start, one for each change.
    assert_eq!(revision, 9);
}
