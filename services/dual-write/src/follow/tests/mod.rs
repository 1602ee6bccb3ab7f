#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod fake;

use chrono::Utc;
use proto::dual_write::v1::{
    FailedChangeOrigin, FindingKind, MapState, PendingChange, Record, Side, SyncErrorKind,
};
use proto::query::v1 as wire;

use super::change::RowIdentity;
use super::deliver::Stop;
use super::failures::{Failed, Losses};
use super::look::{CaughtUp, Follower};
use super::{change, conflicts, explain, failures, queue, queued, retries};
use crate::cases::{Databases, cases};
use crate::map::fixture::{ERP, PLATFORM};
use crate::reconcile::fake::migrated;
use fake::{CUSTOMERS, FakeSide, OTHERS, World};

cases! { migrated =>
    changes_of_all_maps_go_over_in_the_order_of_their_commits,
    a_refused_row_blocks_itself_and_nobody_else,
    a_row_that_somebody_holds_is_tried_until_it_is_free,
    a_row_that_is_gone_goes_unless_it_is_created_anew_meanwhile,
    a_row_that_changes_its_key_before_it_is_held_is_listed_again,
    a_refused_key_goes_over_with_whatever_comes_of_its_row,
    a_refused_key_of_a_queue_goes_over_with_a_retry,
    a_queue_is_replayed_change_by_change,
    a_row_that_came_and_went_in_the_queue_is_never_made,
    a_row_that_went_over_before_a_process_died_ends_there_too,
    what_the_other_side_deleted_meanwhile_is_not_made_again_by_a_replay,
    a_queue_behind_an_initial_sync_goes_over_as_it_is_now,
    in_a_replay_later_changes_of_a_refused_row_wait_behind_it,
    a_retry_in_vain_says_so_and_at_most_five_wait,
    what_got_through_is_listed_as_long_as_is_set,
    a_side_that_is_away_loses_nothing,
    who_dies_while_following_loses_and_doubles_nothing,
    who_dies_while_replaying_repeats_no_older_state,
    a_queue_that_is_skipped_is_kept_or_counted,
    a_conflict_is_told_once,
    a_page_of_conflicts_that_both_sides_met_is_told_once,
    a_log_that_no_longer_tells_is_not_passed_over_in_silence,
    a_map_that_has_changed_meanwhile_is_left_alone,
    a_map_runs_when_both_sides_have_caught_up,
    a_stretch_that_was_begun_before_is_not_the_end_of_a_queue,
    what_comes_while_a_map_resumes_goes_over_as_it_is,
    a_queue_is_listed_page_by_page_in_the_order_of_time,
    why_a_row_is_not_on_the_other_side_is_told,
    what_was_written_with_events_skipped_is_counted_once,
    a_heartbeat_stands_still_where_something_waits,
}

const RESUMING: &str = "UPDATE map SET state = 'RESUMING', revision = revision + 1,
    state_change_time = clock_timestamp()";

/// One look at the ERP's log, by somebody who has just begun.
async fn look(world: &World, state: MapState) -> Result<(), Stop> {
    let maps = [world.map(CUSTOMERS, state), world.map(OTHERS, state)];
    let caught_up = CaughtUp::default();
    Box::pin(Follower::new(&world.core, ERP, &caught_up).look(&maps)).await
}

async fn follow(world: &World) {
    look(world, MapState::Running).await.unwrap();
}

/// What somebody does to a side.
type Act = fn(&FakeSide);

/// Tries all again that failed, which is so much.
async fn retry(world: &World, expected: i64) {
    let choice = failures::Choice { map: CUSTOMERS.to_owned(), ..Default::default() };
    let mut transaction = world.core.store.begin().await.unwrap();
    let asked = failures::ask(&mut transaction, &choice).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!((asked.queued, asked.skipped), (expected, 0));
    let maps = [world.map(CUSTOMERS, MapState::Running)];
    while retries::round(&world.core, &maps).await.unwrap() {}
}

