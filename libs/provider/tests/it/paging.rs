//! Pages by key: together they are the whole, in order, whatever is sorted by.

use proto::query::v1 as pb;

use crate::world::{World, column, pairs, select, things};

const FILL: &str = "
    INSERT INTO things
    SELECT n, 'C' || n % 7, CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN 'Aa' WHEN 2 THEN 'aA'
        ELSE 'z' || n % 3 END,
        CASE WHEN n % 4 = 0 THEN NULL ELSE (n % 6)::numeric / 4 END,
        CASE WHEN n % 3 = 0 THEN DATE '1900-01-01' ELSE DATE '2020-01-01' + n % 4 END,
        CASE WHEN n % 6 = 0 THEN NULL ELSE TIMESTAMPTZ '2020-01-01' + (n % 5) * INTERVAL '1 us' END,
        n % 3, CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN true ELSE false END,
        CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN 'low' WHEN 2 THEN 'mid' ELSE 'high' END::mood,
        CASE WHEN n % 2 = 0 THEN NULL ELSE md5((n % 9)::text)::uuid END
    FROM generate_series(1, 120) AS n;
    INSERT INTO pairs SELECT chr(97 + n % 5) || CASE WHEN n % 2 = 0 THEN 'x' ELSE 'X' END, n
    FROM generate_series(1, 60) AS n;";

const COLUMNS: [&str; 9] =
    ["code", "name", "amount", "born", "seen", "small", "flag", "mood", "guid"];

async fn walk(world: &World, mut query: pb::QueryExpression, size: i32) -> Vec<String> {
    let mut ids = Vec::new();
    let mut after = Vec::new();
    loop {
        query.page = Some(pb::Page { size, after, ..Default::default() });
        let answer = world.query(things(), query.clone()).await.unwrap();
        ids.extend(answer.rows.iter().map(|it| it["$id"].as_str().unwrap().to_owned()));
        let end = answer.end.unwrap();
        if !end.more_rows {
            return ids;
        }
        assert_eq!(answer.rows.len() as i32, size);
        assert!(ids.len() < 10_000, "the pages do not end");
        after = end.last;
    }
}

#[tokio::test]
async fn pages_together_are_the_whole_in_order() {
    let mut world = World::new().await;
    world.run(FILL).await;
    for (at, first) in COLUMNS.iter().enumerate() {
        let second = COLUMNS[(at + 4) % COLUMNS.len()];
        for directions in [(false, false), (false, true), (true, false), (true, true)] {
            let order = |name: &str, descending| pb::OrderExpression {
                column: column(name),
                descending,
                ..Default::default()
            };
            let orders = vec![order(first, directions.0), order(second, directions.1)];
            let query = pb::QueryExpression { orders, ..select(&["$id"]) };
            let whole = walk(&world, query.clone(), 5_000).await;
            assert_eq!(whole.len(), 120);
            for size in [1, 7, 60] {
                let pages = walk(&world, query.clone(), size).await;
                assert_eq!(pages, whole, "{first}, {second} {directions:?} by {size}");
            }
        }
    }
}

#[tokio::test]
async fn the_count_is_of_all_rows_and_there_even_without_any() {
    let mut world = World::new().await;
    world.run(FILL).await;
    let query = |size, total: pb::TotalCount| pb::QueryExpression {
        page: Some(pb::Page { size, ..Default::default() }),
        total_count: total.into(),
        ..select(&["$id", "name"])
    };
    let answer = world.query(things(), query(7, pb::TotalCount::Limited)).await.unwrap();
    assert_eq!((answer.rows.len(), answer.total), (7, Some(120)));
    let answer = world.query(things(), query(0, pb::TotalCount::Exact)).await.unwrap();
    assert_eq!((answer.rows.len(), answer.total), (0, Some(120)));
    world.run("DELETE FROM things").await;
    let answer = world.query(things(), query(7, pb::TotalCount::Limited)).await.unwrap();
    assert_eq!((answer.rows.len(), answer.total), (0, Some(0)));
    assert!(!answer.end.unwrap().more_rows);
}

#[tokio::test]
async fn a_count_stops_at_five_thousand() {
    let mut world = World::new().await;
    world.run("INSERT INTO pairs SELECT 'a', n FROM generate_series(1, 5001) AS n").await;
    let query =
        pb::QueryExpression { total_count: pb::TotalCount::Limited.into(), ..select(&["b"]) };
    let answer = world.query(pairs(), query).await.unwrap();
    assert_eq!((answer.rows.len(), answer.total), (5_000, Some(5_000)));
    assert!(answer.end.unwrap().more_rows);
}

#[tokio::test]
async fn rows_of_a_composite_key_page_by_it() {
    let mut world = World::new().await;
    world.run(FILL).await;
    let mut seen = Vec::new();
    let mut after = Vec::new();
    loop {
        let page = pb::Page { size: 7, after, ..Default::default() };
        let query = pb::QueryExpression { page: Some(page), ..select(&["a", "b"]) };
        let answer = world.query(pairs(), query).await.unwrap();
        let key = |it: &serde_json::Value| {
            (it["a"].as_str().unwrap().to_owned(), it["b"].as_i64().unwrap())
        };
        seen.extend(answer.rows.iter().map(key));
        let end = answer.end.unwrap();
        if !end.more_rows {
            break;
        }
        after = end.last;
    }
    assert_eq!(seen.len(), 60);
    assert!(seen.is_sorted(), "{seen:?}");
}

