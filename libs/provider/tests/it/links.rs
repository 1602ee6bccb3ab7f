//! Joins, conditions on related rows, and lookups, against rows that were computed by hand.

use proto::query::v1 as pb;
use proto::query::v1::ConditionOperator as Op;
use proto::query::v1::JoinOperator as Join;
use proto::query::v1::value::Kind as Value;
use rpc::Companies;
use serde_json::{Value as Json, json};

use crate::shop::{
    NORTH, SOUTH, Shop, all, any, arrays, at, beside, guid, link, on, order, output, query,
    related, text, when,
};

const FIRST: &str = "000007d3-0000-0000-0100-000000000000";

fn numbers(rows: &[Vec<Json>]) -> Vec<i64> {
    rows.iter().map(|it| it[0].as_i64().unwrap()).collect()
}

fn by_code() -> Vec<pb::JoinPair> {
    vec![on("company", "company"), on("customer_code", "code")]
}

fn group_of() -> Vec<pb::JoinPair> {
    vec![on("company", "company"), on("code", "group_code")]
}

#[tokio::test]
async fn fx_02_joins_keep_the_rows_that_they_should() {
    let shop = Shop::new().await;
    let joined = |join| {
        let mut orders = link("o", "orders", join, by_code());
        orders.criteria = all(vec![when("total", Op::GreaterThan, vec![Value::Int64Value(5)])]);
        pb::QueryExpression {
            links: vec![orders],
            orders: vec![order("id", false), order("o.id", false)],
            ..query("customers", &["id", "o.id", "o.total"])
        }
    };
    assert_eq!(
        shop.rows(&joined(Join::Inner)).await,
        [
            vec![json!(1), json!(10), json!(100)],
            vec![json!(1), json!(11), json!(50)],
            vec![json!(4), json!(13), json!(7)],
        ]
    );
    assert_eq!(
        shop.rows(&joined(Join::LeftOuter)).await,
        [
            vec![json!(1), json!(10), json!(100)],
            vec![json!(1), json!(11), json!(50)],
            vec![json!(2), json!(null), json!(null)],
            vec![json!(3), json!(null), json!(null)],
            vec![json!(4), json!(13), json!(7)],
            vec![json!(5), json!(null), json!(null)],
        ]
    );
    assert_eq!(
        shop.rows(&joined(Join::MatchFirstRow)).await,
        [
            vec![json!(1), json!(10), json!(100)],
            vec![json!(2), json!(null), json!(null)],
            vec![json!(3), json!(null), json!(null)],
            vec![json!(4), json!(13), json!(7)],
            vec![json!(5), json!(null), json!(null)],
        ]
    );
}

#[tokio::test]
async fn fx_02_text_joins_without_regard_to_case_unless_it_is_exact() {
    let shop = Shop::new().await;
    let joined = |exact| {
        let code = pb::JoinPair { exact, ..on("code", "customer_code") };
        let pairs = vec![on("company", "company"), code];
        pb::QueryExpression {
            links: vec![link("c", "customers", Join::Inner, pairs)],
            orders: vec![order("id", false)],
            ..query("orders", &["id", "c.id"])
        }
    };
    assert_eq!(numbers(&shop.rows(&joined(true)).await), [10, 11, 12, 13]);
    assert_eq!(numbers(&shop.rows(&joined(false)).await), [10, 11, 12, 13, 15]);
}

