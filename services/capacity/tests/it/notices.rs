//! What administrators are told.

use proto::capacity::v1 as pb;
use proto::capacity::v1::{MeterKind, NoticeKind, Pool};

use crate::world::{GB, Running, World};

const A: &str = "platformEnvironments/a";

/// Pool, kind and whether it holds, the newest first.
async fn notices(
    world: &World,
    running: &Running,
    active_only: bool,
) -> Vec<(Pool, NoticeKind, bool)> {
    let message = pb::ListNoticesRequest { active_only, ..Default::default() };
    let answer = running.capacity().list_notices(world.admin(message)).await.unwrap();
    let notices = answer.into_inner().notices;
    assert!(notices.iter().all(|it| it.name.starts_with("notices/") && !it.message.is_empty()));
    notices.iter().map(|it| (it.pool(), it.kind(), it.end_time.is_none())).collect()
}

#[tokio::test]
async fn notices_begin_and_end_with_what_they_are_about() {
    let world = World::new().await;
    let running = world.joined(3600).await;
    world.buy(&running, "database-capacity", 100).await;
    let mut expected: Vec<(Pool, NoticeKind, bool)> = Vec::new();
    for (used, kind) in [
        (80, None),
        (86, Some(NoticeKind::Low)),
        (87, Some(NoticeKind::Low)),
        (96, Some(NoticeKind::VeryLow)),
        (101, Some(NoticeKind::Overage)),
        (90, Some(NoticeKind::Low)),
        (10, None),
    ] {
        world.meter.database(A, MeterKind::Platform, used * GB, &[]);
        world.measure(&running).await;
        let same = expected.first().is_some_and(|it| it.2 && Some(it.1) == kind);
        if !same {
            expected.iter_mut().for_each(|it| it.2 = false);
            expected.splice(0..0, kind.map(|it| (Pool::Database, it, true)));
        }
        assert_eq!(notices(&world, &running, false).await, expected, "{used}");
        let active: Vec<_> = expected.iter().filter(|it| it.2).copied().collect();
        assert_eq!(notices(&world, &running, true).await, active, "{used}");
    }
    assert_eq!(expected.len(), 4);
}

#[tokio::test]
async fn a_purchase_ends_a_notice_at_once() {
    let world = World::new().await;
    world.meter.database(A, MeterKind::Platform, 2 * GB, &[("auditbase", GB)]);
    let erp = "financeAndOperationsEnvironments/e";
    world.meter.database(erp, MeterKind::FinanceAndOperations, GB, &[]);
    let running = world.joined(3600).await;
    world.measure(&running).await;
    let mut all = notices(&world, &running, true).await;
    all.sort_by_key(|it| it.0);
    let overage = |pool| (pool, NoticeKind::Overage, true);
    assert_eq!(all, [Pool::Database, Pool::Log, Pool::OperationsDatabase].map(overage));
    world.buy(&running, "finance", 1).await;
    assert!(notices(&world, &running, true).await.is_empty());
    assert_eq!(notices(&world, &running, false).await.len(), 3);
}

#[tokio::test]
async fn a_notice_that_holds_is_told_weekly() {
    let world = World::new().await;
    world.meter.database(A, MeterKind::Platform, 2 * GB, &[]);
    let running = world.joined(3600).await;
    world.measure(&running).await;
    let last_told = async || -> (bool, i64) {
        let sql = "SELECT last_told > now() - interval '1 hour', count(*) OVER () FROM notice";
        sqlx::query_as(sql).fetch_one(&mut world.connect().await).await.unwrap()
    };
    world.run("UPDATE notice SET last_told = now() - interval '6 days 23 hours'").await;
    world.measure(&running).await;
    assert_eq!(last_told().await, (false, 1));
    world.run("UPDATE notice SET last_told = now() - interval '7 days'").await;
    world.measure(&running).await;
    assert_eq!(last_told().await, (true, 1));
}
