//! Runs from their beginning to their end, over two sides in memory and a real store.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake;
mod world;

use proto::dual_write::v1::{InitialSyncMode, InitialSyncState, MapState, RetryState, Side};

use super::{actions, store};
use crate::cases::{Databases, cases};
use crate::error::Error;
use crate::reconcile::fake::migrated;
use world::{CONTACTS, CUSTOMERS, World};

cases! { migrated =>
    the_masters_values_stay_and_both_sides_have_all,
    a_run_that_is_killed_goes_on_and_counts_each_row_once,
    refused_rows_are_kept_and_tried_again,
    errors_can_be_taken_as_they_are,
    lookups_in_circles_are_filled_in,
    ranges_are_copied_side_by_side,
    a_cancelled_run_writes_nothing_more,
    a_side_that_cannot_be_asked_fails_the_run_until_it_is_resumed,
    what_is_resumed_while_a_side_forgets_it_is_told_again,
    what_is_deleted_meanwhile_does_not_come_back,
    an_incremental_run_copies_what_changed_and_what_failed,
    one_run_of_a_map_at_a_time,
}

const NAMED: [&str; 2] = ["accountnumber", "name"];

async fn world(databases: &Databases) -> World {
    let world = World::new(databases).await;
    world.add_maps().await;
    world
}

/// Customers of the ERP, numbered from 0.
fn put_customers(world: &World, count: usize) {
    for at in 0..count {
        let number = format!("C{at:05}");
        world.erp.put("Customer", &[("Number", &number), ("Name", &format!("N{at}"))]);
    }
}

async fn the_masters_values_stay_and_both_sides_have_all(databases: &Databases) {
    for master in [Side::Platform, Side::FinanceAndOperations] {
        let world = world(databases).await;
        world.erp.put("Customer", &[("Number", "1"), ("Name", "erp")]);
        world.erp.put("Customer", &[("Number", "2"), ("Name", "only erp")]);
        world.erp.put("Customer", &[("Number", "4"), ("Name", "same")]);
        world.platform.put("account", &[("accountnumber", "1"), ("name", "platform")]);
        world.platform.put("account", &[("accountnumber", "3"), ("name", "only platform")]);
        world.platform.put("account", &[("accountnumber", "4"), ("name", "same")]);
        let _worker = world.work();
        let name = world.begin(CUSTOMERS, master).await;
        world.map_is(CUSTOMERS, MapState::Resuming).await;
        let run = world.shown(&name).await;
        assert_eq!(run.state(), InitialSyncState::Completed);
        let kept = if master == Side::Platform { "1/platform" } else { "1/erp" };
        let all = [kept, "2/only erp", "3/only platform", "4/same"];
        assert_eq!(world.platform.texts("account", &NAMED), all);
        assert_eq!(world.erp.texts("Customer", &["Number", "Name"]), all);
        let leg = |at: usize| run.legs[at].counts.unwrap();
        assert_eq!(
            [run.legs[0].source(), run.legs[1].source()],
            [master, crate::peers::other(master)]
        );
        let first = leg(0);
        assert_eq!([first.total_count, first.exported_count], [3, 3]);
        assert_eq!([first.inserted_count, first.updated_count, first.unchanged_count], [1, 1, 1]);
        assert_eq!(leg(1).inserted_count, 1);
        assert!(run.legs[0].project.starts_with("DWM-"), "{}", run.legs[0].project);
        let said = world.activities(CUSTOMERS).await;
        let line =
            "Dual write Initial Sync completed with status: Completed. Following are the details:";
        assert!(said.iter().any(|it| it.starts_with(line)), "{said:?}");
    }
}

async fn a_run_that_is_killed_goes_on_and_counts_each_row_once(databases: &Databases) {
    for step in ["read", "apply", "commit", "committed"] {
        let world = world(databases).await;
        put_customers(&world, 2_300);
        world.platform.put("account", &[("accountnumber", "C00001"), ("name", "old")]);
        world.platform.stop_at(step);
        let worker = world.work();
        let name = world.begin(CUSTOMERS, Side::FinanceAndOperations).await;
        world.platform.stopped().await;
        drop(worker);
        let _worker = world.work();
        world.map_is(CUSTOMERS, MapState::Resuming).await;
        let counts = world.shown(&name).await.legs[0].counts.unwrap();
        let counted = [counts.exported_count, counts.inserted_count, counts.updated_count];
        assert_eq!(counted, [2_300, 2_299, 1], "{step}");
        assert_eq!(counts.unchanged_count + counts.error_count, 0, "{step}");
        let (erp, platform) = (
            world.erp.texts("Customer", &["Number", "Name"]),
            world.platform.texts("account", &NAMED),
        );
        assert_eq!(erp, platform, "{step}");
    }
}

