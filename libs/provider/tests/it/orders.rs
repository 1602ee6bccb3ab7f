//! The platform's order: null first ascending, text without regard to case, options by value.

use proto::query::v1 as pb;

use crate::world::{World, column, select, things};

#[tokio::test]
async fn rows_sort_as_the_platform_sorts_them() {
    let mut world = World::new().await;
    world
        .run(
            "INSERT INTO things (id, code, name, mood, born) VALUES
             (1, '1', 'b', 'low', '2020-01-01'), (2, '2', 'A', 'high', DEFAULT),
             (3, '3', NULL, NULL, '2019-01-01'), (4, '4', 'B', 'mid', '2021-01-01'),
             (5, '5', '', 'low', '2020-01-01')",
        )
        .await;
    let cases: [(&str, bool, [&str; 5]); 6] = [
        ("name", false, ["3", "5", "2", "1", "4"]),
        ("name", true, ["1", "4", "2", "5", "3"]),
        ("mood", false, ["3", "2", "4", "1", "5"]),
        ("mood", true, ["1", "5", "4", "2", "3"]),
        ("born", false, ["2", "3", "1", "5", "4"]),
        ("$primary", true, ["5", "4", "3", "2", "1"]),
    ];
    for (name, descending, expected) in cases {
        let order = pb::OrderExpression { column: column(name), descending, ..Default::default() };
        let query = pb::QueryExpression { orders: vec![order], ..select(&["code"]) };
        let answer = world.query(things(), query).await.unwrap();
        let codes: Vec<&str> = answer.rows.iter().map(|it| it["code"].as_str().unwrap()).collect();
        assert_eq!(codes, expected, "{name} descending: {descending}");
    }
}
