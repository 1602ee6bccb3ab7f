//! Trees in short notation, and generated ones.

use proptest::prelude::*;
use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column;
use proto::query::v1::value::Kind;

pub(crate) fn column(field: &str, link: &str) -> pb::ColumnRef {
    pb::ColumnRef { column: Some(Column::Field(field.to_owned())), link: link.to_owned() }
}

pub(crate) fn text(value: &str) -> pb::Value {
    pb::Value { kind: Some(Kind::StringValue(value.to_owned())) }
}

pub(crate) fn condition(
    (field, link): (&str, &str),
    operator: pb::ConditionOperator,
    values: &[&str],
) -> pb::ConditionExpression {
    pb::ConditionExpression {
        column: Some(column(field, link)),
        operator: operator.into(),
        values: values.iter().map(|it| text(it)).collect(),
        ..Default::default()
    }
}

pub(crate) fn output(field: &str, link: &str, key: &str) -> pb::OutputColumn {
    let column = Some(column(field, link));
    pb::OutputColumn { column, key: key.to_owned(), ..Default::default() }
}

pub(crate) fn order(field: &str, link: &str, descending: bool) -> pb::OrderExpression {
    pb::OrderExpression { column: Some(column(field, link)), descending, ..Default::default() }
}

pub(crate) fn link(
    (table, alias): (&str, &str),
    (from, to): (&str, &str),
    join: pb::JoinOperator,
) -> pb::LinkEntity {
    pb::LinkEntity {
        alias: alias.to_owned(),
        target: Some(pb::link_entity::Target::EntityName(table.to_owned())),
        join: join.into(),
        on: vec![pb::JoinPair {
            column: Some(column(from, "")),
            parent: Some(column(to, "")),
            exact: false,
        }],
        ..Default::default()
    }
}

pub(crate) fn and(conditions: Vec<pb::ConditionExpression>) -> pb::FilterExpression {
    pb::FilterExpression {
        operator: pb::FilterOperator::And.into(),
        conditions,
        ..Default::default()
    }
}

// === Generated trees, as the parser would make them ===

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,8}"
}

/// Anything that XML can hold.
fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", "[\t\n\r &<>'\"é€𝄞a-c%_]{0,8}"]
}

fn any_operator() -> impl Strategy<Value = pb::ConditionOperator> {
    let wordless = [pb::ConditionOperator::Contains, pb::ConditionOperator::NotContains];
    (1..=85i32)
        .prop_map(|it| pb::ConditionOperator::try_from(it).unwrap())
        .prop_filter("has no word of its own", move |it| !wordless.contains(it))
}

fn arity(operator: pb::ConditionOperator) -> std::ops::Range<usize> {
    use pb::ConditionOperator as Op;
    match operator {
        Op::In | Op::NotIn | Op::ContainValues | Op::DoesNotContainValues => 1..4,
        Op::Between
        | Op::NotBetween
        | Op::InFiscalPeriodAndYear
        | Op::InOrAfterFiscalPeriodAndYear
        | Op::InOrBeforeFiscalPeriodAndYear => 2..3,
        it => match it.as_str_name() {
            name if name.contains("_X_") => 1..2,
            name if name.ends_with("NULL")
                || name.contains("_USER")
                || name.contains("BUSINESS")
                || name.contains("SEVEN")
                || name.contains("DAY")
                || name.ends_with("YESTERDAY")
                || name.ends_with("TOMORROW")
                || ["LAST_", "THIS_", "NEXT_"]
                    .iter()
                    .any(|it| name.contains(&format!("OPERATOR_{it}"))) =>
            {
                0..1
            }
            _ => 1..2,
        },
    }
}

/// `links`: names that the condition may use besides its own row.
fn any_condition(links: Vec<String>) -> impl Strategy<Value = pb::ConditionExpression> {
    let link = || prop::sample::select([vec![String::new()], links.clone()].concat());
    let compared = (name(), link(), 1..=6i32, name(), link()).prop_map(
        |(field, link, operator, other, other_link)| pb::ConditionExpression {
            column: Some(column(&field, &link)),
            operator,
            compare_column: Some(column(&other, &other_link)),
            ..Default::default()
        },
    );
    let with_values = (name(), link(), any_operator()).prop_flat_map(|(field, link, operator)| {
        prop::collection::vec(value(), arity(operator)).prop_map(move |values| {
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            condition((&field, &link), operator, &values)
        })
    });
    prop_oneof![1 => compared, 4 => with_values]
}