async fn changes_of_all_maps_go_over_in_the_order_of_their_commits(databases: &Databases) {
    let world = World::new(databases).await;
    for (map, account) in [(OTHERS, "a"), (CUSTOMERS, "b"), (OTHERS, "c"), (CUSTOMERS, "d")] {
        world.erp.write(map, account, "x");
    }
    follow(&world).await;
    let (history, commits) = world.platform.history();
    assert_eq!((history, commits), (["a=x", "b=x", "c=x", "d=x"].map(str::to_owned).to_vec(), 1));
    assert_eq!(world.position(CUSTOMERS, ERP).await, "4");
    follow(&world).await;
    assert_eq!(world.platform.history().1, 1, "what is over does not go over again");
}

async fn a_refused_row_blocks_itself_and_nobody_else(databases: &Databases) {
    let world = World::new(databases).await;
    world.platform.refuse(&["b"]);
    for account in ["a", "b", "c"] {
        world.erp.write(CUSTOMERS, account, "x");
    }
    follow(&world).await;
    assert_eq!(world.platform.rows(CUSTOMERS), ["a=x", "c=x"]);
    assert_eq!(world.failed().await, ["b Application None 1"]);
    world.erp.write(CUSTOMERS, "b", "y");
    world.erp.write(CUSTOMERS, "a", "y");
    follow(&world).await;
    assert_eq!(world.platform.rows(CUSTOMERS), ["a=y", "c=x"]);
    assert_eq!(world.failed().await, ["b Application None 2"], "it waits once");
    world.platform.refuse(&[]);
    world.erp.write(CUSTOMERS, "b", "z");
    follow(&world).await;
    assert_eq!(world.platform.rows(CUSTOMERS), ["a=y", "b=z", "c=x"]);
    assert_eq!(world.failed().await, ["b Application Completed 2"]);
}

async fn a_row_that_somebody_holds_is_tried_until_it_is_free(databases: &Databases) {
    let world = World::new(databases).await;
    world.platform.hold(&["a"]);
    world.erp.write(CUSTOMERS, "a", "x");
    world.erp.write(CUSTOMERS, "b", "x");
    follow(&world).await;
    assert_eq!(world.platform.rows(CUSTOMERS), ["b=x"]);
    assert_eq!((world.failed().await, world.position(CUSTOMERS, ERP).await), (vec![], "0".into()));
    world.platform.hold(&[]);
    follow(&world).await;
    assert_eq!(world.platform.rows(CUSTOMERS), ["a=x", "b=x"]);
    assert_eq!(world.position(CUSTOMERS, ERP).await, "2");
}

async fn a_row_that_is_gone_goes_unless_it_is_created_anew_meanwhile(databases: &Databases) {
    let world = World::new(databases).await;
    for account in ["a", "b"] {
        world.erp.write(CUSTOMERS, account, "x");
    }
    follow(&world).await;
    world.erp.remove(CUSTOMERS, "a");
    world.erp.remove(CUSTOMERS, "b");
    let erp = world.erp.clone();
    // Behind the deletion's back, before it is committed.
    world.platform.on_apply(move || erp.write(CUSTOMERS, "b", "new"));
    follow(&world).await;
    assert_eq!(world.platform.rows(CUSTOMERS), ["b=x"], "b was not deleted");
    follow(&world).await;
    assert_eq!(world.platform.rows(CUSTOMERS), ["b=new"]);
    assert!(!world.platform.history().0.contains(&"-b".to_owned()));
}

async fn a_row_that_changes_its_key_before_it_is_held_is_listed_again(databases: &Databases) {
    // What was listed, what came before it was held, and what is left of it.
    let cases: [(Act, Act, &[&str]); 3] = [
        (|erp| erp.rename(CUSTOMERS, "a", "b"), |erp| erp.remove(CUSTOMERS, "b"), &[]),
        (|erp| erp.rename(CUSTOMERS, "a", "b"), |erp| erp.rename(CUSTOMERS, "b", "c"), &["c=x"]),
        (|erp| erp.write(CUSTOMERS, "a", "y"), |erp| erp.rename(CUSTOMERS, "a", "b"), &["b=y"]),
    ];
    for (listed, meanwhile, expected) in cases {
        let world = World::new(databases).await;
        world.erp.write(CUSTOMERS, "a", "x");
        follow(&world).await;
        listed(&world.erp);
        let erp = world.erp.clone();
        world.erp.on_hold(move || meanwhile(&erp));
        follow(&world).await;
        assert_eq!(world.platform.rows(CUSTOMERS), ["a=x"], "it is not what it was");
        follow(&world).await;
        assert_eq!(world.platform.rows(CUSTOMERS), expected);
        assert_eq!(world.position(CUSTOMERS, ERP).await, "3");
        assert_eq!(world.failed().await, Vec::<String>::new());
    }
}

