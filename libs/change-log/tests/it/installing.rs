//! Putting triggers where they are wanted.

use std::time::Duration;

use change_log::{Error, install};

use crate::world::{World, brief, connect, reconcile, relations, run};

#[tokio::test]
async fn only_what_is_missing_is_added_and_only_what_is_unwanted_removed() {
    let mut world = World::new().await;
    world.run("CREATE TABLE other (id int)").await;
    let position = world.position().await;
    assert_eq!(world.capture(&["item"]).await.unwrap(), (0, 0));
    let both = world.capture(&["item", "other"]).await.unwrap();
    assert_eq!(both, (1, 0));
    world.run("INSERT INTO item VALUES (1, 'a')").await;
    assert_eq!(brief(&world.changes(&position).await.0), ["I1=a"], "it was captured all the time");
    let unwanted = Duration::from_secs(3600);
    let kept = change_log::reconcile(&mut world.connection, &relations(&["other"]), unwanted).await;
    assert_eq!(kept.unwrap().removed, 0, "another replica may want it");
    let removed = world.capture(&["other"]).await.unwrap();
    assert_eq!(removed, (0, 1));
    let triggers: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'item'::regclass AND NOT tgisinternal",
    )
    .fetch_one(&mut world.connection)
    .await
    .unwrap();
    assert_eq!(triggers, 0);
    let error = world.changes_of(&["item"], &position).await.unwrap_err();
    assert!(matches!(error, Error::NotCaptured(_)), "{error:?}");
    world.capture(&["item"]).await.unwrap();
    let error = world.changes_of(&["item"], &position).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted(_)), "nobody watched in between: {error:?}");
}

#[tokio::test]
async fn a_table_that_escaped_is_captured_anew() {
    let mut world = World::new().await;
    for sql in [
        "ALTER TABLE item DISABLE TRIGGER ALL",
        "ALTER TABLE item DISABLE TRIGGER ALL; ALTER TABLE item ENABLE TRIGGER ALL",
        "DROP TRIGGER tombolo_capture_truncate ON item",
        "DROP TABLE item; CREATE TABLE item (id int, note text)",
        "CREATE TABLE copy (LIKE item); DROP TABLE item; ALTER TABLE copy RENAME TO item",
    ] {
        let position = world.position().await;
        world.run(sql).await;
        let error = world.changes_of(&["item"], &position).await.unwrap_err();
        assert!(matches!(error, Error::NotCaptured(_)), "{sql}: {error:?}");
        world.capture(&["item"]).await.unwrap();
        let error = world.changes_of(&["item"], &position).await.unwrap_err();
        assert!(matches!(error, Error::Interrupted(_)), "{sql}: {error:?}");
        let position = world.position().await;
        world.run("INSERT INTO item VALUES (1, 'a'); DELETE FROM item").await;
        assert_eq!(world.changes(&position).await.0.len(), 2, "{sql}");
    }
}

