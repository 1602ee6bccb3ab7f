//! How rows are written: nested objects, nulls, numbers, texts for people, and what stands beside.

use proto::query::v1 as pb;
use proto::query::v1::column_values::Values;
use proto::query::v1::{Aggregate, JoinOperator, RowFormat};
use rpc::ErrorReason;
use tonic_types::StatusExt as _;

use crate::shop::{Shop, at, link, on, order, query};

fn output(path: &str) -> pb::OutputColumn {
    pb::OutputColumn { column: Some(at(path)), key: path.into(), ..Default::default() }
}

fn shown(path: &str, time_zone: &str) -> pb::OutputColumn {
    let (formatted_key, time_zone) = (format!("{path}@label"), time_zone.into());
    pb::OutputColumn { formatted_key, time_zone, ..output(path) }
}

/// Orders by id.
fn orders(columns: Vec<pb::OutputColumn>) -> pb::QueryExpression {
    pb::QueryExpression { columns, orders: vec![order("id", false)], ..query("orders", &[]) }
}

async fn json(shop: &Shop, query: pb::QueryExpression) -> Vec<String> {
    let batch = shop.batch(query, RowFormat::Json, vec![at("id")]).await.unwrap();
    rows_of(&batch)
}

/// The rows' texts, cut where the ends say.
fn rows_of(batch: &pb::RowBatch) -> Vec<String> {
    let Some(pb::row_batch::Rows::Json(json)) = &batch.rows else { panic!("no JSON") };
    let mut start = 0;
    let mut rows = Vec::new();
    for &end in &batch.row_ends {
        let end = usize::try_from(end).unwrap();
        rows.push(std::str::from_utf8(&json[start..end]).unwrap().to_owned());
        start = end + 1;
    }
    assert_eq!(start, json.len() + 1, "the last row ends where the text ends");
    rows
}

