//! What makers do with maps, and what is left to administrators.

use proto::dual_write::v1::{self as pb, MapState};
use rpc::{ErrorReason, role};
use tonic::{Code, Status};

use crate::cases::{Databases, cases};
use crate::world::{ERP_ADMINISTRATOR, GROUPS, Running, UNITS, World, reason, version};

cases! { async |_| () =>
    makers_define_maps,
    makers_change_nothing_that_runs,
    makers_touch_no_rows,
}

const FIELDS: [(&str, &str); 1] = [("UnitSymbol", "msdyn_symbol")];

async fn update(
    world: &World,
    running: &Running,
    map: &str,
) -> Result<pb::UpdateMapResponse, Status> {
    let request = pb::UpdateMapRequest {
        map: Some(pb::TableMap {
            name: map.into(),
            display_name: "Made by a maker".into(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["display_name".into()] }),
        ..Default::default()
    };
    running.maps().update_map(world.maker(request)).await.map(tonic::Response::into_inner)
}

async fn makers_define_maps(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let mut maps = running.maps();
    let changed = update(&world, &running, UNITS).await.unwrap().map.unwrap();
    assert_eq!(changed.display_name, "Made by a maker");
    let checked = pb::ValidateMapVersionRequest {
        parent: UNITS.into(),
        version: Some(version("1.0.0.1", &[("Nothing", "msdyn_symbol")])),
    };
    let checked = maps.validate_map_version(world.maker(checked)).await.unwrap().into_inner();
    assert!(!checked.issues.is_empty());
    let saved = pb::CreateMapVersionRequest {
        parent: UNITS.into(),
        version: Some(version("1.0.0.1", &FIELDS)),
        ..Default::default()
    };
    let saved = maps.create_map_version(world.maker(saved)).await.unwrap().into_inner();
    let saved = saved.version.unwrap().name;
    let first = "maps/units/versions/1.0.0.0-contoso";
    let chosen = pb::ActivateMapVersionRequest { name: first.into(), ..Default::default() };
    let chosen = maps.activate_map_version(world.maker(chosen)).await.unwrap().into_inner();
    assert_eq!(chosen.map.unwrap().active_version, first);

    let exported = pb::ExportMapsRequest {
        versions: vec![saved.clone()],
        solution_name: "ContosoMaps".into(),
        managed: false,
    };
    let solution = maps.export_maps(world.maker(exported)).await.unwrap().into_inner().solution;
    let deleted = pb::DeleteMapRequest { name: UNITS.into(), ..Default::default() };
    maps.delete_map(world.admin(deleted)).await.unwrap();
    let imported = pb::ImportMapsRequest { solution, ..Default::default() };
    maps.import_maps(world.maker(imported)).await.unwrap();
    let applied = pb::ApplySolutionsRequest {
        solution_names: vec!["ContosoMaps".into()],
        ..Default::default()
    };
    let applied = maps.apply_solutions(world.maker(applied)).await.unwrap().into_inner().maps;
    assert_eq!(applied[0].active_version, saved);

    // Nobody needs the administrator for a map of one's own, or to find what it hangs together with.
    let deleted = pb::DeleteMapRequest { name: UNITS.into(), ..Default::default() };
    maps.delete_map(world.admin(deleted)).await.unwrap();
    maps.create_map(world.maker(crate::world::units())).await.unwrap();
    let refreshed = pb::RefreshMapTablesRequest { name: UNITS.into() };
    maps.refresh_map_tables(world.maker(refreshed)).await.unwrap();
    let related = pb::ListRelatedMapsRequest { parent: UNITS.into(), ..Default::default() };
    maps.list_related_maps(world.maker(related)).await.unwrap();
    let versions = pb::ListMapVersionsRequest { parent: UNITS.into(), ..Default::default() };
    let versions = maps.list_map_versions(world.maker(versions)).await.unwrap().into_inner();
    assert_eq!(versions.versions.len(), 1);
    let one = pb::GetMapVersionRequest { name: first.into() };
    maps.get_map_version(world.maker(one)).await.unwrap();
    let link = running.links().get_link(world.maker(pb::GetLinkRequest {})).await.unwrap();
    assert_eq!(link.into_inner().link.unwrap().companies, ["USMF", "DEMF"]);
}

async fn makers_change_nothing_that_runs(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[GROUPS]).await.unwrap();
    assert_eq!(reason(update(&world, &running, GROUPS).await), ErrorReason::InvalidState);
    let saved = pb::CreateMapVersionRequest {
        parent: GROUPS.into(),
        version: Some(version("1.0.0.1", &[("CustomerGroupId", "msdyn_groupid")])),
        ..Default::default()
    };
    let refused = running.maps().create_map_version(world.maker(saved)).await;
    assert_eq!(reason(refused), ErrorReason::InvalidState);

    // What failed names rows.
    let error = prost::Message::encode_to_vec(&pb::SyncError {
        message: "of a row".into(),
        ..Default::default()
    });
    let error: String = error.iter().map(|it| format!("{it:02x}")).collect();
    let failed = format!("UPDATE map_report SET last_error = '\\x{error}' WHERE map = '{GROUPS}'");
    world.run(failed).await;
    let list = pb::ListMapsRequest::default;
    let seen = running.maps().list_maps(world.admin(list())).await.unwrap().into_inner();
    assert_eq!(seen.maps[0].last_error.as_ref().unwrap().message, "of a row");
    let seen = running.maps().list_maps(world.maker(list())).await.unwrap().into_inner();
    assert_eq!((seen.maps[0].state(), &seen.maps[0].last_error), (MapState::Running, &None));
    assert!(seen.maps[0].counters.is_some());
    let get = world.maker(pb::GetMapRequest { name: GROUPS.into() });
    let seen = running.maps().get_map(get).await.unwrap().into_inner().map.unwrap();
    assert_eq!((seen.state(), seen.last_error), (MapState::Running, None));
}

