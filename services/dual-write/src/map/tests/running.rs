use proptest::prelude::*;
use proto::dual_write::v1::{MapType, Side};
use proto::query::v1::apply_value::Content;
use proto::query::v1::{
    ApplyKind, ApplyRow, ApplyValue, Image, SharePhase, SharedKind, SharedRow, Value,
};

use crate::map::fixture::{
    ERP, PLATFORM, compiled, date, decimal, flag, image, row, schemas, shared, table_map, version,
};
use crate::map::translate::TranslateError;
use crate::map::value::{display, null, same, text};
use crate::map::{CompiledMap, Owner, TranslateContext, depend};

/// `column=value`, references as `column={table: key}`, with `!` where it was changed, `+` where it was filled in.
fn told(values: &[ApplyValue]) -> Vec<String> {
    values
        .iter()
        .map(|it| {
            let changed = if it.changed { "!" } else { "" };
            let filled = if it.filled { "+" } else { "" };
            let content = match it.content.as_ref() {
                Some(Content::Value(it)) => display(it),
                Some(Content::Reference(it)) => {
                    let optional = if it.optional { "?" } else { "" };
                    format!("{{{}{optional}: {}}}", it.entity_name, told(&it.key).join(" "))
                }
                None => "nothing".to_owned(),
            };
            format!("{}={content}{changed}{filled}", it.column)
        })
        .collect()
}

fn customer(map: &CompiledMap) -> Image {
    let values = [
        ("Account", text("C1")),
        ("Name", text("A name of 16 chr")),
        ("Group", text("10")),
        ("Limit", decimal("1.500000")),
        ("Hold", text("All")),
        ("OneTime", text("Yes")),
        ("Since", date("2024-02-29")),
        ("Language", text("")),
        ("Total", decimal("7")),
        ("Party", text("Organization")),
    ];
    image(map, ERP, &values)
}

fn account(map: &CompiledMap) -> Image {
    let values = [
        ("accountnumber", text("C1")),
        ("name", text("A name of ")),
        ("group.code", text("10")),
        ("limit", decimal("1.5")),
        ("hold", text("Blocked")),
        ("onetime", flag(true)),
        ("since", date("2024-02-29")),
        ("language", text("en-us")),
        ("total", decimal("7")),
        ("type", text("Customer")),
    ];
    image(map, PLATFORM, &values)
}

fn translated(map: &CompiledMap, source: Side, row: &SharedRow) -> ApplyRow {
    map.translate(source, row, &TranslateContext::default()).unwrap().unwrap()
}

#[test]
fn each_side_knows_its_half() {
    let map = compiled();
    let companies = ["USMF".to_owned()];
    let erp = map.side(ERP, 4, SharePhase::Live, &companies, "fno|platform");
    let columns = [
        "Account", "Name", "Group", "Invoice", "Limit", "Hold", "OneTime", "Since", "Language",
        "Total", "Party",
    ];
    assert_eq!(erp.columns, columns);
    assert_eq!((erp.entity_name.as_str(), erp.epoch, erp.key_columns), ("Customer", 4, vec![0]));
    assert_eq!(erp.tracked_columns, (0..11).collect::<Vec<_>>());
    assert_eq!(
        (erp.company_column.as_str(), erp.companies),
        ("dataAreaId", vec!["USMF".to_owned()])
    );
    let platform = map.side(PLATFORM, 4, SharePhase::Live, &companies, "fno|platform");
    let columns = [
        "accountnumber",
        "name",
        "group.code",
        "billing.accountnumber",
        "limit",
        "hold",
        "onetime",
        "since",
        "language",
        "total",
        "type",
    ];
    assert_eq!(platform.columns, columns);
    // What only comes from the ERP is not watched here, what the filter reads is.
    assert_eq!(platform.tracked_columns, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]);
    assert_eq!(platform.company_column, "msdyn_company.cdm_companycode");
    assert!(platform.filter.is_some() && erp.filter.is_some());
}

