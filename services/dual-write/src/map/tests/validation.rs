use std::collections::BTreeSet;

use proto::dual_write::v1 as pb;
use proto::dual_write::v1::{MapType, Side};

use crate::map::fixture::{
    ERP, PLATFORM, default, int, pairs, row, schemas, tables, truncate, version, with,
};
use crate::map::issue;
use crate::map::issue::Finding;
use crate::map::schema::{Kind, Schemas, TableSchema};
use crate::map::validate::{is_valid, is_version, validate};
use crate::map::value;

fn issues(version: &pb::MapVersion) -> Vec<pb::ValidationIssue> {
    validate(version, "Customer", "account", true, &schemas())
}

/// The worked map with one change has this finding, and no other error.
#[track_caller]
fn check(change: impl FnOnce(&mut pb::MapVersion), expected: Finding, side: Side, field: &str) {
    let mut version = version();
    change(&mut version);
    only(&issues(&version), expected, side, field);
}

#[track_caller]
fn only(issues: &[pb::ValidationIssue], expected: Finding, side: Side, field: &str) {
    let found = issues.iter().filter(|it| !it.warning || expected.warning);
    let found: Vec<_> = found.map(|it| (it.code.as_str(), it.side(), it.field.as_str())).collect();
    assert_eq!(found, [(expected.code, side, field)], "{issues:?}");
    assert!(issues.iter().any(|it| it.message.starts_with(expected.message)));
}

fn altered(name: &str, change: impl Fn(&mut TableSchema)) -> Schemas {
    let mut tables = tables();
    tables.iter_mut().filter(|it| it.name == name).for_each(change);
    Schemas::new(tables)
}

fn position(version: &pb::MapVersion, erp: &str) -> usize {
    let mut rows = version.field_maps.iter();
    rows.position(|it| it.finance_and_operations_field == erp).unwrap()
}

fn put(erp: &str, new: pb::FieldMap) -> impl FnOnce(&mut pb::MapVersion) {
    move |it| {
        let position = position(it, erp);
        it.field_maps[position] = new;
    }
}

fn add(new: pb::FieldMap) -> impl FnOnce(&mut pb::MapVersion) {
    move |it| it.field_maps.push(new)
}

#[test]
fn the_worked_map_is_valid() {
    assert_eq!(issues(&version()), []);
}

#[test]
fn codes_are_told_apart_and_worded() {
    let codes: BTreeSet<_> = issue::ALL.iter().map(|it| it.code).collect();
    assert_eq!(codes.len(), issue::ALL.len());
    assert!(issue::ALL.iter().all(|it| !it.message.is_empty() && !it.message.ends_with('.')));
}

#[test]
fn both_sides_have_companies_or_neither() {
    let global = validate(&version(), "Customer", "account", false, &schemas());
    only(&global, issue::COMPANY_KINDS, ERP, "");
    let mut units = version();
    units.source_filter.clear();
    units.reversed_source_filter.clear();
    units.integration_key.clear();
    units.field_maps = vec![row("Symbol", MapType::Equal, "symbol")];
    assert_eq!(validate(&units, "Unit", "unit", false, &schemas()), []);
    only(&validate(&units, "Unit", "unit", true, &schemas()), issue::COMPANY_KINDS, ERP, "");
    only(&validate(&units, "Unit", "keyless", false, &schemas()), issue::NO_KEY, PLATFORM, "");
}

#[test]
fn tables_must_be_there_and_tell_their_versions() {
    let nowhere = |entity, table| validate(&version(), entity, table, true, &schemas());
    only(&nowhere("Nothing", "account"), issue::NO_SOURCE_SCHEMA, ERP, "");
    only(&nowhere("Customer", "nothing"), issue::NO_DESTINATION_SCHEMA, PLATFORM, "");
    let virtual_table = altered("account", |it| it.has_version = false);
    let found = validate(&version(), "Customer", "account", true, &virtual_table);
    only(&found, issue::NO_VERSION, PLATFORM, "");
    let mut tables = tables();
    tables.retain(|it| it.name != "cdm_company");
    let found = validate(&version(), "Customer", "account", true, &Schemas::new(tables));
    only(&found, issue::NO_COMPANY_TABLE, PLATFORM, "cdm_company");
}

#[test]
fn a_company_that_is_required_there_must_come_from_here() {
    let strict = altered("unit", |it| {
        it.columns.push(crate::map::fixture::column("other", Kind::Lookup));
    });
    assert!(strict.get(PLATFORM, "unit").is_some());
    let mut version = version();
    version.source_filter.clear();
    version.reversed_source_filter.clear();
    version.integration_key.clear();
    version.field_maps = vec![row("Symbol", MapType::Equal, "ordernumber")];
    let company = altered("order", |it| it.columns[0].required = true);
    let found = validate(&version, "Unit", "order", false, &company);
    only(&found, issue::COMPANY_KINDS, ERP, "");
}