#[tokio::test]
async fn fx_02_links_nest_and_name_each_other() {
    let shop = Shop::new().await;
    let mut area = link("a", "areas", Join::LeftOuter, vec![on("$id", "@Area")]);
    area.criteria = all(vec![when("name", Op::NotEqual, vec![text("SOUTH")])]);
    let mut group = link("g", "groups", Join::LeftOuter, group_of());
    group.links = vec![area];
    let customer = pb::LinkEntity {
        links: vec![group],
        ..link("c", "customers", Join::Inner, vec![on("$id", "@Customer")])
    };
    let nested = pb::QueryExpression {
        links: vec![customer],
        orders: vec![order("a.name", true), order("c.name", false), order("id", false)],
        ..query("orders", &["id", "c.name", "g.title", "a.name", "a.$id"])
    };
    let expected = [
        vec![json!(10), json!("Ärger"), json!("Gold"), json!("North"), json!(NORTH)],
        vec![json!(11), json!("Ärger"), json!("Gold"), json!("North"), json!(NORTH)],
        vec![json!(12), json!("ärger"), json!("Gold"), json!("North"), json!(NORTH)],
        vec![json!(13), json!("Bravo"), json!("gold"), json!(null), json!(null)],
    ];
    assert_eq!(shop.rows(&nested).await, expected);
    for size in 1..5 {
        assert_eq!(shop.walk(&nested, size).await, expected, "pages of {size}");
    }
    // From within the innermost link, the root's row and the link between.
    let mut nested = nested;
    nested.links[0].links[0].links[0].criteria = any(vec![
        beside("name", Op::Equal, "$it.customer_code"),
        beside("name", Op::GreaterThan, "c.name"),
    ]);
    assert_eq!(
        shop.rows(&nested).await,
        [
            vec![json!(13), json!("Bravo"), json!("gold"), json!("south"), json!(SOUTH)],
            vec![json!(10), json!("Ärger"), json!("Gold"), json!(null), json!(null)],
            vec![json!(11), json!("Ärger"), json!("Gold"), json!(null), json!(null)],
            vec![json!(12), json!("ärger"), json!("Gold"), json!(null), json!(null)],
        ]
    );
    // The same with one related row at most, which is chosen beside the rows around it.
    for join in [Join::MatchFirstRow, Join::LeftOuter] {
        nested.links[0].links[0].join = join.into();
        nested.links[0].links[0].links[0].join = join.into();
        let rows = shop.rows(&nested).await;
        assert_eq!(numbers(&rows), [13, 10, 11, 12]);
        assert_eq!(rows[0][3], json!("south"));
    }
}

#[tokio::test]
async fn fx_04_conditions_on_links_come_after_the_joins() {
    let shop = Shop::new().await;
    let late = pb::QueryExpression {
        links: vec![link("g", "groups", Join::LeftOuter, group_of())],
        criteria: any(vec![
            when("g.code", Op::Null, vec![]),
            when("g.title", Op::Equal, vec![text("SILVER")]),
            beside("g.title", Op::LessThan, "name"),
        ]),
        ..query("customers", &["id", "g.title"])
    };
    // `bravo` < `gold`, `ärger` comes after every ASCII letter only where the collation says so.
    let rows = shop.rows(&late).await;
    assert!(numbers(&rows).ends_with(&[3, 5]) && !numbers(&rows).contains(&4), "{rows:?}");
    let none = pb::QueryExpression {
        criteria: all(vec![when("g.$id", Op::Null, vec![])]),
        ..late.clone()
    };
    assert_eq!(numbers(&shop.rows(&none).await), [5]);
    let counted = pb::QueryExpression { total_count: pb::TotalCount::Exact.into(), ..none };
    assert_eq!(shop.ask(&counted).await.unwrap().total, Some(1));
}

#[tokio::test]
async fn fx_02_rows_of_one_to_many_joins_page_without_loss() {
    let shop = Shop::new().await;
    let pairs = vec![on("company", "company")];
    let product = pb::QueryExpression {
        links: vec![
            link("o", "orders", Join::Inner, pairs.clone()),
            link("g", "groups", Join::LeftOuter, pairs),
        ],
        orders: vec![order("name", true)],
        ..query("customers", &["id", "o.id", "g.code"])
    };
    let whole = shop.rows(&product).await;
    assert_eq!(whole.len(), 3 * 4 * 2 + 2 * 2 * 2);
    for size in [1, 5, 31] {
        assert_eq!(shop.walk(&product, size).await, whole, "pages of {size}");
    }
}

