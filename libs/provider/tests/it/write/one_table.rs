//! Rows of one table: values of every kind, companies, record ids of every kind.

use proto::query::v1 as pb;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::operation_result::Result as Outcome;
use proto::query::v1::value::Kind as Value;
use tonic::Code;
use uuid::Uuid;

use super::world::*;

#[tokio::test]
async fn a_row_is_made_changed_and_deleted() {
    let mut world = World::new().await;
    let made = world
        .create(
            "Items",
            &[
                ("company", text("a1")),
                ("code", text("I1")),
                ("name", text("Screw")),
                ("price", number("12.50")),
                ("share", number("33.333333")),
                ("pieces", Value::Int64Value(7)),
                ("born", Value::DateValue("2020-02-29".into())),
                ("seen", Value::TimestampMicrosValue(1_600_000_000_123_456)),
                ("mood", text("Glad")),
                ("guid", Value::GuidValue(vec![7; 16].into())),
                ("group", text("G1")),
            ],
        )
        .await
        .unwrap();
    let stored = "SELECT concat_ws('|', company, code, name, price, share, pieces, born,
        extract(epoch FROM seen), mood, kind, guid, group_code, doubled, stamp) FROM items";
    let expected = "A1|I1|Screw|12.50|33.333333|7|2020-02-29|1600000000.123456|high|1|\
        07070707-0707-0707-0707-070707070707|G1|25.00|ann";
    assert_eq!(world.one(stored).await.unwrap(), expected);
    let names = ["$version", "code", "price", "mood", "doubled"];
    let row = world.read("Items", &made.record_id, &names).await;
    assert_eq!(row["$version"], made.etag.as_str());
    assert_eq!(row["doubled"].as_f64(), Some(25.0));

    let changes = [("name", null()), ("born", null()), ("price", Value::Int64Value(3))];
    let changed = world.update("Items", &made.record_id, &changes).await.unwrap();
    assert_eq!(changed.record_id, made.record_id);
    assert_ne!(changed.etag, made.etag);
    let row = world.read("Items", &made.record_id, &["$version", "name", "born", "price"]).await;
    assert_eq!(row["$version"], changed.etag.as_str());
    assert!(row["name"].is_null() && row["born"].is_null());
    assert_eq!(world.one("SELECT born::text FROM items").await.unwrap(), "1900-01-01");

    let refused = world.write(delete("Items", &made.record_id, &made.etag)).await.unwrap_err();
    assert_eq!(why(&refused, "entity"), ("VERSION_MISMATCH".into(), "Items".into()));
    world.write(delete("Items", &made.record_id, &changed.etag)).await.unwrap();
    assert_eq!(world.one("SELECT code FROM items").await, None);
    for gone in [
        delete("Items", &made.record_id, ""),
        update("Items", &made.record_id, &[("name", text("x"))], ""),
        update("Items", &made.record_id, &[], ""),
    ] {
        let refused = world.write(gone).await.unwrap_err();
        assert_eq!(
            (refused.code(), why(&refused, "").0.as_str()),
            (Code::NotFound, "RECORD_NOT_FOUND")
        );
    }
}

#[tokio::test]
async fn a_transaction_sees_what_it_wrote_and_leaves_nothing_when_dropped() {
    let mut world = World::new().await;
    let mut transaction = world.begin().await;
    let values = [("company", text("A1")), ("code", text("I1"))];
    let made = world.within(&mut transaction, create("Items", &values)).await.unwrap();
    let Outcome::Create(made) = made else { panic!("{made:?}") };
    let read = retrieve("Items", &made.record_id, &["$version", "code"]);
    let Outcome::Retrieve(row) = world.within(&mut transaction, read).await.unwrap() else {
        panic!("no row")
    };
    assert_eq!(json(&row)["$version"], made.etag.as_str());
    drop(transaction);
    assert_eq!(world.one("SELECT code FROM items").await, None);

    let mut transaction = world.begin().await;
    world.within(&mut transaction, create("Items", &values)).await.unwrap();
    world.within(&mut transaction, create("Items", &values)).await.unwrap_err();
    transaction.commit().await.unwrap_err();
    assert_eq!(world.one("SELECT code FROM items").await, None);

    let mut transaction = world.begin().await;
    world.within(&mut transaction, create("Items", &values)).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(world.one("SELECT code FROM items").await.unwrap(), "I1");
}

