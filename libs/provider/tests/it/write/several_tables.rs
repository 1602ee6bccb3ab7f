//! Rows of several tables: who goes first, what is made when it is missing, what goes with it.

use proto::query::v1::value::Kind as Value;

use super::world::*;

const STATE: &str = "SELECT concat(
    (SELECT string_agg(concat_ws('/', c.company, c.account, c.credit, c.group_code, p.name, n.text), ',' ORDER BY c.id)
     FROM customers c JOIN parties p ON p.id = c.party LEFT JOIN notes n ON n.customer = c.id),
    ' parties ', (SELECT count(*) FROM parties), ' notes ', (SELECT count(*) FROM notes))";

fn customer(account: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("company", text("A1")),
        ("account", text(account)),
        ("name", text("Ann")),
        ("group", text("G1")),
    ]
}

#[tokio::test]
async fn what_others_refer_to_goes_first_and_feeds_them() {
    let mut world = World::new().await;
    let mut values = customer("C1");
    values.push(("note", text("new")));
    let made = world.create("Customers", &values).await.unwrap();
    assert_eq!(world.one(STATE).await.unwrap(), "A1/C1/100/G1/Ann/new parties 1 notes 1");
    let log = world.one("SELECT string_agg(line, ', ') FROM log").await.unwrap();
    assert_eq!(log, "parties INSERT by ann, customers INSERT by ann, notes INSERT by ann");
    let names = ["$version", "upperName", "groupTitle"];
    let row = world.read("Customers", &made.record_id, &names).await;
    assert_eq!(row["$version"], made.etag.as_str());
    assert_eq!((&row["upperName"], &row["groupTitle"]), (&"ANN".into(), &"Gold".into()));
    assert_eq!(world.one("SELECT party::text FROM customers").await.unwrap(), "500");
}

#[tokio::test]
async fn an_optional_table_gets_its_row_when_it_is_given_a_value() {
    let mut world = World::new().await;
    let made = world.create("Customers", &customer("C1")).await.unwrap();
    assert_eq!(world.one(STATE).await.unwrap(), "A1/C1/100/G1/Ann parties 1 notes 0");
    let nothing = world.update("Customers", &made.record_id, &[("note", null())]).await.unwrap();
    assert_eq!(nothing.etag, made.etag);
    let changes = [("note", text("later")), ("name", text("Bea")), ("credit", number("5"))];
    let changed = world.update("Customers", &made.record_id, &changes).await.unwrap();
    assert_eq!(world.one(STATE).await.unwrap(), "A1/C1/5/G1/Bea/later parties 1 notes 1");
    let row = world.read("Customers", &made.record_id, &["$version"]).await;
    assert_eq!(row["$version"], changed.etag.as_str());
    world.update("Customers", &made.record_id, &[("note", null())]).await.unwrap();
    assert_eq!(world.one(STATE).await.unwrap(), "A1/C1/5/G1/Bea parties 1 notes 1");
}

#[tokio::test]
async fn a_row_goes_with_what_is_its_own() {
    let mut world = World::new().await;
    let mut values = customer("C1");
    values.push(("note", text("new")));
    let made = world.create("Customers", &values).await.unwrap();
    let stale = world.write(delete("Customers", &made.record_id, "W/\"1\"")).await.unwrap_err();
    assert_eq!(why(&stale, "").0, "VERSION_MISMATCH");
    world.write(delete("Customers", &made.record_id, &made.etag)).await.unwrap();
    assert_eq!(world.one(STATE).await.unwrap(), " parties 0 notes 0");
    assert_eq!(world.one("SELECT count(*)::text FROM groups").await.unwrap(), "2");
}

