//! Definitions: versions, guards, settings, filters and solutions.

use proto::dual_write::v1::{self as pb, MapState, Side, SyncMode};
use rpc::ErrorReason;
use tonic::Status;

use crate::cases::{Databases, cases};
use crate::fakes::{FakeSide, text};
use crate::world::{GROUPS, Running, UNITS, World, groups, reason, version};

cases! { async |_| () =>
    versions_are_saved_and_chosen,
    maps_are_listed_page_by_page,
    settings_change_in_any_state,
    filters_are_tried,
    maps_travel_in_solutions,
    keys_are_proposed,
}

async fn save(
    world: &World,
    running: &Running,
    number: &str,
    fields: &[(&str, &str)],
) -> Result<pb::CreateMapVersionResponse, Status> {
    let version = Some(version(number, fields));
    let request =
        pb::CreateMapVersionRequest { parent: GROUPS.into(), version, ..Default::default() };
    let answer = running.maps().create_map_version(world.admin(request)).await;
    answer.map(tonic::Response::into_inner)
}

async fn versions_are_saved_and_chosen(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let fields = [("CustomerGroupId", "msdyn_groupid")];
    let saved = save(&world, &running, "1.0.0.1", &fields).await.unwrap().version.unwrap();
    assert_eq!(saved.name, "maps/groups/versions/1.0.0.1-contoso");
    assert_eq!(saved.content_hash.len(), 64);
    assert_eq!(world.map(&running, GROUPS).await.active_version, saved.name);
    let again = save(&world, &running, "1.0.0.1", &fields).await;
    assert_eq!(reason(again), ErrorReason::ResourceExists);
    let wrong = save(&world, &running, "1.0.0.2", &[("Nothing", "msdyn_groupid")]).await;
    let message = wrong.as_ref().unwrap_err().message().to_owned();
    assert!(message.starts_with("Project validation failed. [DIPV"), "{message}");
    assert_eq!(reason(wrong), ErrorReason::ValidationFailed);
    let name = "maps/groups/versions/1.0.0.0-contoso".to_owned();
    let stale = pb::ActivateMapVersionRequest {
        name: name.clone(),
        etag: "0".into(),
        ..Default::default()
    };
    let refused = running.maps().activate_map_version(world.admin(stale)).await;
    assert_eq!(reason(refused), ErrorReason::VersionMismatch);
    let request = pb::ActivateMapVersionRequest { name: name.clone(), ..Default::default() };
    let chosen = running.maps().activate_map_version(world.admin(request)).await.unwrap();
    assert_eq!(chosen.into_inner().map.unwrap().active_version, name);
    let request = pb::ListMapVersionsRequest { parent: GROUPS.into(), ..Default::default() };
    let listed = running.maps().list_map_versions(world.admin(request)).await.unwrap();
    let listed: Vec<_> = listed.into_inner().versions.into_iter().map(|it| it.version).collect();
    assert_eq!(listed, ["1.0.0.1", "1.0.0.0"]);
}

async fn maps_are_listed_page_by_page(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let list = async |page_token: &str, states: Vec<MapState>, table: &str| {
        let request = pb::ListMapsRequest {
            page_size: 1,
            page_token: page_token.into(),
            states: states.into_iter().map(Into::into).collect(),
            table: table.into(),
        };
        let answer = running.maps().list_maps(world.admin(request)).await;
        answer.map(tonic::Response::into_inner)
    };
    let first = list("", vec![], "").await.unwrap();
    assert_eq!(first.maps[0].name, GROUPS);
    let second = list(&first.next_page_token, vec![], "").await.unwrap();
    assert_eq!((second.maps[0].name.as_str(), second.next_page_token.as_str()), (UNITS, ""));
    assert_eq!(list("", vec![], "UOM").await.unwrap().maps[0].name, UNITS);
    assert!(list("", vec![MapState::Running], "").await.unwrap().maps.is_empty());
    assert_eq!(reason(list("nonsense", vec![], "").await), ErrorReason::InvalidValue);
    let taken = running.maps().create_map(world.admin(groups())).await;
    assert_eq!(reason(taken), ErrorReason::ResourceExists);
}

