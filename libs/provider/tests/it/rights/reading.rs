//! What is read.

use pb::{Aggregate, ConditionOperator as Op, JoinOperator as Join};
use serde_json::json as js;

use super::*;
use crate::world::{column, select};

fn query(entity: &str, names: &[&str]) -> pb::QueryExpression {
    let mut query = select(names);
    query.entity_name = entity.into();
    query.columns.iter_mut().for_each(|it| it.formatted_key = String::new());
    query.orders = vec![pb::OrderExpression { column: column("$id"), ..Default::default() }];
    query
}

fn lookup(name: &str) -> Option<pb::ColumnRef> {
    let column = Some(pb::column_ref::Column::Relation(name.into()));
    Some(pb::ColumnRef { column, link: String::new() })
}

fn condition(column: Option<pb::ColumnRef>, operator: Op, value: Value) -> pb::FilterExpression {
    let values = match value {
        Value::NullValue(_) => Vec::new(),
        value => vec![pb::Value { kind: Some(value) }],
    };
    let operator = operator.into();
    let condition = pb::ConditionExpression { column, operator, values, ..Default::default() };
    pb::FilterExpression { conditions: vec![condition], ..Default::default() }
}

fn customer(join: Join) -> pb::LinkEntity {
    let pair = pb::JoinPair { column: column("Id"), parent: column("Customer"), exact: false };
    pb::LinkEntity {
        alias: "c".into(),
        target: Some(pb::link_entity::Target::EntityName("Customers".into())),
        join: join.into(),
        on: vec![pair],
        ..Default::default()
    }
}

/// One text for each row: its members, in order.
fn texts(rows: &[serde_json::Value]) -> Vec<String> {
    let text = |it: &serde_json::Value| match it {
        serde_json::Value::String(it) => it.clone(),
        it => it.to_string(),
    };
    let row = |it: &serde_json::Value| {
        it.as_object().unwrap().values().map(text).collect::<Vec<_>>().join(" ")
    };
    rows.iter().map(row).collect()
}

#[tokio::test]
async fn nobody_sees_rows_that_a_policy_keeps() {
    let shop = Shop::new().await;
    let ask = async |who: &CallContext, query| texts(&shop.ask(who, query).await.unwrap());
    let accounts = || query("Customers", &["Account"]);
    assert_eq!(ask(&clerk(), accounts()).await, ["A", "B", "C"]);
    assert_eq!(ask(&ann(), accounts()).await, ["A", "B"]);
    assert_eq!(ask(&bob_for_ann(), accounts()).await, ["B"]);
    let root = who::context(who::administrator());
    assert_eq!(ask(&root, accounts()).await.len(), 3);

    let joined = |join| {
        let links = vec![customer(join)];
        let columns = [
            column("Amount"),
            column("Account").map(|it| pb::ColumnRef { link: "c".into(), ..it }),
        ];
        let columns = columns.into_iter().zip(["amount", "name"]).map(|(column, key)| {
            pb::OutputColumn { column, key: key.into(), ..Default::default() }
        });
        pb::QueryExpression { columns: columns.collect(), links, ..query("Orders", &[]) }
    };
    assert_eq!(ask(&ann(), joined(Join::Inner)).await, ["1 A", "10 B"]);
    for join in [Join::LeftOuter, Join::MatchFirstRow] {
        assert_eq!(ask(&ann(), joined(join)).await, ["1 A", "10 B", "100 null"]);
    }
    for (join, found) in
        [(Join::Any, vec!["1", "10"]), (Join::Exists, vec!["1", "10"]), (Join::NotAny, vec!["100"])]
    {
        let criteria =
            Some(pb::FilterExpression { links: vec![customer(join)], ..Default::default() });
        let query = pb::QueryExpression { criteria, ..query("Orders", &["Amount"]) };
        assert_eq!(ask(&ann(), query).await, found, "{join:?}");
    }
    let mut counted = query("Customers", &[]);
    counted.orders = Vec::new();
    counted.columns = vec![
        pb::OutputColumn {
            aggregate: Aggregate::Count.into(),
            key: "n".into(),
            ..Default::default()
        },
        pb::OutputColumn {
            aggregate: Aggregate::Sum.into(),
            column: column("Secret"),
            key: "s".into(),
            ..Default::default()
        },
    ];
    assert_eq!(ask(&ann(), counted.clone()).await, ["2 30"]);
    assert_eq!(ask(&clerk(), counted).await, ["3 60"]);
}

