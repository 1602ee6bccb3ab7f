//! Visibility, refresh, and who hears of them.

use std::time::Duration;

use proto::catalog::v1 as pb;
use proto::query::v1 as query;
use proto::query::v1::value::Kind;
use tokio::time::timeout;
use tonic::Code;

use crate::world::{Running, TIMEOUT, World};

/// From the answer to a change until its readers have it.
const SOON: Duration = Duration::from_secs(1);

pub(crate) type Tables = tonic::Streaming<query::WatchTablesResponse>;

pub(crate) async fn watch(running: &Running) -> Tables {
    running.tables().watch_tables(query::WatchTablesRequest {}).await.unwrap().into_inner()
}

/// The next set that is published.
pub(crate) async fn next_set(tables: &mut Tables) -> query::WatchTablesResponse {
    timeout(TIMEOUT, tables.message()).await.unwrap().unwrap().unwrap()
}

/// Virtual tables of the next set that is published.
pub(crate) async fn next(tables: &mut Tables) -> Vec<String> {
    let set = next_set(tables).await;
    let erp = set.tables.into_iter().filter(|it| it.source() == query::TableSource::Erp);
    erp.map(|it| it.external_name).collect()
}

pub(crate) fn visible(name: &str, visible: bool) -> pb::UpdateDataEntityRequest {
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
    assert_eq!(timeout(SOON, next(&mut tables)).await.unwrap(), ["Beta"]);
    // Hidden it stays, also after a restart.
    let again = world.start().await;
    assert_eq!(next(&mut watch(&again).await).await, ["Beta"]);
}

#[tokio::test]
async fn a_change_by_a_stale_etag_or_of_another_field_is_refused() {
    let world = World::new().await;
    let running = world.start().await;
    let mut catalog = running.catalog();
    let mut hide = async |etag: &str, path: &str| {
        let mut request = visible("Alpha", false);
        request.entry.as_mut().unwrap().etag = etag.to_owned();
        request.update_mask.as_mut().unwrap().paths = vec![path.to_owned()];
        let answer = catalog.update_data_entity(world.admin(request)).await?;
        Ok::<_, tonic::Status>(answer.into_inner().entry.unwrap())
    };
    for path in ["refresh_time", "display_name", ""] {
        assert_eq!(hide("", path).await.unwrap_err().code(), Code::InvalidArgument, "{path}");
    }
    let get = pb::GetDataEntityRequest { name: "dataEntities/Alpha".into() };
    let entry = running.catalog().get_data_entity(world.clerk(get)).await.unwrap().into_inner();
    let first = entry.entry.unwrap().etag;
    let second = hide(&first, "visible").await.unwrap().etag;
    assert_ne!(second, first);
    for stale in [first.as_str(), "W/\"\"", "junk"] {
        let error = hide(stale, "visible").await.unwrap_err();
        assert_eq!(error.code(), Code::Aborted, "{stale}");
        assert_eq!(rpc::reason(&error), Some(rpc::ErrorReason::VersionMismatch));
    }
    hide(&second, "visible").await.unwrap();
}

#[tokio::test]
async fn a_slow_reader_gets_the_newest_set() {
    let world = World::new().await;
    let running = world.start().await;
    let mut tables = watch(&running).await;
    next(&mut tables).await;
    let mut last = 0;
    for turn in 0..20 {
        let request = world.admin(visible("Alpha", turn % 2 == 0));
        running.catalog().update_data_entity(request).await.unwrap();
        last += 1;
    }
    let mut read = 0;
    loop {
        let set = next_set(&mut tables).await;
        read += 1;
        // The first revision was the start's.
        if set.revision == last + 1 {
            break;
        }
    }
    assert!(read < last, "{read} sets for {last} changes");
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
    let set = next_set(&mut tables).await;
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
async fn an_entity_that_leaves_the_model_is_gone_and_comes_back_as_it_was() {
    let world = World::new().await;
    let running = world.start().await;
    let mut catalog = running.catalog();
    catalog.update_data_entity(world.admin(visible("Alpha", false))).await.unwrap();
    let get = || world.clerk(pb::GetDataEntityRequest { name: "dataEntities/Alpha".into() });
    let before = running.catalog().get_data_entity(get()).await.unwrap().into_inner();

    world.remove_entity("Alpha");
    // The one entity cannot be read again, and that alone removes nothing.
    let refresh = pb::RefreshDataEntityRequest { name: "dataEntities/Alpha".into() };
    let error = catalog.refresh_data_entity(world.admin(refresh)).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    running.catalog().get_data_entity(get()).await.unwrap();
    catalog.refresh_model(world.admin(pb::RefreshModelRequest {})).await.unwrap();
    let error = running.catalog().get_data_entity(get()).await.unwrap_err();
    assert_eq!(rpc::reason(&error), Some(rpc::ErrorReason::EntityNotFound));

    world.write_entity("Alpha");
    catalog.refresh_model(world.admin(pb::RefreshModelRequest {})).await.unwrap();
    let after = running.catalog().get_data_entity(get()).await.unwrap().into_inner();
    let (before, after) = (before.entry.unwrap(), after.entry.unwrap());
    assert_eq!(after.record_id, before.record_id);
    assert!(!after.visible);
}

#[tokio::test]
async fn a_new_definition_of_one_entity_leaves_the_others_alone() {
    let world = World::new().await;
    let running = world.start().await;
    world.write_fields("Alpha", &["Code", "Note"]);
    world.write_fields("Beta", &["Code", "Note"]);
    world.write_entity("Gamma");
    let request = pb::RefreshDataEntityRequest { name: "dataEntities/Beta".into() };
    running.catalog().refresh_data_entity(world.admin(request)).await.unwrap();
    let set = next_set(&mut watch(&running).await).await;
    let has_note = |name: &str| {
        let table = set.tables.iter().find(|it| it.external_name == name)?;
        Some(table.columns.iter().any(|it| it.logical_name == "mserp_note"))
    };
    assert_eq!(has_note("Alpha"), Some(false));
    assert_eq!(has_note("Beta"), Some(true));
    assert_eq!(has_note("Gamma"), None);
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
