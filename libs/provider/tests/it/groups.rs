//! Groups, distinct rows and partitions, against rows that were computed by hand.

use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;
use proto::query::v1::{Aggregate, ConditionOperator as Op, DateGrouping, JoinOperator as Join};
use serde_json::{Value as Json, json};

use crate::shop::{Shop, all, at, link, on, order, output, query, text, when};

fn function(index: usize, path: &str, aggregate: Aggregate) -> pb::OutputColumn {
    pb::OutputColumn { aggregate: aggregate.into(), ..output(index, path) }
}

fn group(index: usize, path: &str) -> pb::OutputColumn {
    pb::OutputColumn { group_by: true, ..output(index, path) }
}

fn part(index: usize, path: &str, part: DateGrouping, zone: &str) -> pb::OutputColumn {
    let (date_grouping, time_zone) = (part.into(), zone.into());
    pb::OutputColumn { date_grouping, time_zone, ..group(index, path) }
}

fn grouped(entity: &str, columns: Vec<pb::OutputColumn>) -> pb::QueryExpression {
    pb::QueryExpression { columns, ..query(entity, &[]) }
}

fn by_output(key: &str, descending: bool) -> pb::OrderExpression {
    pb::OrderExpression { output: key.into(), descending, ..Default::default() }
}

#[tokio::test]
async fn fx_06_every_function_is_exact_and_knows_null() {
    let shop = Shop::new().await;
    let functions = grouped(
        "customers",
        vec![
            pb::OutputColumn { column: None, ..function(0, "id", Aggregate::Count) },
            function(1, "balance", Aggregate::CountColumn),
            function(2, "name", Aggregate::CountDistinct),
            function(3, "balance", Aggregate::Sum),
            function(4, "balance", Aggregate::Average),
            function(5, "since", Aggregate::Min),
            function(6, "name", Aggregate::Max),
            function(7, "name", Aggregate::Min),
            function(8, "mood", Aggregate::Max),
            function(9, "id", Aggregate::Sum),
            function(10, "@Group", Aggregate::CountDistinct),
        ],
    );
    let rows = shop.rows(&functions).await;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(row[..4], [json!(5), json!(4), json!(3), json!(25.5)]);
    assert_eq!(row[4], json!(6.375));
    assert_eq!(row[5], json!("2020-01-31T00:00:00Z"), "no date is no minimum");
    let names = ["Ärger", "ärger", "charly"];
    assert!(names.contains(&row[6].as_str().unwrap()), "{row:?}");
    assert_eq!(row[8], json!(3));
    assert_eq!((&row[9], &row[10]), (&json!(15), &json!(3)));

    let none = pb::QueryExpression {
        criteria: all(vec![when("id", Op::LessThan, vec![Value::Int64Value(0)])]),
        ..functions
    };
    let rows = shop.rows(&none).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0][..5], [json!(0), json!(0), json!(0), json!(null), json!(null)]);
    assert!(rows[0][5..9].iter().all(Json::is_null));
    let grouped = pb::QueryExpression {
        columns: vec![group(0, "company"), function(1, "id", Aggregate::Count)],
        ..none
    };
    assert_eq!(shop.rows(&grouped).await.len(), 0);
}

#[tokio::test]
async fn fx_06_groups_take_text_of_any_case_and_null_as_one() {
    let shop = Shop::new().await;
    let names = pb::QueryExpression {
        orders: vec![by_output("c01", true), order("name", false)],
        ..grouped("customers", vec![group(0, "name"), function(1, "id", Aggregate::Count)])
    };
    let rows = shop.rows(&names).await;
    assert_eq!(rows.iter().map(|it| it[1].as_i64().unwrap()).collect::<Vec<_>>(), [2, 1, 1, 1]);
    assert!(["Ärger", "ärger"].contains(&rows[0][0].as_str().unwrap()));
    assert_eq!(
        (&rows[1][0], &rows[2][0], &rows[3][0]),
        (&json!(null), &json!("Bravo"), &json!("charly"))
    );
    for size in 1..4 {
        assert_eq!(shop.walk(&names, size).await, rows, "pages of {size}");
    }
    let counted = pb::QueryExpression { total_count: pb::TotalCount::Exact.into(), ..names };
    let answer = shop.ask(&counted).await.unwrap();
    assert_eq!((answer.total, answer.rows.len()), (Some(4), 4));
    let page = Some(pb::Page::default());
    let answer = shop.ask(&pb::QueryExpression { page, ..counted }).await.unwrap();
    assert_eq!((answer.total, answer.rows.len()), (Some(4), 0));
}

