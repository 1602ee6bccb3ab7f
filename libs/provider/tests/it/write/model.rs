//! Random operations, beside a model in memory.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::operation_result::Result as Outcome;

use super::world::*;

#[derive(Clone, Debug)]
enum Step {
    Create { key: u8, name: Option<String>, price: u16 },
    Update { key: u8, name: Option<String>, stale: bool },
    Upsert { key: u8, price: u16, create_only: bool },
    Delete { key: u8, stale: bool },
}

#[derive(Clone, Debug, PartialEq)]
struct Row {
    name: Option<String>,
    cents: u32,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0_u8..4;
    let name = proptest::option::of("[a-zA-Z äß'\\\\\"]{0,20}");
    prop_oneof![
        (key.clone(), name.clone(), 0_u16..).prop_map(|(key, name, price)| Step::Create {
            key,
            name,
            price
        }),
        (key.clone(), name, any::<bool>()).prop_map(|(key, name, stale)| Step::Update {
            key,
            name,
            stale
        }),
        (key.clone(), 0_u16.., any::<bool>()).prop_map(|(key, price, create_only)| Step::Upsert {
            key,
            price,
            create_only
        }),
        (key, any::<bool>()).prop_map(|(key, stale)| Step::Delete { key, stale }),
    ]
}

fn code(key: u8) -> [(&'static str, pb::value::Kind); 2] {
    [("company", text("A1")), ("code", text(&format!("K{key}")))]
}

fn cents(it: u16) -> pb::value::Kind {
    number(&format!("{}.{:02}", it / 100, it % 100))
}

fn named(name: &Option<String>) -> pb::value::Kind {
    name.as_ref().map_or_else(null, |it| text(it))
}

fn operation(step: &Step, etags: &BTreeMap<u8, String>) -> Kind {
    let entity_name = "Items".to_owned();
    let etag = |key: &u8, stale: bool| match stale {
        true => "W/\"1\"".to_owned(),
        false => etags.get(key).cloned().unwrap_or_default(),
    };
    match step {
        Step::Create { key, name, price } => {
            let mut values = code(*key).to_vec();
            values.extend([("name", named(name)), ("price", cents(*price))]);
            create("Items", &values)
        }
        Step::Update { key, name, stale } => Kind::Update(pb::UpdateRequest {
            entity_name,
            key: Some(by_key(&code(*key))),
            values: fields(&[("name", named(name))]),
            etag: etag(key, *stale),
            ..Default::default()
        }),
        Step::Upsert { key, price, create_only } => Kind::Upsert(pb::UpsertRequest {
            entity_name,
            key: Some(by_key(&code(*key))),
            values: fields(&[("price", cents(*price))]),
            create_only: *create_only,
            ..Default::default()
        }),
        Step::Delete { key, stale } => Kind::Delete(pb::DeleteRequest {
            entity_name,
            key: Some(by_key(&code(*key))),
            etag: etag(key, *stale),
            ..Default::default()
        }),
    }
}

/// What the step does to the model, or why it does nothing.
fn apply(rows: &mut BTreeMap<u8, Row>, step: &Step) -> Result<(), &'static str> {
    match step {
        Step::Create { key, .. } | Step::Upsert { key, create_only: true, .. }
            if rows.contains_key(key) =>
        {
            return Err("RECORD_EXISTS");
        }
        Step::Create { key, name, price } => {
            rows.insert(*key, Row { name: name.clone(), cents: (*price).into() });
        }
        Step::Upsert { key, price, .. } => {
            let row = rows.entry(*key).or_insert(Row { name: None, cents: 0 });
            row.cents = (*price).into();
        }
        Step::Update { key, name, stale } => match rows.get_mut(key) {
            None => return Err("RECORD_NOT_FOUND"),
            Some(_) if *stale => return Err("VERSION_MISMATCH"),
            Some(row) => row.name.clone_from(name),
        },
        Step::Delete { key, stale } => match rows.get(key) {
            None => return Err("RECORD_NOT_FOUND"),
            Some(_) if *stale => return Err("VERSION_MISMATCH"),
            Some(_) => drop(rows.remove(key)),
        },
    }
    Ok(())
}

async fn check(world: &mut World, steps: &[Step]) {
    world.run("DELETE FROM items").await;
    let (mut rows, mut etags) = (BTreeMap::new(), BTreeMap::new());
    for step in steps {
        let key = match step {
            Step::Create { key, .. } | Step::Update { key, .. } => *key,
            Step::Upsert { key, .. } | Step::Delete { key, .. } => *key,
        };
        let done = world.write(operation(step, &etags)).await;
        match (done, apply(&mut rows, step)) {
            (Ok(outcome), Ok(())) => {
                let etag = match outcome {
                    Outcome::Create(it) => Some(it.etag),
                    Outcome::Update(it) => Some(it.etag),
                    Outcome::Upsert(it) => Some(it.etag),
                    _ => None,
                };
                etags.remove(&key);
                etags.extend(etag.map(|it| (key, it)));
            }
            (Err(refused), Err(expected)) => assert_eq!(why(&refused, "").0, expected, "{step:?}"),
            (done, expected) => panic!("{step:?}: {done:?}, but {expected:?}"),
        }
    }
    let stored: Vec<(String, Option<String>, String)> =
        sqlx::query_as("SELECT code::text, name::text, price::text FROM items ORDER BY code")
            .fetch_all(&mut world.connection)
            .await
            .unwrap();
    let expected: Vec<_> = rows
        .into_iter()
        .map(|(key, row)| {
            (format!("K{key}"), row.name, format!("{}.{:02}", row.cents / 100, row.cents % 100))
        })
        .collect();
    assert_eq!(stored, expected);
}

#[test]
fn random_writes_do_what_a_model_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = std::cell::RefCell::new(runtime.block_on(World::new()));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let steps = proptest::collection::vec(step(), 1..25);
    runner
        .run(&steps, |steps| {
            runtime.block_on(check(&mut world.borrow_mut(), &steps));
            Ok(())
        })
        .unwrap();
}