async fn settings_change_in_any_state(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[GROUPS]).await.unwrap();
    let before = world.erp.map(GROUPS).unwrap();
    let update = async |map: pb::TableMap, path: &str| {
        let request = pb::UpdateMapRequest {
            map: Some(pb::TableMap { name: GROUPS.into(), ..map }),
            update_mask: Some(prost_types::FieldMask { paths: vec![path.into()] }),
            ..Default::default()
        };
        running.maps().update_map(world.admin(request)).await.map(drop)
    };
    let queued = pb::TableMap { sync_mode: SyncMode::Asynchronous.into(), ..Default::default() };
    update(queued.clone(), "sync_mode").await.unwrap();
    let after = world.erp.map(GROUPS).unwrap();
    assert!(after.epoch > before.epoch, "the sides are told");
    assert_eq!(after.phase(), proto::query::v1::SharePhase::Queued);
    let debug = pb::TableMap { debug: true, ..Default::default() };
    update(debug, "debug").await.unwrap();
    let shown = |side: &FakeSide| side.map(GROUPS).unwrap().description.unwrap();
    world.until(async || shown(&world.erp).debug && shown(&world.platform).debug).await;
    assert_eq!(shown(&world.erp).external_entity_name, "msdyn_customergroup");
    assert_eq!(shown(&world.platform).external_entity_name, "CustomerGroupEntity");
    let environment = shown(&world.platform).external_environment;
    assert!(environment.starts_with("financeAndOperationsEnvironments/"), "{environment}");
    let stale = pb::TableMap { etag: "1".into(), ..queued };
    assert_eq!(reason(update(stale, "sync_mode").await), ErrorReason::VersionMismatch);
    let refused = update(pb::TableMap::default(), "state").await;
    assert_eq!(reason(refused), ErrorReason::InvalidValue);
}

async fn filters_are_tried(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let mut ids = Vec::new();
    for (company, group) in [("USMF", "10"), ("DEMF", "20"), ("XXXX", "30")] {
        let row = [("dataAreaId", text(company)), ("CustomerGroupId", text(group))];
        ids.push(world.erp.put("CustomerGroupEntity", &row));
    }
    world.erp.filter_out(ids[0]);
    let test = async |source: &str| {
        let request = pb::TestFiltersRequest {
            parent: GROUPS.into(),
            source_filter: source.into(),
            ..Default::default()
        };
        running.maps().test_filters(world.admin(request)).await
    };
    let tests = test("(CustomerGroupId == \"20\")").await.unwrap().into_inner().tests;
    let erp = tests.iter().find(|it| it.side() == Side::FinanceAndOperations).unwrap();
    assert_eq!((erp.row_count, erp.matching_row_count), (2, 1));
    assert_eq!(erp.canonical_filter, "CustomerGroupId eq '20'");
    assert!(tests.iter().all(|it| it.statement.is_some()), "{tests:?}");
    assert_eq!(reason(test("(CustomerGroupId ==").await), ErrorReason::InvalidQuery);
    assert_eq!(reason(test("(Nothing == \"1\")").await), ErrorReason::ColumnNotFound);
}

async fn maps_travel_in_solutions(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let request = pb::ExportMapsRequest {
        versions: vec!["maps/groups/versions/1.0.0.0-contoso".into()],
        solution_name: "ContosoMaps".into(),
        managed: false,
    };
    let file = running.maps().export_maps(world.admin(request)).await.unwrap().into_inner();
    let request = pb::DeleteMapRequest { name: GROUPS.into(), ..Default::default() };
    running.maps().delete_map(world.admin(request)).await.unwrap();
    let import = |solution: Vec<u8>| {
        world.admin(pb::ImportMapsRequest { solution: solution.into(), ..Default::default() })
    };
    let refused = running.maps().import_maps(import(b"PK nothing".to_vec())).await;
    assert_eq!(reason(refused), ErrorReason::ValidationFailed);
    let imported = running.maps().import_maps(import(file.solution.to_vec())).await.unwrap();
    assert_eq!(imported.into_inner().solution_name, "ContosoMaps");
    let missing = pb::GetMapRequest { name: GROUPS.into() };
    let refused = running.maps().get_map(world.admin(missing)).await;
    assert_eq!(reason(refused), ErrorReason::ResourceNotFound, "nothing is published before");
    let apply = async || {
        let solution_names = vec!["ContosoMaps".to_owned()];
        let request = pb::ApplySolutionsRequest { solution_names, ..Default::default() };
        running.maps().apply_solutions(world.admin(request)).await.unwrap().into_inner().maps
    };
    let applied: Vec<_> = apply().await.into_iter().map(|it| it.name).collect();
    assert_eq!(applied, [GROUPS]);
    assert!(apply().await.is_empty(), "nothing is new");
    world.go_live(&running, &[GROUPS]).await.unwrap();
}

async fn keys_are_proposed(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let request = pb::RefreshMapTablesRequest { name: GROUPS.into() };
    let answer = running.maps().refresh_map_tables(world.admin(request)).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!(answer.integration_keys[0].columns, ["msdyn_groupid"]);
    assert!(answer.issues.is_empty());
}
