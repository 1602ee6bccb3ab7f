//! What each side promises by itself.

use commit::participant::{list, prepare, settle};
use commit::{Decision, Error, TransactionId, last_resource};

use crate::world::{World, run, write};

#[tokio::test]
async fn a_prepared_transaction_is_unseen_until_it_is_settled_and_settled_once() {
    let world = World::new().await;
    let mut platform = world.platform().await;
    let id = TransactionId::new();
    world.prepared(id).await;
    assert_eq!(world.things("platform").await, 0);
    assert_eq!(list(&mut platform, None, 10).await.unwrap()[0].id, id);
    for _ in 0..2 {
        settle(&mut platform, id, Decision::Commit).await.unwrap();
        assert_eq!(world.things("platform").await, 1);
    }
    let otherwise = settle(&mut platform, id, Decision::Abort).await;
    assert!(matches!(otherwise, Err(Error::SettledOtherwise { decision: Decision::Commit, .. })));
    assert_eq!(list(&mut platform, None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_rolled_back_stays_so() {
    let world = World::new().await;
    let mut platform = world.platform().await;
    let id = TransactionId::new();
    world.prepared(id).await;
    for _ in 0..2 {
        settle(&mut platform, id, Decision::Abort).await.unwrap();
    }
    assert_eq!(world.things("platform").await, 0);
    let otherwise = settle(&mut platform, id, Decision::Commit).await;
    assert!(matches!(otherwise, Err(Error::SettledOtherwise { decision: Decision::Abort, .. })));
    let unknown = settle(&mut platform, TransactionId::new(), Decision::Commit).await;
    assert!(matches!(unknown, Err(Error::NeverPrepared(_))));
}

#[tokio::test]
async fn a_prepare_after_the_abort_is_refused() {
    let world = World::new().await;
    let id = TransactionId::new();
    let mut late = world.working("platform").await;
    settle(&mut world.platform().await, id, Decision::Abort).await.unwrap();
    assert!(matches!(prepare(&mut late, id, "").await, Err(Error::Aborted(_))));
}

#[tokio::test]
async fn an_abort_waits_for_a_prepare_on_its_way_within_its_patience() {
    let world = World::new().await;
    let mut platform = world.platform().await;
    let id = TransactionId::new();
    let mut working = world.working("platform").await;
    write(&mut working, "settled", id).await;
    let busy = settle(&mut platform, id, Decision::Abort).await;
    assert!(matches!(busy, Err(Error::Busy(_))));
    run(&mut working, "ROLLBACK").await;
    settle(&mut platform, id, Decision::Abort).await.unwrap();
}

#[tokio::test]
async fn the_id_of_another_transaction_is_refused_on_both_sides() {
    let world = World::new().await;
    let id = TransactionId::new();
    world.prepared(id).await;
    settle(&mut world.platform().await, id, Decision::Commit).await.unwrap();
    let mut again = world.working("platform").await;
    assert!(matches!(prepare(&mut again, id, "").await, Err(Error::IdReused(_))));
    let mut erp = world.working("erp").await;
    last_resource::commit(&mut erp, id, "").await.unwrap();
    let again = last_resource::commit(&mut world.working("erp").await, id, "").await;
    assert!(matches!(again, Err(Error::IdReused(_))));
    assert_eq!((world.things("erp").await, world.things("platform").await), (1, 1));
}

#[tokio::test]
async fn pages_of_prepared_transactions_go_on_oldest_first() {
    let world = World::new().await;
    let mut platform = world.platform().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let id = TransactionId::new();
        world.prepared(id).await;
        ids.push(id);
    }
    run(&mut world.working("platform").await, "PREPARE TRANSACTION 'somebody else'").await;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = list(&mut platform, after, 2).await.unwrap();
        let Some(last) = page.last().copied() else { break };
        after = Some(last);
        found.extend(page.into_iter().map(|it| it.id));
    }
    assert_eq!(found, ids);
    // Another database of the same cluster has none.
    assert_eq!(list(&mut world.erp().await, None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_commit_after_the_abort_is_refused() {
    let world = World::new().await;
    let id = TransactionId::new();
    let mut late = world.working("erp").await;
    let mut erp = world.erp().await;
    for _ in 0..2 {
        assert_eq!(last_resource::resolve(&mut erp, id).await.unwrap(), Decision::Abort);
    }
    assert!(matches!(last_resource::commit(&mut late, id, "").await, Err(Error::Aborted(_))));
    assert_eq!(world.things("erp").await, 0);
    // The connection is as good as before.
    run(&mut late, "BEGIN; INSERT INTO things VALUES ('later'); COMMIT").await;
}

#[tokio::test]
async fn resolving_waits_for_a_commit_on_its_way_within_its_patience() {
    let world = World::new().await;
    let mut erp = world.erp().await;
    for (end, decision) in [("COMMIT", Decision::Commit), ("ROLLBACK", Decision::Abort)] {
        let id = TransactionId::new();
        let mut working = world.working("erp").await;
        write(&mut working, "decision", id).await;
        let busy = last_resource::resolve(&mut erp, id).await;
        assert!(matches!(busy, Err(Error::Busy(_))));
        run(&mut working, end).await;
        assert_eq!(last_resource::resolve(&mut erp, id).await.unwrap(), decision);
    }
}

#[tokio::test]
async fn a_decision_waits_for_the_disk_whatever_the_database_is_used_to() {
    let world = World::new().await;
    let mut erp = world.erp().await;
    run(
        &mut erp,
        "CREATE TABLE told (setting text);
         CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN INSERT INTO told VALUES (current_setting(''synchronous_commit'')); RETURN NULL; END';
         CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION tell();
         SET synchronous_commit = off",
    )
    .await;
    run(&mut erp, "BEGIN; INSERT INTO things VALUES ('new')").await;
    last_resource::commit(&mut erp, TransactionId::new(), "").await.unwrap();
    let told = sqlx::query_scalar::<_, String>("SELECT setting FROM told");
    assert_eq!(told.fetch_all(&mut erp).await.unwrap(), ["on"]);
}

#[tokio::test]
async fn a_server_that_prepares_nothing_is_told_from_a_rule_that_says_not_now() {
    let not_now = "CREATE FUNCTION not_now() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN RAISE ''not now'' USING ERRCODE = ''55000''; END';
        CREATE CONSTRAINT TRIGGER not_now AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION not_now()";
    let world = World::new().await;
    run(&mut world.platform().await, not_now).await;
    let ended = prepare(&mut world.working("platform").await, TransactionId::new(), "").await;
    assert!(matches!(ended, Err(Error::Database(_))), "{ended:?}");
    let world = World::with(&[("max_prepared_transactions", "0")]).await;
    let ended = prepare(&mut world.working("platform").await, TransactionId::new(), "").await;
    assert!(matches!(ended, Err(Error::PreparingDisabled)), "{ended:?}");
}

#[tokio::test]
async fn what_has_failed_is_not_ended_as_if_it_had_not() {
    let world = World::new().await;
    for database in ["erp", "platform"] {
        let mut working = world.working(database).await;
        sqlx::raw_sql("SELECT 1 / 0").execute(&mut working).await.unwrap_err();
        let id = TransactionId::new();
        let ended = match database {
            "erp" => last_resource::commit(&mut working, id, "").await,
            _ => prepare(&mut working, id, "").await,
        };
        assert!(matches!(ended, Err(Error::Database(_))), "{ended:?}");
        assert_eq!(world.things(database).await, 0);
    }
}

#[tokio::test]
async fn a_constraint_that_is_checked_at_the_end_is_told_as_the_databases_own() {
    let world = World::new().await;
    for database in ["erp", "platform"] {
        let mut working = match database {
            "erp" => world.erp().await,
            _ => world.platform().await,
        };
        let unique = "ALTER TABLE things ADD UNIQUE (name) DEFERRABLE INITIALLY DEFERRED;
            BEGIN; INSERT INTO things VALUES ('same'), ('same')";
        sqlx::raw_sql(unique).execute(&mut working).await.unwrap();
        let id = TransactionId::new();
        let ended = match database {
            "erp" => last_resource::commit(&mut working, id, "").await,
            _ => prepare(&mut working, id, "").await,
        };
        assert!(matches!(ended, Err(Error::Database(_))), "{ended:?}");
        assert_eq!(world.things(database).await, 0);
    }
    assert_eq!(list(&mut world.platform().await, None, 10).await.unwrap(), []);
}