#[test]
fn keys_must_be_mapped_both_ways() {
    let one_way = row("Account", MapType::ToPlatform, "accountnumber");
    check(put("ACCOUNT", one_way), issue::KEY_ONE_WAY, PLATFORM, "accountnumber");
    let found = issues(&{
        let mut it = version();
        it.integration_key = vec!["since".to_owned()];
        it
    });
    only(&found, issue::ENTITY_KEY, ERP, "Account");
    check(
        |it| it.integration_key = vec!["accountnumber".to_owned(), "money".to_owned()],
        issue::KEY_UNMAPPED,
        PLATFORM,
        "money",
    );
    check(
        |it| it.integration_key = vec!["accountnumber".to_owned(), "owningteam".to_owned()],
        issue::KEY_LOOKUP_UNMAPPED,
        PLATFORM,
        "owningteam",
    );
}

#[test]
fn fields_must_be_there() {
    use MapType::{Equal, ToFinanceAndOperations, ToPlatform};
    let since = |it| put("Since", it);
    check(since(row("X", Equal, "since")), issue::UNKNOWN_SOURCE, ERP, "X");
    check(since(row("Since", Equal, "x")), issue::UNKNOWN_DESTINATION, PLATFORM, "x");
    check(since(row("X", ToFinanceAndOperations, "since")), issue::UNKNOWN_DESTINATION, ERP, "X");
    check(since(row("Since", ToFinanceAndOperations, "x")), issue::UNKNOWN_SOURCE, PLATFORM, "x");
    check(since(row("", ToPlatform, "since")), issue::NO_SOURCE, PLATFORM, "since");
    check(since(row("Since", ToPlatform, "")), issue::NO_DESTINATION, ERP, "Since");
    check(
        since(row("Since", MapType::Unspecified, "since")),
        issue::NO_MAP_TYPE,
        PLATFORM,
        "since",
    );
    check(
        since(row("Since", Equal, "billing.x")),
        issue::UNKNOWN_DESTINATION,
        PLATFORM,
        "billing.x",
    );
    check(since(row("dataAreaId", Equal, "since")), issue::COMPANY_MAPPED, ERP, "dataAreaId");
    let company = "msdyn_company.cdm_companycode";
    check(since(row("Since", Equal, company)), issue::COMPANY_MAPPED, PLATFORM, company);
}

#[test]
fn what_is_required_is_mapped_and_what_is_read_only_is_not() {
    let mut nameless = version();
    nameless.field_maps.remove(position(&nameless, "Name"));
    let found = issues(&nameless);
    let found: Vec<_> = found.iter().map(|it| (it.code.as_str(), it.field.as_str())).collect();
    assert_eq!(found, [(issue::MANDATORY.code, "name"), (issue::MANDATORY.code, "Name")]);
    let found = issues(&{
        let mut it = version();
        let name = position(&it, "Name");
        it.field_maps[name] =
            with(row("Name", MapType::TransformToPlatform, "name"), &[truncate(0)]);
        it
    });
    only(&found, issue::MANDATORY, ERP, "Name");
    check(put("Total", row("Total", MapType::Equal, "total")), issue::READ_ONLY, ERP, "Total");
    let mut constant = version();
    let name = position(&constant, "Name");
    constant.field_maps[name] = row("", MapType::TransformToPlatform, "name");
    let found = issues(&constant);
    assert!(
        found.iter().any(|it| it.code == issue::NO_DEFAULT.code && it.field == "name"),
        "{found:?}"
    );
}

#[test]
fn nothing_is_mapped_twice() {
    check(add(row("Since", MapType::Equal, "money")), issue::TYPES, PLATFORM, "money");
    check(
        add(row("Since", MapType::ToPlatform, "since")),
        issue::DESTINATION_TWICE,
        PLATFORM,
        "since",
    );
    let again = row("Language", MapType::ToFinanceAndOperations, "name");
    check(add(again), issue::DESTINATION_TWICE, ERP, "Language");
    let two = [(value::text("No"), int(192)), (value::text("All"), int(192))];
    let hold = with(row("Hold", MapType::TransformBoth, "hold"), &[pairs(&two)]);
    check(put("Hold", hold), issue::VALUE_MAP_TWICE, ERP, "Hold");
}

