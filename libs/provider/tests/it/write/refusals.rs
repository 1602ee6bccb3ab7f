//! Every refusal names what was wrong, in the model's words, and changes nothing.

use proto::query::v1 as pb;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::value::Kind as Value;
use tonic::Code;

use super::world::*;

#[tokio::test]
async fn the_model_refuses_before_the_database_is_asked() {
    let mut world = World::new().await;
    let cases: &[(&str, Value, &str)] = &[
        ("nothing", text("x"), "COLUMN_NOT_FOUND"),
        ("stamp", text("x"), "FIELD_READ_ONLY"),
        ("doubled", number("1"), "FIELD_READ_ONLY"),
        ("code", null(), "INVALID_VALUE"),
        ("price", null(), "INVALID_VALUE"),
        ("name", text("123456789012345678901"), "INVALID_VALUE"),
        ("name", text("a\0b"), "INVALID_VALUE"),
        ("name", Value::Int64Value(1), "INVALID_VALUE"),
        ("price", number("1.001"), "INVALID_VALUE"),
        ("price", number("1234567"), "INVALID_VALUE"),
        ("price", Value::DoubleValue(1.5), "INVALID_VALUE"),
        ("price", number("1e3"), "INVALID_VALUE"),
        ("pieces", Value::Int64Value(40_000), "INVALID_VALUE"),
        ("pieces", number("1.5"), "INVALID_VALUE"),
        ("kind", Value::Int64Value(0), "INVALID_VALUE"),
        ("kind", Value::Int64Value(10), "INVALID_VALUE"),
        ("mood", text("low"), "INVALID_VALUE"),
        ("born", Value::DateValue("2020-02-30".into()), "INVALID_VALUE"),
        ("guid", Value::GuidValue(vec![1].into()), "INVALID_VALUE"),
    ];
    for (column, value, reason) in cases {
        let mut values = vec![("company", text("A1")), ("code", text("I1"))];
        values.retain(|it| it.0 != *column);
        values.push((column, value.clone()));
        let refused = world.create("Items", &values).await.unwrap_err();
        assert_eq!(why(&refused, "column"), ((*reason).into(), (*column).into()), "{refused:?}");
    }
    let refused = world.create("Items", &[("company", text("A1"))]).await.unwrap_err();
    assert_eq!(why(&refused, "column"), ("INVALID_VALUE".into(), "code".into()));
    assert_eq!(world.one("SELECT code FROM items").await, None);
}

#[tokio::test]
async fn each_constraint_names_its_field() {
    let mut world = World::new().await;
    world.run("ALTER TABLE items ADD CONSTRAINT spans EXCLUDE USING btree (kind WITH =) WHERE (kind = 9)").await;
    let values = [("company", text("A1")), ("code", text("I1"))];
    let made = world.create("Items", &values).await.unwrap();
    let refused = world.create("Items", &values).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert_eq!(why(&refused, "columns"), ("RECORD_EXISTS".into(), "company,code".into()));

    let cases: &[(&str, Value, &str)] = &[
        ("price", number("-1"), "INVALID_VALUE"),
        ("share", number("101"), "INVALID_VALUE"),
        ("group", text("G9"), "REFERENCE_NOT_FOUND"),
    ];
    for (column, value, reason) in cases {
        let refused = world.update("Items", &made.record_id, &[(column, value.clone())]).await;
        let refused = refused.unwrap_err();
        assert_eq!(why(&refused, "column"), ((*reason).into(), (*column).into()), "{refused:?}");
        for secret in ["good_price", "in_group", "items", "percent", "SQL"] {
            assert!(!refused.message().contains(secret), "{}", refused.message());
        }
    }
    let refused = world.update("Items", &made.record_id, &[("price", number("-1"))]).await;
    assert_eq!(refused.unwrap_err().message(), "`price` is not allowed");
    world.update("Items", &made.record_id, &[("kind", Value::Int64Value(9))]).await.unwrap();
    let second = [("company", text("A1")), ("code", text("I2")), ("kind", Value::Int64Value(9))];
    let refused = world.create("Items", &second).await.unwrap_err();
    assert!(why(&refused, "columns").1.contains("kind"), "{refused:?}");

    world.run("INSERT INTO uses SELECT id FROM items").await;
    let refused = world.write(delete("Items", &made.record_id, "")).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(why(&refused, "entity"), ("IN_USE".into(), "Items".into()));
}