#[tokio::test]
async fn what_somebody_else_needs_stays() {
    let mut world = World::new().await;
    let first = world.create("Customers", &customer("C1")).await.unwrap();
    world.run("INSERT INTO customers (company, account, party) SELECT 'B1', 'C9', party FROM customers").await;
    world.write(delete("Customers", &first.record_id, "")).await.unwrap();
    assert_eq!(world.one(STATE).await.unwrap(), "B1/C9/100/Ann parties 1 notes 0");

    let second = world.create("Customers", &customer("C2")).await.unwrap();
    world.run("INSERT INTO vendors (party) SELECT max(id) FROM parties").await;
    world.write(delete("Customers", &second.record_id, "")).await.unwrap();
    assert_eq!(world.one("SELECT count(*)::text FROM vendors").await.unwrap(), "1");
    assert_eq!(world.one(STATE).await.unwrap(), "B1/C9/100/Ann parties 2 notes 0");
}

const MEMBERS: &str = "INSERT INTO people VALUES (1, 'Ann'), (2, 'Bea');
    INSERT INTO addresses VALUES (1, 'Aachen', 1), (2, 'Bonn', 2);
    INSERT INTO mails VALUES (1, 'a@x', 5, 1), (2, 'b@x', 5, 2);
    UPDATE people SET address = id, mail = id;
    INSERT INTO members VALUES (1, 'M1', 1), (2, 'M2', 2)";

const LEFT: &str = "SELECT concat_ws(' ',
    (SELECT string_agg(code, ',' ORDER BY id) FROM members),
    (SELECT string_agg(name, ',' ORDER BY id) FROM people),
    (SELECT string_agg(city, ',' ORDER BY id) FROM addresses),
    (SELECT string_agg(mail, ',' ORDER BY id) FROM mails))";

#[tokio::test]
async fn rows_that_need_each_other_go_together_or_stay_together() {
    let mut world = World::new().await;
    world.run(MEMBERS).await;
    let member = |id| provider::record_guid(106, id);
    world.write(delete("Members", member(1).as_bytes(), "")).await.unwrap();
    assert_eq!(world.one(LEFT).await.unwrap(), "M2 Bea Bonn b@x");
    // Her address is also where somebody else lives.
    world.run("INSERT INTO people VALUES (3, 'Eve', 2)").await;
    world.write(delete("Members", member(2).as_bytes(), "")).await.unwrap();
    assert_eq!(world.one(LEFT).await.unwrap(), "Bea,Eve Bonn b@x");
    // Another address of hers would go with her, though it is not of the member.
    world
        .run(
            "DELETE FROM people WHERE id = 3; INSERT INTO addresses VALUES (4, 'Celle', 2);
             INSERT INTO members VALUES (2, 'M2', 2)",
        )
        .await;
    world.write(delete("Members", member(2).as_bytes(), "")).await.unwrap();
    assert_eq!(world.one(LEFT).await.unwrap(), "Bea Bonn,Celle b@x");
}

#[tokio::test]
async fn an_optional_row_goes_when_nothing_of_it_is_left() {
    let mut world = World::new().await;
    world.run(MEMBERS).await;
    let member = |id| provider::record_guid(106, id);
    let refused = world.update("Members", member(1).as_bytes(), &[("mail", null())]).await;
    assert_eq!(why(&refused.unwrap_err(), "column"), ("INVALID_VALUE".into(), "mail".into()));
    let half = [("mail", null()), ("priority", Value::Int64Value(7))];
    let refused = world.update("Members", member(1).as_bytes(), &half).await;
    assert_eq!(why(&refused.unwrap_err(), "column"), ("INVALID_VALUE".into(), "mail".into()));
    assert_eq!(world.one(LEFT).await.unwrap(), "M1,M2 Ann,Bea Aachen,Bonn a@x,b@x");

    let nothing = [("mail", null()), ("priority", null()), ("name", text("Amy"))];
    let cleared = world.update("Members", member(1).as_bytes(), &nothing).await.unwrap();
    assert_eq!(world.one(LEFT).await.unwrap(), "M1,M2 Amy,Bea Aachen,Bonn b@x");
    let row = world.read("Members", member(1).as_bytes(), &["$version", "mail", "city"]).await;
    assert_eq!(row["$version"], cleared.etag.as_str());
    assert_eq!((&row["mail"], &row["city"]), (&serde_json::Value::Null, &"Aachen".into()));
    world.update("Members", member(1).as_bytes(), &[("mail", text("new@x"))]).await.unwrap();
    assert_eq!(world.one(LEFT).await.unwrap(), "M1,M2 Amy,Bea Aachen,Bonn new@x,b@x");

    // Somebody else has the same: only the reference goes.
    world.run("INSERT INTO people VALUES (3, 'Eve', NULL, 2)").await;
    world.update("Members", member(2).as_bytes(), &nothing).await.unwrap();
    let row = world.read("Members", member(2).as_bytes(), &["mail"]).await;
    assert_eq!(row["mail"], serde_json::Value::Null);
    assert_eq!(world.one(LEFT).await.unwrap(), "M1,M2 Amy,Amy,Eve Aachen,Bonn new@x,b@x");

    // A part that refers to the row goes by itself.
    world.run("ALTER TABLE notes ALTER text SET NOT NULL").await;
    let mut values = customer("C1");
    values.push(("note", text("new")));
    let made = world.create("Customers", &values).await.unwrap();
    world.update("Customers", &made.record_id, &[("note", null())]).await.unwrap();
    assert_eq!(world.one(STATE).await.unwrap(), "A1/C1/100/G1/Ann parties 1 notes 0");
}

