//! Query options over plain objects.

use odata::QueryOptions;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::evaluate::{Names, evaluate, read};
use super::resource::cast;

fn things() -> Vec<Value> {
    let column = |name: &str, kind: &str| {
        json!({
            "@odata.type": format!("#Microsoft.Dynamics.CRM.{kind}AttributeMetadata"),
            "LogicalName": name,
            "AttributeType": kind,
        })
    };
    vec![
        json!({
            "MetadataId": "1", "LogicalName": "alpha", "Code": 1, "Secret": false, "Label": null,
            "RequiredLevel": {"Value": "None"}, "Flags": "One, Two",
            "Attributes": [column("a", "String"), column("b", "Picklist")],
        }),
        json!({
            "MetadataId": "2", "LogicalName": "Beta", "Code": 12, "Secret": true, "Label": "x",
            "RequiredLevel": {"Value": "Recommended"}, "Flags": "One",
            "Attributes": [column("c", "String")],
        }),
        json!({
            "MetadataId": "3", "LogicalName": "gamma", "Code": 5, "Secret": false, "Label": "Y",
            "RequiredLevel": {"Value": "None"}, "Flags": "",
            "Attributes": [],
        }),
    ]
}

/// What a query answers: the objects, or the refusal.
fn ask(query: &str) -> Result<Vec<Value>, String> {
    let options = QueryOptions::parse(query).map_err(|it| it.to_string())?;
    let options = read(&options).map_err(|it| it.to_string())?;
    let found = evaluate(Names::Strict, things().into_iter(), &options, "Thing", |it| it);
    found.map(|it| it.values).map_err(|it| it.to_string())
}

fn names(query: &str) -> Vec<String> {
    let found = ask(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    found.iter().map(|it| it["LogicalName"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn filters_say_what_they_say_of_rows() {
    let check = |filter: &str, expected: &[&str]| {
        assert_eq!(names(&format!("$filter={filter}")), expected, "{filter}");
    };
    check("LogicalName eq 'alpha'", &["alpha"]);
    check("LogicalName eq 'ALPHA'", &[]);
    check("LogicalName ne 'alpha'", &["Beta", "gamma"]);
    check("not (LogicalName eq 'alpha')", &["Beta", "gamma"]);
    check("Code gt 1 and Code le 5", &["gamma"]);
    check("Code lt 5 or Code ge 12", &["alpha", "Beta"]);
    check("Code in (1,5)", &["alpha", "gamma"]);
    check("Secret", &["Beta"]);
    check("Secret eq true", &["Beta"]);
    check("Label eq null", &["alpha"]);
    check("Label gt 'a'", &["Beta", "gamma"]);
    check("RequiredLevel/Value eq 'None'", &["alpha", "gamma"]);
    check("RequiredLevel eq Microsoft.Dynamics.CRM.Level'Recommended'", &["Beta"]);
    check("Flags has Microsoft.Dynamics.CRM.Flags'Two'", &["alpha"]);
    check("contains(LogicalName,'ET')", &["Beta"]);
    check("startswith(LogicalName,'a') or endswith(LogicalName,'mma')", &["alpha", "gamma"]);
    check("contains(Label,'y')", &["gamma"]);
    check("tolower(LogicalName) eq 'beta'", &["Beta"]);
    check("toupper(LogicalName) eq 'BETA'", &["Beta"]);
    check("Attributes/any()", &["alpha", "Beta"]);
    check("Attributes/any(a:a/AttributeType eq 'Picklist')", &["alpha"]);
    check("Attributes/all(a:a/AttributeType eq 'String')", &["Beta", "gamma"]);
    check("Attributes/any(a:a/LogicalName eq 'c' and Code eq 12)", &["Beta"]);
    check("Attributes/$count eq 2", &["alpha"]);
    check(
        "Microsoft.Dynamics.CRM.In(PropertyName='LogicalName',PropertyValues=[\"alpha\",\"x\"])",
        &["alpha"],
    );
}

#[test]
fn order_and_top_are_kept() {
    assert_eq!(names("$orderby=LogicalName desc"), ["gamma", "Beta", "alpha"]);
    assert_eq!(names("$orderby=Label,Code"), ["alpha", "Beta", "gamma"]);
    assert_eq!(names("$orderby=Secret desc,Code desc&$top=2"), ["Beta", "gamma"]);
    assert_eq!(names("$top=0"), Vec::<String>::new());
}

#[test]
fn only_what_is_asked_for_is_written() {
    let one = &ask("$select=Code&$top=1").unwrap()[0];
    assert_eq!(*one, json!({"MetadataId": "1", "Code": 1}));
    let all = &ask("$top=1").unwrap()[0];
    assert!(all.get("Attributes").is_none() && all["Label"].is_null());
    let expanded =
        &ask("$select=Code&$top=1&$expand=Attributes($select=LogicalName;$top=1)").unwrap()[0];
    let column = &expanded["Attributes"][0];
    assert_eq!(column["LogicalName"], "a");
    assert!(column.get("AttributeType").is_none());
    let of_type = ask(
        "$top=1&$expand=Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata($select=LogicalName)",
    );
    assert_eq!(of_type.unwrap()[0]["Attributes"], json!([{"LogicalName": "b"}]));
}

#[test]
fn what_is_wrong_is_named() {
    let check = |query: &str, expected: &str| {
        let error = ask(query).unwrap_err();
        assert!(error.contains(expected), "{query}: {error}");
    };
    check("$select=Nope", "named 'Nope' on type 'Microsoft.Dynamics.CRM.Thing'");
    check("$filter=Nope eq 1", "named 'Nope'");
    check("$orderby=Nope", "named 'Nope'");
    check("$expand=Nope", "named 'Nope'");
    check("$expand=Attributes($select=Nope)", "'Microsoft.Dynamics.CRM.AttributeMetadata'");
    check("$expand=Attributes,Attributes", "only once");
    check("$expand=Attributes($skip=1)", "$skip");
    check("$apply=aggregate($count as n)", "$apply");
    check("$filter=year(LogicalName) eq 1", "'year'");
    check("$filter=Attributes/any(a:Attributes/any(b:b/LogicalName eq 'x'))", "within one another");
    check("$filter=Microsoft.Dynamics.CRM.Today(PropertyName='Code')", "Today");
}

#[test]
fn a_cast_keeps_what_is_of_the_type() {
    let item = || json!({"@odata.type": "#Microsoft.Dynamics.CRM.PicklistAttributeMetadata"});
    let kept = |wanted: &str| cast(item(), wanted);
    assert_eq!(kept("PicklistAttributeMetadata"), Some(json!({})));
    assert_eq!(kept("EnumAttributeMetadata"), Some(item()));
    assert_eq!(kept("AttributeMetadata"), Some(item()));
    assert_eq!(kept("StringAttributeMetadata"), None);
    assert_eq!(kept(""), None);
}

proptest! {
    #[test]
    fn no_query_panics(query in "\\$(filter|select|expand|orderby)=.{0,60}") {
        let _ = ask(&query);
    }
}
