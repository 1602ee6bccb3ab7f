//! However a query nests, each place where an entity's table is read has the caller's policy.

use proptest::prelude::*;
use proto::query::v1::JoinOperator as Join;

use super::*;

/// What a random tree is made of: numbers that say what comes next.
#[derive(Clone, Debug)]
struct Tree {
    join: usize,
    reference: usize,
    joined: Vec<Tree>,
    related: Vec<Tree>,
}

const JOINED: [Join; 3] = [Join::Inner, Join::LeftOuter, Join::MatchFirstRow];
const RELATED: [Join; 6] =
    [Join::In, Join::Exists, Join::Any, Join::NotAny, Join::All, Join::NotAll];

fn trees() -> impl Strategy<Value = Vec<Tree>> {
    let leaf = (0..18_usize, 0..6_usize).prop_map(|(join, reference)| Tree {
        join,
        reference,
        joined: Vec::new(),
        related: Vec::new(),
    });
    let tree = leaf.prop_recursive(4, 12, 2, |inner| {
        let inner = prop::collection::vec(inner, 0..3);
        (0..18_usize, 0..6_usize, inner.clone(), inner).prop_map(
            |(join, reference, joined, related)| Tree { join, reference, joined, related },
        )
    });
    prop::collection::vec(tree, 0..3)
}

fn lookup(name: &str, link: &str) -> Option<pb::ColumnRef> {
    let column = Some(pb::column_ref::Column::Relation(name.into()));
    Some(pb::ColumnRef { column, link: link.into() })
}

/// A condition on the link itself, on the root, or on where a lookup leads.
fn some_condition(reference: usize) -> pb::ConditionExpression {
    let guid = pb::Value { kind: Some(Value::GuidValue(vec![1; 16].into())) };
    let it = |name: &str| named(name).map(|it| pb::ColumnRef { link: "$it".into(), ..it });
    match reference {
        0 => condition("Name", Op::Equal, vec![text("x")]),
        1 => pb::ConditionExpression {
            compare_column: it("City"),
            ..condition("Name", Op::NotEqual, Vec::new())
        },
        2 => pb::ConditionExpression {
            column: lookup("Namesake", ""),
            ..condition("x", Op::NotEqual, vec![guid])
        },
        3 => pb::ConditionExpression {
            column: lookup("Anywhere", "$it"),
            ..condition("x", Op::Equal, vec![guid])
        },
        4 => pb::ConditionExpression {
            column: lookup("Anywhere", ""),
            compare_column: lookup("Namesake", "$it"),
            ..condition("x", Op::Equal, Vec::new())
        },
        _ => pb::ConditionExpression {
            column: lookup("Namesake", ""),
            ..condition("x", Op::Null, Vec::new())
        },
    }
}

fn link(tree: &Tree, is_joined: bool, number: &mut usize) -> pb::LinkEntity {
    *number += 1;
    let alias = format!("l{number}");
    let join = if is_joined { JOINED[tree.join % 3] } else { RELATED[tree.join % 6] };
    let parent = match tree.reference {
        0 | 1 => named("id"),
        2 | 3 => lookup("Namesake", ""),
        _ => lookup("Anywhere", ""),
    };
    let column = if tree.reference == 5 { lookup("Namesake", "") } else { named("id") };
    let filter = pb::FilterExpression {
        operator: (1 + (tree.join % 2) as i32),
        conditions: vec![some_condition(tree.reference)],
        links: tree.related.iter().map(|it| link(it, false, number)).collect(),
        ..Default::default()
    };
    pb::LinkEntity {
        alias,
        target: Some(pb::link_entity::Target::EntityName("Customers".into())),
        join: join.into(),
        on: vec![pb::JoinPair { column, parent, exact: tree.join.is_multiple_of(2) }],
        criteria: Some(filter),
        links: tree.joined.iter().map(|it| link(it, true, number)).collect(),
        ..Default::default()
    }
}

fn query(joined: &[Tree], related: &[Tree], kind: usize) -> pb::QueryExpression {
    let mut number = 0;
    let mut query = filtered(vec![some_condition(kind)]);
    query.links = joined.iter().map(|it| link(it, true, &mut number)).collect();
    let related = related.iter().map(|it| link(it, false, &mut number)).collect();
    query.criteria.as_mut().unwrap().links = related;
    for (name, at) in ["Namesake", "Anywhere"].iter().zip(0..) {
        let on = query.links.get(at).map_or("", |it| it.alias.as_str());
        let column = lookup(name, on);
        let key = format!("lookup{at}");
        query.columns.push(pb::OutputColumn { column, key, ..Default::default() });
    }
    match kind {
        1 => query.distinct = true,
        2 => query.columns.iter_mut().for_each(|it| it.group_by = true),
        3 => {
            let by = vec![lookup("Anywhere", "").unwrap()];
            query.partition_limit = Some(pb::PartitionLimit { by, limit: 3 });
        }
        4 => {
            query.orders =
                vec![pb::OrderExpression { column: lookup("Namesake", ""), ..Default::default() }]
        }
        _ => query.total_count = pb::TotalCount::Exact.into(),
    }
    query
}

