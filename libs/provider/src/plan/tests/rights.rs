//! What row policies and hidden fields make of statements.

use super::*;
use proto::query::v1::JoinOperator as Join;
use rpc::role;

fn principal(user: &str, roles: &[&str]) -> Principal {
    Principal {
        system_user_id: uuid::Uuid::nil(),
        name: user.into(),
        erp_user: user.into(),
        roles: roles.iter().map(|it| (*it).to_owned()).collect(),
        companies: Companies::All,
        contact: None,
    }
}

/// Who may read customers, as whoever calls.
fn reader(user: Principal, sender: Option<Principal>) -> Caller {
    let operations = vec![Operation::Read.into()];
    let grant = EntityGrant { entities: vec!["*".into()], operations, ..Default::default() };
    let roles = ["Clerk", "Portal"];
    let roles = roles.map(|it| RoleGrants { role: it.into(), grants: vec![grant.clone()] });
    Identity { sender, ..Identity::of(user) }.into_caller(&RoleDefinitions::new(&roles))
}

/// The condition of a page of customers with these policies, and what is bound to it.
fn condition_of(caller: &Caller, policies: &[(&[&str], &str)]) -> (String, Vec<String>) {
    let grants = Grant::read(caller, customers_with(policies)).unwrap().into();
    let query = filtered(Vec::new());
    let statement = retrieve_multiple(&grants, &query, &[], &|_, _| None).unwrap();
    let (_, rest) = statement.sql.split_once("\"party\".\"recid\" = \"cust\".\"party\"").unwrap();
    let condition = rest.split_once(" ORDER BY").unwrap().0.trim();
    let mut values = statement.arguments.literals();
    values.pop();
    (condition.to_owned(), values)
}

#[test]
fn a_policy_binds_holders_of_its_roles_and_all_of_them_hold_together() {
    let clerk = || principal("ann", &["Clerk"]);
    let own: (&[&str], &str) = (&["CLERK"], "cust.owner = :user");
    let none: (&[&str], &str) = (&[], "cust.open");
    let other: (&[&str], &str) = (&["Other"], "false");
    let check = |caller: &Caller, policies: &[(&[&str], &str)], expected: &str, bound: &[&str]| {
        let (condition, values) = condition_of(caller, policies);
        assert_eq!(
            (condition.as_str(), values),
            (expected, bound.iter().map(|it| (*it).into()).collect())
        );
    };
    let ann = reader(clerk(), None);
    check(&ann, &[other], "", &[]);
    check(&ann, &[own], "WHERE (cust.owner = $1::text)", &["'ann'"]);
    let both = "WHERE (cust.owner = $1::text) AND (cust.open)";
    check(&ann, &[own, other, none], both, &["'ann'"]);
    let administrator = reader(principal("sa", &["clerk", role::SYSTEM_ADMINISTRATOR]), None);
    check(&administrator, &[own, none], "", &[]);
}

#[test]
fn who_acts_for_another_is_bound_by_the_policies_of_both() {
    let policies: &[(&[&str], &str)] = &[
        (&["Clerk"], "cust.owner = :user"),
        (&["Portal"], "cust.contact = :contact OR :user = ''"),
    ];
    let contact = Some(uuid::Uuid::from_u128(5));
    let portal = Principal { contact, ..principal("portal", &["Portal"]) };
    let both = reader(principal("ann", &["Clerk"]), Some(portal.clone()));
    let (condition, values) = condition_of(&both, policies);
    let expected = "WHERE (cust.owner = $1::text) AND (cust.contact = $2::uuid OR $3::text = '')";
    let contact = "'00000000-0000-0000-0000-000000000005'";
    assert_eq!(
        (condition.as_str(), values),
        (expected, vec!["'ann'".into(), contact.into(), "'portal'".into()])
    );
    let sent = reader(principal("sa", &[role::SYSTEM_ADMINISTRATOR]), Some(portal));
    let expected = "WHERE (cust.contact = $1::uuid OR $2::text = '')";
    assert_eq!(condition_of(&sent, policies).0, expected);
}

#[test]
fn values_are_bound_once_for_each_user_and_sources_are_joined_as_they_are_spoken_of() {
    let policies: &[(&[&str], &str)] =
        &[(&[], "ADDRESS.region = ANY(:companies) OR :companies IS NULL OR :roles && cust.roles")];
    let ann = reader(principal("ann", &["Clerk"]), None);
    let (condition, values) = condition_of(&ann, policies);
    assert_eq!(
        condition,
        "LEFT JOIN \"erp\".\"address\" AS \"address\" ON \"address\".\"party\" = \
         \"party\".\"recid\" WHERE (ADDRESS.region = ANY($1::text[]) OR $1::text[] IS NULL OR \
         $2::text[] && cust.roles)"
    );
    assert_eq!(values, ["NULL", "ARRAY['Clerk']"]);
}

