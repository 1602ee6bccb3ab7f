//! What links, lookups and groups look like.

use proto::query::v1::JoinOperator as Join;

use super::*;

/// A column of a link.
fn of(link: &str, name: &str) -> Option<pb::ColumnRef> {
    named(name).map(|it| pb::ColumnRef { link: link.into(), ..it })
}

fn customers_link(alias: &str, join: Join) -> pb::LinkEntity {
    pb::LinkEntity {
        alias: alias.into(),
        target: Some(pb::link_entity::Target::EntityName("Customers".into())),
        join: join.into(),
        on: vec![pb::JoinPair { column: named("Account"), parent: named("Name"), exact: false }],
        ..Default::default()
    }
}

/// The statement without its first and last part, which are those of every page.
fn check(query: &pb::QueryExpression, expected: &str) {
    let sql = sql(query);
    let (_, rest) = sql.split_once("\"cust\".\"party\" ").unwrap();
    let rest = rest.strip_suffix(" ORDER BY \"cust\".\"recid\" LIMIT $1").unwrap_or(rest);
    assert_eq!(rest, expected);
}

const TABLES: &str = "\"erp\".\"custtable\" AS \"cust\" JOIN \"erp\".\"party\" AS \"party\" ON \
                      \"party\".\"recid\" = \"cust\".\"party\"";

#[test]
fn fx_02_a_link_is_a_derived_table_that_exports_what_is_asked_of_it() {
    let join = |join| {
        let mut query = filtered(Vec::new());
        query.links = vec![customers_link("c", join)];
        query.columns.push(pb::OutputColumn {
            column: of("c", "City"),
            key: "city".into(),
            ..Default::default()
        });
        query.links[0].on[0].column = named("id");
        query.links[0].on[0].parent = Some(pb::ColumnRef {
            column: Some(pb::column_ref::Column::Relation("Namesake".into())),
            link: String::new(),
        });
        query
    };
    let city = "LEFT JOIN \"erp\".\"address\" AS \"address\" ON \"address\".\"party\" = \
                \"party\".\"recid\"";
    check(
        &join(Join::LeftOuter),
        &format!(
            "LEFT JOIN (SELECT \"cust\".\"recid\" AS c0, \"cust\".\"dataareaid\" AS c1, \
             \"cust\".\"account\" AS c2, \"address\".\"city\" AS c3 FROM {TABLES} {city}) AS \
             \"link 1\" ON (\"link 1\".c1 = \"cust\".\"dataareaid\") AND (\"link 1\".c2 = \
             \"party\".\"name\")"
        ),
    );
    check(
        &join(Join::MatchFirstRow),
        &format!(
            "CROSS JOIN LATERAL (SELECT \"cust\".\"dataareaid\" AS c0, \"party\".\"name\" AS c1) \
             AS \"row 0\" LEFT JOIN LATERAL (SELECT \"address\".\"city\" AS c0 FROM {TABLES} \
             {city} WHERE (\"cust\".\"dataareaid\" = \"row 0\".c0) AND (\"cust\".\"account\" = \
             \"row 0\".c1) ORDER BY \"cust\".\"recid\" LIMIT 1) AS \"link 1\" ON true"
        ),
    );
}

#[test]
fn fx_05_related_rows_are_a_subquery() {
    let mut query = filtered(Vec::new());
    query.criteria.as_mut().unwrap().links = vec![customers_link("c", Join::NotAny)];
    check(
        &query,
        &format!(
            "WHERE NOT EXISTS (SELECT 1 FROM (SELECT \"cust\".\"account\" AS c0 FROM {TABLES}) AS \
             \"link 1\" WHERE \"link 1\".c0 = upper(\"party\".\"name\"))"
        ),
    );
}

