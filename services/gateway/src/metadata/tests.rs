//! Snapshots of small sets of tables: relationships, declarations, history.

use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column;
use proto::query::v1::{AttributeType as Type, SystemColumn, TableSource};

use super::*;

fn column(name: &str, external: Column, kind: Type) -> pb::ColumnDefinition {
    pb::ColumnDefinition {
        logical_name: name.into(),
        external: Some(pb::ColumnRef { column: Some(external), ..Default::default() }),
        r#type: kind.into(),
        ..Default::default()
    }
}

fn field(name: &str, kind: Type) -> pb::ColumnDefinition {
    column(name, Column::Field(format!("x{name}")), kind)
}

fn table(
    name: &str,
    source: TableSource,
    columns: Vec<pb::ColumnDefinition>,
) -> pb::TableDefinition {
    let id = format!("{name}id");
    let id_column =
        column(&id, Column::System(SystemColumn::RecordId.into()), Type::Uniqueidentifier);
    pb::TableDefinition {
        logical_name: name.into(),
        entity_set_name: format!("{name}s"),
        external_name: name.to_uppercase(),
        source: source.into(),
        primary_id_column: id,
        columns: std::iter::once(id_column).chain(columns).collect(),
        alternate_keys: vec![pb::AlternateKey { name: "key".into(), columns: vec!["code".into()] }],
        ..Default::default()
    }
}

fn customers() -> pb::TableDefinition {
    let columns = vec![
        field("code", Type::String),
        field("amount", Type::Decimal),
        field("owner", Type::Uniqueidentifier),
        column("parent", Column::Relation("Parent".into()), Type::Lookup),
    ];
    let pair = pb::RelationshipPair {
        column: columns[0].external.clone(),
        target: columns[0].external.clone(),
    };
    pb::TableDefinition {
        relationships: vec![pb::Relationship {
            schema_name: "customer_parent".into(),
            column: "parent".into(),
            target: "customer".into(),
            navigation_property: "parent".into(),
            collection_navigation_property: "customer_parent".into(),
            pairs: vec![pair],
            exact: true,
            origin: pb::RelationshipOrigin::Model.into(),
        }],
        ..table("customer", TableSource::Erp, columns)
    }
}

fn accounts() -> pb::TableDefinition {
    let columns = vec![
        field("code", Type::String),
        field("name", Type::String),
        field("score", Type::Integer),
    ];
    table("account", TableSource::Organization, columns)
}

fn declared(pairs: &[(&str, &str)]) -> pb::DeclaredRelationship {
    let pair = |(column, target): &(&str, &str)| pb::DeclaredRelationshipPair {
        column: (*column).into(),
        target: (*target).into(),
    };
    pb::DeclaredRelationship {
        schema_name: "mserp_FK_CUSTOMER_Account".into(),
        source: "customer".into(),
        target: "account".into(),
        column: "mserp_fk_account_id".into(),
        navigation_property: "mserp_FK_Account_id".into(),
        display_name: "Account".into(),
        pairs: pairs.iter().map(pair).collect(),
    }
}

fn snapshot(tables: Vec<pb::TableDefinition>, declared: Vec<pb::DeclaredRelationship>) -> Snapshot {
    let set =
        pb::WatchTablesResponse { tables, declared_relationships: declared, ..Default::default() };
    Snapshot::new(&[Some(set)])
}

fn navigation_names(snapshot: &Snapshot, table: &str) -> Vec<String> {
    snapshot.by_name(table).unwrap().navigations().map(|it| it.name.clone()).collect()
}

#[test]
fn a_relationship_is_a_navigation_of_both_its_tables() {
    let snapshot = snapshot(vec![customers()], vec![]);
    let table = snapshot.by_name("customer").unwrap();
    let parent = table.navigation("parent").unwrap();
    let children = table.navigation("customer_parent").unwrap();
    assert!(!parent.is_collection && children.is_collection);
    assert_eq!((parent.partner.as_str(), children.partner.as_str()), ("customer_parent", "parent"));
    assert_eq!((parent.lookup.as_str(), children.lookup.as_str()), ("parent", "parent"));
    assert!(table.navigation("nothing").is_none());
}

#[test]
fn a_relationship_whose_target_is_not_there_is_left_out() {
    let mut customers = customers();
    customers.relationships[0].target = "elsewhere".into();
    assert!(navigation_names(&snapshot(vec![customers], vec![]), "customer").is_empty());
}

#[test]
fn of_two_relationships_of_one_name_the_first_stays() {
    let mut customers = customers();
    let mut second = customers.relationships[0].clone();
    second.navigation_property = "parent2".into();
    customers.relationships.push(second);
    let names = navigation_names(&snapshot(vec![customers], vec![]), "customer");
    assert_eq!(names, ["parent", "customer_parent"]);
}