#[tokio::test]
async fn fx_06_groups_go_over_links_and_lookups() {
    let shop = Shop::new().await;
    let titles = pb::QueryExpression {
        links: vec![pb::LinkEntity {
            links: vec![link("g", "groups", Join::LeftOuter, vec![on("$id", "@Group")])],
            ..link("c", "customers", Join::LeftOuter, vec![on("$id", "@Customer")])
        }],
        orders: vec![by_output("c01", true), by_output("c00", false)],
        ..grouped("orders", vec![group(0, "g.title"), function(1, "total", Aggregate::Sum)])
    };
    let rows = shop.rows(&titles).await;
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0][1], &rows[1]), (&json!(157), &vec![json!(null), json!(10)]));
    let lookups = pb::QueryExpression {
        orders: vec![order("@Customer", false)],
        ..grouped("orders", vec![group(0, "@Customer"), function(1, "id", Aggregate::Count)])
    };
    let rows = shop.rows(&lookups).await;
    let counts: Vec<_> = rows.iter().map(|it| it[1].as_i64().unwrap()).collect();
    assert_eq!(counts, [2, 2, 1, 1]);
    assert_eq!(rows[0][0], json!(null));
    assert_eq!(rows[1][0], json!("000007d3-0000-0000-0100-000000000000"));
}