#[tokio::test]
async fn what_is_unique_everywhere_does_not_tell_of_other_companies() {
    let mut world = World::new().await;
    world.run("ALTER TABLE items ADD UNIQUE (guid)").await;
    let taken = Value::GuidValue(vec![7; 16].into());
    let values = |company: &str, code: &str| {
        [("company", text(company)), ("code", text(code)), ("guid", taken.clone())]
    };
    world.create("Items", &values("B1", "I1")).await.unwrap();
    let seen = world.create("Items", &values("A1", "I1")).await.unwrap_err();
    assert_eq!(why(&seen, "columns"), ("RECORD_EXISTS".into(), "guid".into()));

    let own = world.create("Items", &values("A1", "I2")[..2]).await.unwrap();
    let upsert = |code: &str| {
        Kind::Upsert(pb::UpsertRequest {
            entity_name: "Items".into(),
            key: Some(by_key(&values("A1", code)[..2])),
            values: fields(&values("A1", code)[2..]),
            ..Default::default()
        })
    };
    let attempts = [
        create("Items", &values("A1", "I3")),
        update("Items", &own.record_id, &values("A1", "I2")[2..], ""),
        upsert("I2"),
        upsert("I3"),
    ];
    for attempt in attempts {
        let refused = world.write_as(&only(&["A1"]), attempt).await.unwrap_err();
        assert_eq!(why(&refused, "column"), ("INVALID_VALUE".into(), "guid".into()));
        assert_eq!(refused.message(), "`guid` cannot be used");
    }
    let own = create("Items", &values("A1", "I2")[..2]);
    let known = world.write_as(&only(&["A1"]), own).await.unwrap_err();
    assert_eq!(why(&known, "columns"), ("RECORD_EXISTS".into(), "company,code".into()));
}

#[tokio::test]
async fn what_triggers_say_is_told_verbatim_and_what_they_drop_is_no_success() {
    let mut world = World::new().await;
    let values = |name: &str| [("company", text("A1")), ("code", text("I1")), ("name", text(name))];
    for (name, message) in [
        ("refused", "No item is called refused."),
        ("custom", "Custom word."),
        ("checked", "Checked word."),
    ] {
        let refused = world.create("Items", &values(name)).await.unwrap_err();
        assert_eq!((why(&refused, "").0.as_str(), refused.message()), ("BUSINESS_RULE", message));
    }
    let refused = world.create("Items", &values("dropped")).await.unwrap_err();
    assert_eq!(why(&refused, "").0, "BUSINESS_RULE");
    let made = world.create("Items", &values("kept")).await.unwrap();
    let dropped = [
        update("Items", &made.record_id, &[("name", text("dropped"))], ""),
        delete("Items", &made.record_id, &made.etag),
    ];
    for dropped in dropped {
        let refused = world.write(dropped).await.unwrap_err();
        assert_eq!(why(&refused, "").0, "BUSINESS_RULE");
        assert!(refused.message().contains("did not let"), "{refused:?}");
    }
    assert_eq!(world.one("SELECT name FROM items").await.unwrap(), "kept");
}

