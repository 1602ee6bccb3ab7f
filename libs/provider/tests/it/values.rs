//! Values arrive as they are: exact, typed, null or not.

use proto::query::v1 as pb;
use proto::query::v1::ConditionOperator as Op;
use proto::query::v1::value::Kind as Value;
use serde_json::json;

use crate::world::{World, column, pairs, select, things};

#[tokio::test]
async fn values_arrive_exactly() {
    let mut world = World::new().await;
    world
        .run(
            "INSERT INTO things VALUES
             (1, 'A', E'quote \" slash \\\\ tab \\t 日本 😀', 12345678901234567890.123456789000,
              '2024-02-29', '2024-02-29 23:59:59.5+02', -32768, true, 'mid',
              '6f1d2f0c-52a4-4a0e-9c3b-7f0a54b1c0de'),
             (2, 'B', NULL, NULL, DEFAULT, NULL, 0, NULL, NULL, NULL),
             (3, 'C', '', 'NaN', '2024-01-01', 'infinity', 1, false, 'low', NULL)",
        )
        .await;
    let names = ["$id", "code", "name", "amount", "born", "seen", "small", "flag", "mood", "guid"];
    let answer = world.query(things(), select(&names)).await.unwrap();
    let [first, second, third] = answer.rows.as_slice() else { panic!("{answer:?}") };
    assert_eq!(first["$id"], "00002af8-0000-0000-0100-000000000000");
    assert_eq!(first["name"], "quote \" slash \\ tab \t 日本 😀");
    assert_eq!(first["born"], "2024-02-29T00:00:00Z");
    assert_eq!(first["born@label"], "2/29/2024");
    assert_eq!(first["seen"], "2024-02-29T21:59:59.5Z");
    assert_eq!(first["small"], -32768);
    assert_eq!(first["small@label"], "-32,768");
    assert_eq!((&first["flag"], &first["flag@label"]), (&json!(1), &json!("YES")));
    assert_eq!((&first["mood"], &first["mood@label"]), (&json!(4), &json!("MID")));
    assert_eq!(first["guid"], "6f1d2f0c-52a4-4a0e-9c3b-7f0a54b1c0de");
    for name in ["name", "amount", "born", "seen", "flag", "mood", "guid"] {
        assert_eq!(second[name], json!(null), "{name}");
        assert_eq!(second.get(format!("{name}@label")), None, "{name}");
    }
    assert_eq!((&third["name"], &third["amount"]), (&json!(""), &json!(null)));
    assert_eq!(third["seen"], json!(null));
}

#[tokio::test]
async fn decimals_keep_every_digit() {
    let mut world = World::new().await;
    world.run("INSERT INTO things (id, code, amount) VALUES (1, 'A', 12345678901234567890.1234567890)").await;
    let request = pb::RetrieveMultipleRequest {
        query: Some(select(&["amount"])),
        format: pb::RowFormat::Json.into(),
        ..Default::default()
    };
    let grant = provider::Grants::from(provider::Grant::unrestricted(things()));
    let rows = world.provider.retrieve_multiple(&crate::world::context(), &grant, request).await;
    let message = futures::TryStreamExt::try_next(&mut rows.unwrap()).await.unwrap().unwrap();
    let Some(pb::row_batch::Rows::Json(json)) = message.batch.unwrap().rows else { panic!() };
    let expected = "{\"amount\":12345678901234567890.123456789,\
                    \"amount@label\":\"12,345,678,901,234,567,890.123456789\"}";
    assert_eq!(std::str::from_utf8(&json).unwrap(), expected);
}

/// Ids of the rows that a condition finds.
async fn found(world: &World, name: &str, operator: Op, values: Vec<Value>) -> Vec<i64> {
    let condition = pb::ConditionExpression {
        column: column(name),
        operator: operator.into(),
        values: values.into_iter().map(|it| pb::Value { kind: Some(it) }).collect(),
        ..Default::default()
    };
    let filter = pb::FilterExpression { conditions: vec![condition], ..Default::default() };
    let query = pb::QueryExpression { criteria: Some(filter), ..select(&["code"]) };
    let answer = world.query(things(), query).await.unwrap();
    answer.rows.iter().map(|it| it["code"].as_str().unwrap().parse().unwrap()).collect()
}

fn text(it: &str) -> Value {
    Value::StringValue(it.to_owned())
}