#[tokio::test]
async fn fx_06_parts_of_dates_follow_the_time_zone_and_the_fiscal_year() {
    let shop = Shop::new().await;
    let parts = async |grouping, zone: &str| -> Vec<(Json, i64)> {
        let columns = vec![part(0, "placed", grouping, zone), function(1, "id", Aggregate::Count)];
        let query = pb::QueryExpression {
            orders: vec![by_output("c00", false)],
            fiscal_calendar: Some(pb::FiscalCalendar {
                start_month: 4,
                start_day: 1,
                period_type: pb::FiscalPeriodType::Quarterly.into(),
            }),
            ..grouped("orders", columns)
        };
        let rows = shop.rows(&query).await;
        assert_eq!(shop.walk(&query, 1).await, rows);
        rows.into_iter().map(|it| (it[0].clone(), it[1].as_i64().unwrap())).collect()
    };
    use DateGrouping as By;
    let null = || (json!(null), 1);
    assert_eq!(
        parts(By::Year, "").await,
        [null(), (json!(2022), 1), (json!(2023), 3), (json!(2024), 1)]
    );
    // In Oslo the last minutes of 2022 are those of the next year.
    assert_eq!(parts(By::Year, "Europe/Oslo").await, [null(), (json!(2023), 4), (json!(2024), 1)]);
    assert_eq!(
        parts(By::Month, "UTC").await,
        [null(), (json!(1), 1), (json!(2), 1), (json!(4), 1), (json!(6), 1), (json!(12), 1)]
    );
    assert_eq!(parts(By::Quarter, "Europe/Oslo").await.len(), 4);
    assert_eq!(
        parts(By::Day, "").await,
        [null(), (json!(1), 2), (json!(29), 1), (json!(30), 1), (json!(31), 1)]
    );
    assert_eq!(
        parts(By::Week, "").await,
        [null(), (json!(9), 1), (json!(13), 1), (json!(26), 1), (json!(52), 2)]
    );
    assert_eq!(
        parts(By::FiscalYear, "").await,
        [null(), (json!("FY2022"), 2), (json!("FY2023"), 3)]
    );
    assert_eq!(
        parts(By::FiscalPeriod, "").await,
        [
            null(),
            (json!("Quarter 3 FY2022"), 1),
            (json!("Quarter 4 FY2022"), 1),
            (json!("Quarter 1 FY2023"), 2),
            (json!("Quarter 4 FY2023"), 1),
        ]
    );
    let zone = part(0, "placed", By::Day, "No/Where");
    let error = shop.ask(&grouped("orders", vec![zone])).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn fx_03_conditions_take_parts_of_dates_ranges_and_patterns() {
    let shop = Shop::new().await;
    let placed = |grouping: DateGrouping, op, value| pb::ConditionExpression {
        date_part: grouping.into(),
        time_zone: "Europe/Oslo".into(),
        ..when("placed", op, vec![Value::Int64Value(value)])
    };
    let found = async |entity: &str, condition| -> Vec<i64> {
        let query = pb::QueryExpression {
            criteria: all(vec![condition]),
            fiscal_calendar: Some(pb::FiscalCalendar {
                start_month: 1,
                start_day: 15,
                period_type: pb::FiscalPeriodType::Monthly.into(),
            }),
            ..query(entity, &["id"])
        };
        shop.firsts(&query).await.iter().map(|it| it.as_i64().unwrap()).collect()
    };
    use DateGrouping as By;
    assert_eq!(found("orders", placed(By::Year, Op::Equal, 2023)).await, [10, 11, 12, 14]);
    assert_eq!(found("orders", placed(By::Month, Op::GreaterThan, 6)).await, [12]);
    assert_eq!(found("orders", placed(By::FiscalYear, Op::Equal, 2022)).await, [10, 14]);
    assert_eq!(found("orders", placed(By::FiscalPeriod, Op::Equal, 12)).await, [10, 14]);
    assert_eq!(
        found("orders", placed(By::Day, Op::NotEqual, 1)).await,
        [11, 12, 13, 14, 15]
            .into_iter()
            .filter(|it| ![11, 12, 14].contains(it))
            .collect::<Vec<_>>()
    );

    let number = |it: &str| Value::DecimalValue(it.into());
    let balance = |op| when("balance", op, vec![number("0"), number("10.5")]);
    assert_eq!(found("customers", balance(Op::Between)).await, [1, 5]);
    assert_eq!(found("customers", balance(Op::NotBetween)).await, [2, 3, 4]);
    let date = |it: &str| Value::DateValue(it.into());
    let since = |op| when("since", op, vec![date("1800-01-01"), date("2020-12-31")]);
    assert_eq!(found("customers", since(Op::Between)).await, [1]);
    assert_eq!(found("customers", since(Op::NotBetween)).await, [2, 3, 4, 5]);
    let like = |op, pattern| when("name", op, vec![text(pattern)]);
    assert_eq!(found("customers", like(Op::Like, "_RGER")).await, [1, 2]);
    assert_eq!(found("customers", like(Op::Like, "[a-c]%")).await, [4, 5]);
    assert_eq!(found("customers", like(Op::NotLike, "%R%")).await, [3]);
}

#[tokio::test]
async fn fx_06_more_source_rows_than_the_limit_are_an_error() {
    let shop = Shop::new().await;
    let count = |limit| pb::QueryExpression {
        aggregate_limit: limit,
        ..grouped("orders", vec![function(0, "id", Aggregate::Count)])
    };
    assert_eq!(shop.firsts(&count(6)).await, [6]);
    for total in [pb::TotalCount::Unspecified, pb::TotalCount::Exact] {
        for size in [0, 10] {
            let page = Some(pb::Page { size, ..Default::default() });
            let query = pb::QueryExpression { page, total_count: total.into(), ..count(5) };
            let answer = shop.ask(&query).await;
            if size > 0 || total == pb::TotalCount::Exact {
                let error = answer.unwrap_err();
                assert_eq!(error.code(), tonic::Code::FailedPrecondition, "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn fx_07_distinct_rows_differ_in_more_than_letter_case() {
    let shop = Shop::new().await;
    let distinct = |columns: &[&str], orders| pb::QueryExpression {
        distinct: true,
        orders,
        ..query("customers", columns)
    };
    let names = distinct(&["name"], vec![order("name", true)]);
    let rows = shop.firsts(&names).await;
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[3], json!(null));
    for size in 1..4 {
        let pages = shop.walk(&names, size).await.concat();
        assert_eq!(pages, rows, "pages of {size}");
    }
    let counted = pb::QueryExpression { total_count: pb::TotalCount::Exact.into(), ..names };
    assert_eq!(shop.ask(&counted).await.unwrap().total, Some(4));
    // A row for each order becomes one for each customer.
    let ordered = pb::QueryExpression {
        links: vec![link("o", "orders", Join::Inner, vec![on("company", "company")])],
        ..distinct(&["company", "$id", "$primary"], vec![order("company", true)])
    };
    let rows = shop.rows(&ordered).await;
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[0][2], json!("B1 | C1"));
    assert_eq!(shop.walk(&ordered, 2).await, rows);
    let linked = pb::QueryExpression {
        links: vec![link("o", "orders", Join::LeftOuter, vec![on("@Customer", "$id")])],
        ..distinct(&["o.company"], vec![])
    };
    assert_eq!(shop.firsts(&linked).await, [json!(null), json!("A1"), json!("B1")]);
    let unsorted = distinct(&["name"], vec![order("code", false)]);
    let error = shop.ask(&unsorted).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn api_10_each_partition_has_its_first_rows() {
    let shop = Shop::new().await;
    let partitioned = |limit| pb::QueryExpression {
        partition_limit: Some(pb::PartitionLimit { by: vec![at("company")], limit }),
        orders: vec![order("total", true)],
        ..query("orders", &["id", "company"])
    };
    assert_eq!(shop.firsts(&partitioned(1)).await, [10, 14]);
    assert_eq!(shop.firsts(&partitioned(2)).await, [10, 11, 14, 13]);
    assert_eq!(shop.walk(&partitioned(3), 2).await.len(), 5);
    let counted =
        pb::QueryExpression { total_count: pb::TotalCount::Limited.into(), ..partitioned(2) };
    let answer = shop.ask(&counted).await.unwrap();
    assert_eq!((answer.total, answer.rows.len()), (Some(4), 4));
}

#[tokio::test]
async fn api_13_pages_pass_over_rows_and_options_sort_by_label() {
    let shop = Shop::new().await;
    let by = |skip, by_label| pb::QueryExpression {
        orders: vec![pb::OrderExpression { by_label, ..order("mood", false) }],
        page: Some(pb::Page { size: 2, skip, ..Default::default() }),
        ..query("customers", &["id"])
    };
    assert_eq!(shop.firsts(&by(0, false)).await, [3, 1]);
    assert_eq!(shop.firsts(&by(3, false)).await, [4, 2]);
    assert_eq!(shop.firsts(&by(0, true)).await, [3, 2]);
    assert_eq!(shop.firsts(&by(2, true)).await, [4, 1]);
    assert_eq!(shop.firsts(&by(40, true)).await, Vec::<Json>::new());
}

#[tokio::test]
async fn exact_text_is_told_apart_by_letter_case() {
    let mut shop = Shop::new().await;
    shop.run("INSERT INTO areas VALUES (gen_random_uuid(), 'NORTH')").await;
    let names = |op, value| pb::QueryExpression {
        criteria: all(vec![when("name", op, vec![text(value)])]),
        ..query("exact_areas", &["name"])
    };
    assert_eq!(shop.firsts(&names(Op::Equal, "North")).await, ["North"]);
    assert_eq!(shop.firsts(&names(Op::In, "NORTH")).await, ["NORTH"]);
    assert_eq!(shop.firsts(&names(Op::BeginsWith, "No")).await, ["North"]);
    assert_eq!(shop.firsts(&names(Op::Like, "[A-N]O%")).await, ["NORTH"]);
    let distinct = pb::QueryExpression { distinct: true, ..query("exact_areas", &["name"]) };
    assert_eq!(shop.firsts(&distinct).await.len(), 3);
}
