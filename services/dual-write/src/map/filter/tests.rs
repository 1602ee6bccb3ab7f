use proptest::prelude::*;
use proto::query::v1::{ConditionOperator, FilterExpression, FilterOperator, column_ref};

use super::{Comparison, Filter, Language, Literal, MAX_LENGTH, Operator, parse};
use crate::map::fixture::{ERP, PLATFORM, schemas};
use crate::map::value;

fn read(text: &str, language: Language) -> Filter {
    parse(text, language).unwrap_or_else(|it| panic!("{text}: {it}")).unwrap()
}

/// A condition as text: `Party Equal [Organization]`.
fn told(filter: &FilterExpression) -> String {
    let conditions = filter.conditions.iter().map(|it| {
        let column = it.column.as_ref().and_then(|it| it.column.clone());
        let Some(column_ref::Column::Field(name)) = column else { panic!("no field: {it:?}") };
        let values: Vec<String> = it.values.iter().map(value::display).collect();
        format!("{name} {:?} {values:?}", it.operator())
    });
    let filters = filter.filters.iter().map(|it| format!("({})", told(it)));
    let by = if filter.operator() == FilterOperator::Or { " OR " } else { " AND " };
    conditions.chain(filters).collect::<Vec<_>>().join(by)
}

fn erp(text: &str) -> String {
    let table = schemas().get(ERP, "Customer").unwrap().clone();
    told(&read(text, Language::Range).bind(&table).unwrap())
}

fn platform(text: &str) -> String {
    let table = schemas().get(PLATFORM, "account").unwrap().clone();
    told(&read(text, Language::OData).bind(&table).unwrap())
}

