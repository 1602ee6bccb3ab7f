//! Property: whatever many writers do at once, applying window after window to what the table held
//! at the first position gives what it holds at the last; and no entry comes twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use change_log::{Entry, Operation};
use serde_json::Value;
use sqlx::PgConnection;
use tokio::sync::watch;

use crate::world::{World, run};

const WRITERS: u64 = 6;
const ROUNDS: u64 = 60;
const ROUNDS_A_WINDOW: u64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_over_and_over_give_the_table() {
    let mut world = World::new().await;
    world.run("INSERT INTO item SELECT i, 'start' FROM generate_series(1, 20) AS i").await;
    let mut position = world.position().await;
    let mut rows = table(&mut world.connection).await;
    let left = Arc::new(AtomicUsize::new(WRITERS as usize));
    let windows = watch::Sender::new(0);
    let mut writers = Vec::new();
    for seed in 1..=WRITERS {
        let (connection, left) = (world.another().await, Arc::clone(&left));
        let windows = windows.subscribe();
        writers.push(tokio::spawn(async move {
            write(connection, seed, windows).await;
            left.fetch_sub(1, Ordering::SeqCst);
        }));
    }
    let mut seen = BTreeSet::new();
    loop {
        let last = left.load(Ordering::SeqCst) == 0;
        let (entries, next) = world.changes(&position).await;
        for entry in &entries {
            assert!(seen.insert(entry.cursor.entry), "{entry:?} came twice");
            apply(&mut rows, entry);
        }
        windows.send_modify(|it| *it += 1);
        // A position survives being written down.
        position = change_log::Position::decode(&next.encode()).unwrap();
        if last {
            break;
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let logged: i64 = sqlx::query_scalar("SELECT count(*) FROM tombolo.change_log WHERE seq > 20")
        .fetch_one(&mut world.connection)
        .await
        .unwrap();
    assert_eq!(seen.len() as i64, logged, "nothing was lost");
    assert_eq!(rows, table(&mut world.connection).await);
}

/// Transactions of several statements on rows that others write too, some undone in part or whole,
/// some prepared, and the order of commits any.
async fn write(mut connection: PgConnection, seed: u64, mut windows: watch::Receiver<u64>) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for round in 0..ROUNDS {
        // The reader is to read while others write, and nobody to run away from it.
        windows.wait_for(|it| *it >= round / ROUNDS_A_WINDOW).await.unwrap();
        let mut sql = String::from("BEGIN;");
        // In ascending order, so that writers never wait for each other in a circle.
        let mut ids: Vec<u64> = (0..=random(4)).map(|_| 1 + random(30)).collect();
        ids.sort_unstable();
        for id in ids {
            sql.push_str(&match random(5) {
                0 => format!("DELETE FROM item WHERE id = {id};"),
                1 => format!("SAVEPOINT s; DELETE FROM item WHERE id = {id}; ROLLBACK TO s;"),
                2 => "SELECT pg_sleep(0.002);".to_owned(),
                _ => format!(
                    "INSERT INTO item VALUES ({id}, 'w{seed}r{round}') ON CONFLICT (id)
                     DO UPDATE SET note = excluded.note;"
                ),
            });
        }
        run(&mut connection, &sql).await;
        let name = format!("w{seed}r{round}");
        match random(8) {
            0 => run(&mut connection, "ROLLBACK").await,
            1 => {
                run(&mut connection, &format!("PREPARE TRANSACTION '{name}'")).await;
                let end = if random(2) == 0 { "ROLLBACK" } else { "COMMIT" };
                run(&mut connection, &format!("{end} PREPARED '{name}'")).await;
            }
            _ => run(&mut connection, "COMMIT").await,
        }
    }
}

fn apply(rows: &mut BTreeMap<i64, String>, entry: &Entry) {
    let image = |it: &Option<String>| {
        let value: Value = serde_json::from_str(it.as_deref().unwrap()).unwrap();
        (value["id"].as_i64().unwrap(), value["note"].as_str().unwrap().to_owned())
    };
    if entry.operation != Operation::Insert {
        let (id, note) = image(&entry.old);
        assert_eq!(rows.remove(&id), Some(note), "{entry:?} begins where the row was");
    }
    if entry.operation != Operation::Delete {
        let (id, note) = image(&entry.new);
        assert_eq!(rows.insert(id, note), None, "{entry:?} finds no other row");
    }
}

async fn table(connection: &mut PgConnection) -> BTreeMap<i64, String> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT id::bigint, note FROM item").fetch_all(connection).await.unwrap();
    rows.into_iter().collect()
}