#[tokio::test]
async fn pages_pass_values_that_no_calendar_and_no_decimal_has() {
    let mut world = World::new().await;
    world
        .run(
            "INSERT INTO things (id, code, born, seen, amount) VALUES
             (1, 'A', '-infinity', '-infinity', 'NaN'), (2, 'A', '0044-03-15 BC', '0044-03-15 BC', 1e40),
             (3, 'A', '0001-01-01', '0001-01-01', -0.5), (4, 'A', '2020-02-29', NULL, NULL),
             (5, 'A', '9999-12-31', '9999-12-31 23:59:59.999999', 'Infinity'),
             (6, 'A', '10000-01-01', '10000-01-01', '-Infinity'), (7, 'A', '300000-01-01', '294276-12-31', 7),
             (8, 'A', 'infinity', 'infinity', 'NaN'), (9, 'A', 'infinity', 'infinity', 0)",
        )
        .await;
    for name in ["born", "seen", "amount"] {
        for descending in [false, true] {
            let orders = vec![pb::OrderExpression {
                column: column(name),
                descending,
                ..Default::default()
            }];
            let query = pb::QueryExpression { orders, ..select(&["$id"]) };
            let whole = walk(&world, query.clone(), 5_000).await;
            assert_eq!(whole.len(), 9);
            assert_eq!(walk(&world, query, 1).await, whole, "{name} descending: {descending}");
        }
    }
}

#[tokio::test]
async fn a_column_named_twice_counts_once() {
    let mut world = World::new().await;
    world.run(FILL).await;
    let order = |name: &str, descending| pb::OrderExpression {
        column: column(name),
        descending,
        ..Default::default()
    };
    let once = vec![order("mood", true), order("code", false)];
    let often = vec![
        order("mood", true),
        order("mood", false),
        order("code", false),
        order("$primary", true),
        order("mood", true),
    ];
    let page = Some(pb::Page { size: 7, ..Default::default() });
    let query = |orders| pb::QueryExpression { orders, page: page.clone(), ..select(&["$id"]) };
    let first = world.query(things(), query(once)).await.unwrap();
    let second = world.query(things(), query(often)).await.unwrap();
    assert_eq!(first.rows, second.rows);
    assert_eq!(second.end.unwrap().last.len(), 3, "mood, code and the record id");
}

#[tokio::test]
async fn an_ordinary_index_serves_orders_with_nulls_and_changes_no_page() {
    let mut world = World::new().await;
    world.run(FILL).await;
    world
        .run("INSERT INTO things (id, code) SELECT n, 'X' FROM generate_series(900, 6000) n")
        .await;
    world
        .run("UPDATE things SET amount = id, name = 'n' || id, seen = '2020-01-01'::timestamp + id * '1 s'::interval
              WHERE id > 1000")
        .await;
    let mut cases = Vec::new();
    for name in ["amount", "name", "seen", "guid"] {
        for descending in [false, true] {
            let order = |name: &str, descending| pb::OrderExpression {
                column: column(name),
                descending,
                ..Default::default()
            };
            let orders = vec![order(name, descending), order("small", !descending)];
            let page = Some(pb::Page { size: 400, ..Default::default() });
            let query = pb::QueryExpression { orders, page, ..select(&["$id", name]) };
            cases.push((query.clone(), walk(&world, query, 5_000).await));
        }
    }
    world
        .run(
            "CREATE INDEX ON things (amount); CREATE INDEX ON things (lower(name));
             CREATE INDEX ON things (seen DESC); CREATE INDEX ON things (guid NULLS FIRST);
             ANALYZE things",
        )
        .await;
    for (query, whole) in cases {
        let name = query.columns[1].key.clone();
        let (statement, plan) = world.explain(things(), query.clone()).await;
        // An index with nulls where the platform has them serves the order as it is.
        assert_eq!(statement.contains("UNION ALL"), name != "guid", "{statement}");
        assert!(name == "guid" || !plan.contains("Seq Scan"), "{statement} {plan}");
        for size in [131, 1_000] {
            assert_eq!(walk(&world, query.clone(), size).await, whole, "{statement} by {size}");
        }
        let total_count = pb::TotalCount::Exact.into();
        let counted = pb::QueryExpression { total_count, ..query };
        let answer = world.query(things(), counted).await.unwrap();
        assert_eq!(answer.total, i64::try_from(whole.len()).ok());
        let ids: Vec<_> = answer.rows.iter().map(|it| it["$id"].clone()).collect();
        let first: Vec<_> = whole.iter().take(400).map(|it| serde_json::json!(it)).collect();
        assert_eq!(ids, first);
    }
}