#[tokio::test]
async fn totals_and_lookups_do_not_tell_of_rows_that_are_kept() {
    let shop = Shop::new().await;
    let read = |name: &str| shop.entities.grant(&ann().caller, name, Privilege::Read);
    let total = pb::QueryExpression {
        total_count: pb::TotalCount::Exact.into(),
        ..query("Customers", &["Account"])
    };
    let grants = Grants::new(read("Customers").unwrap(), read);
    let answer = crate::world::answer(&shop.provider, &grants, total).await.unwrap();
    assert_eq!((answer.total, answer.rows.len()), (Some(2), 2));

    for name in ["Customer", "Account"] {
        let shown =
            pb::OutputColumn { column: lookup(name), key: "to".into(), ..Default::default() };
        let orders = pb::QueryExpression { columns: vec![shown], ..query("Orders", &[]) };
        let all = shop.ask(&clerk(), orders.clone()).await.unwrap();
        let own = shop.ask(&ann(), orders).await.unwrap();
        assert!(all.iter().all(|it| !it["to"].is_null()), "{name}");
        assert_eq!(own[..2], all[..2], "{name}");
        assert_eq!(own[2], js!({ "to": null }), "{name}");
        let hidden = Value::GuidValue(id(3).into());
        let found = async |operator, value| {
            let criteria = Some(condition(lookup(name), operator, value));
            let query = pb::QueryExpression { criteria, ..query("Orders", &["Amount"]) };
            texts(&shop.ask(&ann(), query).await.unwrap())
        };
        assert!(found(Op::Equal, hidden.clone()).await.is_empty(), "{name}");
        assert_eq!(found(Op::NotEqual, hidden).await.len(), 3, "{name}");
        assert_eq!(found(Op::Null, null()).await, ["100"], "{name}");
        assert_eq!(found(Op::NotNull, null()).await, ["1", "10"], "{name}");
    }
}

#[tokio::test]
async fn a_row_that_is_kept_is_not_found_by_any_key() {
    let shop = Shop::new().await;
    let by_account = |account: &str| {
        let key = Some(by_key(&[("Account", text(account))]));
        let Kind::Retrieve(request) = retrieve("Customers", &[], &["Name"]) else { unreachable!() };
        Kind::Retrieve(pb::RetrieveRequest { key, ..request })
    };
    let not_found = ("RECORD_NOT_FOUND".to_owned(), "Customers".to_owned());
    for request in [retrieve("Customers", &id(3), &["Name"]), by_account("C"), by_account("none")] {
        assert_eq!(shop.refused(&ann(), request, "entity").await, not_found);
    }
    for request in [retrieve("Customers", &id(2), &["Name"]), by_account("B")] {
        let Outcome::Retrieve(row) = shop.write(&bob_for_ann(), request).await.unwrap() else {
            panic!("no row")
        };
        assert_eq!(json(&row), js!({ "Name": "Both" }));
    }
}

#[tokio::test]
async fn a_hidden_field_is_null_or_denied() {
    let shop = Shop::new().await;
    let denied = |status: &Status| {
        assert_eq!(status.code(), tonic::Code::PermissionDenied);
        assert_eq!(why(status, "column"), ("COLUMN_DENIED".into(), "Secret".into()));
        assert_eq!(why(status, "entity").1, "Customers");
        assert_eq!(why(status, "privilege").1, "read");
    };
    let mut named = query("Customers", &["Account", "Secret"]);
    denied(&shop.ask(&blind(), named.clone()).await.unwrap_err());
    named.columns[1].if_permitted = true;
    named.columns[1].formatted_key = "label".into();
    let rows = shop.ask(&blind(), named.clone()).await.unwrap();
    assert_eq!(rows[0], js!({ "Account": "A", "Secret": null }));
    assert_eq!(shop.ask(&clerk(), named).await.unwrap()[0]["label"], "10.00");
    let criteria = Some(condition(column("Secret"), Op::GreaterThan, Value::Int64Value(15)));
    let filtered = pb::QueryExpression { criteria, ..query("Customers", &["Account"]) };
    denied(&shop.ask(&blind(), filtered).await.unwrap_err());
    let one = retrieve("Customers", &id(1), &["Secret"]);
    denied(&shop.write(&blind(), one).await.unwrap_err());
}
