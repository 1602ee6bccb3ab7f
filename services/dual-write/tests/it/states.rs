//! Every action in every state, and bulk actions that are all or nothing.

use proto::dual_write::v1::{self as pb, MapState, ResumeMode};
use proto::query::v1::SharePhase;
use rpc::ErrorReason;
use tonic::Status;

use crate::cases::{Databases, cases};
use crate::fakes::text;
use crate::world::{GROUPS, Running, UNITS, World, reason};

cases! { async |_| () =>
    only_what_a_state_allows_is_done,
    a_map_goes_its_way,
    what_would_be_lost_is_asked_for,
    all_maps_change_or_none,
    force_stops_what_cannot_be_reached,
    a_map_pauses_although_a_side_is_away,
    a_map_runs_once_both_sides_know,
    what_was_done_is_listed_page_by_page,
}

const STATES: [MapState; 7] = [
    MapState::NotRunning,
    MapState::Initializing,
    MapState::Running,
    MapState::Pausing,
    MapState::Paused,
    MapState::Resuming,
    MapState::Stopping,
];

async fn resume(
    world: &World,
    running: &Running,
    mode: ResumeMode,
    acknowledged: bool,
) -> Result<(), Status> {
    let names = vec![GROUPS.to_owned()];
    let request =
        pb::ResumeMapsRequest { names, mode: mode.into(), acknowledged, ..Default::default() };
    running.maps().resume_maps(world.admin(request)).await.map(drop)
}

async fn stop(world: &World, running: &Running, force: bool) -> Result<(), Status> {
    let names = vec![GROUPS.to_owned()];
    let request = pb::StopMapsRequest { names, force, acknowledged: true, ..Default::default() };
    running.maps().stop_maps(world.admin(request)).await.map(drop)
}

/// As if it had come there, with nothing else changed.
async fn put(world: &World, state: MapState) {
    let text = state.as_str_name().trim_start_matches("MAP_STATE_");
    let sql = format!(
        "UPDATE map SET state = '{text}', revision = revision + 1, epoch = epoch + 1
         WHERE name = '{GROUPS}'"
    );
    world.run(sql).await;
}

async fn only_what_a_state_allows_is_done(databases: &Databases) {
    let world = World::new(databases).await;
    // Nobody takes a map further by itself.
    let _held = world.hold(&["maps", "follow", "initial-sync", "alerts"]).await;
    let running = world.linked().await;
    let allowed = |action: &str, state: MapState| match action {
        "start" | "delete" | "version" => state == MapState::NotRunning,
        "pause" => state == MapState::Running,
        "resume" => matches!(state, MapState::Paused | MapState::Resuming),
        _ => !matches!(state, MapState::NotRunning | MapState::Initializing),
    };
    for state in STATES {
        for action in ["start", "pause", "resume", "stop", "delete", "version"] {
            if allowed(action, state) {
                continue;
            }
            put(&world, state).await;
            let refused = match action {
                "start" => world.go_live(&running, &[GROUPS]).await.map(drop),
                "pause" => world.pause(&running, &[GROUPS]).await.map(drop),
                "resume" => resume(&world, &running, ResumeMode::CatchUp, false).await,
                "stop" => stop(&world, &running, false).await,
                "delete" => {
                    let request =
                        pb::DeleteMapRequest { name: GROUPS.into(), ..Default::default() };
                    running.maps().delete_map(world.admin(request)).await.map(drop)
                }
                _ => {
                    let fields = [("CustomerGroupId", "msdyn_groupid")];
                    let request = pb::CreateMapVersionRequest {
                        parent: GROUPS.into(),
                        version: Some(crate::world::version("9.0.0.0", &fields)),
                        ..Default::default()
                    };
                    running.maps().create_map_version(world.admin(request)).await.map(drop)
                }
            };
            assert_eq!(reason(refused), ErrorReason::InvalidState, "{action} while {state:?}");
        }
    }
}

async fn a_map_goes_its_way(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    assert!(world.erp.map(GROUPS).is_none());
    let started = world.go_live(&running, &[GROUPS]).await.unwrap();
    assert_eq!(started[0].state(), MapState::Running);
    for side in [&world.erp, &world.platform] {
        let told = side.map(GROUPS).unwrap();
        assert_eq!(told.phase(), SharePhase::Live);
        assert_eq!(told.companies, ["USMF", "DEMF"]);
        assert!(told.link.contains('|'), "{}", told.link);
    }
    let paused = world.pause(&running, &[GROUPS]).await.unwrap();
    assert_eq!(paused[0].state(), MapState::Paused);
    let queued = world.erp.map(GROUPS).unwrap();
    assert_eq!(queued.phase(), SharePhase::Queued);
    let refused = resume(&world, &running, ResumeMode::SkipToLiveAndDiscard, false).await;
    assert_eq!(reason(refused), ErrorReason::ConfirmationRequired);
    resume(&world, &running, ResumeMode::SkipToLiveAndDiscard, true).await.unwrap();
    assert_eq!(world.state(&running, GROUPS).await, MapState::Running);
    let live = world.erp.map(GROUPS).unwrap();
    assert!(live.phase() == SharePhase::Live && live.epoch > queued.epoch);
    stop(&world, &running, false).await.unwrap();
    world.until(async || world.state(&running, GROUPS).await == MapState::NotRunning).await;
    assert!(world.erp.map(GROUPS).is_none() && world.platform.map(GROUPS).is_none());
}

