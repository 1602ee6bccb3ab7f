//! What is captured, whoever writes it and however the table changes.

use change_log::{Entry, SKIPPED};

use crate::world::{World, brief, run};

#[tokio::test]
async fn every_write_is_captured_with_both_images() {
    let mut world = World::new().await;
    let start = world.position().await;
    world.run("INSERT INTO item VALUES (1, 'a', 1.50), (2, 'b', NULL)").await;
    world.run("UPDATE item SET amount = 1.5 WHERE id = 1").await;
    world.run("UPDATE item SET note = note").await;
    world.run("DELETE FROM item WHERE id = 2").await;
    let (entries, _) = world.changes(&start).await;
    // 1.50 and 1.5 are equal, and not the same.
    assert_eq!(brief(&entries), ["I1=a", "I2=b", "U1=a", "D2"]);
    let update = &entries[2];
    assert_eq!(update.old.as_deref(), Some(r#"{"id": 1, "note": "a", "amount": 1.50}"#));
    assert_eq!(update.new.as_deref(), Some(r#"{"id": 1, "note": "a", "amount": 1.5}"#));
    assert_eq!((entries[0].old.as_ref(), entries[3].new.as_ref()), (None, None));
    assert_eq!(update.relation, "\"public\".\"item\"");
    assert_eq!((&update.actor, &update.origin), (&None, &None));
}

#[tokio::test]
async fn who_wrote_stands_in_the_log() {
    let mut world = World::new().await;
    let start = world.position().await;
    world
        .run(
            "BEGIN; SELECT set_config('tombolo.user', 'ann', true), set_config('tombolo.origin', 'dw/1', true);
             INSERT INTO item VALUES (1); COMMIT; INSERT INTO item VALUES (2)",
        )
        .await;
    let (entries, _) = world.changes(&start).await;
    assert_eq!(entries[0].actor.as_deref(), Some("ann"));
    assert_eq!(entries[0].origin.as_deref(), Some("dw/1"));
    // The setting is there still, and empty.
    assert_eq!((&entries[1].actor, &entries[1].origin), (&None, &None));
}

#[tokio::test]
async fn what_is_written_with_events_skipped_says_so() {
    let mut world = World::new().await;
    world
        .run(
            "CREATE TABLE total (id int, note text);
             CREATE FUNCTION add_up() RETURNS trigger LANGUAGE plpgsql AS
                 $$BEGIN INSERT INTO total VALUES (NEW.id, 'sum'); RETURN NULL; END$$;
             CREATE TRIGGER add_up AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION add_up();
             CREATE PROCEDURE import() LANGUAGE sql SET tombolo.skip_business_events = on
                 AS 'INSERT INTO item VALUES (3)'",
        )
        .await;
    world.capture(&["item", "total"]).await.unwrap();
    let start = world.position().await;
    let skip = "SET LOCAL tombolo.skip_business_events =";
    world.run(&format!("BEGIN; {skip} on; INSERT INTO item VALUES (1); COMMIT")).await;
    world.run("INSERT INTO item VALUES (2); CALL import(); INSERT INTO item VALUES (4)").await;
    world.run(&format!("BEGIN; {skip} 'rubbish'; INSERT INTO item VALUES (5); COMMIT")).await;
    // An applied change is neither the other side's any more, nor is what comes of it.
    world
        .run(&format!("BEGIN; SET LOCAL tombolo.origin = 'x'; {skip} true; INSERT INTO item VALUES (6); COMMIT"))
        .await;
    let (entries, _) = world.changes_of(&["item", "total"], &start).await.unwrap();
    let skipped = |it: &&Entry| it.origin.as_deref() == Some(SKIPPED);
    let told = entries.iter().filter(|it| !skipped(it)).cloned().collect::<Vec<_>>();
    let rows = ["I2=sum", "I2=-", "I4=sum", "I4=-", "I5=sum", "I5=-"];
    assert_eq!(brief(&told), rows);
    assert!(told.iter().all(|it| it.origin.is_none()), "{told:?}");
    let skipped = entries.iter().filter(skipped).cloned().collect::<Vec<_>>();
    let rows = ["I1=sum", "I1=-", "I3=sum", "I3=-", "I6=sum", "I6=-"];
    assert_eq!(brief(&skipped), rows);
}

#[tokio::test]
async fn replication_and_other_users_are_captured() {
    let mut world = World::new().await;
    world
        .run(
            "CREATE ROLE clerk LOGIN; GRANT ALL ON item TO clerk;
             CREATE SCHEMA trap AUTHORIZATION clerk;
             CREATE FUNCTION trap.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb'",
        )
        .await;
    let start = world.position().await;
    let mut writer = world.another().await;
    run(&mut writer, "SET session_replication_role = replica; INSERT INTO item VALUES (1, 'r')")
        .await;
    run(&mut writer, "SET session_replication_role = origin; SET ROLE clerk").await;
    run(&mut writer, "SET search_path = trap, public; INSERT INTO public.item VALUES (2, 'c')")
        .await;
    let refused = sqlx::raw_sql("SELECT * FROM tombolo.change_log").execute(&mut writer).await;
    assert!(refused.is_err(), "whoever writes needs no right to read the log");
    let (entries, _) = world.changes(&start).await;
    assert_eq!(brief(&entries), ["I1=r", "I2=c"]);
}

#[tokio::test]
async fn no_change_of_the_table_stops_its_writers() {
    let mut world = World::new().await;
    let start = world.position().await;
    let mut writer = world.another().await;
    for sql in [
        "INSERT INTO item VALUES (1, 'a', 1)",
        "ALTER TABLE item ADD COLUMN more jsonb DEFAULT '{}', ADD COLUMN j json",
        "UPDATE item SET note = 'b'",
        "ALTER TABLE item DROP COLUMN amount",
        "UPDATE item SET note = 'c'",
        "ALTER TABLE item RENAME COLUMN more TO \"we''ird \"\"one\"",
        "ALTER TABLE item ALTER COLUMN note TYPE varchar(20), ADD COLUMN x point, ADD COLUMN y xml",
        "ALTER TABLE item ADD COLUMN double_id int GENERATED ALWAYS AS (id * 2) STORED",
        "UPDATE item SET note = 'd', x = point(1, 2), y = '<a/>'",
        "DELETE FROM item",
    ] {
        run(&mut writer, sql).await;
    }
    let (entries, _) = world.changes(&start).await;
    assert_eq!(brief(&entries), ["I1=a", "U1=b", "U1=c", "U1=d", "D1"]);
    assert!(entries[4].old.as_deref().unwrap().contains("\"double_id\": 2"));
}

#[tokio::test]
async fn bytes_are_left_out() {
    let mut world = World::bare().await;
    world.run("CREATE TABLE item (id int PRIMARY KEY, note text, \"a \\ picture's\" bytea)").await;
    world.capture(&["item"]).await.unwrap();
    assert_eq!(world.capture(&["item"]).await.unwrap().0, 0, "it is as it should be");
    let start = world.position().await;
    world.run("INSERT INTO item VALUES (1, 'a', '\\x00'); UPDATE item SET \"a \\ picture's\" = '\\x01'").await;
    let (entries, _) = world.changes(&start).await;
    assert_eq!(entries[1].new.as_deref(), Some(r#"{"id": 1, "note": "a"}"#));
}

#[tokio::test]
async fn partitions_and_heirs_are_parts_of_their_table() {
    let mut world = World::bare().await;
    world
        .run(
            "CREATE TABLE item (id int, note text) PARTITION BY RANGE (id);
             CREATE TABLE item_1 PARTITION OF item FOR VALUES FROM (0) TO (10);
             CREATE TABLE item_2 PARTITION OF item FOR VALUES FROM (10) TO (20)
                 PARTITION BY LIST (id);
             CREATE TABLE item_2_1 PARTITION OF item_2 DEFAULT;
             CREATE TABLE old (id int, note text);
             CREATE TABLE heir (more int) INHERITS (old)",
        )
        .await;
    world.capture(&["item", "old"]).await.unwrap();
    assert_eq!(world.capture(&["item", "old"]).await.unwrap(), (0, 0));
    let start = world.position().await;
    world.run("CREATE TABLE item_3 PARTITION OF item FOR VALUES FROM (20) TO (30)").await;
    world
        .run(
            "SET session_replication_role = replica;
             INSERT INTO item VALUES (1, 'a'), (11, 'b'); INSERT INTO item_3 VALUES (21, 'c');
             UPDATE item SET id = 12 WHERE id = 1; RESET session_replication_role;
             INSERT INTO heir VALUES (5, 'h', 6)",
        )
        .await;
    let (entries, _) = world.changes_of(&["item"], &start).await.unwrap();
    assert_eq!(brief(&entries), ["I1=a", "I11=b", "I21=c", "D1", "I12=a"]);
    let (entries, _) = world.changes_of(&["old"], &start).await.unwrap();
    assert_eq!(brief(&entries), ["I5=h"]);
    // What came since has its own trigger for being emptied at the next pass.
    assert_eq!(world.capture(&["item", "old"]).await.unwrap().0, 1);
    let start = world.position().await;
    world.run("TRUNCATE item_2_1").await;
    let error = world.changes_of(&["item"], &start).await.unwrap_err();
    assert!(matches!(error, change_log::Error::Emptied(_)), "{error:?}");
}

#[tokio::test]
async fn an_emptied_table_is_to_be_read_anew() {
    let mut world = World::new().await;
    let start = world.position().await;
    world.run("BEGIN; TRUNCATE item; ROLLBACK").await;
    assert_eq!(world.changes(&start).await.0, []);
    world.run("TRUNCATE item").await;
    let error = world.changes_of(&["item"], &start).await.unwrap_err();
    assert!(matches!(error, change_log::Error::Emptied(_)), "{error:?}");
    let again = world.position().await;
    world.run("INSERT INTO item VALUES (1, 'a')").await;
    assert_eq!(brief(&world.changes(&again).await.0), ["I1=a"]);
}
