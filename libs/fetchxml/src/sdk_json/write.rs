//! A `fetch` element to JSON.

use serde_json::{Value, json};

use super::{AGGREGATES, DATE_GROUPINGS, JOINS, to_sdk};
use crate::error::PrintError;
use crate::operators;
use crate::xml::Element;

const NAMESPACE: &str = "Microsoft.Dynamics.CRM";

/// Types are named, as the platform does in answers.
fn typed(name: &str, mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert("@odata.type".to_owned(), Value::from(format!("#{NAMESPACE}.{name}")));
    }
    object
}

pub(super) fn query(fetch: &Element) -> Result<Value, PrintError> {
    PrintError::when(fetch.get("useraworderby").is_some(), "an order of choices by value")?;
    PrintError::when(fetch.get("aggregatelimit").is_some(), "a limit of an aggregate query")?;
    let number = |name: &str| fetch.get(name).and_then(|it| it.parse::<i32>().ok());
    let entity = fetch.children.first();
    let entity = entity.ok_or_else(|| PrintError::unsupported("a query without a table"))?;
    let name = entity.get("name").unwrap_or_default();
    Ok(typed(
        "QueryExpression",
        json!({
            "EntityName": name,
            "Distinct": fetch.get("distinct").is_some(),
            "NoLock": false,
            "TopCount": number("top"),
            "PageInfo": typed("PagingInfo", json!({
                "PageNumber": number("page").unwrap_or_default(),
                "Count": number("count").unwrap_or_default(),
                "ReturnTotalRecordCount": fetch.get("returntotalrecordcount").is_some(),
                "PagingCookie": fetch.get("paging-cookie"),
            })),
            "ColumnSet": columns(entity)?,
            "Criteria": criteria(entity)?,
            "Orders": orders(entity),
            "LinkEntities": links(entity, name)?,
        }),
    ))
}

fn columns(element: &Element) -> Result<Value, PrintError> {
    let (mut names, mut expressions) = (Vec::new(), Vec::new());
    for attribute in named(element, "attribute") {
        let name = attribute.get("name").unwrap_or_default();
        PrintError::when(attribute.get("usertimezone").is_some(), "a time zone of a column")?;
        PrintError::when(attribute.get("distinct").is_some(), "a count of different values")?;
        if attribute.attributes.len() == 1 {
            names.push(name);
            continue;
        }
        let word = |attribute_name: &str, names| {
            let word = attribute.get(attribute_name).and_then(|it| to_sdk(names, it));
            word.unwrap_or("None")
        };
        expressions.push(typed(
            "XrmAttributeExpression",
            json!({
                "AttributeName": name,
                "Alias": attribute.get("alias"),
                "AggregateType": word("aggregate", &AGGREGATES),
                "HasGroupBy": attribute.get("groupby").is_some(),
                "DateTimeGrouping": word("dategrouping", &DATE_GROUPINGS),
            }),
        ));
    }
    Ok(typed(
        "ColumnSet",
        json!({
            "AllColumns": named(element, "all-attributes").next().is_some(),
            "Columns": names,
            "AttributeExpressions": expressions,
        }),
    ))
}

/// There is always one, as in the SDK's objects.
fn criteria(element: &Element) -> Result<Value, PrintError> {
    let empty = Element::default();
    filter(named(element, "filter").next().unwrap_or(&empty))
}

fn filter(element: &Element) -> Result<Value, PrintError> {
    let conditions = named(element, "condition").map(condition).collect::<Result<Vec<_>, _>>()?;
    let mut filters = named(element, "filter").map(filter).collect::<Result<Vec<_>, _>>()?;
    let semi_joins = named(element, "link-entity").map(|it| link(it, ""));
    let mut semi_joins = semi_joins.collect::<Result<Vec<_>, _>>()?.into_iter();
    let first = semi_joins.next();
    // There is room for one; each of the others gets a filter of its own.
    filters.extend(semi_joins.map(|it| filter_of("And", Vec::new(), Vec::new(), Some(it))));
    let operator = if element.get("type") == Some("or") { "Or" } else { "And" };
    Ok(filter_of(operator, conditions, filters, first))
}

fn filter_of(
    operator: &str,
    conditions: Vec<Value>,
    filters: Vec<Value>,
    semi_join: Option<Value>,
) -> Value {
    typed(
        "FilterExpression",
        json!({
            "FilterOperator": operator,
            "Conditions": conditions,
            "Filters": filters,
            "AnyAllFilterLinkEntity": semi_join,
        }),
    )
}

fn condition(element: &Element) -> Result<Value, PrintError> {
    let operator = element.get("operator").and_then(operators::by_fetch);
    let operator = operator.map_or("Equal", |it| it.sdk);
    let compared = element.get("valueof");
    let other_row = compared.is_some_and(|it| it.contains('.'));
    PrintError::when(other_row, "a comparison of columns of two tables")?;
    let single = element.get("value").or(compared);
    let values = single.into_iter().chain(element.children.iter().map(|it| it.text.as_str()));
    Ok(typed(
        "ConditionExpression",
        json!({
            "EntityName": element.get("entityname"),
            "AttributeName": element.get("attribute"),
            "Operator": operator,
            "CompareColumns": compared.is_some(),
            "Values": values
                .map(|it| json!({ "Type": "System.String", "Value": it }))
                .collect::<Vec<_>>(),
        }),
    ))
}

fn orders(element: &Element) -> Vec<Value> {
    let orders = named(element, "order").map(|order| {
        typed(
            "OrderExpression",
            json!({
                "AttributeName": order.get("attribute"),
                "OrderType": match order.get("descending") {
                    Some(_) => "Descending",
                    None => "Ascending",
                },
                "Alias": order.get("alias"),
                "EntityName": order.get("entityname"),
            }),
        )
    });
    orders.collect()
}

fn links(element: &Element, parent: &str) -> Result<Vec<Value>, PrintError> {
    named(element, "link-entity").map(|it| link(it, parent)).collect()
}

fn link(element: &Element, parent: &str) -> Result<Value, PrintError> {
    let name = element.get("name").unwrap_or_default();
    let join = element.get("link-type").and_then(|it| to_sdk(&JOINS, it)).unwrap_or("Inner");
    Ok(typed(
        "LinkEntity",
        json!({
            "LinkFromEntityName": parent,
            "LinkFromAttributeName": element.get("to"),
            "LinkToEntityName": name,
            "LinkToAttributeName": element.get("from"),
            "JoinOperator": join,
            "EntityAlias": element.get("alias"),
            "Columns": columns(element)?,
            "LinkCriteria": criteria(element)?,
            "LinkEntities": links(element, name)?,
            "Orders": [],
        }),
    ))
}

fn named<'a>(element: &'a Element, name: &'static str) -> impl Iterator<Item = &'a Element> {
    element.children.iter().filter(move |it| it.name == name)
}