#[tokio::test]
async fn fx_05_related_rows_decide() {
    let shop = Shop::new().await;
    let orders = |join, least| {
        let criteria = all(vec![when("total", Op::GreaterEqual, vec![Value::Int64Value(least)])]);
        let by = vec![on("company", "company"), on("customer_code", "code")];
        pb::LinkEntity { criteria, ..link("o", "orders", join, by) }
    };
    let found = async |join, least| {
        let criteria = related(vec![orders(join, least)]);
        numbers(&shop.rows(&pb::QueryExpression { criteria, ..query("customers", &["id"]) }).await)
    };
    for join in [Join::In, Join::Exists, Join::Any, Join::NotAll] {
        assert_eq!(found(join, 60).await, [1], "{join:?}");
    }
    assert_eq!(found(Join::NotAny, 60).await, [2, 3, 4, 5]);
    // Customer 2's only order has no total, which meets no condition.
    assert_eq!(found(Join::All, 60).await, [2, 4]);
    assert_eq!(found(Join::All, 1).await, [2]);
    // The same as a link of the query itself, and with OR around it.
    let top = pb::QueryExpression {
        links: vec![orders(Join::Exists, 60)],
        ..query("customers", &["id"])
    };
    assert_eq!(numbers(&shop.rows(&top).await), [1]);
    let mut either = any(vec![when("id", Op::Equal, vec![Value::Int64Value(5)])]);
    either.as_mut().unwrap().links.push(orders(Join::Any, 60));
    let either = pb::QueryExpression { criteria: either, ..query("customers", &["id"]) };
    assert_eq!(numbers(&shop.rows(&either).await), [1, 5]);
}

#[tokio::test]
async fn fx_05_related_rows_nest_and_see_the_row_around_them() {
    let shop = Shop::new().await;
    // Areas with a group of whose customers one has an order above its own balance times nothing:
    // `any` within `any` within `any`.
    let mut orders = link("o", "orders", Join::Any, vec![on("@Customer", "$id")]);
    orders.criteria = any(vec![beside("total", Op::GreaterThan, "c.balance")]);
    let mut customers = link("c", "customers", Join::Any, vec![on("@Group", "$id")]);
    customers.criteria = related(vec![orders]);
    let mut groups = link("g", "groups", Join::Any, vec![on("@Area", "$id")]);
    groups.criteria = related(vec![customers]);
    let nested = |groups: pb::LinkEntity| pb::QueryExpression {
        criteria: related(vec![groups]),
        orders: vec![order("name", false)],
        ..query("areas", &["name"])
    };
    assert_eq!(shop.firsts(&nested(groups.clone())).await, ["North", "south"]);
    // Only where the area's own name is said from three levels within.
    let inner = groups.criteria.as_mut().unwrap().links[0].criteria.as_mut().unwrap();
    let said = when("$it.name", Op::BeginsWith, vec![text("NO")]);
    inner.links[0].criteria.as_mut().unwrap().operator = pb::FilterOperator::And.into();
    inner.links[0].criteria.as_mut().unwrap().conditions.push(said);
    assert_eq!(shop.firsts(&nested(groups.clone())).await, ["North"]);
    // A joined link within the subquery, whose condition names the root.
    let mut area = link("a", "areas", Join::Inner, vec![on("$id", "@Area")]);
    area.criteria = all(vec![beside("name", Op::NotEqual, "$it.name")]);
    let mut group = link("g", "groups", Join::Any, vec![on("company", "company")]);
    group.links = vec![area];
    let customers = pb::LinkEntity {
        criteria: related(vec![group]),
        ..link("c", "customers", Join::Exists, vec![on("$id", "$id")])
    };
    let query =
        pb::QueryExpression { criteria: related(vec![customers]), ..query("customers", &["id"]) };
    assert_eq!(numbers(&shop.rows(&query).await), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn ve_055_lookups_lead_to_rows_that_may_be_seen() {
    let shop = Shop::new().await;
    let lookups = pb::QueryExpression {
        orders: vec![order("id", false)],
        ..query("orders", &["id", "@Customer", "@Secret"])
    };
    assert_eq!(
        shop.rows(&lookups).await.into_iter().map(|it| it[1].clone()).collect::<Vec<_>>(),
        [
            json!(FIRST),
            json!(FIRST),
            json!("000007d3-0000-0000-0200-000000000000"),
            json!("000007d3-0000-0000-0400-000000000000"),
            json!(null),
            json!(null),
        ]
    );
    assert!(shop.rows(&lookups).await.iter().all(|it| it[2].is_null()));
    // Fields that are the other's identity give the same GUID as the row itself has.
    let groups = pb::QueryExpression {
        links: vec![link("g", "groups", Join::LeftOuter, group_of())],
        ..query("customers", &["@Group", "g.$id", "@Parent"])
    };
    let rows = shop.rows(&groups).await;
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|it| it[0] == it[1]), "{rows:?}");
    assert_eq!(rows[1][2], json!(FIRST));
    assert_eq!((&rows[4][0], &rows[0][2]), (&json!(null), &json!(null)));
    // Who may not read customers sees no lookup to them, and none that leads there.
    let answer = shop.ask_as(&lookups, Companies::All, "customers").await.unwrap();
    assert!(arrays(&answer).iter().all(|it| it[1].is_null()));
}