async fn refused_rows_are_kept_and_tried_again(databases: &Databases) {
    let world = world(databases).await;
    put_customers(&world, 50);
    let bad = ["N3", "N4", "N17", "N49", "N20", "N21", "N22"];
    world.platform.refuse(&bad);
    let _worker = world.work();
    let name = world.begin(CUSTOMERS, Side::FinanceAndOperations).await;
    let run = world.reached(&name, InitialSyncState::CompletedWithErrors).await;
    let counts = run.legs[0].counts.unwrap();
    assert_eq!([counts.inserted_count, counts.error_count], [43, 7]);
    assert_eq!(run.first_errors.len(), 5);
    let errors = world.errors(&name).await;
    assert_eq!(errors.len(), 7);
    assert!(errors.iter().all(|it| it.error.message == "a rule says no"), "{errors:?}");
    assert_eq!(world.core.maps.get(CUSTOMERS).unwrap().state(), MapState::Initializing);

    // One by name, which is mended; the map waits for the others.
    world.platform.refuse(&bad[1..]);
    let mended =
        errors.iter().find(|it| it.record.key[0].value == Some(crate::map::value::text("C00003")));
    let id = mended.unwrap().id;
    retry(&world, &name, &[format!("{name}/errors/{id}")]).await;
    until(&world, &name, |errors| state(errors, id) == RetryState::Completed).await;
    retry(&world, &name, &[]).await;
    until(&world, &name, |errors| {
        errors.iter().filter(|it| it.retry_state == RetryState::Failed).count() == 6
    })
    .await;
    assert_eq!(world.shown(&name).await.state(), InitialSyncState::CompletedWithErrors);

    world.platform.refuse(&[]);
    retry(&world, &name, &[]).await;
    world.map_is(CUSTOMERS, MapState::Resuming).await;
    let counts = world.shown(&name).await.legs[0].counts.unwrap();
    assert_eq!([counts.exported_count, counts.inserted_count, counts.error_count], [50, 50, 0]);
}

async fn retry(world: &World, name: &str, errors: &[String]) {
    let mut transaction = world.core.store.begin().await.unwrap();
    assert!(actions::retry(&mut transaction, name, errors).await.unwrap() > 0);
    transaction.commit().await.unwrap();
}

fn state(errors: &[store::StoredError], id: i64) -> RetryState {
    errors.iter().find(|it| it.id == id).unwrap().retry_state
}

async fn until(world: &World, name: &str, test: impl Fn(&[store::StoredError]) -> bool) {
    let met = async {
        while !test(&world.errors(name).await) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), met).await.unwrap();
}

async fn errors_can_be_taken_as_they_are(databases: &Databases) {
    let world = world(databases).await;
    put_customers(&world, 3);
    world.platform.refuse(&["N1"]);
    let _worker = world.work();
    let name = world.begin(CUSTOMERS, Side::FinanceAndOperations).await;
    world.reached(&name, InitialSyncState::CompletedWithErrors).await;
    let again = world.begin_as(CUSTOMERS, Side::Platform, InitialSyncMode::Full).await;
    let again = again.unwrap();
    world.reached(&again, InitialSyncState::CompletedWithErrors).await;
    let mut transaction = world.core.store.begin().await.unwrap();
    let run = actions::accept(&mut transaction, &again).await.unwrap();
    transaction.commit().await.unwrap();
    super::settle(&world.core, &run.map).await.unwrap();
    assert_eq!(world.core.maps.get(CUSTOMERS).unwrap().state(), MapState::Resuming);
    assert_eq!(world.errors(&again).await.len(), 1);
}