/// Semi-joins that may stand in any filter; with a number in their aliases, given out later.
fn any_semi_join() -> impl Strategy<Value = pb::LinkEntity> {
    let criteria = prop::option::of(
        prop::collection::vec(any_condition(vec!["$it".to_owned()]), 1..3).prop_map(and),
    );
    (name(), name(), name(), 6..=9i32, criteria).prop_map(|(table, from, to, join, criteria)| {
        let join = pb::JoinOperator::try_from(join).unwrap();
        pb::LinkEntity { criteria, ..link((&table, "s"), (&from, &to), join) }
    })
}

fn any_filter(links: Vec<String>) -> impl Strategy<Value = pb::FilterExpression> {
    let leaf = (
        1..=2i32,
        prop::collection::vec(any_condition(links.clone()), 1..3),
        prop::collection::vec(any_semi_join(), 0..2),
    )
        .prop_map(|(operator, conditions, links)| pb::FilterExpression {
            operator,
            conditions,
            filters: Vec::new(),
            links,
        });
    leaf.prop_recursive(3, 8, 3, move |inner| {
        (
            1..=2i32,
            prop::collection::vec(any_condition(links.clone()), 0..2),
            prop::collection::vec(inner, 1..3),
        )
            .prop_map(|(operator, conditions, filters)| pb::FilterExpression {
                operator,
                conditions,
                filters,
                links: Vec::new(),
            })
    })
}

/// Criteria of a root or a link, with semi-joins beside the filter.
fn any_criteria(links: Vec<String>) -> impl Strategy<Value = Option<pb::FilterExpression>> {
    let beside = prop::collection::vec(
        (any_semi_join(), 4..=5i32).prop_map(|(link, join)| pb::LinkEntity { join, ..link }),
        0..2,
    );
    (prop::option::of(any_filter(links)), beside).prop_map(|(filter, beside)| {
        let and_filter = |filter: &pb::FilterExpression| {
            filter.operator() == pb::FilterOperator::And || beside.is_empty()
        };
        match filter {
            None if beside.is_empty() => None,
            None => Some(pb::FilterExpression { links: beside, ..and(Vec::new()) }),
            Some(mut it) if and_filter(&it) => {
                it.links.extend(beside);
                Some(it)
            }
            Some(it) => {
                Some(pb::FilterExpression { filters: vec![it], links: beside, ..and(Vec::new()) })
            }
        }
    })
}

fn any_page() -> impl Strategy<Value = (Option<pb::Page>, i32, i32)> {
    prop_oneof![
        Just((None, 0, 0)),
        Just((None, 0, 1)),
        (1..=5_000i32).prop_map(|top| (None, top, 0)),
        (0..=5_000i32, 1..100i32, value(), 0..=1i32).prop_map(|(size, number, cookie, total)| {
            let cookie = cookie.trim().to_owned();
            (Some(pb::Page { size, number, cookie, ..Default::default() }), 0, total)
        }),
    ]
}

/// Joined links: a chain of two and one beside it, each with its own filter.
fn any_links() -> impl Strategy<Value = Vec<pb::LinkEntity>> {
    let one = |alias: &'static str| {
        let others: Vec<String> = ["$it", "l0", "l1", "l2"]
            .into_iter()
            .filter(|it| *it != alias)
            .map(str::to_owned)
            .collect();
        (name(), name(), name(), 1..=3i32, any_criteria(others), any::<(bool, bool)>()).prop_map(
            move |(table, from, to, join, criteria, (all_columns, intersect))| {
                let join = pb::JoinOperator::try_from(join).unwrap();
                let link = link((&table, alias), (&from, &to), join);
                pb::LinkEntity { criteria, all_columns, intersect, ..link }
            },
        )
    };
    (one("l0"), one("l1"), one("l2")).prop_map(|(mut first, nested, second)| {
        first.links.push(nested);
        vec![first, second]
    })
}

fn link_names() -> Vec<String> {
    ["l0", "l1", "l2"].map(str::to_owned).to_vec()
}