#[tokio::test]
async fn ve_055_lookups_are_filtered_sorted_and_joined_by() {
    let shop = Shop::new().await;
    let north = |op, values| pb::QueryExpression {
        criteria: all(vec![when("@Area", op, values)]),
        orders: vec![order("company", false), order("code", false)],
        ..query("groups", &["code", "company"])
    };
    let found = async |op, values| -> Vec<String> {
        let rows = shop.rows(&north(op, values)).await;
        rows.iter().map(|it| format!("{}{}", it[1], it[0]).replace('"', "")).collect()
    };
    assert_eq!(found(Op::Equal, vec![guid(NORTH)]).await, ["A1G1", "B1G9"]);
    assert_eq!(found(Op::NotEqual, vec![guid(NORTH)]).await, ["A1G2", "B1G1"]);
    assert_eq!(found(Op::In, vec![guid(NORTH), guid(SOUTH)]).await, ["A1G1", "B1G1", "B1G9"]);
    assert_eq!(found(Op::NotIn, vec![guid(NORTH), guid(SOUTH)]).await, ["A1G2"]);
    assert_eq!(found(Op::Null, vec![]).await, ["A1G2"]);
    assert_eq!(found(Op::NotNull, vec![]).await, ["A1G1", "B1G1", "B1G9"]);

    let orders = |op, values| pb::QueryExpression {
        criteria: all(vec![when("@Customer", op, values)]),
        ..query("orders", &["id"])
    };
    assert_eq!(shop.firsts(&orders(Op::Equal, vec![guid(FIRST)])).await, [10, 11]);
    assert_eq!(shop.firsts(&orders(Op::NotEqual, vec![guid(FIRST)])).await, [12, 13, 14, 15]);
    assert_eq!(shop.firsts(&orders(Op::Null, vec![])).await, [14, 15]);
    assert_eq!(shop.firsts(&orders(Op::NotNull, vec![])).await, [10, 11, 12, 13]);
    let group = guid(shop.firsts(&query("groups", &["$id"])).await[0].as_str().unwrap());
    let customers = pb::QueryExpression {
        criteria: all(vec![when("@Group", Op::Equal, vec![group])]),
        ..query("customers", &["id"])
    };
    assert_eq!(shop.firsts(&customers).await, [1, 2]);

    let sorted = pb::QueryExpression {
        orders: vec![order("@Customer", true), order("id", false)],
        ..query("orders", &["id"])
    };
    let expected = [13, 12, 10, 11, 14, 15].map(|it| vec![json!(it)]);
    assert_eq!(shop.rows(&sorted).await, expected);
    assert_eq!(shop.walk(&sorted, 2).await, expected);
}