#[test]
fn a_new_customer_becomes_an_account() {
    let map = compiled();
    let row = shared(&map, ERP, SharedKind::Created, customer(&map), &[]);
    let apply = translated(&map, ERP, &row);
    assert_eq!(
        (apply.entity_name.as_str(), apply.kind(), apply.wins),
        ("account", ApplyKind::Upsert, true)
    );
    let company = "msdyn_company={cdm_company: cdm_companycode=USMF}";
    assert_eq!(told(&apply.key), [company, "accountnumber=C1"]);
    assert_eq!(
        told(&apply.values),
        [
            "name=A name of !",
            "limit=1.5!",
            "hold=Blocked!",
            "onetime=true!",
            "since=2024-02-29!",
            "language=en-us!+",
            "total=7!",
            "type=Customer!",
            &format!("group={{group: {company} code=10}}!"),
        ]
    );
    // What nobody said is left to the platform.
    assert_eq!(told(&apply.create_values), ["billing={account: }!"]);
}

#[test]
fn a_changed_account_changes_the_customer() {
    let map = compiled();
    let row = shared(&map, PLATFORM, SharedKind::Changed, account(&map), &["limit"]);
    let apply = translated(&map, PLATFORM, &row);
    assert!(!apply.wins);
    assert_eq!(told(&apply.key), ["dataAreaId=USMF", "Account=C1"]);
    let values = [
        "Limit=1.5!",
        "Hold=All",
        "OneTime=Yes",
        "Since=2024-02-29",
        "Language=en-us",
        "Group=10",
        "Invoice=",
    ];
    let mut sorted = told(&apply.values);
    sorted.sort_unstable();
    let mut expected = values.map(String::from);
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    // What was cut on its way here must not come back cut, and the party's type is for new rows.
    assert_eq!(told(&apply.create_values), ["Name=A name of ", "Party=Organization"]);
}

#[test]
fn what_the_erp_cannot_leave_empty_is_left_to_it_or_emptied() {
    let map = compiled();
    let empty = image(&map, PLATFORM, &[("accountnumber", text("C1"))]);
    let created = shared(&map, PLATFORM, SharedKind::Created, empty.clone(), &[]);
    let created = told(&translated(&map, PLATFORM, &created).values);
    assert_eq!(created, ["Language=en-us!+"]);
    let changed = shared(&map, PLATFORM, SharedKind::Changed, empty, &["limit"]);
    let changed = told(&translated(&map, PLATFORM, &changed).values);
    let expected =
        ["Group=", "Invoice=", "Limit=0!", "Hold=No", "OneTime=No", "Since=", "Language=en-us+"];
    assert_eq!(changed, expected);
}

#[test]
fn deletes_and_new_keys_find_the_row() {
    let map = compiled();
    let deleted = shared(&map, ERP, SharedKind::Deleted, customer(&map), &[]);
    let apply = translated(&map, ERP, &deleted);
    assert_eq!(
        (apply.kind(), apply.values.len(), apply.create_values.len()),
        (ApplyKind::Delete, 0, 0)
    );
    let mut renamed = shared(&map, ERP, SharedKind::Changed, customer(&map), &["Account"]);
    renamed.previous_key = vec![text("OLD")];
    let apply = translated(&map, ERP, &renamed);
    assert_eq!(told(&apply.previous_key).last().unwrap(), "accountnumber=OLD");
    assert!(told(&apply.values).contains(&"accountnumber=C1!".to_owned()));
}

#[test]
fn what_was_left_alone_stays_unless_the_key_is_another() {
    let map = compiled();
    let context = TranslateContext { only_changes: true, ..TranslateContext::default() };
    let mut row = shared(&map, ERP, SharedKind::Changed, customer(&map), &["Name"]);
    let kept = map.translate(ERP, &row, &context).unwrap().unwrap();
    assert_eq!(told(&kept.values), ["name=A name of !"]);
    assert!(told(&kept.create_values).contains(&"limit=1.5".to_owned()));
    row.previous_key = vec![text("OLD")];
    let moved = map.translate(ERP, &row, &context).unwrap().unwrap();
    assert!(told(&moved.values).contains(&"limit=1.5".to_owned()), "{:?}", told(&moved.values));
}

