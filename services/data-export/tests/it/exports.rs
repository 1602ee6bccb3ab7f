//! What is exported, and that each change is in it once.

use parquet::record::Field;
use serde_json::json;

use crate::fake::Misfortune;
use crate::world::{World, parameters, until};

const SET: &str = "accounts";

async fn world() -> World {
    let world = World::new().await;
    world.fake.add(SET, true);
    world
}

#[tokio::test]
async fn all_rows_come_first_and_then_what_changed() {
    let world = world().await;
    for id in 3..9 {
        world.fake.put(SET, id, "\"name\":\"Adventure Works\"");
    }
    world.install(&parameters(&[SET])).await.unwrap();
    world.caught_up(SET).await;
    let reader = world.reader(SET);
    assert_eq!(reader.files().len(), 1);
    let first = reader.files().concat()[0].clone();
    assert_eq!(first.fields["name"], Field::Str("Contoso".to_owned()));
    world.fake.put(SET, 4, "\"name\":null");
    world.fake.put(SET, 20, "\"name\":\"new\"");
    world.fake.delete(SET, 1);
    world.caught_up(SET).await;
    world.fake.delete(SET, 20);
    world.caught_up(SET).await;
    let manifest = reader.manifest().unwrap();
    assert_eq!((&manifest["kind"], &manifest["generation"]), (&json!("incremental"), &json!(1)));
    let mut upserts: Vec<_> =
        reader.files().concat().iter().filter_map(|it| Some((it.id, it.version?))).collect();
    let all = upserts.len();
    upserts.sort_unstable();
    upserts.dedup();
    assert_eq!(upserts.len(), all, "a change is there twice");
    let status = world.says("next run").await;
    assert!(!status.contains("failed"), "{status}");
}

#[tokio::test]
async fn a_table_without_tracking_is_written_anew_each_time() {
    let world = World::new().await;
    world.fake.add(SET, false);
    world.install(&parameters(&[SET])).await.unwrap();
    world.caught_up(SET).await;
    world.fake.delete(SET, 2);
    world.caught_up(SET).await;
    let reader = world.reader(SET);
    assert_eq!(reader.manifest().unwrap()["kind"], "snapshot");
    assert!(reader.generation() > 1);
    world.says("all rows each time of accounts: enable change tracking").await;
    // Tracking begins: from then on it is changes.
    world.fake.change(SET, |it| it.tracked = true);
    until("the incremental export", async || {
        (reader.manifest()?["kind"] == "incremental").then_some(())
    })
    .await;
    let status = world.says("next run").await;
    assert!(!status.contains("all rows each time"), "{status}");
}

#[tokio::test]
async fn tracking_that_is_refused_is_done_without() {
    let world = world().await;
    world.fake.change(SET, |it| it.refuses_tracking = true);
    world.install(&parameters(&[SET])).await.unwrap();
    world.caught_up(SET).await;
    assert_eq!(world.reader(SET).manifest().unwrap()["kind"], "snapshot");
    world.fake.delete(SET, 1);
    world.caught_up(SET).await;
}

#[tokio::test]
async fn an_expired_position_begins_a_new_generation_and_old_files_go() {
    let world = world().await;
    world.install(&parameters(&[SET])).await.unwrap();
    world.caught_up(SET).await;
    world.fake.put(SET, 3, "\"name\":\"x\"");
    world.fake.change(SET, |it| it.forgotten = it.version);
    world.caught_up(SET).await;
    let reader = world.reader(SET);
    let generation = reader.generation();
    assert!(generation > 1);
    world.fake.put(SET, 4, "\"name\":\"y\"");
    world.caught_up(SET).await;
    assert_eq!(reader.generation(), generation);
    let old = reader.names().iter().any(|it| it.starts_with("000001-"));
    assert!(!old, "{:?}", reader.names());
}