#[tokio::test]
async fn ve_045_record_ids_join_whatever_they_are_made_of() {
    let shop = Shop::new().await;
    // A column of GUIDs beside an integer identity: those of other entities are nobody's.
    let decoded = pb::QueryExpression {
        links: vec![link("c", "customers", Join::Inner, vec![on("$id", "guid")])],
        ..query("orders", &["id", "c.id"])
    };
    assert_eq!(shop.rows(&decoded).await, [vec![json!(10), json!(1)], vec![json!(11), json!(2)]]);
    let condition = pb::QueryExpression {
        criteria: all(vec![beside("guid", Op::Equal, "@Customer")]),
        ..query("orders", &["id"])
    };
    assert_eq!(shop.firsts(&condition).await, [10]);
    let text = pb::QueryExpression {
        links: vec![link("c", "customers", Join::Inner, vec![on("$id", "customer_code")])],
        ..query("orders", &["id"])
    };
    assert_eq!(shop.ask(&text).await.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn rows_by_value_join_as_any_others_do() {
    use proto::query::v1::column_values::Values;
    let shop = Shop::new().await;
    let groups = shop.firsts(&query("groups", &["$id"])).await;
    let guids: Vec<uuid::Uuid> = [&groups[1], &json!(FIRST), &groups[0]]
        .iter()
        .map(|it| it.as_str().unwrap().parse().unwrap())
        .collect();
    let column = |key: &str, nulls: &[u32], values| pb::ColumnValues {
        key: key.into(),
        nulls: nulls.to_vec(),
        values: Some(values),
        labels: None,
    };
    let bytes: Vec<u8> = guids.iter().flat_map(|it| *it.as_bytes()).collect();
    let strings = ["c1", "C4", "x"].map(str::to_owned).to_vec();
    let rows = pb::InlineRows {
        row_count: 3,
        columns: Some(pb::ColumnBatch {
            columns: vec![
                column("ordinal", &[], Values::Ints(pb::Int64Array { values: vec![30, 20, 10] })),
                column("guid", &[], Values::Guids(bytes.into())),
                column("code", &[2], Values::Strings(pb::StringArray { values: strings })),
                column("mood", &[], Values::Ints(pb::Int64Array { values: vec![2, 1, 3] })),
            ],
        }),
    };
    let by = |on: Vec<pb::JoinPair>, join: Join| pb::LinkEntity {
        alias: "v".into(),
        target: Some(pb::link_entity::Target::Rows(rows.clone())),
        join: join.into(),
        on,
        ..Default::default()
    };
    let joined = |entity: &str, on, join| pb::QueryExpression {
        links: vec![by(on, join)],
        orders: vec![order("v.ordinal", false)],
        ..query(entity, &["code", "v.ordinal"])
    };
    let hashed = joined("groups", vec![on("guid", "$id")], Join::Inner);
    assert_eq!(
        shop.rows(&hashed).await,
        [vec![json!("G1"), json!(10)], vec![json!("G2"), json!(30)]]
    );
    let integer = joined("customers", vec![on("guid", "$id")], Join::Inner);
    assert_eq!(shop.rows(&integer).await, [vec![json!("C1"), json!(20)]]);
    let options = joined("customers", vec![on("mood", "mood"), on("code", "code")], Join::Inner);
    assert_eq!(
        shop.rows(&options).await,
        [vec![json!("C4"), json!(20)], vec![json!("C1"), json!(30)]]
    );
    let first = joined("customers", vec![on("code", "code")], Join::MatchFirstRow);
    let expected = [
        vec![json!("C2"), json!(null)],
        vec![json!("C3"), json!(null)],
        vec![json!("C4"), json!(20)],
        vec![json!("C1"), json!(30)],
        vec![json!("C1"), json!(30)],
    ];
    assert_eq!(shop.rows(&first).await, expected);
    assert_eq!(shop.walk(&first, 2).await, expected);
    let exists = pb::QueryExpression {
        criteria: related(vec![by(vec![on("guid", "@Group")], Join::Exists)]),
        ..query("customers", &["id"])
    };
    assert_eq!(shop.firsts(&exists).await, [1, 2, 3]);
}

#[tokio::test]
async fn the_policy_holds_in_every_part_of_a_statement() {
    let shop = Shop::new().await;
    let only = || Companies::Only(vec!["b1".into()]);
    let everywhere = pb::QueryExpression {
        links: vec![link("g", "groups", Join::Inner, vec![on("@Area", "$id")])],
        ..query("areas", &["name", "g.company"])
    };
    let answer = shop.ask_as(&everywhere, only(), "").await.unwrap();
    assert!(arrays(&answer).iter().all(|it| it[1] == json!("B1")), "{answer:?}");
    assert_eq!(answer.rows.len(), 2);
    // North has a group of A1 with customers, and one of B1 without any.
    let mut groups = link("g", "groups", Join::Any, vec![on("@Area", "$id")]);
    let customers = link("c", "customers", Join::Any, vec![on("@Group", "$id")]);
    groups.criteria = related(vec![customers]);
    let any = pb::QueryExpression { criteria: related(vec![groups]), ..query("areas", &["name"]) };
    let answer = shop.ask_as(&any, only(), "").await.unwrap();
    assert_eq!(arrays(&answer), [vec![json!("south")]]);
    // A lookup by the other's id alone leads to no row of a hidden company.
    let parents = query("customers", &["id", "@Parent"]);
    let answer = shop.ask_as(&parents, only(), "").await.unwrap();
    assert_eq!(arrays(&answer), [vec![json!(4), json!(null)], vec![json!(5), json!(null)]]);
    let aggregate = pb::OutputColumn { aggregate: pb::Aggregate::Count.into(), ..output(0, "id") };
    let count = pb::QueryExpression { columns: vec![aggregate], ..query("orders", &[]) };
    let answer = shop.ask_as(&count, only(), "").await.unwrap();
    assert_eq!(arrays(&answer), [vec![json!(2)]]);
}

#[tokio::test]
async fn a_link_to_what_may_not_be_read_is_refused() {
    let shop = Shop::new().await;
    let linked = |entity: &str, join| pb::QueryExpression {
        links: vec![link("x", entity, join, vec![on("company", "company")])],
        ..query("customers", &["id"])
    };
    for join in [Join::Inner, Join::LeftOuter, Join::MatchFirstRow, Join::Any, Join::NotAny] {
        let error = shop.ask_as(&linked("orders", join), Companies::All, "orders").await;
        assert_eq!(error.unwrap_err().code(), tonic::Code::PermissionDenied, "{join:?}");
        let error = shop.ask(&linked("secrets", join)).await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::NotFound, "{join:?}");
    }
}

#[tokio::test]
async fn rows_of_one_retrieve_bring_their_links() {
    let mut request = pb::RetrieveRequest {
        entity_name: "orders".into(),
        columns: vec![output(0, "id"), output(1, "c.name")],
        links: vec![link("c", "customers", Join::LeftOuter, vec![on("$id", "@Customer")])],
        keys: vec![at("company")],
        format: pb::RowFormat::Json.into(),
        key: Some(pb::RecordKey {
            key: Some(pb::record_key::Key::Alternate(pb::AlternateKeyValues {
                values: vec![pb::FieldValue {
                    field: "id".into(),
                    value: Some(pb::Value { kind: Some(Value::Int64Value(10)) }),
                }],
            })),
        }),
    };
    let shop = Shop::new().await;
    assert_eq!(shop.one(request.clone()).await.unwrap(), "{\"c00\":10,\"c01\":\"Ärger\"}");
    request.links[0].join = Join::Inner.into();
    assert_eq!(shop.one(request).await.unwrap_err().code(), tonic::Code::InvalidArgument);
}
