//! What statements look like, as text: a change of any of these is a change of what the database is
//! asked.

use std::sync::Arc;

use proto::catalog::v1 as catalog;
use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;
use proto::query::v1::{ConditionOperator as Op, SystemColumn as System};
use proto::user_context::v1::{EntityGrant, Operation, RoleGrants};
use rpc::{Caller, Companies, Identity, Principal, RoleDefinitions};

use super::*;
use crate::grant::Grant;

mod links;
mod policy;
mod rights;

fn column(alias: &str, column: &str) -> Option<catalog::data_field::Source> {
    let path = catalog::ColumnPath { alias: alias.into(), column: column.into() };
    Some(catalog::data_field::Source::Column(path))
}

fn field(name: &str, alias: &str, r#type: catalog::FieldType) -> catalog::DataField {
    catalog::DataField {
        name: name.into(),
        source: column(alias, &name.to_lowercase()),
        r#type: r#type.into(),
        ..Default::default()
    }
}

/// Customers: a root, an inner and an optional join, a company and a null date.
fn customers() -> Arc<Binding> {
    customers_with(&[])
}

/// The same, with policies: roles and predicate.
fn customers_with(policies: &[(&[&str], &str)]) -> Arc<Binding> {
    let path = |alias: &str, column: &str| catalog::ColumnPath {
        alias: alias.into(),
        column: column.into(),
    };
    let source = |alias: &str, table: &str, join| catalog::DataSource {
        alias: alias.into(),
        schema: "erp".into(),
        table: table.into(),
        join,
        is_view: false,
    };
    let join = |optional, column: &str, other| catalog::DataSourceJoin {
        optional,
        columns: vec![catalog::JoinColumn { column: column.into(), other: Some(other) }],
    };
    let upper = catalog::Casing::Upper.into();
    let company = catalog::DataField {
        name: "dataAreaId".into(),
        casing: upper,
        ..field("dataareaid", "cust", catalog::FieldType::String)
    };
    let account = catalog::DataField {
        casing: upper,
        ..field("Account", "cust", catalog::FieldType::String)
    };
    let status = catalog::DataField {
        members: vec![member("Open", "open", 200_000_000), member("Closed", "closed", 200_000_001)],
        ..field("Status", "cust", catalog::FieldType::Enum)
    };
    let city = catalog::DataField {
        nullable: true,
        ..field("City", "address", catalog::FieldType::String)
    };
    let entity = catalog::DataEntity {
        name: "Customers".into(),
        entity_id: 7,
        sources: vec![
            source("cust", "custtable", None),
            source("party", "party", Some(join(false, "recid", path("cust", "party")))),
            source("address", "address", Some(join(true, "party", path("party", "recid")))),
        ],
        record_identity: Some(catalog::RecordIdentity {
            kind: catalog::RecordIdentityKind::Integer.into(),
            columns: vec!["recid".into()],
        }),
        fields: vec![
            company,
            account,
            field("Name", "party", catalog::FieldType::String),
            city,
            field("Limit", "cust", catalog::FieldType::Decimal),
            field("Since", "cust", catalog::FieldType::Date),
            status,
        ],
        key: vec!["dataAreaId".into(), "Account".into()],
        company_field: "dataAreaId".into(),
        null_date: "1900-01-01".into(),
        relations: vec![
            relation("Namesake", &[("dataAreaId", "dataAreaId"), ("Name", "Account")]),
            relation("Anywhere", &[("City", "Account")]),
        ],
        row_policies: policies.iter().map(policy).collect(),
        ..catalog::DataEntity::default()
    };
    Arc::new(Binding::try_from(entity).unwrap())
}

fn policy((roles, predicate): &(&[&str], &str)) -> catalog::RowPolicy {
    catalog::RowPolicy {
        name: "P".into(),
        roles: roles.iter().map(|it| (*it).to_owned()).collect(),
        predicate: (*predicate).into(),
    }
}

/// To the entity itself.
fn relation(name: &str, pairs: &[(&str, &str)]) -> catalog::EntityRelation {
    let pair = |(field, related): &(&str, &str)| catalog::EntityRelationPair {
        field: (*field).into(),
        related: (*related).into(),
    };
    let pairs = pairs.iter().map(pair).collect();
    catalog::EntityRelation { name: name.into(), entity: "Customers".into(), pairs }
}

fn member(symbol: &str, stored: &str, option_value: i32) -> catalog::EnumMember {
    catalog::EnumMember {
        symbol: symbol.into(),
        label: symbol.into(),
        option_value,
        stored: Some(catalog::enum_member::Stored::StoredText(stored.into())),
    }
}

fn grant(companies: Companies) -> Grants<'static> {
    Grant::read(&clerk(companies, &[]), customers()).unwrap().into()
}