/// Replaces what begins and ends so, with a number of an argument between, by a mark.
fn replaced(sql: &str, start: &str, end: &str, mark: &str) -> String {
    let mut out = String::new();
    let mut rest = sql;
    while let Some(at) = rest.find(start) {
        out.push_str(&rest[..at]);
        let digits = &rest[at + start.len()..];
        let stop = digits.find(end).unwrap();
        assert!(digits[..stop].bytes().all(|it| it.is_ascii_digit()));
        out.push_str(mark);
        rest = &digits[stop + end.len()..];
    }
    out + rest
}

/// Replaces every whole restriction to companies by a mark.
fn marked(sql: &str) -> String {
    let start = "\"cust\".\"dataareaid\" = ANY(ARRAY(SELECT upper(v) FROM unnest($";
    replaced(sql, start, "::text[]) AS v))", "POLICY")
}

/// Replaces every whole row policy, beside the restriction to companies, by a mark.
fn marked_rows(sql: &str) -> String {
    let companies = replaced(&marked(sql), "POLICY AND (cust.owner = $", "::text)", "ROWS");
    assert!(!companies.contains("POLICY"), "{sql}");
    companies.replace("ROWS", "POLICY")
}

/// From where a table is read to the end of its query level, without the levels within.
fn level(sql: &str) -> String {
    let mut level = String::new();
    let mut hidden: Option<usize> = None;
    let mut depth = 0_usize;
    for (at, character) in sql.char_indices() {
        match character {
            '(' => {
                depth += 1;
                if hidden.is_none() && sql[at..].starts_with("(SELECT") {
                    hidden = Some(depth);
                }
            }
            ')' if depth == 0 => return level,
            ')' => {
                if hidden == Some(depth) {
                    hidden = None;
                }
                depth -= 1;
            }
            it if hidden.is_none() => level.push(it),
            _ => {}
        }
    }
    level
}

/// Whether the policy must hold at this level: as a conjunct of its WHERE, whatever stands around.
fn is_guarded(level: &str) -> bool {
    let Some((_, filter)) = level.split_once(" WHERE ") else { return false };
    let (before, after) = filter.split_once("POLICY").unwrap_or((filter, ""));
    filter.contains("POLICY")
        && (before.is_empty() || before.ends_with(" AND "))
        && !after.starts_with(" OR ")
}

fn check(sql: &str, marked: &str) {
    const TABLE: &str = "\"erp\".\"custtable\" AS \"cust\"";
    let mut count = 0;
    for (at, _) in marked.match_indices(TABLE) {
        assert!(is_guarded(&level(&marked[at..])), "{sql}");
        count += 1;
    }
    assert!(count > 0);
}

proptest! {
    #[test]
    fn every_place_that_reads_an_entity_has_its_policy(
        joined in trees(),
        related in trees(),
        kind in 0..6_usize,
    ) {
        let grant = grant(Companies::Only(vec!["USMF".into()]));
        let query = query(&joined, &related, kind);
        match retrieve_multiple(&grant, &query, &[], &|_, _| None) {
            Ok(statement) => {
                names_its_arguments(&statement);
                check(&statement.sql, &marked(&statement.sql));
            }
            Err(Error::InvalidQuery(message)) => {
                prop_assert!(message.starts_with("at most"), "{message}");
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
        let owned = customers_with(&[(&[], "cust.owner = :user"), (&["Nobody"], "false")]);
        let companies = Companies::Only(vec!["USMF".into()]);
        let grant = Grant::read(&clerk(companies, &[]), owned).unwrap().into();
        if let Ok(statement) = retrieve_multiple(&grant, &query, &[], &|_, _| None) {
            check(&statement.sql, &marked_rows(&statement.sql));
        }
    }

    #[test]
    fn no_query_reads_a_hidden_field(
        joined in trees(),
        related in trees(),
        kind in 0..6_usize,
        hidden in prop::sample::select(vec!["Name", "City", "Limit", "Since", "Status"]),
        if_permitted: bool,
    ) {
        let caller = clerk(Companies::All, &[&hidden.to_lowercase()]);
        let grant = Grant::read(&caller, customers()).unwrap().into();
        let mut query = query(&joined, &related, kind);
        let columns = ["Name", "City", "Limit", "Since", "Status"].map(output);
        query.columns.extend(columns);
        query.columns.iter_mut().for_each(|it| it.if_permitted = if_permitted);
        let binding = customers();
        match retrieve_multiple(&grant, &query, &[], &|_, _| None) {
            Ok(statement) => {
                prop_assert!(if_permitted);
                let field = &binding.field(hidden).unwrap().sql;
                prop_assert!(!statement.sql.contains(field), "{}", statement.sql);
            }
            Err(Error::ColumnDenied { column, privilege, .. }) => {
                prop_assert_eq!((column.as_str(), privilege), (hidden, "read"));
            }
            Err(Error::InvalidQuery(_)) => {}
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
    }
}

#[test]
fn the_check_sees_what_is_missing() {
    let sql = "SELECT x FROM (SELECT y FROM \"erp\".\"custtable\" AS \"cust\" WHERE (a) OR \
               (\"cust\".\"dataareaid\" = ANY(ARRAY(SELECT upper(v) FROM unnest($1::text[]) AS \
               v)))) AS z";
    let level = level(&marked(sql)[sql.find("\"erp\"").unwrap()..]);
    assert!(!is_guarded(&level), "{level}");
    assert!(!is_guarded(" AS \"cust\" WHERE a AND b"));
    assert!(is_guarded(" AS \"cust\" WHERE a AND POLICY"));
}
