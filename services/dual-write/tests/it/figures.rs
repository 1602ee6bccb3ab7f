//! What a map tells of itself: counts, lags and heartbeats (spec DW-65).

use std::time::SystemTime;

use proto::dual_write::v1::{self as pb, MapCounters};

use crate::cases::{Databases, cases};
use crate::fakes::text;
use crate::world::{Running, UNITS, World};

cases! { async |_| () =>
    counts_are_what_was_written,
    a_map_that_stands_still_is_noticed,
}

async fn counters(world: &World, running: &Running) -> MapCounters {
    world.map(running, UNITS).await.counters.unwrap()
}

/// Heartbeats to the platform and to the ERP.
fn beats(counters: &MapCounters) -> [Option<SystemTime>; 2] {
    let beats =
        [counters.to_platform_heartbeat_time, counters.to_finance_and_operations_heartbeat_time];
    beats.map(|it| it.map(|it| SystemTime::try_from(it).unwrap()))
}

/// Waits until whatever was changed up to now is on the other side.
async fn all_is_over(world: &World, running: &Running) -> MapCounters {
    let now = SystemTime::now();
    let is_over = |it: &MapCounters| beats(it).iter().all(|it| it.is_some_and(|it| it > now));
    world.until(async || is_over(&counters(world, running).await)).await;
    counters(world, running).await
}

async fn counts_are_what_was_written(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    assert_eq!(beats(&counters(&world, &running).await), [None; 2], "it does not run");
    world.go_live(&running, &[UNITS]).await.unwrap();
    for symbol in ["kg", "pcs", "box"] {
        world.erp.put("UnitEntity", &[("UnitSymbol", text(symbol)), ("Description", text("x"))]);
    }
    for symbol in ["m", "l"] {
        world.platform.put("uom", &[("msdyn_symbol", text(symbol))]);
    }
    let counts = |it: &MapCounters| (it.to_platform_count, it.to_finance_and_operations_count);
    world.until(async || counts(&counters(&world, &running).await) == (3, 2)).await;
    let at_last = all_is_over(&world, &running).await;
    assert_eq!(counts(&at_last), (3, 2), "nothing was counted twice, and nothing came back");
    let none = Some(prost_types::Duration::default());
    assert_eq!((at_last.to_platform_lag, at_last.to_finance_and_operations_lag), (none, none));
}

async fn a_map_that_stands_still_is_noticed(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[UNITS]).await.unwrap();
    let before = all_is_over(&world, &running).await;
    drop(running);
    let nobody_follows = world.hold(&["follow"]).await;
    let running = world.start().await;
    let standing = async || {
        let request = world.admin(pb::RunHealthChecksRequest {});
        let checks = running.links().run_health_checks(request).await.unwrap().into_inner();
        let failed = checks.health_checks.into_iter().filter(|it| !it.passed);
        failed.map(|it| (it.code, it.subjects)).collect::<Vec<_>>()
    };
    world.until(async || standing().await.is_empty()).await;
    // An hour passes.
    let sql = "UPDATE map SET state_change_time = state_change_time - interval '1 hour';
        UPDATE map_report SET to_platform_heartbeat_time = to_platform_heartbeat_time - interval '1 hour'";
    world.run(sql.to_owned()).await;
    assert_eq!(standing().await, [("TMBL2002".to_owned(), vec![UNITS.to_owned()])]);
    let still = counters(&world, &running).await;
    assert_eq!(beats(&still)[1], beats(&before)[1], "nobody moves it");
    drop(nobody_follows);
    world.until(async || standing().await.is_empty()).await;
    assert!(beats(&counters(&world, &running).await)[0] > beats(&before)[0]);
}