async fn lookups_in_circles_are_filled_in(databases: &Databases) {
    let world = world(databases).await;
    // A parent behind its child, and two maps that need each other.
    world.erp.put("Customer", &[("Number", "1"), ("Parent", "2"), ("Contact", "P")]);
    world.erp.put("Customer", &[("Number", "2"), ("Contact", "nobody")]);
    world.erp.put("Contact", &[("Number", "P"), ("Customer", "1")]);
    let customers = world.begin(CUSTOMERS, Side::FinanceAndOperations).await;
    let contacts = world.begin(CONTACTS, Side::FinanceAndOperations).await;
    let _worker = world.work();
    world.reached(&contacts, InitialSyncState::Completed).await;
    let run = world.reached(&customers, InitialSyncState::CompletedWithErrors).await;
    let columns = ["accountnumber", "parentid.accountnumber", "primarycontactid.contactnumber"];
    assert_eq!(world.platform.texts("account", &columns), ["1/2/P", "2//"]);
    let contact = ["contactnumber", "customerid.accountnumber"];
    assert_eq!(world.platform.texts("contact", &contact), ["P/1"]);
    let [error] = &run.first_errors[..] else { panic!("{:?}", run.first_errors) };
    let expected = "Couldn't resolve the guid for the field: primarycontactid. The lookup was not found: nobody.";
    assert!(error.message.starts_with(expected), "{}", error.message);
}

async fn ranges_are_copied_side_by_side(databases: &Databases) {
    let world = world(databases).await;
    put_customers(&world, 6_500);
    sqlx::query("UPDATE map SET import_threshold_row_count = 5000, import_task_count = 3, revision = revision + 1 WHERE name = $1")
        .bind(CUSTOMERS)
        .execute(world.core.store.pool())
        .await
        .unwrap();
    world.core.maps.refresh(&world.core.store).await.unwrap();
    // One that stops does not hold up the others.
    world.platform.stop_at("commit");
    let worker = world.work();
    let name = world.begin(CUSTOMERS, Side::FinanceAndOperations).await;
    world.platform.stopped().await;
    let exported = async {
        while world.shown(&name).await.counts.unwrap().exported_count < 5_500 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), exported).await.unwrap();
    assert!((2..=3).contains(&world.platform.most_open()), "{}", world.platform.most_open());
    drop(worker);
    let _worker = world.work();
    world.map_is(CUSTOMERS, MapState::Resuming).await;
    let counts = world.shown(&name).await.legs[0].counts.unwrap();
    assert_eq!([counts.exported_count, counts.inserted_count], [6_500, 6_500]);
    assert_eq!(world.platform.texts("account", &NAMED).len(), 6_500);
}

async fn a_cancelled_run_writes_nothing_more(databases: &Databases) {
    let world = world(databases).await;
    put_customers(&world, 2_500);
    world.platform.stop_at("read");
    let worker = world.work();
    let name = world.begin(CUSTOMERS, Side::FinanceAndOperations).await;
    world.platform.stopped().await;
    let mut transaction = world.core.store.begin().await.unwrap();
    let run = actions::cancel(&mut transaction, &name).await.unwrap();
    transaction.commit().await.unwrap();
    super::settle(&world.core, &run.map).await.unwrap();
    world.map_is(CUSTOMERS, MapState::NotRunning).await;
    drop(worker);
    let _worker = world.work();
    let mut transaction = world.core.store.begin().await.unwrap();
    let twice = actions::cancel(&mut transaction, &name).await;
    assert!(matches!(twice, Err(Error::StateText { .. })), "{twice:?}");
    drop(transaction);
    // Another run shows that the worker is at work again.
    let other = world.begin(CONTACTS, Side::Platform).await;
    world.reached(&other, InitialSyncState::Completed).await;
    assert!(world.platform.texts("account", &NAMED).is_empty());
    assert_eq!(world.shown(&name).await.state(), InitialSyncState::Cancelled);
}

