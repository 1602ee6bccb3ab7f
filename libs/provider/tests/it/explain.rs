//! What administrators are told of a query, against PostgreSQL's own plans.

use proto::query::v1 as pb;
use proto::query::v1::ConditionOperator as Op;
use rpc::ErrorReason;

use crate::shop::{Shop, all, order, query, text, when};

/// Enough customers that PostgreSQL prefers an index, if there is one.
const MANY: &str = "
    INSERT INTO customers (id, company, code, name, mood)
    SELECT n, 'M' || n % 3, 'X' || n, md5(n::text), 'low' FROM generate_series(1000, 21000) AS n;
    ANALYZE customers;";

fn named(name: &str) -> pb::QueryExpression {
    let criteria = all(vec![when("name", Op::Equal, vec![text(name)])]);
    pb::QueryExpression { criteria, ..query("customers", &["id", "name"]) }
}

/// The statement that a note proposes.
fn proposed(notes: &[String]) -> &'static str {
    let [note] = notes else { panic!("one note is enough: {notes:?}") };
    let at = note.find("CREATE INDEX").expect("a proposal");
    Box::leak(note[at..].to_owned().into_boxed_str())
}

#[tokio::test]
async fn a_query_is_shown_with_its_values_and_its_plan() {
    let shop = Shop::new().await;
    let explained = shop.explain(named("it's \\ $1 \"x\""), true).await.unwrap();
    assert!(explained.sql.starts_with("SELECT "), "{}", explained.sql);
    assert!(!explained.sql.contains("it's"), "values are bound: {}", explained.sql);
    assert_eq!(explained.arguments[0], "'it''s \\ $1 \"x\"'");
    let plan: serde_json::Value = serde_json::from_str(&explained.plan).unwrap();
    assert!(plan[0]["Plan"]["Node Type"].is_string());
    assert_eq!(explained.notes, Vec::<String>::new(), "five rows need no index");
}

#[tokio::test]
async fn the_statement_runs_as_it_is_shown() {
    let mut shop = Shop::new().await;
    let explained = shop.explain(named("ÄRGER"), true).await.unwrap();
    let mut sql = explained.sql;
    for (at, literal) in explained.arguments.iter().enumerate().rev() {
        sql = sql.replace(&format!("${}", at + 1), literal);
    }
    let check = format!(
        "DO $check$ BEGIN IF (SELECT count(*) FROM ({sql}) AS q) <> 2 THEN \
         RAISE 'other rows'; END IF; END $check$"
    );
    shop.run(Box::leak(check.into_boxed_str())).await;
}

#[tokio::test]
async fn explaining_is_for_administrators() {
    let shop = Shop::new().await;
    let error = shop.explain(named("x"), false).await.unwrap_err();
    assert_eq!(rpc::reason(&error), Some(ErrorReason::PrivilegeDenied));
}

#[tokio::test]
async fn explaining_executes_nothing() {
    let mut shop = Shop::new().await;
    shop.run(
        "CREATE SEQUENCE calls;
         ALTER TABLE customers RENAME TO kept;
         CREATE VIEW customers AS SELECT * FROM kept WHERE nextval('calls') > 0;",
    )
    .await;
    shop.explain(named("x"), true).await.unwrap();
    shop.run("DO $$ BEGIN IF (SELECT is_called FROM calls) THEN RAISE 'called'; END IF; END $$")
        .await;
}

#[tokio::test]
async fn a_lookup_without_an_index_says_which_would_help() {
    let mut shop = Shop::new().await;
    shop.run(MANY).await;
    let before = shop.explain(named("x"), true).await.unwrap();
    let index = proposed(&before.notes);
    assert_eq!(index, "CREATE INDEX ON \"public\".\"customers\" ((lower(name)))");
    shop.run(index).await;
    shop.run("ANALYZE customers").await;
    let after = shop.explain(named("x"), true).await.unwrap();
    assert_eq!(after.notes, Vec::<String>::new(), "{}", after.plan);
    assert!(after.plan.contains("lower_idx"), "{}", after.plan);
}

#[tokio::test]
async fn a_search_that_no_index_can_serve_is_named() {
    let mut shop = Shop::new().await;
    shop.run(MANY).await;
    let criteria = all(vec![when("name", Op::Contains, vec![text("abc")])]);
    let query = pb::QueryExpression { criteria, ..named("") };
    let explained = shop.explain(query, true).await.unwrap();
    let [note] = &explained.notes[..] else { panic!("{:?}", explained.notes) };
    assert!(note.starts_with("No index can serve the condition"), "{note}");
}

#[tokio::test]
async fn an_order_without_an_index_says_which_would_help() {
    let mut shop = Shop::new().await;
    shop.run(MANY).await;
    let page = Some(pb::Page { size: 50, ..Default::default() });
    for descending in [false, true] {
        let query = pb::QueryExpression {
            orders: vec![order("name", descending)],
            page: page.clone(),
            ..query("customers", &["id"])
        };
        let before = shop.explain(query.clone(), true).await.unwrap();
        let index = proposed(&before.notes);
        assert!(index.contains("(lower(name))"), "{index}");
        shop.run(index).await;
        let after = shop.explain(query, true).await.unwrap();
        assert_eq!(after.notes, Vec::<String>::new(), "{}", after.plan);
        assert!(after.plan.contains("lower_id_idx"), "{}", after.plan);
        shop.run("DROP INDEX customers_lower_id_idx").await;
    }
}

#[tokio::test]
async fn an_order_that_an_index_serves_needs_no_note() {
    let mut shop = Shop::new().await;
    shop.run(MANY).await;
    let page = Some(pb::Page { size: 50, ..Default::default() });
    let query = pb::QueryExpression {
        orders: vec![order("id", true)],
        page,
        ..query("customers", &["id", "name"])
    };
    let explained = shop.explain(query, true).await.unwrap();
    assert_eq!(explained.notes, Vec::<String>::new(), "{}", explained.plan);
}
