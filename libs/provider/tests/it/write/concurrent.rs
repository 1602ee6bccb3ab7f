//! Writers at the same time.

use std::time::{Duration, Instant};

use proto::query::v1::value::Kind as Value;
use rpc::CallContext;

use super::world::*;

/// Whoever read a version may write over that version only.
async fn one_of_two_wins(entity: &str, values: &[(&str, Value)], changes: [(&str, Value); 2]) {
    let world = World::new().await;
    for _ in 0..20 {
        let made = world.create(entity, values).await.unwrap();
        let [left, right] = changes.clone();
        let (left, right) = tokio::join!(
            world.write(update(entity, &made.record_id, &[left], &made.etag)),
            world.write(update(entity, &made.record_id, &[right], &made.etag)),
        );
        let (won, lost) = match (left, right) {
            (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
            other => panic!("{other:?}"),
        };
        assert_eq!(why(&lost, "").0, "VERSION_MISMATCH", "{won:?}");
        world.write(delete(entity, &made.record_id, "")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_update_is_lost_in_one_table() {
    let values = [("company", text("A1")), ("code", text("I1"))];
    one_of_two_wins("Items", &values, [("name", text("x")), ("name", text("y"))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_update_is_lost_in_several_tables() {
    let values = [
        ("company", text("A1")),
        ("account", text("C1")),
        ("name", text("Ann")),
        ("note", text("x")),
    ];
    one_of_two_wins("Customers", &values, [("name", text("x")), ("credit", number("1"))]).await;
    one_of_two_wins("Customers", &values, [("note", text("x")), ("credit", number("1"))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_tried_again() {
    let mut world = World::new().await;
    let values = [("company", text("A1")), ("account", text("C1")), ("name", text("Ann"))];
    let made = world.create("Customers", &values).await.unwrap();
    // The first try of ours is given up by the trigger, as PostgreSQL would; a sequence counts through
    // rollbacks.
    world
        .run(
            "CREATE SEQUENCE tries;
             CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('tries') < 3 THEN RAISE deadlock_detected; END IF;
                IF currval('tries') < 5 THEN RAISE serialization_failure; END IF;
                RETURN NEW; END $$;
             CREATE TRIGGER give_up BEFORE UPDATE ON parties FOR EACH ROW EXECUTE FUNCTION give_up()",
        )
        .await;
    let changes = [("name", text("Bea")), ("credit", number("3"))];
    world.update("Customers", &made.record_id, &changes).await.unwrap();
    assert_eq!(world.one("SELECT last_value::text FROM tries").await.unwrap(), "5");
    assert_eq!(world.one("SELECT credit::text FROM customers").await.unwrap(), "3");

    let mut transaction = world.begin().await;
    world.run("ALTER SEQUENCE tries RESTART").await;
    let again = update("Customers", &made.record_id, &changes, "");
    let refused = world.within(&mut transaction, again).await.unwrap_err();
    assert!(matches!(refused, provider::Error::Conflict), "{refused:?}");
}

/// Two writers that take two rows in opposite order, each in one statement.
#[tokio::test(flavor = "multi_thread")]
async fn writers_in_opposite_order_both_get_there() {
    let mut world = World::new().await;
    world
        .run(
            "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM pg_sleep(0.05);
                IF pg_trigger_depth() = 1 THEN
                    UPDATE numbers SET note = 'touched' WHERE id = 3 - NEW.id;
                END IF;
                RETURN NULL; END $$;
             CREATE TRIGGER touch AFTER UPDATE ON numbers FOR EACH ROW EXECUTE FUNCTION touch();
             INSERT INTO numbers VALUES (1), (2);
             ALTER DATABASE test SET deadlock_timeout = '100ms'",
        )
        .await;
    let write = |id: i64| {
        update("Numbers", provider::record_guid(105, id).as_bytes(), &[("note", text("x"))], "")
    };
    let (left, right) = tokio::join!(world.write(write(1)), world.write(write(2)));
    left.unwrap();
    right.unwrap();
}

#[tokio::test]
async fn a_lock_that_is_not_to_be_had_ends_with_the_deadline() {
    let mut world = World::new().await;
    let values = [("company", text("A1")), ("code", text("I1"))];
    let made = world.create("Items", &values).await.unwrap();
    world.run("BEGIN; UPDATE items SET name = 'theirs'").await;
    let soon = Instant::now() + Duration::from_millis(300);
    let hasty = CallContext { deadline: soon, ..anybody() };
    let changing = update("Items", &made.record_id, &[("name", text("ours"))], "");
    let refused = world.write_as(&hasty, changing.clone()).await.unwrap_err();
    assert!(rpc::is_busy(&refused), "{refused:?}");
    assert!(Instant::now() <= soon);
    world.run("COMMIT").await;
    assert_eq!(world.one("SELECT name FROM items").await.unwrap(), "theirs");
    world.write(changing).await.unwrap();
    assert_eq!(world.one("SELECT name FROM items").await.unwrap(), "ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_wait_leave_connections_to_readers_and_to_other_writers() {
    let mut world = World::new().await;
    let values = [("company", text("A1")), ("code", text("I1"))];
    let made = world.create("Items", &values).await.unwrap();
    world.run("BEGIN; SELECT FROM items FOR UPDATE").await;
    let waiting = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let writes = async {
        let change = update("Items", &made.record_id, &[("name", text("x"))], "");
        futures::future::join_all((0..24).map(|_| world.write(change.clone()))).await
    };
    let mut observer = world.connect().await;
    let others = async {
        let count = async |connection: &mut sqlx::PgConnection| {
            let count: String = sqlx::query_scalar(waiting).fetch_one(connection).await.unwrap();
            count
        };
        while count(&mut observer).await != "6" {
            tokio::task::yield_now().await;
        }
        let mut other = anybody();
        let mut caller = (*other.caller).clone();
        caller.user.system_user_id = uuid::Uuid::max();
        other.caller = std::sync::Arc::new(caller);
        let values = [("company", text("A1")), ("code", text("I2"))];
        world.write_as(&other, create("Items", &values)).await.unwrap();
        assert_eq!(count(&mut observer).await, "6", "half of what writes may have");
        sqlx::raw_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE state = 'idle in transaction'",
        )
        .execute(&mut observer)
        .await
        .unwrap();
    };
    let (written, ()) = tokio::join!(writes, others);
    assert!(written.iter().all(Result::is_ok), "{written:?}");
}

#[tokio::test]
async fn a_refusal_keeps_its_connection() {
    let mut world = World::new().await;
    let sessions = "SELECT string_agg(pid::text, ',' ORDER BY pid) FROM pg_stat_activity
                    WHERE backend_type = 'client backend'";
    let values = [("company", text("A1")), ("account", text("C1")), ("name", text("Ann"))];
    world.write_as(&only(&["A1"]), create("Customers", &values)).await.unwrap();
    let before = world.one(sessions).await;
    world.write_as(&only(&["B1"]), create("Customers", &values)).await.unwrap_err();
    let exists = world.write_as(&only(&["A1"]), create("Customers", &values)).await;
    exists.unwrap_err();
    let mut nobody = anybody();
    let mut caller = (*nobody.caller).clone();
    caller.rights = rpc::Rights::default();
    nobody.caller = std::sync::Arc::new(caller);
    let denied = world.write_as(&nobody, create("Customers", &values)).await.unwrap_err();
    assert_eq!(why(&denied, "").0, "PRIVILEGE_DENIED");
    assert_eq!(world.one(sessions).await, before);
}

#[tokio::test]
async fn a_commit_that_the_database_answers_by_a_rollback_is_none() {
    let world = World::new().await;
    let mut transaction = world.begin().await;
    let failed = sqlx::raw_sql("SELECT 1 / 0").execute(transaction.connection().unwrap()).await;
    failed.unwrap_err();
    assert!(transaction.commit().await.is_err());
}
