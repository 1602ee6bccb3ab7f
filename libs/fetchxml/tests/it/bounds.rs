//! A hostile document costs its sender an error.

use fetchxml::{
    FetchXmlError, JsonError, MAX_CONDITIONS, MAX_LENGTH, MAX_LINKS, from_json, parse, print,
};
use proto::query::v1 as pb;

fn nested(element: &str, depth: usize) -> String {
    format!(
        "<fetch><entity name='a'>{}{}</entity></fetch>",
        format!("<{element}>").repeat(depth),
        format!("</{}>", element.split(' ').next().unwrap()).repeat(depth)
    )
}

#[test]
fn fx_10_depth_is_bounded_without_recursion() {
    let link = "link-entity name='b' from='f' to='t'";
    assert_eq!(parse(&nested("filter", 5_000)), Err(FetchXmlError::TooDeep));
    assert_eq!(parse(&nested(link, 100)), Err(FetchXmlError::TooDeep));
    assert_eq!(parse(&"<a>".repeat(80_000)), Err(FetchXmlError::TooDeep));
    assert_eq!(parse(&nested("filter", 100_000)), Err(FetchXmlError::TooLong));
    assert!(parse(&nested("filter", 30)).is_ok());
}

#[test]
fn fx_10_length_is_bounded() {
    let long = format!("<fetch><!--{}--><entity name='a'/></fetch>", "x".repeat(MAX_LENGTH));
    assert_eq!(parse(&long), Err(FetchXmlError::TooLong));
}

#[test]
fn fx_10_links_and_conditions_are_counted() {
    let links = |count: usize| {
        let link = "<link-entity name='b' from='f' to='t'/>";
        format!("<fetch><entity name='a'>{}</entity></fetch>", link.repeat(count))
    };
    assert!(parse(&links(MAX_LINKS)).is_ok());
    assert_eq!(parse(&links(MAX_LINKS + 1)), Err(FetchXmlError::TooManyLinks));
    let conditions = |count: usize| {
        let condition = "<condition attribute='x' operator='null'/>";
        let link = "<link-entity name='b' from='f' to='t'/>";
        let conditions = condition.repeat(count);
        format!("<fetch><entity name='a'>{link}<filter>{conditions}</filter></entity></fetch>")
    };
    assert!(parse(&conditions(MAX_CONDITIONS - 1)).is_ok());
    assert_eq!(parse(&conditions(MAX_CONDITIONS)), Err(FetchXmlError::TooManyConditions));
}

#[test]
fn fx_10_entities_are_not_expanded() {
    let laughs = "<!DOCTYPE fetch [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><fetch><entity name='a'/></fetch>";
    let error = parse(laughs).unwrap_err();
    assert!(
        matches!(&error, FetchXmlError::Xml { message, .. } if message.contains("document types")),
        "{error}"
    );
    assert!(parse("<fetch><entity name='&b;'/></fetch>").is_err());
}

#[test]
fn fx_10_nothing_outside_the_document_is_read() {
    let entity = "<entity name='a'/>";
    for prolog in [
        "<!DOCTYPE fetch SYSTEM 'file:///etc/passwd'>",
        "<!DOCTYPE fetch PUBLIC '-//x' 'http://x.test/x.dtd'>",
        "<!DOCTYPE fetch [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>",
        "<!DOCTYPE fetch [<!ENTITY % x SYSTEM 'http://x.test/x.dtd'>%x;]>",
        "<?xml version='1.0'?><!DOCTYPE fetch>",
        "<!-- --><!doctype fetch>",
    ] {
        assert!(parse(&format!("{prolog}<fetch>{entity}</fetch>")).is_err(), "{prolog}");
        assert!(parse(&format!("<fetch>{prolog}{entity}</fetch>")).is_err(), "{prolog}");
    }
    // Names of entities, wherever they stand.
    for reference in ["&x;", "&xxe;", "%x;&x;"] {
        for document in [
            format!("<fetch>{reference}{entity}</fetch>"),
            format!("<fetch><entity name='{reference}'/></fetch>"),
        ] {
            assert!(parse(&document).is_err(), "{document}");
        }
    }
}

#[test]
fn qe_02_a_deep_tree_is_refused_in_every_form() {
    let mut filter = pb::FilterExpression::default();
    filter.conditions.push(pb::ConditionExpression::default());
    let mut json = serde_json::json!({ "FilterOperator": "Or" });
    for _ in 0..1_000 {
        filter = pb::FilterExpression { filters: vec![filter], ..Default::default() };
        json = serde_json::json!({ "Filters": [json] });
    }
    let query = pb::QueryExpression {
        entity_name: "a".to_owned(),
        criteria: Some(filter),
        ..Default::default()
    };
    assert_eq!(print(&query), Err(fetchxml::PrintError::TooDeep));
    let query = serde_json::json!({ "EntityName": "a", "Criteria": json });
    assert!(matches!(from_json(&query), Err(JsonError::Member { .. })));
}
