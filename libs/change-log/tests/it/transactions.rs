//! Windows over transactions that overlap.

use crate::world::{World, brief, run};

#[tokio::test]
async fn a_long_transaction_is_told_when_it_commits() {
    let mut world = World::new().await;
    let start = world.position().await;
    let mut long = world.another().await;
    run(&mut long, "BEGIN; INSERT INTO item VALUES (1, 'long')").await;
    world.run("INSERT INTO item VALUES (2, 'short')").await;
    let (entries, middle) = world.changes(&start).await;
    assert_eq!(brief(&entries), ["I2=short"]);
    run(&mut long, "INSERT INTO item VALUES (3, 'late'); COMMIT").await;
    let (entries, end) = world.changes(&middle).await;
    assert_eq!(brief(&entries), ["I1=long", "I3=late"]);
    assert_eq!(world.changes(&end).await.0, []);
    // In one window, in the order in which the transactions came to their ends.
    assert_eq!(brief(&world.changes(&start).await.0), ["I2=short", "I1=long", "I3=late"]);
}

#[tokio::test]
async fn what_is_rolled_back_never_was() {
    let mut world = World::new().await;
    let start = world.position().await;
    world
        .run(
            "BEGIN; INSERT INTO item VALUES (1, 'a');
             SAVEPOINT one; INSERT INTO item VALUES (2, 'no'); UPDATE item SET note = 'no';
             ROLLBACK TO one; INSERT INTO item VALUES (3, 'b');
             SAVEPOINT two; UPDATE item SET note = 'c' WHERE id = 3; RELEASE two; COMMIT;
             BEGIN; INSERT INTO item VALUES (4, 'no'); ROLLBACK",
        )
        .await;
    let (entries, _) = world.changes(&start).await;
    assert_eq!(brief(&entries), ["I1=a", "I3=b", "U3=c"]);
    assert!(entries.iter().all(|it| it.transaction == entries[0].transaction));
}

#[tokio::test]
async fn a_prepared_transaction_is_told_when_it_is_settled() {
    let mut world = World::new().await;
    let start = world.position().await;
    let mut other = world.another().await;
    run(&mut other, "BEGIN; INSERT INTO item VALUES (1, 'p')").await;
    run(&mut other, "PREPARE TRANSACTION 'one'").await;
    run(&mut other, "BEGIN; INSERT INTO item VALUES (2, 'q')").await;
    run(&mut other, "PREPARE TRANSACTION 'two'").await;
    world.run("INSERT INTO item VALUES (3, 'x')").await;
    let (entries, middle) = world.changes(&start).await;
    assert_eq!(brief(&entries), ["I3=x"]);
    world.run("COMMIT PREPARED 'one'").await;
    world.run("ROLLBACK PREPARED 'two'").await;
    assert_eq!(brief(&world.changes(&middle).await.0), ["I1=p"]);
}

#[tokio::test]
async fn psql_writes_are_captured() {
    let mut world = World::new().await;
    let start = world.position().await;
    let url = world.scratch.database("erp").await.unwrap();
    let status = tokio::process::Command::new("psql")
        .args(["--quiet", "--no-psqlrc", "--command", "INSERT INTO item VALUES (1, 'psql')", &url])
        .status()
        .await
        .unwrap();
    assert!(status.success());
    assert_eq!(brief(&world.changes(&start).await.0), ["I1=psql"]);
}