async fn makers_touch_no_rows(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let (mut maps, mut links) = (running.maps(), running.links());
    let name = || GROUPS.to_owned();
    let start = pb::StartMapsRequest {
        starts: vec![pb::MapStart { name: name(), ..Default::default() }],
        ..Default::default()
    };
    let pause = pb::PauseMapsRequest { names: vec![name()], ..Default::default() };
    let resume = pb::ResumeMapsRequest { names: vec![name()], ..Default::default() };
    let stop = pb::StopMapsRequest { names: vec![name()], ..Default::default() };
    let delete = pb::DeleteMapRequest { name: name(), ..Default::default() };
    // It counts rows, whoever may see them.
    let filters = pb::TestFiltersRequest { parent: name(), ..Default::default() };
    let companies = pb::UpdateLinkRequest::default();
    let reset = pb::ResetLinkRequest { acknowledged: true, force: true, ..Default::default() };
    let refusals = [
        maps.start_maps(world.maker(start)).await.map(drop),
        maps.pause_maps(world.maker(pause)).await.map(drop),
        maps.resume_maps(world.maker(resume)).await.map(drop),
        maps.stop_maps(world.maker(stop)).await.map(drop),
        maps.delete_map(world.maker(delete)).await.map(drop),
        maps.test_filters(world.maker(filters)).await.map(drop),
        links.create_link(world.maker(pb::CreateLinkRequest::default())).await.map(drop),
        links.update_link(world.maker(companies)).await.map(drop),
        links.reset_link(world.maker(reset)).await.map(drop),
        links.run_health_checks(world.maker(pb::RunHealthChecksRequest {})).await.map(drop),
    ];
    for refused in refusals {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
        assert!(refused.message().contains(role::SYSTEM_ADMINISTRATOR), "{refused:?}");
    }
    assert_eq!(world.state(&running, GROUPS).await, MapState::NotRunning);

    // Either role alone makes no maker.
    for roles in [&[role::SYSTEM_CUSTOMIZER][..], &[ERP_ADMINISTRATOR]] {
        let request = world.request(pb::ListMapsRequest::default(), roles);
        let refused = maps.list_maps(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
        for needed in [role::SYSTEM_CUSTOMIZER, "every data entity of every company"] {
            assert!(refused.message().contains(needed), "{refused:?}");
        }
    }
}