#[tokio::test]
async fn conditions_find_what_the_platform_finds() {
    let mut world = World::new().await;
    world
        .run(
            "INSERT INTO things (id, code, name, amount, born, mood) VALUES
             (1, '1', 'Ärger', 1.50, '2020-01-01', 'low'), (2, '2', 'ärger', 2, '2021-01-01', 'high'),
             (3, '3', NULL, NULL, DEFAULT, NULL), (4, '4', '50% [off]', 3, '1899-12-31', 'mid'),
             (5, '5', 'a_b\\c', 4, '2022-01-01', 'low'), (6, '6', '42', 5, '2023-01-01', 'low')",
        )
        .await;
    let date = |it: &str| Value::DateValue(it.to_owned());
    let cases: Vec<(&str, Op, Vec<Value>, &[i64])> = vec![
        ("name", Op::Equal, vec![text("ÄRGER")], &[1, 2]),
        ("name", Op::NotEqual, vec![text("ÄRGER")], &[3, 4, 5, 6]),
        ("name", Op::Equal, vec![text("42")], &[6]),
        ("name", Op::In, vec![text("42"), text("äRGER"), text("NULL"), text("a\"b")], &[1, 2, 6]),
        ("name", Op::NotIn, vec![text("42"), text("ärger")], &[3, 4, 5]),
        ("name", Op::Contains, vec![text("0% [[]O")], &[4]),
        ("name", Op::Contains, vec![text("_B\\")], &[5]),
        ("name", Op::BeginsWith, vec![text("[a-b]_b")], &[5]),
        ("name", Op::NotBeginsWith, vec![text("är")], &[3, 4, 5, 6]),
        ("name", Op::EndsWith, vec![text("GER")], &[1, 2]),
        ("name", Op::Null, vec![], &[3]),
        ("name", Op::NotNull, vec![], &[1, 2, 4, 5, 6]),
        ("name", Op::Equal, vec![text("a\0b")], &[]),
        ("amount", Op::Equal, vec![Value::DecimalValue("1.5".into())], &[1]),
        ("amount", Op::GreaterThan, vec![Value::Int64Value(3)], &[5, 6]),
        ("amount", Op::NotEqual, vec![Value::Int64Value(2)], &[1, 3, 4, 5, 6]),
        ("born", Op::Null, vec![], &[3]),
        ("born", Op::LessThan, vec![date("2020-06-01")], &[1, 4]),
        ("born", Op::GreaterEqual, vec![date("2022-01-01")], &[5, 6]),
        ("mood", Op::Equal, vec![text("low")], &[1, 5, 6]),
        ("mood", Op::NotEqual, vec![text("low")], &[2, 3, 4]),
        ("mood", Op::In, vec![text("high"), text("none")], &[2]),
        ("mood", Op::In, vec![], &[]),
    ];
    for (name, operator, values, expected) in cases {
        let label = format!("{name} {operator:?} {values:?}");
        assert_eq!(found(&world, name, operator, values).await, expected, "{label}");
    }
}

#[tokio::test]
async fn a_row_is_found_by_its_guid_and_by_its_key() {
    let mut world = World::new().await;
    world
        .run("INSERT INTO pairs VALUES ('x', 1, 'one'), ('x|1', 1, 'two'), ('X', 2, 'three')")
        .await;
    let answer =
        world.query(pairs(), select(&["$id", "note", "$primary", "$version"])).await.unwrap();
    assert_eq!(answer.rows.len(), 3);
    let grant = provider::Grants::from(provider::Grant::unrestricted(pairs()));
    for row in &answer.rows {
        let guid: uuid::Uuid = row["$id"].as_str().unwrap().parse().unwrap();
        let key = pb::record_key::Key::RecordId(guid.as_bytes().to_vec().into());
        let note = retrieve_note(&world, &grant, key).await;
        assert_eq!(note, row["note"].as_str().unwrap());
        assert!(row["$version"].as_str().unwrap().starts_with("W/\""));
    }
    let one = answer.rows.iter().find(|it| it["note"] == "one").unwrap();
    assert_eq!(one["$primary"], "x | 1");
    let value = |field: &str, kind| pb::FieldValue {
        field: field.to_owned(),
        value: Some(pb::Value { kind: Some(kind) }),
    };
    let values = vec![value("b", Value::Int64Value(2)), value("a", text("x"))];
    let key = pb::record_key::Key::Alternate(pb::AlternateKeyValues { values });
    assert_eq!(retrieve_note(&world, &grant, key).await, "three");
}

async fn retrieve_note(
    world: &World,
    grant: &provider::Grants<'_>,
    key: pb::record_key::Key,
) -> String {
    let request = pb::RetrieveRequest {
        entity_name: "pairs".into(),
        key: Some(pb::RecordKey { key: Some(key) }),
        columns: select(&["note"]).columns,
        format: pb::RowFormat::Json.into(),
        ..Default::default()
    };
    let answer = world.provider.retrieve(&crate::world::context(), grant, request).await.unwrap();
    let Some(pb::row_batch::Rows::Json(json)) = answer.batch.unwrap().rows else { panic!() };
    let row: serde_json::Value = serde_json::from_slice(&json).unwrap();
    row["note"].as_str().unwrap().to_owned()
}