#[tokio::test]
async fn a_new_column_is_exported_for_all_rows() {
    let world = world().await;
    world.install(&parameters(&[SET])).await.unwrap();
    world.caught_up(SET).await;
    world.fake.change(SET, |it| {
        it.attributes =
            r#"{"LogicalName":"credit","AttributeType":"Money","Precision":2}"#.to_owned();
        for row in it.rows.values_mut() {
            row.1.push_str(",\"credit\":12345678901234567890.10");
        }
    });
    let reader = world.reader(SET);
    until("the second generation", async || (reader.generation() == 2).then_some(())).await;
    for change in reader.files().concat() {
        let Field::Decimal(credit) = &change.fields["credit"] else { panic!("{change:?}") };
        let unscaled = i128::from_be_bytes(credit.data().try_into().unwrap());
        assert_eq!(unscaled, 1_234_567_890_123_456_789_010);
    }
}

#[tokio::test]
async fn a_value_that_does_not_fit_widens_its_column() {
    let world = world().await;
    world.fake.change(SET, |it| {
        it.attributes =
            r#"{"LogicalName":"rate","AttributeType":"Decimal","Precision":2}"#.to_owned();
    });
    world.fake.put(SET, 1, "\"name\":null,\"rate\":1.25");
    world.install(&parameters(&[SET])).await.unwrap();
    world.caught_up(SET).await;
    world.fake.put(SET, 2, "\"name\":null,\"rate\":0.123456");
    world.caught_up(SET).await;
    let reader = world.reader(SET);
    assert_eq!((reader.generation(), reader.files().len()), (2, 1));
    let widened = || reader.manifest().unwrap()["widened_columns"].clone();
    assert_eq!(widened(), json!({"rate": {"type": "decimal", "scale": 19}}));
    world.fake.put(SET, 3, "\"name\":null,\"rate\":2");
    world.caught_up(SET).await;
    assert_eq!(reader.generation(), 2);
    world.fake.put(SET, 3, "\"name\":null,\"rate\":0.123456789012345678901234567890");
    world.caught_up(SET).await;
    assert_eq!((reader.generation(), widened()), (3, json!({"rate": {"type": "string"}})));
    let rates: Vec<_> =
        reader.files().concat().iter().map(|it| it.fields["rate"].clone()).collect();
    let text = |it: &str| Field::Str(it.to_owned());
    assert_eq!(rates, [text("1.25"), text("0.123456"), text("0.123456789012345678901234567890")]);
}

#[tokio::test]
async fn misfortunes_delay_and_lose_nothing() {
    let world = world().await;
    world.install(&parameters(&[SET])).await.unwrap();
    world.caught_up(SET).await;
    for id in 10..20 {
        world.fake.put(SET, id, "\"name\":\"x\"");
    }
    use Misfortune::{Broken, Busy, TokenEnds, Unavailable};
    world.fake.content().misfortunes.extend([Busy, TokenEnds, Broken, Busy, Unavailable]);
    world.caught_up(SET).await;
    assert!(world.fake.content().misfortunes.is_empty());
    let changes = world.reader(SET).files().concat().len();
    assert_eq!(changes, 12, "a change is there twice");
    world.says("next run").await;
}

#[tokio::test]
async fn one_table_that_fails_holds_up_no_other_and_is_named() {
    let world = world().await;
    world.fake.add("orders", true);
    world.install(&parameters(&["orders", SET])).await.unwrap();
    world.caught_up("orders").await;
    world.caught_up(SET).await;
    world.fake.change("orders", |it| it.denied = true);
    world.fake.put("orders", 3, "\"name\":\"x\"");
    let status = world.says("orders failed: refused with 0x80040220").await;
    assert!(!status.contains("accounts failed"), "{status}");
    world.fake.put(SET, 3, "\"name\":\"x\"");
    world.caught_up(SET).await;
    world.fake.change("orders", |it| it.denied = false);
    world.caught_up("orders").await;
    let status = world.says("next run").await;
    assert!(!status.contains("failed"), "{status}");
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let mut world = world().await;
    world.install(&parameters(&[SET])).await.unwrap();
    world.caught_up(SET).await;
    world.says("next run").await;
    world.restart().await;
    world.fake.put(SET, 3, "\"name\":\"x\"");
    world.caught_up(SET).await;
    assert_eq!(world.reader(SET).generation(), 1);
    let asked = world.fake.content().asked.clone();
    let all = asked.iter().filter(|it| !it.contains("token=") && !it.contains("$top=1")).count();
    assert_eq!(all, 1, "{asked:#?}");
}
