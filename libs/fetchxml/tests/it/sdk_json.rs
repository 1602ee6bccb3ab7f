//! The SDK's form.

use fetchxml::{JsonError, from_json, parse, to_json};
use serde_json::{Value, json};

fn same(json: &Value, fetch: &str) {
    assert_eq!(from_json(json), Ok(parse(fetch).unwrap()), "{json}");
}

#[test]
fn qe_02_what_the_python_sdk_sends_is_read() {
    let sent = json!({
        "@odata.type": "Microsoft.Dynamics.CRM.QueryExpression",
        "EntityName": "account",
        "ColumnSet": {"@odata.type": "Microsoft.Dynamics.CRM.ColumnSet", "AllColumns": false, "Columns": []},
        "Criteria": {
            "@odata.type": "Microsoft.Dynamics.CRM.FilterExpression",
            "FilterOperator": "And",
            "Conditions": [{
                "@odata.type": "Microsoft.Dynamics.CRM.ConditionExpression",
                "AttributeName": "accountid",
                "Operator": "In",
                "Values": [
                    {"Value": "00000000-0000-0000-0000-000000000001", "Type": "System.Guid"},
                    {"Value": "00000000-0000-0000-0000-000000000002", "Type": "System.Guid"},
                ],
            }],
        },
    });
    let mut expected = parse(
        "<fetch><entity name='account'><filter><condition attribute='accountid' operator='in'>
           <value>00000000-0000-0000-0000-000000000001</value>
           <value>00000000-0000-0000-0000-000000000002</value>
         </condition></filter></entity></fetch>",
    )
    .unwrap();
    // No column, unlike a document without attributes.
    expected.all_columns = false;
    assert_eq!(from_json(&sent), Ok(expected));
}

#[test]
fn qe_02_every_class_of_the_sdk_has_its_element() {
    same(
        &json!({
            "EntityName": "a", "Distinct": true, "NoLock": true, "TopCount": null, "QueryHints": null,
            "PageInfo": {"PageNumber": 2, "Count": 10, "PagingCookie": null, "ReturnTotalRecordCount": true},
            "ColumnSet": {"Columns": ["x"], "AttributeExpressions": [{"AttributeName": "y", "Alias": "why"}]},
            "Criteria": {
                "FilterOperator": 1,
                "Conditions": [
                    {"EntityName": "l", "AttributeName": "z", "Operator": "Null", "Values": []},
                    {"AttributeName": "x", "Operator": "Equal", "Values": ["y"], "CompareColumns": true},
                    {"AttributeName": "x", "Operator": "Contains", "Values": ["o"]},
                    {"AttributeName": "x", "Operator": "Last7Days"},
                    {"AttributeName": "x", "Operator": "Equal", "Values": [true]},
                    {"AttributeName": "x", "Operator": "Between", "Values": [1, 2.5]},
                ],
                "Filters": [{"AnyAllFilterLinkEntity": {
                    "LinkToEntityName": "c", "LinkToAttributeName": "f", "LinkFromAttributeName": "t",
                    "JoinOperator": "NotAny",
                }}],
            },
            "Orders": [{"AttributeName": "x", "OrderType": "Descending"}, {"AttributeName": "z", "EntityName": "l", "OrderType": 0}],
            "LinkEntities": [{
                "LinkFromEntityName": "a", "LinkFromAttributeName": "t", "LinkToEntityName": "b",
                "LinkToAttributeName": "f", "JoinOperator": 1, "EntityAlias": "l",
                "Columns": {"AllColumns": true}, "LinkCriteria": {"Conditions": [{"AttributeName": "q", "Operator": "NotNull"}]},
                "LinkEntities": [], "Orders": [],
            }],
        }),
        "<fetch distinct='true' count='10' page='2' returntotalrecordcount='true'><entity name='a'>
           <attribute name='x'/><attribute name='y' alias='why'/>
           <order attribute='x' descending='true'/><order attribute='z' entityname='l'/>
           <filter type='or'>
             <condition entityname='l' attribute='z' operator='null'/>
             <condition attribute='x' operator='eq' valueof='y'/>
             <condition attribute='x' operator='like' value='%o%'/>
             <condition attribute='x' operator='last-seven-days'/>
             <condition attribute='x' operator='eq' value='1'/>
             <condition attribute='x' operator='between'><value>1</value><value>2.5</value></condition>
             <filter><link-entity name='c' from='f' to='t' link-type='not any'/></filter>
           </filter>
           <link-entity name='b' from='f' to='t' link-type='outer' alias='l'>
             <all-attributes/><filter><condition attribute='q' operator='not-null'/></filter>
           </link-entity>
         </entity></fetch>",
    );
}

#[test]
fn qe_02_aggregates_are_attribute_expressions() {
    let json = json!({
        "EntityName": "a",
        "ColumnSet": {"AttributeExpressions": [
            {"AttributeName": "x", "Alias": "n", "AggregateType": "Sum", "HasGroupBy": false, "DateTimeGrouping": "None"},
            {"AttributeName": "d", "Alias": "y", "AggregateType": "None", "HasGroupBy": true, "DateTimeGrouping": "FiscalYear"},
        ]},
        "Orders": [{"Alias": "y", "OrderType": "Descending"}],
    });
    let fetch = "<fetch aggregate='true'><entity name='a'><attribute name='x' alias='n' aggregate='sum'/>
        <attribute name='d' alias='y' groupby='true' dategrouping='fiscal-year'/><order alias='y' descending='true'/></entity></fetch>";
    same(&json, fetch);
    let written = to_json(&parse(fetch).unwrap()).unwrap();
    let expression = &written["ColumnSet"]["AttributeExpressions"][1];
    assert_eq!(expression["DateTimeGrouping"], "FiscalYear", "{written}");
    assert_eq!(written["@odata.type"], "#Microsoft.Dynamics.CRM.QueryExpression");
}

#[test]
fn qe_02_what_is_wrong_is_named() {
    let check = |json: Value, path: &str, part: &str| {
        let error = from_json(&json).unwrap_err();
        let named = matches!(&error, JsonError::Member { path: it, .. } if it == path);
        assert!(named && error.to_string().contains(part), "{error}");
    };
    check(json!([]), "", "an object is expected");
    check(json!({"EntityName": 1}), "EntityName", "a text is expected");
    check(json!({"EntityNam": "a"}), "EntityNam", "not known");
    check(
        json!({"EntityName": "a", "SubQueryExpression": {}}),
        "SubQueryExpression",
        "not offered",
    );
    check(
        json!({"EntityName": "a", "Criteria": {"Conditions": [{"AttributeName": "x", "Operator": "Is"}]}}),
        "Criteria.Conditions[0].Operator",
        "'Is' is not a member",
    );
    check(
        json!({"EntityName": "a", "LinkEntities": [{"JoinOperator": 10}]}),
        "LinkEntities[0].JoinOperator",
        "not a member",
    );
    for incomplete in [json!({}), json!({"EntityName": "a", "LinkEntities": [{}]})] {
        assert!(matches!(from_json(&incomplete), Err(JsonError::Invalid(_))), "{incomplete}");
    }
}