#[tokio::test]
async fn a_refused_part_leaves_no_part() {
    let mut world = World::new().await;
    let mut values = customer("C1");
    values.retain(|it| it.0 != "group");
    values.push(("group", text("G9")));
    let refused = world.create("Customers", &values).await.unwrap_err();
    assert_eq!(why(&refused, "").0, "REFERENCE_NOT_FOUND");
    let refused = world.write_as(&only(&["B1"]), create("Customers", &customer("C1"))).await;
    assert_eq!(why(&refused.unwrap_err(), "").0, "PRIVILEGE_DENIED");
    assert_eq!(world.one(STATE).await.unwrap(), " parties 0 notes 0");
    let made = world.create("Customers", &customer("C1")).await.unwrap();
    let moving =
        update("Customers", &made.record_id, &[("company", text("B1")), ("name", text("x"))], "");
    let refused = world.write_as(&only(&["A1"]), moving).await.unwrap_err();
    assert_eq!(why(&refused, "").0, "PRIVILEGE_DENIED");
    assert_eq!(world.one(STATE).await.unwrap(), "A1/C1/100/G1/Ann parties 1 notes 0");
}

#[tokio::test]
async fn a_constraint_that_waits_for_the_end_is_no_success_before() {
    let mut world = World::new().await;
    world.run("ALTER TABLE items ALTER CONSTRAINT in_group DEFERRABLE INITIALLY DEFERRED").await;
    let values = [("company", text("A1")), ("code", text("I1")), ("group", text("G9"))];
    let refused = world.create("Items", &values).await.unwrap_err();
    assert_eq!(why(&refused, "").0, "REFERENCE_NOT_FOUND", "{refused:?}");
    let mut transaction = world.begin().await;
    world.within(&mut transaction, create("Items", &values)).await.unwrap();
    let refused = transaction.commit().await.unwrap_err();
    assert!(matches!(refused, provider::Error::Refused { .. }), "{refused:?}");
    assert_eq!(world.one("SELECT code FROM items").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_find_the_same_table_empty_both_write() {
    let world = World::new().await;
    for account in 0..10 {
        let made = world.create("Customers", &customer(&format!("C{account}"))).await.unwrap();
        let (one, other) = ([("note", text("left"))], [("note", text("right"))]);
        let (left, right) = tokio::join!(
            world.update("Customers", &made.record_id, &one),
            world.update("Customers", &made.record_id, &other),
        );
        let (left, right) = (left.unwrap(), right.unwrap());
        let row = world.read("Customers", &made.record_id, &["$version", "note"]).await;
        let last = if row["note"] == "left" { left } else { right };
        assert_eq!(row["$version"], last.etag.as_str());
    }
}