async fn what_would_be_lost_is_asked_for(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[GROUPS]).await.unwrap();
    world.pause(&running, &[GROUPS]).await.unwrap();
    let row = [("dataAreaId", text("USMF")), ("CustomerGroupId", text("10"))];
    world.erp.put("CustomerGroupEntity", &row);
    let names = vec![GROUPS.to_owned()];
    let request = pb::StopMapsRequest { names, ..Default::default() };
    let refused = running.maps().stop_maps(world.admin(request)).await;
    assert_eq!(reason(refused), ErrorReason::ConfirmationRequired);
    assert_eq!(world.state(&running, GROUPS).await, MapState::Paused);
    stop(&world, &running, false).await.unwrap();
    assert_eq!(world.state(&running, GROUPS).await, MapState::NotRunning);
}

async fn all_maps_change_or_none(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[UNITS]).await.unwrap();
    let refused = world.go_live(&running, &[GROUPS, UNITS]).await;
    assert_eq!(reason(refused), ErrorReason::InvalidState);
    assert_eq!(world.state(&running, GROUPS).await, MapState::NotRunning);
    let refused = world.pause(&running, &[UNITS, GROUPS]).await;
    assert_eq!(reason(refused), ErrorReason::InvalidState);
    assert_eq!(world.state(&running, UNITS).await, MapState::Running);
    let refused = world.pause(&running, &[UNITS, UNITS]).await;
    assert_eq!(reason(refused), ErrorReason::InvalidValue);
}

async fn force_stops_what_cannot_be_reached(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[GROUPS]).await.unwrap();
    world.platform.set_away(true);
    assert_eq!(reason(stop(&world, &running, false).await), ErrorReason::PeerUnavailable);
    assert_eq!(world.state(&running, GROUPS).await, MapState::Running);
    stop(&world, &running, true).await.unwrap();
    assert_eq!(world.state(&running, GROUPS).await, MapState::NotRunning);
    assert!(world.erp.map(GROUPS).is_none() && world.platform.map(GROUPS).is_some());
    world.platform.set_away(false);
    world.until(async || world.platform.map(GROUPS).is_none()).await;
}

async fn a_map_pauses_although_a_side_is_away(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[GROUPS]).await.unwrap();
    world.platform.set_away(true);
    let pausing = world.pause(&running, &[GROUPS]).await.unwrap();
    assert_eq!(pausing[0].state(), MapState::Pausing);
    assert_eq!(world.erp.map(GROUPS).unwrap().phase(), SharePhase::Queued);
    world.platform.set_away(false);
    world.until(async || world.state(&running, GROUPS).await == MapState::Paused).await;
}

async fn a_map_runs_once_both_sides_know(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[GROUPS]).await.unwrap();
    world.pause(&running, &[GROUPS]).await.unwrap();
    world.platform.set_away(true);
    put(&world, MapState::Running).await;
    world.until(async || world.erp.map(GROUPS).unwrap().phase() == SharePhase::Live).await;
    assert_eq!(world.state(&running, GROUPS).await, MapState::Resuming);
    world.platform.set_away(false);
    world.until(async || world.state(&running, GROUPS).await == MapState::Running).await;
    assert_eq!(world.platform.map(GROUPS).unwrap().phase(), SharePhase::Live);
}

async fn what_was_done_is_listed_page_by_page(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[GROUPS]).await.unwrap();
    world.pause(&running, &[GROUPS]).await.unwrap();
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            pb::ListActivitiesRequest { parent: GROUPS.to_owned(), page_size: 1, page_token };
        let page = running.errors().list_activities(world.admin(request)).await.unwrap();
        let page = page.into_inner();
        assert!(page.activities.len() <= 1);
        all.extend(page.activities);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let place = |kind: &str| {
        all.iter().position(|it| it.kind == kind).unwrap_or_else(|| panic!("{kind}: {all:#?}"))
    };
    // The latest first.
    assert!(place("MapPausing") < place("MapStarted"));
    let started = &all[place("MapStarted")];
    assert!(started.actor.starts_with("users/") && started.occur_time.is_some(), "{started:?}");
    for it in &all {
        assert!(it.name.starts_with(&format!("{GROUPS}/activities/")), "{it:?}");
        let detail: serde_json::Value = serde_json::from_str(&it.detail_json).unwrap();
        assert!(detail.is_object(), "{it:?}");
    }
    let times: Vec<_> =
        all.iter().map(|it| it.occur_time.map(|at| (at.seconds, at.nanos))).collect();
    assert!(times.is_sorted_by(|one, other| one >= other), "{times:?}");
}
