use std::time::{Duration, Instant};

use proto::dual_write::v1::{self as pb, DifferenceKind, MapState, ReconciliationState, Side};
use proto::query::v1::{ApplyKind, Image};
use tonic::Status;

use super::fake::{World, active, migrated, written};
use super::repair::{Order, repair};
use super::store::{Comparison, Range, Stored};
use super::{compare, following, store};
use crate::cases::{Databases, cases};
use crate::map::fixture::{ERP, PLATFORM, compiled, image};
use crate::map::value::text;
use crate::maps::ActiveMap;

cases! { migrated =>
    what_differs_is_found_and_what_a_filter_leaves_alone_is_not,
    a_row_that_is_made_equal_meanwhile_is_no_difference,
    one_comparison_of_a_map_at_a_time_and_none_goes_on_that_is_cancelled,
    one_side_is_written_to_the_other_and_rows_it_lacks_only_when_asked,
    a_row_that_has_changed_is_left_alone_and_one_that_is_refused_is_told,
    a_side_that_is_away_is_told_as_such,
}

#[test]
fn ranges_go_through_all_companies_of_one_side_and_then_of_the_other() {
    let mut seen = Vec::new();
    let mut next = Some(Range { source: ERP, company_index: 0, after: None });
    while let Some(range) = next {
        seen.push((range.source, range.company_index));
        next = following(&range, 2);
    }
    assert_eq!(seen, [(ERP, 0), (ERP, 1), (PLATFORM, 0), (PLATFORM, 1)]);
}

fn erp(account: &str, name: &str) -> Image {
    let given = [("Account", text(account)), ("Name", text(name)), ("Language", text("en-us"))];
    let record_id = record(1, account);
    Image { record_id, ..image(&compiled(), ERP, &given) }
}

fn platform(account: &str, name: &str) -> Image {
    let given =
        [("accountnumber", text(account)), ("name", text(name)), ("language", text("en-us"))];
    let record_id = record(2, account);
    Image { record_id, ..image(&compiled(), PLATFORM, &given) }
}

fn record(side: u8, account: &str) -> prost::bytes::Bytes {
    let mut id = vec![side; 16];
    for (place, byte) in id.iter_mut().skip(1).zip(account.bytes()) {
        *place = byte;
    }
    id.into()
}

/// A comparison that is under way.
async fn begin(world: &World) -> Comparison {
    let mut connection = world.core.store.pool().acquire().await.unwrap();
    let companies = ["USMF".to_owned()];
    let made = store::create(&mut connection, "maps/customers", &[], &companies, 10).await;
    made.unwrap().unwrap()
}

async fn read(world: &World, comparison: &Comparison) -> Comparison {
    let mut connection = world.core.store.pool().acquire().await.unwrap();
    store::get(&mut connection, &comparison.map, &comparison.id).await.unwrap().unwrap()
}

/// One range after the other, each by another process.
async fn finish(world: &World, map: &ActiveMap, comparison: &Comparison) -> pb::Reconciliation {
    loop {
        let comparison = read(world, comparison).await;
        let message = comparison.message(chrono::Utc::now());
        if message.state() != ReconciliationState::Running {
            return message;
        }
        let compiled = map.compiled.as_ref().unwrap();
        compare(&world.core, &comparison, map, compiled).await.unwrap();
    }
}

async fn differences(world: &World, comparison: &Comparison) -> Vec<Stored> {
    let mut connection = world.core.store.pool().acquire().await.unwrap();
    let all = DifferenceKind::Unspecified;
    store::differences(&mut connection, comparison.number, all, None, 1_000).await.unwrap()
}

async fn told(world: &World, comparison: &Comparison) -> Vec<(DifferenceKind, String)> {
    let found = differences(world, comparison).await;
    let message = |it: &Stored| it.message(comparison).unwrap();
    let found = found.iter().map(message);
    found
        .map(|it| {
            let record = it.finance_and_operations_record.as_ref().or(it.platform_record.as_ref());
            let key = crate::map::value::display(record.unwrap().key[0].value.as_ref().unwrap());
            (it.kind(), key)
        })
        .collect()
}

/// Rows that are the same, differ, are missing on either side, or are outside a filter.
async fn seeded(databases: &Databases) -> World {
    let world = World::new(databases, |_| ()).await;
    for (account, name) in [("a", "Same"), ("b", "Old"), ("c", "Only here"), ("d", "Left")] {
        world.erp.put(erp(account, name), account != "d");
    }
    for (account, name) in [("a", "Same"), ("b", "New"), ("d", "Left"), ("e", "Only there")] {
        world.platform.put(platform(account, name), true);
    }
    world
}

async fn what_differs_is_found_and_what_a_filter_leaves_alone_is_not(databases: &Databases) {
    let world = seeded(databases).await;
    let map = active(MapState::Paused);
    let comparison = begin(&world).await;
    let done = finish(&world, &map, &comparison).await;
    assert_eq!(done.state(), ReconciliationState::Completed);
    assert_eq!((done.compared_row_count, done.difference_count), (7, 3));
    assert_eq!(
        told(&world, &comparison).await,
        [
            (DifferenceKind::Values, "b".to_owned()),
            (DifferenceKind::MissingOnPlatform, "c".to_owned()),
            (DifferenceKind::MissingOnFinanceAndOperations, "e".to_owned()),
        ]
    );
    let found = differences(&world, &comparison).await;
    let values = found[0].message(&comparison).unwrap();
    assert_eq!(values.fields.len(), 1);
    assert_eq!(values.fields[0].platform_column, "name");
    assert_eq!(values.cause, "The map is paused: the change may wait in its queue.");
}