/// The other side has to refuse what cannot follow, so that both stay the same.
#[test]
fn a_change_that_cannot_follow_is_sent_all_the_same() {
    let map = compiled();
    let mut renamed =
        shared(&map, PLATFORM, SharedKind::Changed, account(&map), &["accountnumber"]);
    renamed.previous_key = vec![text("OLD")];
    let apply = translated(&map, PLATFORM, &renamed);
    assert!(!map.half(ERP).table.column("Account").unwrap().editable);
    assert!(told(&apply.values).contains(&"Account=C1!".to_owned()), "{:?}", told(&apply.values));
}

#[test]
fn rows_that_left_or_cannot_be_sent() {
    let map = compiled();
    let context = TranslateContext::default();
    let left = shared(&map, ERP, SharedKind::Left, customer(&map), &[]);
    assert_eq!(map.translate(ERP, &left, &context), Ok(None));
    let mut homeless = shared(&map, ERP, SharedKind::Changed, customer(&map), &[]);
    homeless.image.as_mut().unwrap().company.clear();
    assert_eq!(map.translate(ERP, &homeless, &context), Err(TranslateError::NoCompany));
    let keyless = image(&map, ERP, &[("Name", text("x"))]);
    let keyless = shared(&map, ERP, SharedKind::Changed, keyless, &[]);
    let error = map.translate(ERP, &keyless, &context).unwrap_err();
    assert_eq!(error.field(), "accountnumber");
    let mut short = shared(&map, ERP, SharedKind::Changed, customer(&map), &[]);
    short.image.as_mut().unwrap().values.pop();
    assert_eq!(map.translate(ERP, &short, &context), Err(TranslateError::Shape));
    let mut strange = customer(&map);
    strange.values[5] = text("Sometimes");
    let strange = shared(&map, ERP, SharedKind::Changed, strange, &[]);
    let told = map.translate(ERP, &strange, &context).unwrap_err().to_string();
    let expected = "the value `Sometimes` of the field `Hold` cannot be written to the field `hold`: it is \
                    none of the choices";
    assert_eq!(told, expected);
}

#[test]
fn references_can_wait_but_those_of_keys() {
    let map = line_map();
    let line = image(&map, ERP, &[("Order", text("SO1")), ("Number", crate::map::fixture::int(2))]);
    let line = shared(&map, ERP, SharedKind::Created, line, &[]);
    let context = TranslateContext { optional_references: true, ..TranslateContext::default() };
    let apply = map.translate(ERP, &line, &context).unwrap().unwrap();
    let company = "msdyn_company={cdm_company: cdm_companycode=USMF}";
    let order = format!("order={{order: {company} ordernumber=SO1}}");
    assert_eq!(told(&apply.key), [company, "number=2", &order]);
    assert_eq!(apply.values, []);
    let map = compiled();
    let row = shared(&map, ERP, SharedKind::Created, customer(&map), &[]);
    let apply = map.translate(ERP, &row, &context).unwrap().unwrap();
    assert!(told(&apply.values).contains(&format!("group={{group?: {company} code=10}}!")));
}

fn line_map() -> CompiledMap {
    let mut version = version();
    version.source_filter.clear();
    version.reversed_source_filter.clear();
    version.integration_key = vec!["order".to_owned(), "number".to_owned()];
    version.field_maps = vec![
        row("Order", MapType::Equal, "order.ordernumber"),
        row("Number", MapType::Equal, "number"),
    ];
    CompiledMap::compile(&table_map("Line", "line", true), &version, &schemas()).unwrap()
}