#[test]
fn fx_06_groups_are_made_of_a_bounded_source() {
    let mut query = filtered(Vec::new());
    query.columns[0].group_by = true;
    query.columns.push(pb::OutputColumn {
        aggregate: pb::Aggregate::Count.into(),
        key: "n".into(),
        ..Default::default()
    });
    assert_eq!(
        sql(&query),
        format!(
            "WITH source AS MATERIALIZED (SELECT \"cust\".\"account\" AS c0 FROM {TABLES} LIMIT \
             $1) SELECT r.c0, r.c1, (SELECT count(*) FROM source) FROM (SELECT s.c0 AS c0, \
             count(*) AS c1 FROM source AS s GROUP BY s.c0) AS r ORDER BY r.c0 LIMIT $2"
        )
    );
}

#[test]
fn links_and_conditions_have_a_bound() {
    let refused = |query: &pb::QueryExpression| {
        let error =
            retrieve_multiple(&grant(Companies::All), query, &[], &|_, _| None).unwrap_err();
        assert!(matches!(error, Error::InvalidQuery(_) | Error::Missing(_)), "{error:?}");
    };
    let links = (0..65).map(|it| customers_link(&format!("c{it}"), Join::Inner)).collect();
    refused(&pb::QueryExpression { links, ..filtered(Vec::new()) });
    let mut deep = customers_link("c0", Join::Inner);
    for number in 1..70 {
        deep = pb::LinkEntity {
            links: vec![deep],
            ..customers_link(&format!("c{number}"), Join::Inner)
        };
    }
    refused(&pb::QueryExpression { links: vec![deep], ..filtered(Vec::new()) });
    let twice = vec![customers_link("c", Join::Inner), customers_link("c", Join::Inner)];
    refused(&pb::QueryExpression { links: twice, ..filtered(Vec::new()) });
    refused(&pb::QueryExpression {
        links: vec![customers_link("", Join::Inner)],
        ..filtered(Vec::new())
    });
    refused(&filtered(vec![condition("Name", Op::Null, Vec::new()); 2_001]));
    let mut nested = output("Account");
    for _ in 0..100 {
        nested = pb::OutputColumn { members: vec![nested], ..output("Account") };
    }
    refused(&pb::QueryExpression { columns: vec![nested], ..filtered(Vec::new()) });
    for page in [
        pb::Page { size: 100_001, ..Default::default() },
        pb::Page { size: -1, ..Default::default() },
        pb::Page { size: 1, skip: 50_001, ..Default::default() },
        pb::Page { size: 1, skip: 1, after: vec![text("x")], ..Default::default() },
    ] {
        refused(&pb::QueryExpression { page: Some(page), ..filtered(Vec::new()) });
    }
}

#[test]
fn a_link_cannot_be_named_where_its_rows_are_not() {
    let check = |query: &pb::QueryExpression| {
        let error =
            retrieve_multiple(&grant(Companies::All), query, &[], &|_, _| None).unwrap_err();
        assert!(matches!(error, Error::InvalidQuery(_)), "{error:?}");
    };
    let names = |link: &str| {
        let column = of(link, "Account");
        let column = pb::ConditionExpression { column, ..condition("x", Op::Null, Vec::new()) };
        Some(pb::FilterExpression { conditions: vec![column], ..Default::default() })
    };
    // One that comes later, one that there is not, and one that is only asked whether it exists.
    let mut first = customers_link("a", Join::Inner);
    first.criteria = names("b");
    let links = vec![first, customers_link("b", Join::Inner)];
    check(&pb::QueryExpression { links, ..filtered(Vec::new()) });
    check(&pb::QueryExpression { criteria: names("nobody"), ..filtered(Vec::new()) });
    let mut criteria = names("c").unwrap();
    criteria.links = vec![customers_link("c", Join::Any)];
    check(&pb::QueryExpression { criteria: Some(criteria), ..filtered(Vec::new()) });
    let links = vec![customers_link("c", Join::Exists)];
    check(&pb::QueryExpression { links, criteria: names("c"), ..filtered(Vec::new()) });
}
