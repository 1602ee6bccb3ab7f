//! What is forgotten, and who is told.

use std::time::Duration;

use change_log::{Error, Position, Retention, retain};

use crate::world::{World, brief, connect, run};

const NONE: Retention = Retention(Duration::ZERO);
const A_DAY: Retention = Retention(Duration::from_secs(86_400));

#[tokio::test]
async fn a_position_of_before_the_oldest_mark_is_expired() {
    let mut world = World::new().await;
    let start = world.position().await;
    world.run("INSERT INTO item SELECT i, 'x' FROM generate_series(1, 12000) AS i").await;
    assert_eq!(retain(&mut world.connection, A_DAY).await.unwrap(), 0);
    let window = world.window(&["item"], Some(start.clone())).await.unwrap();
    assert_eq!(window.count(&mut world.connection).await.unwrap(), 12_000);
    world.run("INSERT INTO item VALUES (0, 'y')").await;
    let fresh = world.position().await;
    assert_eq!(retain(&mut world.connection, NONE).await.unwrap(), 12_001);
    let error = world.changes_of(&["item"], &start).await.unwrap_err();
    assert!(matches!(error, Error::Expired), "{error:?}");
    world.run("INSERT INTO item VALUES (-1, 'z')").await;
    assert_eq!(brief(&world.changes(&fresh).await.0), ["I-1=z"]);
}

#[tokio::test]
async fn what_an_open_transaction_wrote_is_kept() {
    let mut world = World::new().await;
    let start = world.position().await;
    let mut long = world.another().await;
    run(&mut long, "BEGIN; INSERT INTO item VALUES (1, 'long')").await;
    world.run("INSERT INTO item VALUES (2, 'short')").await;
    assert_eq!(retain(&mut world.connection, NONE).await.unwrap(), 0);
    run(&mut long, "COMMIT").await;
    assert_eq!(brief(&world.changes(&start).await.0), ["I1=long", "I2=short"]);
}

#[tokio::test]
async fn positions_of_other_logs_are_refused() {
    let mut world = World::new().await;
    let position = world.position().await;
    // A copy of the database, with all that the log says of itself.
    run(&mut connect(&world.scratch, "postgres").await, "SELECT 1").await;
    let World { scratch, connection } = world;
    drop(connection);
    let mut other = connect(&scratch, "postgres").await;
    let copied = async {
        while sqlx::raw_sql("CREATE DATABASE copy TEMPLATE erp").execute(&mut other).await.is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    copied.await;
    let mut copy = World { connection: connect(&scratch, "copy").await, scratch };
    let error = copy.changes_of(&["item"], &position).await.unwrap_err();
    assert!(matches!(error, Error::NotCaptured(_)), "{error:?}");
    copy.capture(&["item"]).await.unwrap();
    let error = copy.changes_of(&["item"], &position).await.unwrap_err();
    assert!(matches!(error, Error::Expired), "{error:?}");
    let position = copy.position().await;
    copy.run("INSERT INTO item VALUES (1, 'a')").await;
    assert_eq!(brief(&copy.changes(&position).await.0), ["I1=a"]);
}

#[tokio::test]
async fn positions_of_the_future_are_refused() {
    let mut world = World::new().await;
    let now = world.position().await;
    world.run("SELECT pg_current_xact_id()").await;
    let later = world.position().await;
    assert!(later.at() >= now.at());
    let mut bytes = later.encode();
    assert_eq!(Position::decode(&bytes).unwrap(), later);
    bytes.push('A');
    assert!(Position::decode(&bytes).is_err());
    let error = {
        // The same log, before those transactions: as if it had been given out by a copy that went on.
        let window = world.window(&["item"], Some(later.clone())).await.unwrap();
        assert!(window.until().at() >= later.at());
        let ahead = ahead_of(&later);
        world.changes_of(&["item"], &ahead).await.unwrap_err()
    };
    assert!(matches!(error, Error::ForeignPosition), "{error:?}");
}

/// The position with a greater end, written as positions are.
fn ahead_of(position: &Position) -> Position {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut bytes = URL_SAFE_NO_PAD.decode(position.encode()).unwrap();
    // Nothing is in progress, so the last number is how far the end is from the begin.
    *bytes.last_mut().unwrap() += 100;
    Position::decode(&URL_SAFE_NO_PAD.encode(bytes)).unwrap()
}