async fn a_refused_key_goes_over_with_whatever_comes_of_its_row(databases: &Databases) {
    // What comes behind the refusal, whether it is brought over by a retry, and what is left of it.
    let cases: [(Act, bool, &[&str]); 5] = [
        (|_| {}, true, &["b=x"]),
        (|erp| erp.write(CUSTOMERS, "b", "y"), false, &["b=y"]),
        (|erp| erp.rename(CUSTOMERS, "b", "a"), false, &["a=x"]),
        (|erp| erp.remove(CUSTOMERS, "b"), false, &[]),
        (|erp| erp.remove(CUSTOMERS, "b"), true, &[]),
    ];
    for (later, by_retry, expected) in cases {
        let world = World::new(databases).await;
        world.erp.write(CUSTOMERS, "a", "x");
        follow(&world).await;
        world.platform.refuse(&["b"]);
        world.erp.rename(CUSTOMERS, "a", "b");
        follow(&world).await;
        // Refused again, it is still the first key that the other side knows.
        world.erp.write(CUSTOMERS, "b", "x");
        follow(&world).await;
        assert_eq!(world.failed().await, ["b Application None 2"]);
        world.platform.refuse(&[]);
        later(&world.erp);
        if by_retry {
            retry(&world, 1).await;
        } else {
            follow(&world).await;
        }
        assert_eq!(world.platform.rows(CUSTOMERS), expected);
        let failed = world.failed().await;
        assert!(failed.len() == 1 && failed[0].contains("Completed"), "{failed:?}");
    }
}

async fn a_refused_key_of_a_queue_goes_over_with_a_retry(databases: &Databases) {
    let world = World::new(databases).await;
    world.erp.write(CUSTOMERS, "a", "x");
    follow(&world).await;
    world.platform.refuse(&["b", "c"]);
    world.erp.rename(CUSTOMERS, "a", "b");
    world.erp.write(CUSTOMERS, "b", "y");
    world.erp.rename(CUSTOMERS, "b", "c");
    look(&world, MapState::Resuming).await.unwrap();
    assert_eq!(world.platform.rows(CUSTOMERS), ["a=x"]);
    world.platform.refuse(&[]);
    retry(&world, 3).await;
    assert_eq!(world.platform.rows(CUSTOMERS), ["c=y"]);
}

async fn a_queue_is_replayed_change_by_change(databases: &Databases) {
    let world = World::new(databases).await;
    for name in ["NameA", "NameB", "NameC"] {
        world.erp.write(CUSTOMERS, "a", name);
    }
    world.erp.write(CUSTOMERS, "b", "x");
    look(&world, MapState::Resuming).await.unwrap();
    let (history, _) = world.platform.history();
    assert_eq!(history, ["a=NameA", "a=NameB", "a=NameC", "b=x"]);
    assert_eq!(world.position(CUSTOMERS, ERP).await, "4");
}

async fn a_row_that_came_and_went_in_the_queue_is_never_made(databases: &Databases) {
    let world = World::new(databases).await;
    world.erp.write(CUSTOMERS, "a", "x");
    world.erp.remove(CUSTOMERS, "a");
    // Meanwhile it was made over there.
    world.platform.scribble(CUSTOMERS, "a", "theirs");
    world.erp.write(CUSTOMERS, "b", "x");
    look(&world, MapState::Resuming).await.unwrap();
    assert_eq!(world.platform.history().0, ["b=x"]);
    assert_eq!(world.platform.rows(CUSTOMERS), ["a=theirs", "b=x"]);
}

async fn a_row_that_went_over_before_a_process_died_ends_there_too(databases: &Databases) {
    let world = World::new(databases).await;
    world.erp.write(CUSTOMERS, "a", "x");
    world.erp.write(CUSTOMERS, "b", "x");
    world.platform.hold(&["b"]);
    look(&world, MapState::Resuming).await.unwrap();
    assert_eq!(world.platform.rows(CUSTOMERS), ["a=x"]);
    // Paused and resumed, the stretch goes on to the present.
    world.erp.remove(CUSTOMERS, "a");
    world.platform.hold(&[]);
    world.run(RESUMING).await;
    world.core.maps.refresh(&world.core.store).await.unwrap();
    look(&world, MapState::Resuming).await.unwrap();
    assert_eq!(world.platform.rows(CUSTOMERS), ["b=x"]);
}