#[test]
fn the_examples_of_the_original_are_understood() {
    assert_eq!(erp(r#"((Party == "Organization"))"#), r#"Party Equal ["Organization"]"#);
    assert_eq!(erp(r"(Since <= 23\06\2021)"), r#"Since LessEqual ["2021-06-23"]"#);
    assert_eq!(erp(r#"(!(name like "*A*"))"#), r#"Name NotLike ["%A%"]"#);
    assert_eq!(
        platform("limit gt 1000 and limit le 2000"),
        r#"(limit GreaterThan ["1000"]) AND (limit LessEqual ["2000"])"#
    );
    assert_eq!(platform("type eq '3'"), r#"type Equal ["Customer"]"#);
    assert_eq!(platform("since le 2021-06-23"), r#"since LessEqual ["2021-06-23"]"#);
    let guid = "00000000-0000-0000-0000-00000000000a";
    let by_company = format!(r#"msdyn_company Equal ["{guid}"]"#);
    assert_eq!(platform(&format!("_msdyn_company_value eq '{guid}'")), by_company);
    assert_eq!(platform(&format!("_msdyn_company_value eq {guid}")), by_company);
}

#[test]
fn choices_are_named_by_symbol_enum_or_value() {
    for text in
        ["Party == Person", "Party == DirPartyType::Person", "Party == 1", "Party == 'person'"]
    {
        assert_eq!(erp(text), r#"Party Equal ["Person"]"#, "{text}");
    }
}

#[test]
fn no_text_and_null_are_one() {
    assert_eq!(erp(r#"Invoice == """#), r#"Invoice Equal [""] OR Invoice Null []"#);
    assert_eq!(erp(r#"Invoice != """#), r#"Invoice NotEqual [""] AND Invoice NotNull []"#);
    assert_eq!(erp(r#"!(Invoice == "")"#), r#"Invoice NotEqual [""] AND Invoice NotNull []"#);
    assert_eq!(platform("language eq null"), r#"language Equal [""] OR language Null []"#);
    assert_eq!(platform("limit eq null"), "limit Null []");
    assert_eq!(erp(r#"Invoice < "B""#), r#"Invoice LessThan ["B"] OR Invoice Null []"#);
    assert_eq!(erp(r#"Invoice like "*""#), r#"Invoice Like ["%"] OR Invoice Null []"#);
}

#[test]
fn what_is_negated_is_true_of_what_has_nothing() {
    assert_eq!(platform("not (limit gt 5)"), r#"limit LessEqual ["5"] OR limit Null []"#);
    assert_eq!(
        platform("not (limit gt 5 or onetime eq true)"),
        r#"(limit LessEqual ["5"] OR limit Null []) AND (onetime NotEqual ["true"])"#
    );
}

#[test]
fn wildcards_of_sql_are_only_themselves() {
    assert_eq!(erp(r#"Name like "10%_[a]?*""#), r#"Name Like ["10[%][_][[]a]_%"]"#);
}

#[test]
fn what_is_no_filter_is_refused_with_its_place() {
    let cases = [
        (Language::OData, "contains(name,'a')", 0, "`contains` is no function"),
        (Language::OData, "group/code eq '1'", 5, "no part of a filter"),
        (Language::OData, "limit eq", 8, "a value is expected"),
        (Language::OData, "limit gt 5 and", 14, "a field is expected"),
        (Language::OData, "(limit gt 5", 11, "`)` is missing"),
        (Language::OData, "limit gt 5 limit", 11, "should end"),
        (Language::OData, "name eq name", 8, "a value is expected"),
        (Language::OData, "name eq 'a", 8, "no part of a filter"),
        (Language::Range, "Name = \"a\"", 5, "no part of a filter"),
        (Language::Range, "Name like 5", 5, "`like` takes text"),
    ];
    for (language, text, position, reason) in cases {
        let error = parse(text, language).unwrap_err();
        assert_eq!(error.position, position, "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
    }
    let deep = format!("{}a eq 1", "(".repeat(100));
    assert!(parse(&deep, Language::OData).unwrap_err().reason.contains("too deep"));
    let long = " ".repeat(MAX_LENGTH + 1);
    assert!(parse(&long, Language::OData).unwrap_err().reason.contains("longer"));
    assert_eq!(parse("  ", Language::Range), Ok(None));
}

#[test]
fn what_no_column_can_be_is_refused() {
    let table = schemas().get(PLATFORM, "account").unwrap().clone();
    for text in ["nothing eq 1", "type eq 99", "limit eq 'x'", "type gt 3", "limit gt null"] {
        let error = read(text, Language::OData).bind(&table).unwrap_err();
        assert_eq!(error.position, 0, "{text}: {error}");
    }
}

#[test]
fn the_canonical_form_is_odata() {
    let cases = [
        (r#"((Party == "O'Neill"))"#, "Party eq 'O''Neill'"),
        ("(a == 1 || b == 2) && c != Yes", "(a eq 1 or b eq 2) and c ne 'Yes'"),
        (r#"!(a like "A*")"#, "not (startswith(a,'A'))"),
        (r"a >= 03\06\2021", "a ge 2021-06-03"),
    ];
    for (text, canonical) in cases {
        assert_eq!(read(text, Language::Range).odata(), canonical, "{text}");
    }
}

fn filters() -> impl Strategy<Value = Filter> {
    let literal = prop_oneof![
        ".{0,8}".prop_map(Literal::Text),
        "-?[0-9]{1,6}(\\.[0-9]{1,3})?".prop_map(Literal::Number),
        any::<bool>().prop_map(Literal::Boolean),
        Just(Literal::Null),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}".prop_map(Literal::Date),
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".prop_map(Literal::Guid),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z".prop_map(Literal::Moment),
    ];
    let operator = prop_oneof![
        Just(Operator::Equal),
        Just(Operator::NotEqual),
        Just(Operator::Greater),
        Just(Operator::LessEqual),
    ];
    let comparison = ("x[a-z_]{0,8}", operator, literal).prop_map(|(column, operator, value)| {
        Filter::Compare(Comparison { column, operator, value, position: 0 })
    });
    comparison.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.prop_map(|it| Filter::Not(Box::new(it))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_as_it_was(filter in filters()) {
        let text = filter.odata();
        prop_assert_eq!(parse(&text, Language::OData).unwrap(), Some(filter), "{}", text);
    }

    #[test]
    fn nothing_panics(text in ".{0,200}") {
        let table = schemas().get(ERP, "Customer").unwrap().clone();
        for language in [Language::Range, Language::OData] {
            if let Ok(Some(filter)) = parse(&text, language) {
                let _ = (filter.bind(&table), filter.odata());
            }
        }
    }

    #[test]
    fn no_arrangement_of_its_words_panics(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "(", ")", "&&", "||", "!", "==", "<", "like", "Name", "Since", "Party", "::", "'", "\"a*\"",
                "\\", "23\\06\\2021", "99\\99\\9999", "-1.5", "eq", "and", "not", "null", "2021-02-31", "true",
            ]),
            0..20,
        ),
    ) {
        let text = words.join(" ");
        let table = schemas().get(ERP, "Customer").unwrap().clone();
        for language in [Language::Range, Language::OData] {
            if let Ok(Some(filter)) = parse(&text, language) {
                let _ = (filter.bind(&table), filter.odata());
            }
        }
    }
}

#[test]
fn orders_are_those_of_the_provider() {
    let filter = read("limit ge 5", Language::OData);
    let table = schemas().get(PLATFORM, "account").unwrap().clone();
    let bound = filter.bind(&table).unwrap();
    assert_eq!(bound.conditions[0].operator(), ConditionOperator::GreaterEqual);
}