async fn a_row_that_is_made_equal_meanwhile_is_no_difference(databases: &Databases) {
    let world = World::new(databases, |_| ()).await;
    world.erp.put(erp("a", "New"), true);
    world.platform.put(platform("a", "Old"), true);
    let map = active(MapState::Paused);
    let comparison = begin(&world).await;
    let follower = async {
        // Both sides have been read once.
        while world.platform.reads() == 0 {
            tokio::task::yield_now().await;
        }
        world.platform.change(|rows| rows[0].image = platform("a", "New"));
    };
    let (done, ()) = tokio::join!(finish(&world, &map, &comparison), follower);
    assert_eq!(done.difference_count, 0);
}

async fn one_comparison_of_a_map_at_a_time_and_none_goes_on_that_is_cancelled(
    databases: &Databases,
) {
    let world = seeded(databases).await;
    let comparison = begin(&world).await;
    let mut connection = world.core.store.pool().acquire().await.unwrap();
    let companies = ["USMF".to_owned()];
    let second = store::create(&mut connection, "maps/customers", &[], &companies, 10).await;
    assert!(second.unwrap().is_none());
    let cancelled = ReconciliationState::Cancelled;
    assert!(store::end(&mut connection, comparison.number, cancelled, None).await.unwrap());
    assert!(!store::end(&mut connection, comparison.number, cancelled, None).await.unwrap());
    drop(connection);
    // Whoever was in the middle of a range finds that nobody wants it any more.
    let map = active(MapState::Paused);
    let compiled = map.compiled.as_ref().unwrap();
    compare(&world.core, &comparison, &map, compiled).await.unwrap();
    assert!(differences(&world, &comparison).await.is_empty());
    assert_eq!(read(&world, &comparison).await.range(), comparison.range());
    assert_ne!(begin(&world).await.id, comparison.id);
}

async fn repaired(
    world: &World,
    comparison: &Comparison,
    source: Side,
    delete_missing: bool,
) -> pb::RepairDifferencesResponse {
    let map = active(MapState::Running);
    let deadline = Instant::now() + Duration::from_secs(60);
    let order = Order { comparison, source, delete_missing, deadline };
    let mut connection = world.core.store.pool().acquire().await.unwrap();
    repair(&world.core, &mut connection, &map, order, &[1, 2, 3]).await.unwrap()
}

async fn one_side_is_written_to_the_other_and_rows_it_lacks_only_when_asked(databases: &Databases) {
    let world = seeded(databases).await;
    let comparison = begin(&world).await;
    finish(&world, &active(MapState::Paused), &comparison).await;
    let answer = repaired(&world, &comparison, ERP, false).await;
    assert_eq!((answer.repaired_count, answer.skipped_count), (2, 1));
    let applied = world.platform.applied();
    let names: Vec<_> = applied.iter().map(|it| written(it, "name")).collect();
    assert_eq!(names, [Some("Old".to_owned()), Some("Only here".to_owned())]);
    assert!(applied.iter().all(|it| it.wins && it.values.iter().all(|it| it.changed)));
    let answer = repaired(&world, &comparison, ERP, true).await;
    // What is repaired stays so.
    assert_eq!((answer.repaired_count, answer.skipped_count), (1, 2));
    let deleted = world.platform.applied().pop().unwrap();
    assert_eq!(deleted.kind(), ApplyKind::Delete);
    assert_eq!(written(&deleted, "accountnumber").as_deref(), Some("e"));
    assert!(world.erp.applied().is_empty());
}

async fn a_row_that_has_changed_is_left_alone_and_one_that_is_refused_is_told(
    databases: &Databases,
) {
    let world = seeded(databases).await;
    let comparison = begin(&world).await;
    finish(&world, &active(MapState::Paused), &comparison).await;
    world.platform.change(|rows| rows[1].image = platform("b", "Newer"));
    world.platform.refuse(Some(Status::failed_precondition("no credit")));
    let answer = repaired(&world, &comparison, ERP, false).await;
    assert_eq!((answer.repaired_count, answer.skipped_count), (0, 2));
    let [failure] = &answer.failures[..] else { panic!("{answer:?}") };
    assert!(failure.difference.ends_with("/differences/2"), "{failure:?}");
    assert_eq!(failure.error.as_ref().unwrap().message, "no credit");
}

async fn a_side_that_is_away_is_told_as_such(databases: &Databases) {
    let world = seeded(databases).await;
    let comparison = begin(&world).await;
    finish(&world, &active(MapState::Paused), &comparison).await;
    world.platform.go_away(true);
    let map = active(MapState::Running);
    let deadline = Instant::now() + Duration::from_secs(60);
    let order = Order { comparison: &comparison, source: ERP, delete_missing: false, deadline };
    let mut connection = world.core.store.pool().acquire().await.unwrap();
    let refused = repair(&world.core, &mut connection, &map, order, &[1]).await.unwrap_err();
    assert!(matches!(refused, crate::error::Error::PeerUnavailable { .. }), "{refused}");
}