async fn what_the_other_side_deleted_meanwhile_is_not_made_again_by_a_replay(
    databases: &Databases,
) {
    let world = World::new(databases).await;
    world.erp.write(CUSTOMERS, "a", "x");
    world.erp.write(CUSTOMERS, "b", "x");
    world.erp.lose(CUSTOMERS, "a");
    look(&world, MapState::Resuming).await.unwrap();
    assert_eq!(world.platform.rows(CUSTOMERS), ["b=x"]);
}

async fn a_queue_behind_an_initial_sync_goes_over_as_it_is_now(databases: &Databases) {
    let world = World::new(databases).await;
    world
        .run(
            "INSERT INTO initial_sync (map, name, version, state, mode, master, companies, actor, end_time)
             VALUES ('maps/customers', 'one', '1', 4, 1, 1, '{}', '', now())",
        )
        .await;
    for name in ["NameA", "NameB"] {
        world.erp.write(CUSTOMERS, "a", name);
    }
    look(&world, MapState::Resuming).await.unwrap();
    assert_eq!(world.platform.history().0, ["a=NameB"]);
}

async fn in_a_replay_later_changes_of_a_refused_row_wait_behind_it(databases: &Databases) {
    let world = World::new(databases).await;
    world.platform.refuse(&["a"]);
    for (account, name) in [("a", "1"), ("b", "1"), ("a", "2"), ("b", "2"), ("a", "3")] {
        world.erp.write(CUSTOMERS, account, name);
    }
    look(&world, MapState::Resuming).await.unwrap();
    assert_eq!(world.platform.history().0, ["b=1", "b=2"]);
    let waiting = ["a Application None 1", "a Application None 0", "a Application None 0"];
    assert_eq!(world.failed().await, waiting);
    world.platform.refuse(&[]);
    retry(&world, 3).await;
    assert_eq!(world.platform.rows(CUSTOMERS), ["a=3", "b=2"]);
    let states: Vec<_> = world.failed().await;
    assert!(states.iter().all(|it| it.contains("Completed")), "{states:?}");
}

async fn a_retry_in_vain_says_so_and_at_most_five_wait(databases: &Databases) {
    let world = World::new(databases).await;
    world.platform.refuse(&["a"]);
    world.erp.write(CUSTOMERS, "a", "x");
    follow(&world).await;
    let choice = failures::Choice { map: CUSTOMERS.to_owned(), ..Default::default() };
    let mut connection = world.core.store.pool().acquire().await.unwrap();
    failures::ask(&mut connection, &choice).await.unwrap();
    assert_eq!(world.failed().await, ["a Application Queued 1"]);
    let maps = [world.map(CUSTOMERS, MapState::Running)];
    while retries::round(&world.core, &maps).await.unwrap() {}
    assert_eq!(world.failed().await, ["a Application Failed 2"]);
    world
        .run("INSERT INTO retry_request (map) SELECT 'maps/customers' FROM generate_series(1, 5)")
        .await;
    assert!(failures::ask(&mut connection, &choice).await.is_err());
}