#[test]
fn a_hidden_field_is_denied_wherever_it_is_named() {
    let grants =
        Grant::read(&clerk(Companies::All, &["name", "Since"]), customers()).unwrap().into();
    let check = |what: &str, query: &pb::QueryExpression| {
        let error = retrieve_multiple(&grants, query, &[], &|_, _| None).unwrap_err();
        assert!(
            matches!(error, Error::ColumnDenied { privilege: "read", .. }),
            "{what}: {error:?}"
        );
    };
    let plain = || filtered(Vec::new());
    let with = |columns: Vec<pb::OutputColumn>| pb::QueryExpression { columns, ..plain() };
    let relation = |name: &str| {
        let column = Some(pb::column_ref::Column::Relation(name.into()));
        Some(pb::ColumnRef { column, link: String::new() })
    };
    let namesake = || pb::OutputColumn { column: relation("Namesake"), ..output("lookup") };
    check("select", &with(vec![output("Name")]));
    check("lookup", &with(vec![namesake()]));
    let members = vec![output("Since")];
    check("member", &with(vec![pb::OutputColumn { members, ..output("Account") }]));
    check("filter", &filtered(vec![condition("Name", Op::Null, Vec::new())]));
    check(
        "lookup filter",
        &filtered(vec![pb::ConditionExpression {
            column: relation("Namesake"),
            ..condition("x", Op::NotNull, Vec::new())
        }]),
    );
    check(
        "compared",
        &filtered(vec![pb::ConditionExpression {
            compare_column: named("Name"),
            ..condition("Account", Op::Equal, Vec::new())
        }]),
    );
    let order = pb::OrderExpression { column: named("Name"), ..Default::default() };
    check("order", &pb::QueryExpression { orders: vec![order.clone()], ..plain() });
    let withheld = pb::OutputColumn { if_permitted: true, ..output("Name") };
    check(
        "distinct order",
        &pb::QueryExpression {
            distinct: true,
            orders: vec![order],
            ..with(vec![withheld.clone()])
        },
    );
    check("group", &with(vec![pb::OutputColumn { group_by: true, ..withheld.clone() }]));
    let aggregate = pb::Aggregate::CountColumn.into();
    check("aggregate", &with(vec![pb::OutputColumn { aggregate, ..withheld }]));
    let by = vec![named("Name").unwrap()];
    let partition_limit = Some(pb::PartitionLimit { by, limit: 1 });
    check("partition", &pb::QueryExpression { partition_limit, ..plain() });
    for (column, parent) in [("Name", "Account"), ("Account", "Name")] {
        let pair = pb::JoinPair { column: named(column), parent: named(parent), exact: false };
        let link = pb::LinkEntity {
            alias: "c".into(),
            target: Some(pb::link_entity::Target::EntityName("Customers".into())),
            join: Join::Inner.into(),
            on: vec![pair],
            ..Default::default()
        };
        check("link", &pb::QueryExpression { links: vec![link], ..plain() });
    }
    let key = named("Name").unwrap();
    let beside = retrieve_multiple(&grants, &plain(), &[key], &|_, _| None).unwrap_err();
    assert!(matches!(beside, Error::ColumnDenied { .. }), "{beside:?}");
}

#[test]
fn a_hidden_field_that_nobody_named_is_null() {
    let grants =
        Grant::read(&clerk(Companies::All, &["Name", "Status"]), customers()).unwrap().into();
    let relation = Some(pb::column_ref::Column::Relation("Namesake".into()));
    let relation = Some(pb::ColumnRef { column: relation, link: String::new() });
    let columns = vec![
        output("Account"),
        output("Name"),
        output("Status"),
        pb::OutputColumn { column: relation, ..output("lookup") },
    ];
    let columns = columns.into_iter().map(|it| pb::OutputColumn { if_permitted: true, ..it });
    let query = pb::QueryExpression { columns: columns.collect(), ..filtered(Vec::new()) };
    let statement = retrieve_multiple(&grants, &query, &[], &|_, _| None).unwrap();
    let list = statement.sql.split_once(" FROM").unwrap().0;
    let expected = "SELECT \"cust\".\"account\", NULL::text, NULL::uuid, \"cust\".\"recid\"";
    assert_eq!(list, expected);
}

#[test]
fn who_only_counts_binds_nothing_for_what_is_not_read() {
    let owned = customers_with(&[(&[], "cust.owner = :user")]);
    let grants = Grant::read(&reader(principal("ann", &["Clerk"]), None), owned).unwrap().into();
    let relation = Some(pb::column_ref::Column::Relation("Namesake".into()));
    let relation = Some(pb::ColumnRef { column: relation, link: String::new() });
    let columns = vec![pb::OutputColumn { column: relation, ..output("lookup") }];
    for size in [0, 1] {
        let page = Some(pb::Page { size, ..Default::default() });
        let mut query =
            pb::QueryExpression { columns: columns.clone(), page, ..filtered(Vec::new()) };
        query.set_total_count(pb::TotalCount::Exact);
        let statement = retrieve_multiple(&grants, &query, &[], &|_, _| None).unwrap();
        names_its_arguments(&statement);
    }
}

#[test]
fn where_what_tells_rows_apart_is_hidden_there_are_no_rows() {
    for field in ["Account", "ACCOUNT", "dataAreaId"] {
        let denied = Grant::read(&clerk(Companies::All, &[field]), customers()).unwrap_err();
        assert!(denied.to_string().contains("read `Customers`"), "{denied}");
    }
    Grant::read(&clerk(Companies::All, &["Name", "Nonsense"]), customers()).unwrap();
}

#[test]
fn a_policy_that_is_none_makes_no_binding() {
    for predicate in ["", "a; b", "a) OR (b", "cust.a = :somebody", "cust.a = $1"] {
        let entity = catalog::DataEntity {
            row_policies: vec![policy(&(&[], predicate))],
            ..catalog::DataEntity::default()
        };
        let one = catalog::DataEntity {
            name: "E".into(),
            sources: vec![catalog::DataSource { alias: "cust".into(), ..Default::default() }],
            record_identity: Some(catalog::RecordIdentity {
                kind: catalog::RecordIdentityKind::Integer.into(),
                columns: vec!["recid".into()],
            }),
            ..entity
        };
        let error = Binding::try_from(one).unwrap_err();
        assert!(error.to_string().contains("row policy `P`"), "{error}");
    }
}