#[tokio::test]
async fn a_privilege_that_the_database_does_not_grant_is_its_operators_to_give() {
    let mut world = World::new().await;
    world
        .run(
            "ALTER TABLE tags ENABLE ROW LEVEL SECURITY; ALTER TABLE tags FORCE ROW LEVEL SECURITY;
        CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE insufficient_privilege; END $$;
        CREATE TRIGGER forbid BEFORE INSERT ON pairs FOR EACH ROW EXECUTE FUNCTION forbid()",
        )
        .await;
    let pair = [("a", text("p")), ("b", Value::Int64Value(4))];
    let refused = world.create("Pairs", &pair).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_schema_that_changed_is_learnt_anew() {
    let mut world = World::new().await;
    world.create("Numbers", &[]).await.unwrap_err();
    world.run("CREATE SEQUENCE s START 7; ALTER TABLE numbers ALTER id SET DEFAULT nextval('s'), DROP note").await;
    let refused = world.create("Numbers", &[("note", text("x"))]).await.unwrap_err();
    assert_eq!(why(&refused, "").0, "INVALID_MODEL", "{refused:?}");
    world.run("ALTER TABLE numbers ADD note varchar(3)").await;
    let refused = world.create("Numbers", &[("note", text("long"))]).await.unwrap_err();
    assert_eq!(why(&refused, "column"), ("INVALID_VALUE".into(), "note".into()));
    world.create("Numbers", &[("note", text("x"))]).await.unwrap();
}

#[tokio::test]
async fn a_key_that_several_rows_have_names_none_of_them() {
    let mut world = World::new().await;
    // The model says that they are keys; the database does not.
    world.run("ALTER TABLE items DROP CONSTRAINT items_company_code_key").await;
    world.run("ALTER TABLE customers DROP CONSTRAINT customers_company_account_key").await;
    for name in ["One", "Two"] {
        let values = [("company", text("A1")), ("code", text("I1")), ("name", text(name))];
        world.create("Items", &values).await.unwrap();
        let values = [("company", text("A1")), ("account", text("I1")), ("name", text(name))];
        world.create("Customers", &values).await.unwrap();
    }
    for (entity, field) in [("Items", "code"), ("Ruled", "code"), ("Customers", "account")] {
        let key = [("company", text("A1")), (field, text("I1"))];
        for kind in by_the_key(entity, &key, "Three") {
            let refused = world.write(kind.clone()).await.unwrap_err();
            assert_eq!(refused.code(), Code::FailedPrecondition, "{kind:?}: {refused:?}");
            let columns = format!("company,{field}");
            assert_eq!(why(&refused, "columns"), ("KEY_NOT_UNIQUE".into(), columns), "{kind:?}");
            assert!(refused.message().contains("by its id"), "{refused:?}");
        }
        let once = upsert(entity, &key, true);
        let refused = world.write(once).await.unwrap_err();
        assert_eq!(why(&refused, "columns").0, "RECORD_EXISTS");
    }
    let items = "SELECT string_agg(name, ',' ORDER BY id) FROM items";
    assert_eq!(world.one(items).await.unwrap(), "One,Two");
    let parties = "SELECT string_agg(name, ',' ORDER BY id) FROM parties";
    assert_eq!(world.one(parties).await.unwrap(), "One,Two");

    world.run("UPDATE items SET code = 'I2' WHERE name = 'Two'").await;
    world.run("UPDATE customers SET account = 'I2' WHERE id = 2").await;
    for (entity, field) in [("Items", "code"), ("Customers", "account")] {
        for kind in by_the_key(entity, &[("company", text("A1")), (field, text("I1"))], "Three") {
            world.write(kind).await.unwrap();
        }
    }
    assert_eq!(world.one(items).await.unwrap(), "Two");
    assert_eq!(world.one(parties).await.unwrap(), "Two");
}

/// Every operation on a row that is there, by its key; the last one takes it away.
fn by_the_key(entity: &str, key: &[(&str, Value)], name: &str) -> Vec<Kind> {
    let mut retrieve = retrieve(entity, &[], &["name"]);
    if let Kind::Retrieve(request) = &mut retrieve {
        request.key = Some(by_key(key));
    }
    let update = pb::UpdateRequest {
        entity_name: entity.to_owned(),
        key: Some(by_key(key)),
        values: fields(&[("name", text(name))]),
        ..Default::default()
    };
    let delete = pb::DeleteRequest {
        entity_name: entity.to_owned(),
        key: Some(by_key(key)),
        ..Default::default()
    };
    vec![retrieve, Kind::Update(update), upsert(entity, key, false), Kind::Delete(delete)]
}

fn upsert(entity: &str, key: &[(&str, Value)], create_only: bool) -> Kind {
    Kind::Upsert(pb::UpsertRequest {
        entity_name: entity.to_owned(),
        key: Some(by_key(key)),
        values: fields(&[("name", text("Four"))]),
        create_only,
        ..Default::default()
    })
}