#[test]
fn keys_are_the_same_in_the_order_of_both_sides() {
    let map = line_map();
    let line = image(&map, ERP, &[("Order", text("SO1")), ("Number", crate::map::fixture::int(2))]);
    let there = map.counterpart_key(ERP, &line).unwrap();
    assert_eq!((there.company.as_str(), there.values.len()), ("USMF", 2));
    assert_eq!(map.own_key(ERP, &line).values, there.values);
}

#[test]
fn owners_of_rows_without_company_are_the_maps() {
    assert_eq!(Owner::parse(" Sales "), Some(Owner::Name("Sales".to_owned())));
    assert_eq!(Owner::parse(""), None);
    let id = uuid::Uuid::from_u128(5);
    assert_eq!(Owner::parse(&id.to_string()), Some(Owner::Id(id.into_bytes().to_vec())));
}

#[test]
fn rows_are_equal_when_either_way_makes_them_so() {
    let map = compiled();
    assert_eq!(map.differences(&customer(&map), &account(&map)), []);
    assert!(map.equal(&customer(&map), &account(&map)));
    let mut other = account(&map);
    let name = map.half(PLATFORM).columns.iter().position(|it| it == "hold").unwrap();
    other.values[name] = null();
    let found = map.differences(&customer(&map), &other);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].platform_column, "hold");
    assert_eq!(found[0].finance_and_operations_value, Some(text("Blocked")));
    // Nothing there is what the ERP writes as zero.
    let zero = image(
        &map,
        ERP,
        &[
            ("Account", text("C1")),
            ("Limit", decimal("0.000000")),
            ("Hold", text("No")),
            ("OneTime", text("No")),
        ],
    );
    let none = image(&map, PLATFORM, &[("accountnumber", text("C1"))]);
    let differing: Vec<_> =
        map.differences(&zero, &none).into_iter().map(|it| it.platform_column).collect();
    assert!(differing.is_empty(), "{differing:?}");
}

#[test]
fn maps_need_those_that_feed_their_lookups() {
    let named = |name: &str, entity: &str, table: &str, fields: &[(&str, &str)]| {
        let mut version = version();
        version.source_filter.clear();
        version.reversed_source_filter.clear();
        version.integration_key.clear();
        version.field_maps =
            fields.iter().map(|(erp, platform)| row(erp, MapType::ToPlatform, platform)).collect();
        let mut map = table_map(entity, table, true);
        map.name = name.to_owned();
        CompiledMap::compile(&map, &version, &schemas()).unwrap()
    };
    let customer = [
        ("Account", "accountnumber"),
        ("Name", "name"),
        ("Group", "group.code"),
        ("Invoice", "billing.accountnumber"),
    ];
    let all = [
        named("maps/a-customers", "Customer", "account", &customer),
        named(
            "maps/b-lines",
            "Line",
            "line",
            &[("Order", "order.ordernumber"), ("Number", "number")],
        ),
        named("maps/c-orders", "Line", "order", &[("Order", "ordernumber")]),
        named("maps/d-groups", "Customer", "group", &[("Group", "code")]),
    ];
    assert_eq!(depend::required_maps("maps/a-customers", &all), ["maps/d-groups"]);
    assert_eq!(depend::required_maps("maps/b-lines", &all), ["maps/c-orders"]);
    assert_eq!(depend::required_maps("maps/nothing", &all), Vec::<&str>::new());
    let required = ["maps/b-lines".to_owned()];
    let all_with = |of_customers| {
        all.iter().map(move |it| match it.name.as_str() {
            "maps/a-customers" => (it, of_customers),
            _ => (it, &[][..]),
        })
    };
    let dependent = |map, given| depend::dependent_maps(map, all_with(given));
    assert_eq!(dependent("maps/d-groups", &[]), ["maps/a-customers"]);
    assert_eq!(dependent("maps/a-customers", &[]), Vec::<&str>::new());
    assert_eq!(dependent("maps/c-orders", &[]), ["maps/b-lines"]);
    // Children first, also where a version says that it is one.
    assert_eq!(dependent("maps/c-orders", &required), ["maps/a-customers", "maps/b-lines"]);
    let order = depend::in_order(&all);
    assert_eq!(order, ["maps/d-groups", "maps/a-customers", "maps/c-orders", "maps/b-lines"]);
}