#[tokio::test]
async fn what_escapes_is_named() {
    let mut world = World::bare().await;
    world
        .run(
            "CREATE TABLE item (id int, note text) PARTITION BY RANGE (id);
             CREATE TABLE \"Item 1\" PARTITION OF item FOR VALUES FROM (0) TO (10);
             CREATE TABLE other (id int)",
        )
        .await;
    world.capture(&["item", "other"]).await.unwrap();
    let rows = "trigger tombolo_capture";
    for (sql, table, reason) in [
        ("ALTER TABLE other DISABLE TRIGGER USER", "public.other", "is disabled"),
        ("ALTER TABLE other ENABLE TRIGGER USER", "public.other", "is not enabled always"),
        ("DROP TRIGGER tombolo_capture ON other", "public.other", "is missing"),
        ("ALTER TABLE \"Item 1\" DISABLE TRIGGER USER", "public.\"Item 1\"", "is disabled"),
    ] {
        assert_eq!(world.gaps(&["item", "other"]).await, [], "before {sql}");
        world.run(sql).await;
        let gaps = world.gaps(&["item", "other"]).await;
        let of_rows = gaps.iter().find(|it| it.reason.starts_with(&format!("{rows} "))).unwrap();
        assert_eq!(
            (of_rows.table.as_str(), &*of_rows.reason),
            (table, &*format!("{rows} {reason}"))
        );
        let relation = if table.contains("other") { "other" } else { "item" };
        assert!(
            gaps.iter().all(|it| it.relation == format!("\"public\".\"{relation}\"")),
            "{gaps:?}"
        );
        assert_eq!(world.capture(&["item", "other"]).await.unwrap().0, 1, "{sql}: mended");
    }
    world.run("DROP TABLE other").await;
    let gone = &world.gaps(&["item", "other"]).await[0];
    assert_eq!((&*gone.table, &*gone.reason), ("\"public\".\"other\"", "does not exist"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_install_at_the_same_time() {
    let mut world = World::bare().await;
    world.run("CREATE TABLE item (id int, note text); CREATE TABLE other (id int)").await;
    let mut replicas = Vec::new();
    for _ in 0..6 {
        let mut connection = world.another().await;
        replicas.push(tokio::spawn(async move {
            install(&mut connection).await.unwrap();
            loop {
                match reconcile(&mut connection, &["item", "other"]).await {
                    Ok(done) => return done.0,
                    Err(Error::Busy(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        }));
    }
    for replica in replicas {
        replica.await.unwrap();
    }
    assert_eq!(world.capture(&["item", "other"]).await.unwrap(), (0, 0));
    let position = world.position().await;
    world.run("INSERT INTO item VALUES (1, 'once')").await;
    assert_eq!(brief(&world.changes(&position).await.0), ["I1=once"]);
}

#[tokio::test]
async fn a_table_in_use_is_left_for_later() {
    let mut world = World::bare().await;
    world.run("CREATE TABLE item (id int, note text); CREATE TABLE other (id int)").await;
    let mut user = world.another().await;
    run(&mut user, "BEGIN; INSERT INTO item VALUES (1, 'a')").await;
    let error = world.capture(&["item", "other"]).await.unwrap_err();
    assert!(matches!(error, Error::Busy(_)), "{error:?}");
    run(&mut user, "COMMIT").await;
    assert_eq!(world.capture(&["item", "other"]).await.unwrap().0, 1, "the other one was free");
}

#[tokio::test]
async fn what_is_no_table_cannot_be_captured() {
    let mut world = World::bare().await;
    world.run("CREATE TABLE item (id int); CREATE VIEW seen AS SELECT * FROM item").await;
    for (name, reason) in [("seen", "is a view"), ("nowhere", "does not exist")] {
        let error = world.capture(&[name, "item"]).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert_eq!(world.capture(&["item"]).await.unwrap(), (0, 0), "others were added");
}

#[tokio::test]
async fn what_is_not_granted_is_said() {
    let mut world = World::bare().await;
    world.run("CREATE TABLE item (id int); CREATE ROLE \"a b\" LOGIN; GRANT SELECT ON item TO \"a b\"").await;
    let mut guest = connect(&world.scratch, "erp").await;
    run(&mut guest, "SET ROLE \"a b\"").await;
    let error = install(&mut guest).await.unwrap_err();
    let text = "CREATE SCHEMA IF NOT EXISTS tombolo AUTHORIZATION \"a b\"";
    assert!(error.to_string().contains(text), "{error}");
    world.run("CREATE SCHEMA tombolo AUTHORIZATION \"a b\"").await;
    install(&mut guest).await.unwrap();
    let error = reconcile(&mut guest, &["item"]).await.unwrap_err();
    assert!(error.to_string().contains("TO \"a b\""), "{error}");
    assert!(matches!(error, Error::NotGranted(_)));
    world.run("CREATE ROLE erp_owner; ALTER TABLE item OWNER TO erp_owner; GRANT erp_owner TO \"a b\"").await;
    reconcile(&mut guest, &["item"]).await.unwrap();
    run(&mut guest, "SET ROLE erp_owner; INSERT INTO item VALUES (1)").await;
    run(&mut guest, "SET ROLE \"a b\"").await;
    let logged: i64 = sqlx::query_scalar("SELECT count(*) FROM tombolo.change_log")
        .fetch_one(&mut guest)
        .await
        .unwrap();
    assert_eq!(logged, 1);
}