/// Somebody who may read customers, but not these fields of theirs.
fn clerk(companies: Companies, hidden: &[&str]) -> Caller {
    let clerk = Principal {
        system_user_id: uuid::Uuid::nil(),
        name: "clerk".into(),
        erp_user: "clerk".into(),
        roles: vec!["Clerk".into()],
        companies,
        contact: None,
    };
    let grant = EntityGrant {
        entities: vec!["Customers".into()],
        operations: vec![Operation::Read.into()],
        hidden_fields: hidden.iter().map(|it| (*it).to_owned()).collect(),
        ..Default::default()
    };
    let role = RoleGrants { role: "Clerk".into(), grants: vec![grant] };
    Identity::of(clerk).into_caller(&RoleDefinitions::new(&[role]))
}

fn named(name: &str) -> Option<pb::ColumnRef> {
    let column = match name {
        "id" => pb::column_ref::Column::System(System::RecordId.into()),
        "version" => pb::column_ref::Column::System(System::RowVersion.into()),
        "primary" => pb::column_ref::Column::System(System::PrimaryField.into()),
        name => pb::column_ref::Column::Field(name.into()),
    };
    Some(pb::ColumnRef { column: Some(column), link: String::new() })
}

fn output(name: &str) -> pb::OutputColumn {
    pb::OutputColumn { column: named(name), key: name.into(), ..Default::default() }
}

fn text(it: &str) -> pb::Value {
    pb::Value { kind: Some(Value::StringValue(it.into())) }
}

fn condition(name: &str, operator: Op, values: Vec<pb::Value>) -> pb::ConditionExpression {
    pb::ConditionExpression {
        column: named(name),
        operator: operator.into(),
        values,
        ..Default::default()
    }
}

fn filtered(conditions: Vec<pb::ConditionExpression>) -> pb::QueryExpression {
    pb::QueryExpression {
        entity_name: "Customers".into(),
        columns: vec![output("Account")],
        criteria: Some(pb::FilterExpression {
            operator: pb::FilterOperator::And.into(),
            conditions,
            ..Default::default()
        }),
        page: Some(pb::Page { size: 10, ..Default::default() }),
        ..Default::default()
    }
}

fn sql(query: &pb::QueryExpression) -> String {
    retrieve_multiple(&grant(Companies::All), query, &[], &|_, _| None).unwrap().sql
}

/// The WHERE clause that a condition becomes.
fn check(condition: pb::ConditionExpression, expected: &str) {
    let sql = sql(&filtered(vec![condition]));
    let (_, rest) = sql.split_once(" WHERE ").unwrap();
    assert_eq!(rest.split_once(" ORDER BY ").unwrap().0, expected);
}

#[test]
fn a_page_is_one_statement_that_asks_for_one_row_more() {
    let sql = sql(&filtered(Vec::new()));
    assert_eq!(
        sql,
        "SELECT \"cust\".\"account\", \"cust\".\"recid\" FROM \"erp\".\"custtable\" AS \"cust\" \
         JOIN \"erp\".\"party\" AS \"party\" ON \"party\".\"recid\" = \"cust\".\"party\" \
         ORDER BY \"cust\".\"recid\" LIMIT $1"
    );
}

#[test]
fn an_optional_join_is_there_only_when_it_is_needed() {
    let joined = sql(&filtered(vec![condition("City", Op::Null, Vec::new())]));
    assert!(joined.contains("LEFT JOIN \"erp\".\"address\""), "{joined}");
    assert!(!sql(&filtered(Vec::new())).contains("LEFT JOIN"));
}

#[test]
fn conditions_become_predicates() {
    check(
        condition("Account", Op::Equal, vec![text("us-1")]),
        "\"cust\".\"account\" = upper($1::text)",
    );
    check(
        condition("Name", Op::Equal, vec![text("Adventure")]),
        "lower(\"party\".\"name\") = lower($1::text)",
    );
    check(
        condition("Name", Op::Equal, vec![text("4711")]),
        "\"party\".\"name\" = $1::text AND lower(\"party\".\"name\") = $1::text",
    );
    check(
        condition("City", Op::NotEqual, vec![text("Oslo")]),
        "(lower(\"address\".\"city\") = lower($1::text)) IS NOT TRUE",
    );
    check(
        condition("Name", Op::Contains, vec![text("50%")]),
        "lower(\"party\".\"name\") LIKE lower($1::text)",
    );
    check(condition("Since", Op::Null, Vec::new()), "\"cust\".\"since\" = DATE '1900-01-01'");
    check(
        condition(
            "Since",
            Op::LessThan,
            vec![pb::Value { kind: Some(Value::DateValue("2020-02-29".into())) }],
        ),
        "\"cust\".\"since\" < $1::date AND \"cust\".\"since\" <> DATE '1900-01-01'",
    );
    check(
        condition("Status", Op::In, vec![text("Open"), text("Closed")]),
        "\"cust\".\"status\" = ANY($1::text[])",
    );
    check(condition("Status", Op::Equal, vec![text("Unheard")]), "false");
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let refused = |name, operator, values| {
        let query = filtered(vec![condition(name, operator, values)]);
        retrieve_multiple(&grant(Companies::All), &query, &[], &|_, _| None).unwrap_err()
    };
    let error = refused("Limit", Op::Equal, vec![text("1000")]);
    assert!(matches!(error, Error::InvalidValue { ref column, .. } if column == "Limit"));
    for date in ["0000-12-31", "+12345-01-01", "-0001-01-01", "tomorrow"] {
        let date = pb::Value { kind: Some(Value::DateValue(date.into())) };
        let error = refused("Since", Op::GreaterThan, vec![date]);
        assert!(matches!(error, Error::InvalidValue { .. }));
    }
    let error = refused("Nothing", Op::Equal, vec![text("x")]);
    assert!(matches!(error, Error::ColumnNotFound { ref column, .. } if column == "Nothing"));
    let error = refused("primary", Op::Equal, vec![text("x")]);
    assert!(matches!(error, Error::InvalidQuery(_)));
    let error = refused("Name", Op::Equal, Vec::new());
    assert!(matches!(error, Error::InvalidValue { .. }));
}