#[test]
fn a_source_goes_both_ways_once() {
    let schemas = altered("account", |it| {
        it.columns.push(crate::map::fixture::column("second", Kind::Date));
    });
    let mut version = version();
    version.field_maps.push(row("Since", MapType::Equal, "second"));
    let found = validate(&version, "Customer", "account", true, &schemas);
    only(&found, issue::SOURCE_TWICE, ERP, "Since");
}

#[test]
fn lookups_need_the_key_of_what_they_lead_to() {
    check(
        put("Group", row("Group", MapType::Equal, "group")),
        issue::LOOKUP_DESTINATION,
        PLATFORM,
        "group",
    );
    let back = row("Group", MapType::ToFinanceAndOperations, "group");
    check(put("Group", back), issue::LOOKUP_SOURCE, PLATFORM, "group");
    let mut tables = tables();
    let group = tables.iter_mut().find(|it| it.name == "group").unwrap();
    group.keys[0].1.push("part".to_owned());
    let found = validate(&version(), "Customer", "account", true, &Schemas::new(tables));
    only(&found, issue::LOOKUP_DESTINATION, PLATFORM, "group.code");
}

#[test]
fn types_must_fit() {
    check(put("Since", row("Since", MapType::Equal, "onetime")), issue::TYPES, PLATFORM, "onetime");
    check(put("Hold", row("Hold", MapType::Equal, "hold")), issue::TYPES, PLATFORM, "hold");
    let precise = row("Limit", MapType::Equal, "money");
    check(put("Limit", precise), issue::PRECISION, PLATFORM, "money");
    let cut = with(row("Limit", MapType::TransformBoth, "money"), &[truncate(0)]);
    let mut allowed = version();
    put("Limit", cut)(&mut allowed);
    assert_eq!(issues(&allowed), []);
    let plain = with(row("Since", MapType::Equal, "since"), &[truncate(0)]);
    check(put("Since", plain), issue::PLAIN_TRANSFORM, PLATFORM, "since");
    let wrong = with(row("", MapType::TransformToPlatform, "type"), &[default(int(99))]);
    let mut version = version();
    let constant = version.field_maps.iter().position(|it| it.platform_column == "type").unwrap();
    version.field_maps[constant] = wrong;
    let found = issues(&version);
    assert!(
        found.iter().any(|it| it.code == issue::LITERAL.code && it.field == "type"),
        "{found:?}"
    );
}

#[test]
fn filters_must_parse_and_name_what_is_mapped() {
    check(
        |it| it.reversed_source_filter = "contains(name,'a')".to_owned(),
        issue::PLATFORM_FILTER,
        PLATFORM,
        "",
    );
    check(|it| it.source_filter = "(Party ==".to_owned(), issue::ERP_FILTER, ERP, "");
    check(
        |it| it.reversed_source_filter = "money gt 5".to_owned(),
        issue::FILTER_UNMAPPED,
        PLATFORM,
        "money",
    );
    let mut version = version();
    version.reversed_source_filter = "limit gt 5 and limt lt 6".to_owned();
    let told = &issues(&version)[0].message;
    let expected = "Error occurred while parsing Dataverse entity source filter: `account` has no \
                    field `limt` at position 15";
    assert_eq!(told, expected);
}

#[test]
fn limits_of_the_original_are_warnings() {
    let plain = row("Name", MapType::Equal, "name");
    check(put("Name", plain), issue::LENGTH, PLATFORM, "name");
    let mut many = version();
    let schemas = altered("account", |it| {
        for index in 0..10 {
            let mut column = crate::map::fixture::column(&format!("lookup{index}"), Kind::Lookup);
            column.lookup_target = Some("unit".to_owned());
            it.columns.push(column);
        }
    });
    for index in 0..10 {
        many.field_maps.push(row("Group", MapType::ToPlatform, &format!("lookup{index}.symbol")));
    }
    let found = validate(&many, "Customer", "account", true, &schemas);
    only(&found, issue::MANY_LOOKUPS, PLATFORM, "");
    assert!(is_valid(&found));
}

#[test]
fn a_version_has_a_publisher_and_four_numbers() {
    check(|it| it.publisher.clear(), issue::PUBLISHER, Side::Unspecified, "");
    check(|it| it.version = "1.0".to_owned(), issue::PUBLISHER, Side::Unspecified, "");
    assert!(is_version("1.0.0.5"));
    for text in ["", "1", "1.0.0", "1.0.0.", "1.0.0.5.6", "1.0.0.-5", "1.0.0.99999999999"] {
        assert!(!is_version(text), "{text}");
    }
}