#[tokio::test]
async fn nobody_touches_rows_of_other_companies() {
    let mut world = World::new().await;
    let ann = only(&["a1"]);
    let values = |company: &str, name: &str| {
        let code = format!("I{name}");
        create("Items", &[("company", text(company)), ("code", text(&code)), ("name", text(name))])
    };
    for (company, name) in [("B1", "x"), ("A1", "moved")] {
        let refused = world.write_as(&ann, values(company, name)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
        assert_eq!(why(&refused, "privilege").1, "create");
    }
    assert_eq!(world.one("SELECT code FROM items").await, None);

    let Outcome::Create(mine) = world.write_as(&ann, values("a1", "x")).await.unwrap() else {
        panic!("not made")
    };
    let Outcome::Create(other) = world.write(values("B1", "o")).await.unwrap() else {
        panic!("not made")
    };
    for moving in [("company", text("B1")), ("name", text("moved"))] {
        let moving = update("Items", &mine.record_id, &[moving], "");
        let refused = world.write_as(&ann, moving).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    }
    // Not even that there is such a row.
    let refused = world.write_as(&ann, values("B1", "o")).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    let unseen = [
        update("Items", &other.record_id, &[("name", text("y"))], ""),
        update("Items", &other.record_id, &[("name", text("y"))], "W/\"1\""),
        delete("Items", &other.record_id, ""),
        retrieve("Items", &other.record_id, &["code"]),
    ];
    for unseen in unseen {
        let refused = world.write_as(&ann, unseen).await.unwrap_err();
        assert_eq!(why(&refused, "").0, "RECORD_NOT_FOUND");
    }
    let rows = "SELECT string_agg(concat(company, name), ',' ORDER BY company) FROM items";
    assert_eq!(world.one(rows).await.unwrap(), "A1x,B1o");
    let changing = update("Items", &mine.record_id, &[("name", text("z"))], "");
    world.write_as(&ann, changing).await.unwrap();
    world.write_as(&ann, delete("Items", &mine.record_id, "")).await.unwrap();
}

#[tokio::test]
async fn record_ids_are_chosen_where_their_side_lets_them() {
    let mut world = World::new().await;
    let id = Uuid::from_u128(0x6f1d_2f0c_52a4_4a0e_9c3b_7f0a_54b1_0001);
    let with = |entity: &str, id: Uuid, values: &[(&str, Value)]| {
        let Kind::Create(request) = create(entity, values) else { panic!("no create") };
        Kind::Create(pb::CreateRequest { record_id: id.as_bytes().to_vec().into(), ..request })
    };
    let made = |outcome: Outcome| match outcome {
        Outcome::Create(it) => Uuid::from_slice(&it.record_id).unwrap(),
        other => panic!("{other:?}"),
    };
    let tag = with("Tags", id, &[("label", text("x"))]);
    assert_eq!(made(world.write(tag).await.unwrap()), id);
    let own = made(world.write(create("Tags", &[("label", text("y"))])).await.unwrap());
    assert_eq!(world.read("Tags", own.as_bytes(), &["label"]).await["label"], "y");

    let pair = [("a", text("p")), ("b", Value::Int64Value(4))];
    let made_pair = made(world.write(create("Pairs", &pair)).await.unwrap());
    assert_eq!(world.read("Pairs", made_pair.as_bytes(), &["b"]).await["b"], 4);
    world.write(delete("Pairs", made_pair.as_bytes(), "")).await.unwrap();
    assert_eq!(made(world.write(with("Pairs", made_pair, &pair)).await.unwrap()), made_pair);
    let other = [("a", text("q")), ("b", Value::Int64Value(4))];
    let item = [("company", text("A1")), ("code", text("I1"))];
    for refused in
        [with("Pairs", made_pair, &other), with("Items", provider::record_guid(100, 5), &item)]
    {
        let refused = world.write(refused).await.unwrap_err();
        assert_eq!(why(&refused, "").0, "INVALID_VALUE", "{refused:?}");
    }
    assert_eq!(world.one("SELECT string_agg(a, ',') FROM pairs").await.unwrap(), "p");
    let number = provider::record_guid(105, 5);
    assert_eq!(made(world.write(with("Numbers", number, &[])).await.unwrap()), number);
    // The column that it is made of may be given as well, and says the same.
    let number = provider::record_guid(105, 6);
    let same = with("Numbers", number, &[("number", Value::Int64Value(6))]);
    assert_eq!(made(world.write(same).await.unwrap()), number);
    let other = Value::GuidValue(Uuid::from_u128(8).as_bytes().to_vec().into());
    let disputed = [
        (with("Numbers", number, &[("number", Value::Int64Value(7))]), "number"),
        (with("Tags", Uuid::from_u128(7), &[("id", other)]), "id"),
    ];
    for (refused, column) in disputed {
        let refused = world.write(refused).await.unwrap_err();
        assert_eq!(why(&refused, "column"), ("INVALID_VALUE".into(), column.into()));
    }
    let foreign = world.write(with("Numbers", id, &[])).await.unwrap_err();
    assert_eq!(why(&foreign, "").0, "INVALID_VALUE");
}

#[tokio::test]
async fn an_upsert_changes_or_makes() {
    let mut world = World::new().await;
    let upsert = |price: &str, create_only| {
        let key = [("company", text("A1")), ("code", text("I1"))];
        Kind::Upsert(pb::UpsertRequest {
            entity_name: "Items".into(),
            key: Some(by_key(&key)),
            values: fields(&[("price", number(price)), ("code", text("I1"))]),
            create_only,
            ..Default::default()
        })
    };
    for (price, created) in [("1", true), ("2", false)] {
        let done = world.write(upsert(price, false)).await.unwrap();
        let Outcome::Upsert(done) = done else { panic!("{done:?}") };
        assert_eq!(done.created, created);
        let row = world.read("Items", &done.record_id, &["$version", "price"]).await;
        assert_eq!(row["$version"], done.etag.as_str());
    }
    let refused = world.write(upsert("3", true)).await.unwrap_err();
    assert_eq!(why(&refused, "columns"), ("RECORD_EXISTS".into(), "company,code".into()));
    assert_eq!(world.one("SELECT price::text FROM items").await.unwrap(), "2.00");
}

#[tokio::test]
async fn an_upsert_makes_a_row_with_what_can_only_be_given_then() {
    let mut world = World::new().await;
    let upsert = |key: pb::RecordKey, code: &str| {
        Kind::Upsert(pb::UpsertRequest {
            entity_name: "Items".into(),
            key: Some(key),
            values: fields(&[
                ("code", text(code)),
                ("company", text("A1")),
                ("price", number("1")),
            ]),
            ..Default::default()
        })
    };
    let nobody = provider::record_guid(100, 5);
    // The GUIDs of items are given out: one that is not there cannot be made.
    let missing = world.write(upsert(by_id(nobody.as_bytes()), "I1")).await;
    assert_eq!(why(&missing.unwrap_err(), "").0, "RECORD_NOT_FOUND");
    let missing = world.update("Items", nobody.as_bytes(), &[("code", text("x"))]).await;
    assert_eq!(why(&missing.unwrap_err(), "").0, "RECORD_NOT_FOUND");
    assert_eq!(world.one("SELECT code FROM items").await, None);
    let by_code = |code| by_key(&[("company", text("A1")), ("code", text(code))]);
    let Outcome::Upsert(made) = world.write(upsert(by_code("I1"), "I1")).await.unwrap() else {
        panic!("no upsert")
    };
    assert!(made.created);
    // The row is there: its code is as it was made.
    for key in [by_id(&made.record_id), by_code("I1")] {
        let refused = world.write(upsert(key, "I2")).await.unwrap_err();
        assert_eq!(why(&refused, "column"), ("FIELD_READ_ONLY".into(), "code".into()));
    }

    let label = |label: &str| {
        Kind::Upsert(pb::UpsertRequest {
            entity_name: "Tags".into(),
            key: Some(by_id(Uuid::from_u128(77).as_bytes())),
            values: fields(&[("label", text(label)), ("once", text(label))]),
            ..Default::default()
        })
    };
    let Outcome::Upsert(made) = world.write(label("x")).await.unwrap() else { panic!("no upsert") };
    assert!(made.created);
    assert_eq!(&made.record_id[..], Uuid::from_u128(77).as_bytes());
    let refused = world.write(label("y")).await.unwrap_err();
    assert_eq!(why(&refused, "column"), ("FIELD_READ_ONLY".into(), "once".into()));
    assert_eq!(world.one("SELECT label || once FROM tags").await.unwrap(), "xx");
}

#[tokio::test]
async fn a_rows_own_key_is_no_change() {
    let world = World::new().await;
    let key = |company, code| [("company", text(company)), ("code", text(code))];
    let made = world.create("Items", &key("A1", "I1")).await.unwrap();
    let keys = || [by_id(&made.record_id), by_key(&key("A1", "I1")), by_key(&key("a1", "i1"))];
    for (price, address) in (2_i64..).zip(keys()) {
        let mut values = key("a1", "i1").to_vec();
        values.push(("price", Value::Int64Value(price)));
        let request = pb::UpdateRequest {
            entity_name: "Items".into(),
            key: Some(address.clone()),
            values: fields(&values),
            ..Default::default()
        };
        world.write(Kind::Update(request)).await.unwrap();
        let row = world.read("Items", &made.record_id, &["price", "code"]).await;
        assert_eq!((&row["price"], &row["code"]), (&price.into(), &"I1".into()));
        let request = pb::UpsertRequest {
            entity_name: "Items".into(),
            key: Some(address),
            values: fields(&key("A1", "I2")),
            ..Default::default()
        };
        let refused = world.write(Kind::Upsert(request)).await.unwrap_err();
        assert_eq!(why(&refused, "column"), ("FIELD_READ_ONLY".into(), "code".into()));
    }
    // Where it can be changed, another letter case is a change.
    let tag = world.create("Tags", &[("label", text("x"))]).await.unwrap();
    let request = pb::UpdateRequest {
        entity_name: "Tags".into(),
        key: Some(by_key(&[("label", text("X"))])),
        values: fields(&[("label", text("X"))]),
        ..Default::default()
    };
    world.write(Kind::Update(request)).await.unwrap();
    assert_eq!(world.read("Tags", &tag.record_id, &["label"]).await["label"], "X");
}

#[tokio::test]
async fn rules_and_defaults_are_the_models() {
    let mut world = World::new().await;
    let values = |price: &str, pieces| {
        [
            ("company", text("A1")),
            ("code", text("I1")),
            ("price", number(price)),
            ("pieces", Value::Int64Value(pieces)),
        ]
    };
    let refused = world.create("Ruled", &values("10.01", 10)).await.unwrap_err();
    assert_eq!(why(&refused, "column"), ("BUSINESS_RULE".into(), "pieces".into()));
    assert_eq!(refused.message(), "All of them are worth 100 at most.");
    let made = world.create("Ruled", &values("10", 10)).await.unwrap();
    assert_eq!(world.one("SELECT name FROM items").await.unwrap(), "I1!");
    let refused = world.update("Ruled", &made.record_id, &[("price", number("11"))]).await;
    assert_eq!(why(&refused.unwrap_err(), "column").0, "BUSINESS_RULE");
    let changes = [("price", number("11")), ("pieces", Value::Int64Value(9))];
    let changed = world.update("Ruled", &made.record_id, &changes).await.unwrap();
    let row = world.read("Ruled", &made.record_id, &["$version", "pieces"]).await;
    assert_eq!((&row["$version"], &row["pieces"]), (&changed.etag.as_str().into(), &9.into()));
}