#[test]
fn ve_056_a_declared_relationship_is_there_while_both_its_tables_are() {
    let declared = || vec![declared(&[("code", "code")])];
    let without = snapshot(vec![customers()], declared());
    assert!(without.by_name("customer").unwrap().by_name("mserp_fk_account_id").is_none());
    let with = snapshot(vec![customers(), accounts()], declared());
    let customer = with.by_name("customer").unwrap();
    let lookup = customer.by_property("_mserp_fk_account_id_value").unwrap();
    assert!(lookup.is_across() && lookup.filterable);
    let single = customer.navigation("mserp_FK_Account_id").unwrap();
    assert_eq!(single.origin, pb::RelationshipOrigin::Declared);
    let name = |it: &pb::ColumnRef| it.column.clone();
    assert_eq!(name(&single.pairs[0].0), Some(Column::Field("xcode".into())));
    let account = with.by_name("account").unwrap();
    let back = account.navigation("mserp_FK_CUSTOMER_Account").unwrap();
    assert!(back.is_collection);
    assert_eq!(back.target, "customer");
}

#[test]
fn ve_056_a_declaration_must_make_sense() {
    let world = snapshot(vec![customers(), accounts()], vec![declared(&[("code", "code")])]);
    let check = |change: fn(&mut pb::DeclaredRelationship), expected: &str| {
        let mut it = declared(&[("code", "code")]);
        it.schema_name = "other".into();
        it.column = "other".into();
        it.navigation_property = "Other".into();
        change(&mut it);
        let found =
            world.check_declaration(&it).map_or_else(|it| it.to_string(), |()| "fine".into());
        assert!(found.contains(expected), "{found}: {it:?}");
    };
    check(|_| {}, "fine");
    check(|it| it.source = "nothing".into(), "no table `nothing`");
    check(|it| it.target = "nothing".into(), "no table `nothing`");
    check(|it| it.target = "customer".into(), "and the other a native one");
    check(|it| it.pairs[0].column = "nothing".into(), "no column `nothing`");
    check(|it| it.pairs[0].target = "nothing".into(), "no column `nothing`");
    check(|it| it.pairs[0].target = "name".into(), "alternate key");
    check(|it| it.pairs[0].target = "score".into(), "different types");
    check(|it| it.pairs[0].target = "accountid".into(), "different types");
    check(
        |it| {
            it.pairs[0].column = "parent".into();
            it.pairs[0].target = "accountid".into();
        },
        "cannot tell rows apart",
    );
    check(|it| it.column = "mserp_fk_account_id".into(), "name of something else");
    check(|it| it.navigation_property = "parent".into(), "name of something else");
    check(|it| it.schema_name = "mserp_FK_CUSTOMER_Account".into(), "name of something else");
}

#[test]
fn a_row_id_is_a_key_too() {
    let world = snapshot(vec![customers(), accounts()], vec![]);
    assert_eq!(world.check_declaration(&declared(&[("owner", "accountid")])), Ok(()));
}

#[test]
fn api_28_history_tells_what_changed_since_a_stamp() {
    let first = snapshot(vec![customers(), accounts()], vec![]);
    let mut changed = customers();
    changed.columns.retain(|it| it.logical_name != "amount");
    let second = snapshot(vec![changed.clone(), accounts()], vec![]).after(&first);
    let third = snapshot(vec![accounts()], vec![]).after(&second);
    let fourth = snapshot(vec![accounts()], vec![]).after(&third);
    assert_eq!(third.history.stamp(), fourth.history.stamp(), "nothing has changed");

    let since = fourth.history.since(&second.history.stamp()).unwrap();
    assert!(since.changed.is_empty(), "{since:?}");
    let table = Deleted::Table("customer".into());
    let relationship = Deleted::Relationship("customer_parent".into());
    assert_eq!(since.deleted, [table.clone(), relationship.clone()].into());

    let since = fourth.history.since(&first.history.stamp()).unwrap();
    assert_eq!(since.changed, ["customer".to_owned()].into());
    let column = Deleted::Column { table: "customer".into(), column: "amount".into() };
    assert_eq!(since.deleted, [table, column, relationship].into());
}

#[test]
fn api_28_a_stamp_of_another_process_or_of_long_ago_is_not_known() {
    let mut now = snapshot(vec![customers()], vec![]);
    let old = now.history.stamp();
    for at in 0..1_001 {
        let tables = if at % 2 == 0 { vec![] } else { vec![customers()] };
        now = snapshot(tables, vec![]).after(&now);
    }
    assert!(now.history.since(&old).is_none());
    assert!(now.history.since(&now.history.stamp()).is_some());
    let other = snapshot(vec![], vec![]).history.stamp();
    for stamp in [other.as_str(), "", "x", "!", "0!0", "0!18446744073709551615"] {
        assert!(now.history.since(stamp).is_none(), "{stamp}");
    }
    let ahead = now.history.stamp() + "0";
    assert!(now.history.since(&ahead).is_none());
}