#[tokio::test]
async fn related_rows_are_objects_or_null() {
    let shop = Shop::new().await;
    let customer = link(
        "c",
        "customers",
        JoinOperator::LeftOuter,
        vec![on("c.company", "company"), on("c.code", "customer_code")],
    );
    let area = pb::OutputColumn {
        key: "nothing".into(),
        members: vec![output("c.name")],
        ..output("c.parent")
    };
    let nested = pb::OutputColumn {
        key: "customer".into(),
        members: vec![output("c.code"), area],
        static_members: vec![pb::StaticMember { key: "kind".into(), value: "c".into() }],
        ..output("c.$id")
    };
    let query = pb::QueryExpression { links: vec![customer], ..orders(vec![output("id"), nested]) };
    let rows = json(&shop, query).await;
    assert_eq!(rows[0], r#"{"id":10,"customer":{"c.code":"C1","nothing":null},"kind":"c"}"#);
    assert_eq!(
        rows[2],
        r#"{"id":12,"customer":{"c.code":"C2","nothing":{"c.name":"ärger"}},"kind":"c"}"#
    );
    assert_eq!(rows[4], r#"{"id":14,"customer":null}"#);
}

#[tokio::test]
async fn nulls_are_left_out_where_asked() {
    let shop = Shop::new().await;
    let omitted = |path| pb::OutputColumn { omit_null: true, ..output(path) };
    let rows = json(&shop, orders(vec![omitted("total"), output("pieces"), omitted("guid")])).await;
    assert_eq!(rows[2], r#"{"pieces":null,"guid":"000007d4-0000-0000-0200-000000000000"}"#);
    assert_eq!(rows[3], r#"{"total":7,"pieces":3}"#);
    let all_null = json(&shop, orders(vec![omitted("total")])).await;
    assert_eq!(all_null[2], "{}");
}

#[tokio::test]
async fn numbers_are_strings_where_asked() {
    let mut shop = Shop::new().await;
    shop.run(
        "UPDATE orders SET total = 12345678901234567890.50, id = 9007199254740993 WHERE id = 15",
    )
    .await;
    let quoted = |path| pb::OutputColumn { number_as_string: true, ..shown(path, "") };
    let rows = json(&shop, orders(vec![quoted("id"), quoted("total"), quoted("company")])).await;
    assert_eq!(
        rows.last().unwrap(),
        "{\"id\":\"9007199254740993\",\"id@label\":\"9,007,199,254,740,993\",\
         \"total\":\"12345678901234567890.5\",\
         \"total@label\":\"12,345,678,901,234,567,890.50\",\
         \"company\":\"A1\",\"company@label\":\"A1\"}"
    );
}

#[tokio::test]
async fn moments_are_shown_in_a_time_zone_and_written_in_utc() {
    let shop = Shop::new().await;
    let expected = [
        ("", "6/30/2023 11:30 PM"),
        ("Europe/Berlin", "7/1/2023 1:30 AM"),
        ("America/New_York", "6/30/2023 7:30 PM"),
    ];
    for (zone, label) in expected {
        let rows = json(&shop, orders(vec![shown("placed", zone)])).await;
        let written = "{\"placed\":\"2023-06-30T23:30:00Z\",\"placed@label\":";
        assert_eq!(rows[2], format!("{written}\"{label}\"}}"), "{zone}");
    }
    let unknown = orders(vec![shown("placed", "Middle/Earth")]);
    let error = shop.batch(unknown, RowFormat::Json, Vec::new()).await.unwrap_err();
    assert_eq!(rpc::reason(&error), Some(ErrorReason::InvalidQuery));
}

#[tokio::test]
async fn keys_stand_beside_rows_of_either_format() {
    let shop = Shop::new().await;
    let keys = || vec![at("id"), at("total"), at("customer_code")];
    for format in [RowFormat::Json, RowFormat::Columns] {
        let batch = shop.batch(orders(vec![output("pieces")]), format, keys()).await.unwrap();
        assert_eq!(batch.row_count, 6);
        let ends = if format == RowFormat::Json { 6 } else { 0 };
        assert_eq!(batch.row_ends.len(), ends);
        let [ids, totals, codes] = &batch.keys.unwrap().columns[..] else { panic!() };
        let Some(Values::Ints(ints)) = &ids.values else { panic!() };
        assert_eq!(ints.values, [10, 11, 12, 13, 14, 15]);
        let Some(Values::Decimals(decimals)) = &totals.values else { panic!() };
        assert_eq!((decimals.values[1].as_str(), totals.nulls.as_slice()), ("50", &[2][..]));
        let Some(Values::Strings(texts)) = &codes.values else { panic!() };
        assert_eq!(texts.values[5], "c1");
    }
    let without =
        shop.batch(orders(vec![output("id")]), RowFormat::Json, Vec::new()).await.unwrap();
    assert_eq!((without.row_ends.len(), without.keys), (0, None));
}

#[tokio::test]
async fn columns_have_labels_where_asked() {
    let shop = Shop::new().await;
    let columns = vec![shown("total", ""), shown("placed", "Europe/Berlin"), output("id")];
    let batch = shop.batch(orders(columns), RowFormat::Columns, Vec::new()).await.unwrap();
    let Some(pb::row_batch::Rows::Columns(batch)) = batch.rows else { panic!() };
    let [totals, moments, ids] = &batch.columns[..] else { panic!() };
    let labels = &totals.labels.as_ref().unwrap().values;
    assert_eq!(labels, &["100.00", "50.00", "", "7.00", "9.00", "1.00"]);
    assert_eq!(moments.labels.as_ref().unwrap().values[1], "4/1/2023 2:00 PM");
    assert_eq!(moments.labels.as_ref().unwrap().values[3], "");
    assert_eq!(ids.labels, None);
}

#[tokio::test]
async fn an_aggregate_beyond_its_limit_is_refused_and_not_wrong() {
    let shop = Shop::new().await;
    let count = |aggregate_limit| pb::QueryExpression {
        columns: vec![pb::OutputColumn {
            key: "n".into(),
            aggregate: Aggregate::Count.into(),
            ..Default::default()
        }],
        aggregate_limit,
        ..query("orders", &[])
    };
    let within = shop.batch(count(6), RowFormat::Json, Vec::new()).await.unwrap();
    assert_eq!(within.rows, Some(pb::row_batch::Rows::Json("{\"n\":6}".into())));
    let error = shop.batch(count(5), RowFormat::Json, Vec::new()).await.unwrap_err();
    assert_eq!(rpc::reason(&error), Some(ErrorReason::LimitExceeded));
    let metadata = error.get_details_error_info().unwrap().metadata;
    assert_eq!(metadata["limit"], "aggregate_query_record");
    assert_eq!((metadata["allowed"].as_str(), metadata["actual"].as_str()), ("5", "6"));
}

#[tokio::test]
async fn sums_and_averages_keep_every_digit() {
    let mut shop = Shop::new().await;
    shop.run("UPDATE orders SET pieces = 2147483647, total = 0.1 WHERE true").await;
    let of = |key: &str, path: &str, it: Aggregate| pb::OutputColumn {
        key: key.into(),
        aggregate: it.into(),
        ..output(path)
    };
    let columns = vec![
        of("a", "pieces", Aggregate::Sum),
        of("b", "total", Aggregate::Sum),
        of("c", "pieces", Aggregate::Average),
    ];
    let query = pb::QueryExpression { columns, ..query("orders", &[]) };
    let batch = shop.batch(query.clone(), RowFormat::Json, Vec::new()).await.unwrap();
    let expected = "{\"a\":12884901882,\"b\":0.6,\"c\":2147483647}";
    assert_eq!(batch.rows, Some(pb::row_batch::Rows::Json(expected.into())));
    shop.run(
        "ALTER TABLE orders ALTER pieces TYPE bigint;
         UPDATE orders SET pieces = 9223372036854775807 WHERE true",
    )
    .await;
    let batch = shop.batch(query, RowFormat::Json, Vec::new()).await.unwrap();
    let expected = "{\"a\":55340232221128654842,\"b\":0.6,\"c\":9223372036854775807}";
    assert_eq!(batch.rows, Some(pb::row_batch::Rows::Json(expected.into())));
}

#[tokio::test]
async fn years_are_shown_without_a_comma() {
    let shop = Shop::new().await;
    let year = pb::OutputColumn {
        group_by: true,
        date_grouping: pb::DateGrouping::Year.into(),
        ..shown("placed", "")
    };
    let columns =
        vec![year, pb::OutputColumn { aggregate: Aggregate::Sum.into(), ..shown("id", "") }];
    let query = pb::QueryExpression {
        columns,
        orders: vec![pb::OrderExpression { output: "placed".into(), ..Default::default() }],
        ..query("orders", &[])
    };
    let batch = shop.batch(query, RowFormat::Json, Vec::new()).await.unwrap();
    let Some(pb::row_batch::Rows::Json(json)) = batch.rows else { panic!() };
    let expected = "{\"placed\":null,\"id\":13,\"id@label\":\"13\"},\
                    {\"placed\":2022,\"placed@label\":\"2022\",\"id\":14,\"id@label\":\"14\"},";
    assert!(json.starts_with(expected.as_bytes()), "{json:?}");
}