fn held() -> impl Strategy<Value = Vec<Value>> {
    let choice = prop_oneof![Just(text("No")), Just(text("All"))];
    let once = prop_oneof![Just(text("No")), Just(text("Yes"))];
    let amount = (any::<i64>(), 0_u32..=6).prop_map(|(digits, scale)| {
        decimal(&rust_decimal::Decimal::new(digits, scale).to_string())
    });
    let optional = |it: BoxedStrategy<Value>| prop_oneof![Just(null()), it];
    (
        ("[A-Z0-9]{1,20}".prop_map(text), ".{1,10}".prop_map(text), ".{1,20}".prop_map(text)),
        optional(".{1,20}".prop_map(text).boxed()),
        (amount, choice, once),
        optional("20[0-9]{2}-0[1-9]-[12][0-9]".prop_map(|it| date(&it)).boxed()),
        ".{1,20}".prop_map(text),
    )
        .prop_map(|((account, name, group), invoice, (limit, hold, once), since, language)| {
            vec![account, name, group, invoice, limit, hold, once, since, language]
        })
}

/// What the other side's image is after the row was applied.
fn applied(map: &CompiledMap, side: Side, apply: &ApplyRow) -> Image {
    let mut given: Vec<(String, Value)> = Vec::new();
    let values = apply.create_values.iter().chain(&apply.values).chain(&apply.key);
    for value in values {
        match value.content.as_ref().unwrap() {
            Content::Value(it) => given.push((value.column.clone(), it.clone())),
            Content::Reference(it) => {
                for key in &it.key {
                    if let Some(Content::Value(it)) = &key.content {
                        given.push((format!("{}.{}", value.column, key.column), it.clone()));
                    }
                }
            }
        }
    }
    let half = map.half(side);
    let value =
        |name: &String| given.iter().find(|it| it.0 == *name).map_or_else(null, |it| it.1.clone());
    Image {
        company: "USMF".to_owned(),
        values: half.columns.iter().map(value).collect(),
        ..Image::default()
    }
}

proptest! {
    #[test]
    fn there_and_back_is_where_it_began(values in held()) {
        let map = compiled();
        let mut customer = customer(&map);
        for (slot, value) in customer.values.iter_mut().zip(&values) {
            slot.clone_from(value);
        }
        let there = shared(&map, ERP, SharedKind::Created, customer.clone(), &[]);
        let account = applied(&map, PLATFORM, &translated(&map, ERP, &there));
        prop_assert!(map.equal(&customer, &account), "{:?}", map.differences(&customer, &account));
        let back = shared(&map, PLATFORM, SharedKind::Created, account, &[]);
        let again = applied(&map, ERP, &translated(&map, PLATFORM, &back));
        for (position, value) in values.iter().enumerate() {
            prop_assert!(same(value, &again.values[position]), "{position}: {value:?} {:?}", again.values[position]);
        }
    }

    #[test]
    fn no_image_panics(
        values in prop::collection::vec(
            prop_oneof![Just(null()), ".{0,30}".prop_map(text), any::<i64>().prop_map(crate::map::fixture::int),
                        "[-0-9.eE]{0,40}".prop_map(|it| decimal(&it)), any::<bool>().prop_map(flag),
                        ".{0,12}".prop_map(|it| date(&it))],
            0..13,
        ),
    ) {
        let map = compiled();
        let image = Image { company: "USMF".to_owned(), values, ..Image::default() };
        for side in [ERP, PLATFORM] {
            let row = SharedRow {
                image: Some(image.clone()),
                changed_columns: vec![-1, 0, 99],
                ..SharedRow::default()
            };
            let _ = map.translate(side, &row, &TranslateContext::default());
            let _ = (map.counterpart_key(side, &image), map.own_key(side, &image));
        }
        let _ = (map.differences(&image, &image), map.equal(&image, &image));
    }
}