async fn what_got_through_is_listed_as_long_as_is_set(databases: &Databases) {
    let world = World::new(databases).await;
    let accounts = ["old", "new", "open"];
    world.platform.refuse(&accounts);
    for account in accounts {
        world.erp.write(CUSTOMERS, account, "x");
    }
    follow(&world).await;
    world.platform.refuse(&["open"]);
    for account in accounts {
        world.erp.write(CUSTOMERS, account, "y");
    }
    follow(&world).await;
    let listed = async || {
        let failed = world.failed().await;
        failed.iter().map(|it| it.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let age = |account: &str, days: u16| {
        let key = world.erp.record_id(account).to_vec();
        sqlx::query(
            "UPDATE failed_change SET complete_time = now() - make_interval(days => $2)
             WHERE record_id = $1 AND complete_time IS NOT NULL",
        )
        .bind(key)
        .bind(i32::from(days))
        .execute(world.core.store.pool())
    };
    let kept = world.core.config.completed_error_days;
    age("old", kept + 1).await.unwrap();
    age("new", kept - 1).await.unwrap();
    assert_eq!(listed().await, accounts);
    retries::tidy(&world.core).await.unwrap();
    assert_eq!(listed().await, ["new", "open"]);
    let mut connection = world.core.store.pool().acquire().await.unwrap();
    failures::forget_completed(&mut connection, 1).await.unwrap();
    assert_eq!(listed().await, ["open"], "what waits is never forgotten");
}

async fn a_side_that_is_away_loses_nothing(databases: &Databases) {
    let world = World::new(databases).await;
    world.erp.write(CUSTOMERS, "a", "x");
    world.platform.go_away(true);
    assert!(matches!(
        look(&world, MapState::Running).await,
        Err(Stop::Away { side: PLATFORM, .. })
    ));
    assert_eq!(world.failed().await, Vec::<String>::new());
    world.platform.go_away(false);
    follow(&world).await;
    assert_eq!(world.platform.rows(CUSTOMERS), ["a=x"]);
}

/// Whoever follows dies at every step of the way; the next one finishes it.
async fn dies_at_every_step(databases: &Databases, state: MapState, expected: &[&str]) {
    for questions in 0.. {
        let world = World::new(databases).await;
        for (account, name) in [("a", "1"), ("b", "1"), ("a", "2")] {
            world.erp.write(CUSTOMERS, account, name);
        }
        world.platform.refuse(&["b"]);
        world.platform.die_after(Some(questions));
        let died = tokio::select! {
            () = world.platform.died() => true,
            done = look(&world, state) => { done.unwrap(); false }
        };
        world.platform.die_after(None);
        look(&world, state).await.unwrap();
        assert_eq!(world.platform.rows(CUSTOMERS), ["a=2"], "after {questions}");
        assert_eq!(world.failed().await.len(), 1, "after {questions}");
        let (mut history, _) = world.platform.history();
        history.dedup();
        assert_eq!(history, expected, "after {questions}");
        assert_eq!(world.position(CUSTOMERS, ERP).await, "3");
        if !died {
            return;
        }
    }
}

async fn who_dies_while_following_loses_and_doubles_nothing(databases: &Databases) {
    dies_at_every_step(databases, MapState::Running, &["a=2"]).await;
}

async fn who_dies_while_replaying_repeats_no_older_state(databases: &Databases) {
    dies_at_every_step(databases, MapState::Resuming, &["a=1", "a=2"]).await;
}

async fn a_queue_that_is_skipped_is_kept_or_counted(databases: &Databases) {
    let world = World::new(databases).await;
    for account in ["a", "b", "c", "d"] {
        world.erp.write(CUSTOMERS, account, "x");
    }
    world.platform.write(CUSTOMERS, "e", "x");
    assert_eq!(queue::queue_length(&world.core, CUSTOMERS).await.unwrap(), 5);
    let mut connection = world.core.store.pool().acquire().await.unwrap();
    let kept = queue::preserve_queue(&world.core, CUSTOMERS, &mut connection).await.unwrap();
    assert_eq!(kept.to_string(), "5 (4 of the ERP, 1 of the platform)");
    assert_eq!(world.failed().await.len(), 5);
    assert_eq!(queue::queue_length(&world.core, CUSTOMERS).await.unwrap(), 0);
    world.erp.write(CUSTOMERS, "f", "x");
    let lost = queue::discard_queue(&world.core, CUSTOMERS, &mut connection).await.unwrap();
    assert_eq!((lost.finance_and_operations, lost.platform), (1, 0));
    assert_eq!(world.failed().await.len(), 5);
    assert_eq!(queue::queue_length(&world.core, CUSTOMERS).await.unwrap(), 0);
}

async fn a_conflict_is_told_once(databases: &Databases) {
    let world = World::new(databases).await;
    world.platform.conflict(7, CUSTOMERS, "a");
    for _ in 0..2 {
        conflicts::collect(&world.core, PLATFORM).await.unwrap();
    }
    // The same values of the row are lost once, another row's are others.
    for (id, account) in [(8, "a"), (9, "b"), (10, "b")] {
        world.platform.conflict(id, CUSTOMERS, account);
    }
    conflicts::collect(&world.core, PLATFORM).await.unwrap();
    assert_eq!(world.failed().await, [" Conflict None 1", " Conflict None 1"]);
}

/// Of the platform's row with this key, in the words of one side.
fn lost(words: Side, account: &str, value: &str) -> Failed {
    let (key, column) = if words == ERP { ("Account", "Name") } else { ("accountnumber", "name") };
    let field = |field: &str, value: &str| wire::FieldValue {
        field: field.to_owned(),
        value: Some(crate::map::value::text(value)),
    };
    let record_id = format!("{words:?} {account}").into_bytes();
    let row = RowIdentity {
        map: CUSTOMERS.to_owned(),
        record_id: record_id.clone(),
        key_digest: Vec::new(),
    };
    let record = Record {
        side: words.into(),
        record_id: record_id.into(),
        key: vec![field(key, account)],
        company: "USMF".to_owned(),
        ..Default::default()
    };
    let change = PendingChange {
        record: Some(record),
        after: vec![field(column, value)],
        ..Default::default()
    };
    let error = super::refusal::own_error(SyncErrorKind::Conflict, "");
    let (side, origin, winner) = (PLATFORM, FailedChangeOrigin::Asynchronous, Vec::new());
    Failed { row, side, change, error, origin, winner }
}

async fn a_page_of_conflicts_that_both_sides_met_is_told_once(databases: &Databases) {
    let world = World::new(databases).await;
    let page = |words| (0..600).map(|it| lost(words, &format!("c{it}"), "x")).collect::<Vec<_>>();
    let mut transaction = world.core.store.begin().await.unwrap();
    failures::store_all(&mut transaction, &page(ERP)).await.unwrap();
    let of_platform = page(PLATFORM);
    let mut losses = Losses::load(&mut transaction, &of_platform).await.unwrap();
    assert!(of_platform.iter().all(|it| losses.has(it)), "the ERP told them");
    for other in [
        lost(PLATFORM, "c0", "y"),
        lost(PLATFORM, "another", "x"),
        Failed { side: ERP, ..lost(PLATFORM, "c0", "x") },
    ] {
        assert!(!losses.has(&other));
        assert!(losses.has(&other), "of one page it is told once");
    }
}

async fn a_log_that_no_longer_tells_is_not_passed_over_in_silence(databases: &Databases) {
    let world = World::new(databases).await;
    world.erp.write(CUSTOMERS, "a", "x");
    world.erp.expire(true);
    look(&world, MapState::Running).await.unwrap();
    assert_eq!(world.position(CUSTOMERS, ERP).await, "1");
    assert_eq!(world.activities(CUSTOMERS).await, ["ChangesLost"]);
    world.erp.expire(false);
    world.erp.write(CUSTOMERS, "b", "x");
    follow(&world).await;
    assert_eq!(world.platform.rows(CUSTOMERS), ["b=x"]);
}

async fn a_map_that_has_changed_meanwhile_is_left_alone(databases: &Databases) {
    let world = World::new(databases).await;
    world.erp.write(CUSTOMERS, "a", "x");
    let maps = [world.map(CUSTOMERS, MapState::Running)];
    world.run("UPDATE map SET epoch = epoch + 1").await;
    let caught_up = CaughtUp::default();
    let looked = Box::pin(Follower::new(&world.core, ERP, &caught_up).look(&maps)).await;
    assert!(matches!(looked, Err(Stop::Changed)));
    assert_eq!(world.platform.history().1, 0);
}

async fn a_map_runs_when_both_sides_have_caught_up(databases: &Databases) {
    let world = World::new(databases).await;
    world.run(RESUMING).await;
    world.core.maps.refresh(&world.core.store).await.unwrap();
    world.erp.write(CUSTOMERS, "a", "x");
    world.platform.write(CUSTOMERS, "b", "x");
    let maps = [world.map(CUSTOMERS, MapState::Resuming)];
    let caught_up = CaughtUp::default();
    for (side, expected) in [(ERP, MapState::Resuming), (PLATFORM, MapState::Running)] {
        Box::pin(Follower::new(&world.core, side, &caught_up).look(&maps)).await.unwrap();
        assert_eq!(world.core.maps.get(CUSTOMERS).unwrap().state(), expected);
    }
    assert_eq!(world.erp.rows(CUSTOMERS), ["a=x", "b=x"]);
    assert_eq!(world.activities(CUSTOMERS).await, ["CaughtUp"]);
}

async fn a_stretch_that_was_begun_before_is_not_the_end_of_a_queue(databases: &Databases) {
    let world = World::new(databases).await;
    let position = world.position(CUSTOMERS, ERP).await;
    let mut connection = world.core.store.pool().acquire().await.unwrap();
    super::replay::begin(&mut connection, CUSTOMERS, ERP, &position, &position).await.unwrap();
    drop(connection);
    world.run(RESUMING).await;
    world.core.maps.refresh(&world.core.store).await.unwrap();
    for name in ["NameA", "NameB"] {
        world.erp.write(CUSTOMERS, "a", name);
    }
    let maps = [world.map(CUSTOMERS, MapState::Resuming)];
    let caught_up = CaughtUp::default();
    for (side, expected) in [(PLATFORM, MapState::Resuming), (ERP, MapState::Running)] {
        Box::pin(Follower::new(&world.core, side, &caught_up).look(&maps)).await.unwrap();
        assert_eq!(world.core.maps.get(CUSTOMERS).unwrap().state(), expected);
    }
    assert_eq!(world.platform.history().0, ["a=NameA", "a=NameB"]);
}

async fn what_comes_while_a_map_resumes_goes_over_as_it_is(databases: &Databases) {
    let world = World::new(databases).await;
    world.run(RESUMING).await;
    world.core.maps.refresh(&world.core.store).await.unwrap();
    let maps = [world.map(CUSTOMERS, MapState::Resuming)];
    for names in [["NameA", "NameB"], ["NameC", "NameD"]] {
        for name in names {
            world.erp.write(CUSTOMERS, "a", name);
        }
        let caught_up = CaughtUp::default();
        Box::pin(Follower::new(&world.core, ERP, &caught_up).look(&maps)).await.unwrap();
    }
    assert_eq!(world.platform.history().0, ["a=NameA", "a=NameB", "a=NameD"]);
}

async fn a_queue_is_listed_page_by_page_in_the_order_of_time(databases: &Databases) {
    let world = World::new(databases).await;
    for account in ["a", "b", "c", "d", "e"] {
        world.erp.write(CUSTOMERS, account, "x");
        world.platform.write(CUSTOMERS, &account.to_uppercase(), "x");
    }
    let map = world.map(CUSTOMERS, MapState::Paused);
    let (mut place, mut seen) = (None, Vec::new());
    loop {
        let listed = queued::list(&world.core, &map, place.as_ref(), &[], 3).await.unwrap();
        let (page, total) = listed;
        assert_eq!(total, 10);
        let Some((_, last)) = page.last() else { break };
        place = Some(last.clone());
        seen.extend(page.into_iter().map(|(it, _)| {
            let key = it.record.unwrap().key;
            crate::map::value::display(key[0].value.as_ref().unwrap())
        }));
        world.erp.write(CUSTOMERS, "later", "x");
    }
    assert_eq!(seen, ["a", "A", "b", "B", "c", "C", "d", "D", "e", "E"]);
}

async fn why_a_row_is_not_on_the_other_side_is_told(databases: &Databases) {
    let world = World::new(databases).await;
    world.platform.refuse(&["a"]);
    world.erp.write(CUSTOMERS, "a", "x");
    world.erp.write(CUSTOMERS, "b", "x");
    follow(&world).await;
    let maps = [world.map(CUSTOMERS, MapState::Running)];
    let blocking = async |account: &str| {
        let key = wire::RecordKey {
            key: Some(wire::record_key::Key::RecordId(world.erp.record_id(account))),
        };
        let found = explain::explain_in(&world.core, &maps, ERP, "Customer", &key).await?;
        let blocking = found.into_iter().filter(|it| it.blocking);
        Ok::<_, tonic::Status>(blocking.map(|it| it.kind()).collect::<Vec<_>>())
    };
    assert_eq!(blocking("a").await.unwrap(), [FindingKind::Error]);
    assert_eq!(blocking("b").await.unwrap(), []);
    assert_eq!(blocking("c").await.unwrap_err().code(), tonic::Code::NotFound);
    world.platform.refuse(&[]);
    // As by a hand that the log does not see.
    world.erp.scribble(CUSTOMERS, "b", "y");
    assert_eq!(blocking("b").await.unwrap(), [FindingKind::Tracking]);
    let message = async |account: &str| {
        let key = wire::record_key::Key::RecordId(world.erp.record_id(account));
        let key = wire::RecordKey { key: Some(key) };
        let found = explain::explain_in(&world.core, &maps, ERP, "Customer", &key).await.unwrap();
        found.into_iter().find(|it| it.blocking).map(|it| it.message)
    };
    let skip = "`tombolo.skip_business_events`";
    assert!(!message("b").await.unwrap().contains(skip));
    world.erp.write_skipped(CUSTOMERS, "b", "z");
    follow(&world).await;
    assert!(message("b").await.unwrap().contains(skip));
    world.erp.write(CUSTOMERS, "b", "z");
    follow(&world).await;
    assert_eq!(message("b").await, None, "the next change brings it along");
}

async fn what_was_written_with_events_skipped_is_counted_once(databases: &Databases) {
    let world = World::new(databases).await;
    world.erp.write_skipped(CUSTOMERS, "a", "x");
    world.erp.write(CUSTOMERS, "b", "x");
    world.erp.write_skipped(CUSTOMERS, "b", "y");
    world.platform.hold(&["b"]);
    follow(&world).await;
    assert_eq!(world.counters(CUSTOMERS).await.skipped_change_count, 0, "it is not over");
    world.platform.hold(&[]);
    for _ in 0..2 {
        follow(&world).await;
        assert_eq!(world.counters(CUSTOMERS).await.skipped_change_count, 2);
    }
    assert_eq!(world.platform.rows(CUSTOMERS), ["b=y"]);
    // Nothing else is there, and it is counted all the same; also where changes are replayed.
    world.erp.write_skipped(CUSTOMERS, "a", "y");
    look(&world, MapState::Resuming).await.unwrap();
    assert_eq!(world.counters(CUSTOMERS).await.skipped_change_count, 3);
    assert_eq!(world.counters(OTHERS).await.skipped_change_count, 0);
    assert_eq!(world.position(CUSTOMERS, ERP).await, "4");
}

async fn a_heartbeat_stands_still_where_something_waits(databases: &Databases) {
    let world = World::new(databases).await;
    let beat = async || {
        let counters = world.counters(CUSTOMERS).await;
        assert_eq!(counters.to_finance_and_operations_heartbeat_time, None, "nobody looks there");
        let beat = counters.to_platform_heartbeat_time;
        beat.map(|it| failures::time_of(Some(&it)).timestamp_micros())
    };
    let now = || Utc::now().timestamp_micros();
    assert_eq!(beat().await, None);
    // Nobody writes.
    let before = now();
    follow(&world).await;
    let first = beat().await.unwrap();
    assert!((before..=now()).contains(&first), "{before} {first}");

    world.erp.write(CUSTOMERS, "a", "x");
    world.platform.go_away(true);
    assert!(look(&world, MapState::Running).await.is_err());
    assert_eq!(beat().await, Some(first));
    // The fake's changes are made in the first seconds of 1970.
    let made = 1_000_000;
    let before = now();
    let lag = world.counters(CUSTOMERS).await.to_platform_lag.unwrap();
    let lag = lag.seconds * 1_000_000 + i64::from(lag.nanos) / 1_000;
    let millisecond = 1_000;
    assert!((before - made - millisecond..=now() - made).contains(&lag), "{lag}");

    world.platform.go_away(false);
    world.platform.hold(&["a"]);
    follow(&world).await;
    assert_eq!(beat().await, Some(first), "one row is enough");
    world.platform.hold(&[]);
    let before = now();
    follow(&world).await;
    assert!(beat().await.unwrap() >= before);
    assert_eq!(world.counters(CUSTOMERS).await.to_platform_lag, Some(Default::default()));

    // A follower that has nothing to do says it as well, and not with every look.
    let maps = [world.map(CUSTOMERS, MapState::Running)];
    let caught_up = CaughtUp::default();
    let mut follower = Follower::new(&world.core, ERP, &caught_up);
    Box::pin(follower.look(&maps)).await.unwrap();
    let second = beat().await;
    Box::pin(follower.look(&maps)).await.unwrap();
    assert_eq!(beat().await, second);
}

#[test]
fn keys_tell_rows_apart() {
    let key = |company: &str| proto::query::v1::ImageKey {
        company: company.to_owned(),
        values: Vec::new(),
    };
    assert_ne!(change::key_digest(&key("a")), change::key_digest(&key("b")));
}