async fn a_side_that_cannot_be_asked_fails_the_run_until_it_is_resumed(databases: &Databases) {
    let world = world(databases).await;
    put_customers(&world, 5);
    world.platform.set_away(true);
    let _worker = world.work();
    let name = world.begin(CUSTOMERS, Side::FinanceAndOperations).await;
    let run = world.reached(&name, InitialSyncState::Failed).await;
    assert!(run.failure.unwrap().message.contains("platform side"));
    world.map_is(CUSTOMERS, MapState::NotRunning).await;
    world.platform.set_away(false);
    let mut transaction = world.core.store.begin().await.unwrap();
    actions::resume(&mut transaction, &name, "users/t").await.unwrap();
    transaction.commit().await.unwrap();
    world.core.maps.refresh(&world.core.store).await.unwrap();
    world.map_is(CUSTOMERS, MapState::Resuming).await;
    assert_eq!(world.shown(&name).await.state(), InitialSyncState::Completed);
    assert_eq!(world.platform.texts("account", &NAMED).len(), 5);
}

async fn what_is_resumed_while_a_side_forgets_it_is_told_again(databases: &Databases) {
    let world = world(databases).await;
    put_customers(&world, 5);
    world.platform.set_away(true);
    world.platform.stop_at("remove");
    let _worker = world.work();
    let name = world.begin(CUSTOMERS, Side::FinanceAndOperations).await;
    world.platform.stopped().await;
    world.map_is(CUSTOMERS, MapState::NotRunning).await;
    world.platform.set_away(false);
    let mut transaction = world.core.store.begin().await.unwrap();
    actions::resume(&mut transaction, &name, "users/t").await.unwrap();
    transaction.commit().await.unwrap();
    world.platform.go_on();
    world.core.maps.refresh(&world.core.store).await.unwrap();
    world.map_is(CUSTOMERS, MapState::Resuming).await;
}

async fn what_is_deleted_meanwhile_does_not_come_back(databases: &Databases) {
    let world = world(databases).await;
    put_customers(&world, 3);
    world.platform.stop_at("committed");
    let worker = world.work();
    let name = world.begin(CUSTOMERS, Side::FinanceAndOperations).await;
    world.platform.stopped().await;
    world.erp.delete("Customer", "Number", "C00001");
    drop(worker);
    let _worker = world.work();
    world.map_is(CUSTOMERS, MapState::Resuming).await;
    assert_eq!(world.erp.texts("Customer", &["Number"]), ["C00000", "C00002"]);
    assert_eq!(world.shown(&name).await.legs[1].counts.unwrap().inserted_count, 0);
}

async fn an_incremental_run_copies_what_changed_and_what_failed(databases: &Databases) {
    let world = world(databases).await;
    put_customers(&world, 20);
    world.platform.refuse(&["N7"]);
    let _worker = world.work();
    let first = world.begin(CUSTOMERS, Side::FinanceAndOperations).await;
    world.reached(&first, InitialSyncState::CompletedWithErrors).await;
    world.platform.refuse(&[]);
    world.erp.write("Customer", ("Number", "C00002"), "Name", "new");
    let mode = InitialSyncMode::Incremental;
    let second = world.begin_as(CUSTOMERS, Side::FinanceAndOperations, mode).await.unwrap();
    world.map_is(CUSTOMERS, MapState::Resuming).await;
    let run = world.shown(&second).await;
    assert_eq!((run.state(), run.mode()), (InitialSyncState::Completed, mode));
    let counts = run.legs[0].counts.unwrap();
    assert_eq!([counts.total_count, counts.exported_count], [2, 2]);
    assert_eq!([counts.inserted_count, counts.updated_count], [1, 1]);
    let both =
        (world.erp.texts("Customer", &["Number", "Name"]), world.platform.texts("account", &NAMED));
    assert_eq!(both.0, both.1);
}

async fn one_run_of_a_map_at_a_time(databases: &Databases) {
    let world = world(databases).await;
    let name = world.begin(CUSTOMERS, Side::Platform).await;
    let again = world.begin_as(CUSTOMERS, Side::Platform, InitialSyncMode::Full).await;
    assert!(matches!(again, Err(Error::StateText { .. })), "{again:?}");
    assert!(name.starts_with("maps/customers/initialSyncs/"), "{name}");
    assert!(name.ends_with("-1"), "{name}");
    let _worker = world.work();
    world.map_is(CUSTOMERS, MapState::Resuming).await;
    let live = world.begin_as(CUSTOMERS, Side::Platform, InitialSyncMode::Full).await;
    assert!(matches!(live, Err(Error::State { .. })), "{live:?}");
}