#[test]
fn the_grant_is_in_every_statement() {
    let grant = grant(Companies::Only(vec!["USMF".into()]));
    let policy = "\"cust\".\"dataareaid\" = ANY(ARRAY(SELECT upper(v)";
    for total in [pb::TotalCount::Unspecified, pb::TotalCount::Limited, pb::TotalCount::Exact] {
        let query = pb::QueryExpression { total_count: total.into(), ..filtered(Vec::new()) };
        let sql = retrieve_multiple(&grant, &query, &[], &|_, _| None).unwrap().sql;
        let expected = if total == pb::TotalCount::Unspecified { 1 } else { 2 };
        assert_eq!(sql.matches(policy).count(), expected, "{sql}");
    }
    let key = pb::RecordKey { key: Some(pb::record_key::Key::RecordId(vec![0; 16].into())) };
    let request = pb::RetrieveRequest {
        entity_name: "Customers".into(),
        key: Some(key),
        columns: vec![output("Account")],
        format: pb::RowFormat::Json.into(),
        ..Default::default()
    };
    let sql = retrieve(&grant, &request).unwrap().sql;
    assert_eq!(sql.matches(policy).count(), 1, "{sql}");
}

#[test]
fn a_user_without_companies_sees_no_row_of_any() {
    let sql = retrieve_multiple(
        &grant(Companies::Only(Vec::new())),
        &filtered(Vec::new()),
        &[],
        &|_, _| None,
    );
    assert!(
        sql.unwrap().sql.contains("= ANY(ARRAY(SELECT upper(v) FROM unnest($1::text[]) AS v))")
    );
}

#[test]
fn null_sorts_first_and_last_only_where_there_can_be_one() {
    let check = |name: &str, descending, expected: &str| {
        let order = pb::OrderExpression { column: named(name), descending, ..Default::default() };
        let query = pb::QueryExpression { orders: vec![order], ..filtered(Vec::new()) };
        let sql = sql(&query);
        let (_, order) = sql.split_once(" ORDER BY ").unwrap();
        assert_eq!(order, format!("{expected}, \"cust\".\"recid\" LIMIT $1"));
    };
    check("Limit", false, "\"cust\".\"limit\"");
    check("Limit", true, "\"cust\".\"limit\" DESC");
    check("City", false, "lower(\"address\".\"city\") NULLS FIRST");
    check("City", true, "lower(\"address\".\"city\") DESC NULLS LAST");
    check("Account", false, "\"cust\".\"account\"");
}

#[test]
fn a_position_that_is_not_of_this_order_is_refused() {
    let page = pb::Page { size: 10, after: vec![text("x"), text("y")], ..Default::default() };
    let query = pb::QueryExpression { page: Some(page), ..filtered(Vec::new()) };
    let error = retrieve_multiple(&grant(Companies::All), &query, &[], &|_, _| None).unwrap_err();
    assert!(matches!(error, Error::InvalidQuery(_)));
}

#[test]
fn nesting_has_a_bound() {
    let mut filter = pb::FilterExpression::default();
    for _ in 0..1_000 {
        filter = pb::FilterExpression { filters: vec![filter], ..Default::default() };
    }
    let query = pb::QueryExpression { criteria: Some(filter), ..filtered(Vec::new()) };
    let error = retrieve_multiple(&grant(Companies::All), &query, &[], &|_, _| None).unwrap_err();
    assert!(matches!(error, Error::InvalidQuery(_)));
}

/// PostgreSQL refuses a statement that is given values which it does not name.
fn names_its_arguments(statement: &Statement) {
    for number in 1..=statement.arguments.len() {
        let named = statement.sql.match_indices(&format!("${number}")).any(|(at, found)| {
            !statement.sql[at + found.len()..].starts_with(|it: char| it.is_ascii_digit())
        });
        assert!(named, "${number} is not in {}", statement.sql);
    }
}
