//! The version guard: maps and the solutions that theirs need (spec DW-27).

use std::io::{Cursor, Read as _, Write as _};

use proto::dual_write::v1 as pb;
use proto::dual_write::v1::MapState;
use proto::dual_write::v1::initial_sync_service_client::InitialSyncServiceClient;
use rpc::ErrorReason;
use tonic::{Code, Status};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::cases::{Databases, cases};
use crate::world::{GROUPS, Running, UNITS, World, reason};

cases! { async |_| () =>
    nothing_runs_without_the_solutions_that_it_needs,
    a_solution_says_anew_what_its_maps_need,
}

const GROUPS_VERSION: &str = "maps/groups/versions/1.0.0.0-contoso";

/// The file of a solution of the one version, with an edited manifest.
async fn solution(
    world: &World,
    running: &Running,
    (name, version): (&str, &str),
    edit: impl Fn(&str) -> String,
) -> Vec<u8> {
    let (versions, solution_name) = (vec![version.to_owned()], name.to_owned());
    let request = pb::ExportMapsRequest { versions, solution_name, managed: false };
    let file = running.maps().export_maps(world.admin(request)).await.unwrap().into_inner();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts(&file.solution) {
        let content = if name == "solution.xml" { edit(&content) } else { content };
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn parts(file: &[u8]) -> Vec<(String, String)> {
    let mut zip = ZipArchive::new(Cursor::new(file)).unwrap();
    let count = zip.len();
    let read = |at| {
        let mut entry = zip.by_index(at).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        (name, content)
    };
    (0..count).map(read).collect()
}

/// A solution that others need, in this version.
async fn core(world: &World, running: &Running, version: &str) -> Vec<u8> {
    let units = ("ContosoCore", "maps/units/versions/1.0.0.0-contoso");
    let edit = |it: &str| it.replace("<Version>1.0.0.0</Version>", &told(version));
    solution(world, running, units, edit).await
}

fn told(version: &str) -> String {
    format!("<Version>{version}</Version>")
}

/// The map of groups in a solution that needs another one in this version.
async fn maps(world: &World, running: &Running, needed: &str) -> Vec<u8> {
    let edit = |it: &str| {
        let end = "</MissingDependencies>";
        let required = format!("ContosoCore ({needed})");
        let one =
            format!("<MissingDependency><Required solution=\"{required}\"/></MissingDependency>");
        it.replace(end, &format!("{one}{end}"))
    };
    solution(world, running, ("ContosoMaps", GROUPS_VERSION), edit).await
}

async fn import(world: &World, running: &Running, file: Vec<u8>) {
    let request = pb::ImportMapsRequest { solution: file.into(), ..Default::default() };
    running.maps().import_maps(world.admin(request)).await.unwrap();
}

async fn apply(world: &World, running: &Running) -> Result<Vec<pb::TableMap>, Status> {
    let solution_names = vec!["ContosoMaps".to_owned()];
    let request = pb::ApplySolutionsRequest { solution_names, ..Default::default() };
    let answer = running.maps().apply_solutions(world.admin(request)).await;
    answer.map(|it| it.into_inner().maps)
}

async fn delete_groups(world: &World, running: &Running) {
    let request = pb::DeleteMapRequest { name: GROUPS.into(), ..Default::default() };
    running.maps().delete_map(world.admin(request)).await.unwrap();
}

async fn version(world: &World, running: &Running) -> pb::MapVersion {
    let request = pb::GetMapVersionRequest { name: GROUPS_VERSION.into() };
    let answer = running.maps().get_map_version(world.admin(request)).await.unwrap();
    answer.into_inner().version.unwrap()
}

async fn codes(world: &World, running: &Running) -> Vec<String> {
    let version = Some(version(world, running).await);
    let request = pb::ValidateMapVersionRequest { parent: GROUPS.into(), version };
    let answer = running.maps().validate_map_version(world.admin(request)).await.unwrap();
    answer.into_inner().issues.into_iter().map(|it| it.code).collect()
}

async fn nothing_runs_without_the_solutions_that_it_needs(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let new = core(&world, &running, "2.0.0.0").await;
    let old = core(&world, &running, "1.9.0.0").await;
    let file = maps(&world, &running, "2.0.0.0").await;
    delete_groups(&world, &running).await;
    import(&world, &running, file).await;
    let refused = apply(&world, &running).await;
    assert_eq!(reason(refused), ErrorReason::RequirementUnmet);
    import(&world, &running, new.clone()).await;
    apply(&world, &running).await.unwrap();
    assert!(codes(&world, &running).await.is_empty());

    import(&world, &running, old).await;
    let refused = world.go_live(&running, &[UNITS, GROUPS]).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(
        refused.message(),
        "CustomerGroupEntity - msdyn_customergroup : Dual write failure - Dynamics 365 for Sales \
         solution 'ContosoCore' has version mismatch. Version: '1.9.0.0' Required version: '2.0.0.0'"
    );
    assert_eq!(reason::<()>(Err(refused)), ErrorReason::RequirementUnmet);
    assert_eq!(codes(&world, &running).await, ["TMBL1013"]);
    let request = pb::CreateInitialSyncRequest { parent: GROUPS.into(), ..Default::default() };
    let mut syncs = InitialSyncServiceClient::new(running.gateway.clone());
    let refused = syncs.create_initial_sync(world.admin(request)).await;
    assert_eq!(reason(refused), ErrorReason::RequirementUnmet);
    for map in [UNITS, GROUPS] {
        assert_eq!(world.state(&running, map).await, MapState::NotRunning, "{map}");
    }

    import(&world, &running, new).await;
    world.go_live(&running, &[UNITS, GROUPS]).await.unwrap();
    assert_eq!(world.state(&running, GROUPS).await, MapState::Running);
}

async fn a_solution_says_anew_what_its_maps_need(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let core = core(&world, &running, "2.0.0.0").await;
    let one = maps(&world, &running, "1.0.0.0").await;
    let two = maps(&world, &running, "2.0.0.0").await;
    delete_groups(&world, &running).await;
    import(&world, &running, core).await;
    for (file, needed) in [(one, "1.0.0.0"), (two, "2.0.0.0")] {
        import(&world, &running, file).await;
        let changed = apply(&world, &running).await.unwrap();
        assert_eq!(changed[0].name, GROUPS);
        let required_solutions = version(&world, &running).await.required_solutions;
        let expected =
            pb::SolutionRequirement { solution_name: "ContosoCore".into(), version: needed.into() };
        assert_eq!(required_solutions, [expected]);
        assert!(apply(&world, &running).await.unwrap().is_empty(), "nothing is new");
    }
    // Whoever gets the map from here needs the same.
    let file = solution(&world, &running, ("Another", GROUPS_VERSION), str::to_owned).await;
    let manifest = parts(&file).into_iter().find(|it| it.0 == "solution.xml").unwrap().1;
    assert!(manifest.contains("<Required solution=\"ContosoCore (2.0.0.0)\"/>"), "{manifest}");
}