fn any_columns() -> impl Strategy<Value = Vec<pb::OutputColumn>> {
    let link = prop::sample::select(vec!["", "l0", "l1", "l2"]);
    let names = prop::collection::btree_set((link, name(), any::<bool>()), 1..8);
    names.prop_map(|names| {
        let place = |it: &str| ["", "l0", "l1", "l2"].iter().position(|at| *at == it);
        let columns = names.iter().enumerate();
        let columns = columns.map(|(at, (link, field, named))| {
            let key = if *named { format!("k{at}") } else { String::new() };
            output(field, link, &key)
        });
        let mut columns: Vec<_> = columns.collect();
        columns.sort_by_key(|it| place(&it.column.as_ref().unwrap().link));
        columns
    })
}

fn any_aggregates() -> impl Strategy<Value = Vec<pb::OutputColumn>> {
    let one =
        (name(), 0..=7i32, 0..=7i32, any::<bool>()).prop_map(|(field, aggregate, part, utc)| {
            let mut column = output(&field, "", "");
            column.aggregate = aggregate;
            if aggregate == 0 {
                column.group_by = true;
                column.date_grouping = part;
                column.time_zone = if utc && part != 0 { "UTC".to_owned() } else { String::new() };
            }
            column
        });
    prop::collection::vec(one, 1..5).prop_map(|mut columns| {
        columns.iter_mut().enumerate().for_each(|(at, it)| it.key = format!("k{at}"));
        columns
    })
}

fn any_orders() -> impl Strategy<Value = Vec<pb::OrderExpression>> {
    let link = prop::sample::select(vec!["", "l0", "l1", "l2"]);
    let one = (name(), link, any::<bool>())
        .prop_map(|(field, link, descending)| order(&field, link, descending));
    prop::collection::vec(one, 0..3)
}

/// A query as a document would have it: normalized, within the limits.
pub(crate) fn any_query() -> impl Strategy<Value = pb::QueryExpression> {
    let parts = (any_criteria(link_names()), any_page(), any_links(), any::<(bool, bool, bool)>());
    let rows = (any_columns(), any_orders());
    let plain = (parts, rows).prop_map(|(parts, (columns, orders))| {
        let (criteria, (page, top_count, total_count), links, (distinct, all, raw)) = parts;
        pb::QueryExpression {
            entity_name: "account".to_owned(),
            columns,
            orders,
            criteria,
            page,
            top_count,
            total_count,
            links,
            distinct,
            all_columns: all,
            raw_order_by: raw,
            ..Default::default()
        }
    });
    let aggregate = (any_aggregates(), any_criteria(Vec::new()), 0..=50_000i32, any::<bool>());
    let aggregate = aggregate.prop_map(|(columns, criteria, aggregate_limit, descending)| {
        let output = columns.first().map(|it| it.key.clone()).unwrap_or_default();
        let by_first = pb::OrderExpression { output, descending, ..Default::default() };
        pb::QueryExpression {
            entity_name: "account".to_owned(),
            columns,
            criteria,
            aggregate_limit,
            orders: vec![by_first],
            ..Default::default()
        }
    });
    prop_oneof![3 => plain, 1 => aggregate].prop_map(number_semi_joins).prop_filter(
        "has too many links",
        |it| {
            fetchxml::print(it)
                .map_or(true, |it| it.matches("<link-entity").count() <= fetchxml::MAX_LINKS)
        },
    )
}

/// Aliases are unique in the whole query.
fn number_semi_joins(mut query: pb::QueryExpression) -> pb::QueryExpression {
    fn of_filter(filter: &mut pb::FilterExpression, next: &mut usize) {
        filter.filters.iter_mut().for_each(|it| of_filter(it, next));
        for link in &mut filter.links {
            link.alias = format!("s{next}");
            *next += 1;
        }
    }
    fn of_links(links: &mut [pb::LinkEntity], next: &mut usize) {
        for link in links {
            link.criteria.iter_mut().for_each(|it| of_filter(it, next));
            of_links(&mut link.links, next);
        }
    }
    let mut next = 0;
    query.criteria.iter_mut().for_each(|it| of_filter(it, &mut next));
    of_links(&mut query.links, &mut next);
    query
}
