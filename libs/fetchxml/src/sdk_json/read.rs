//! JSON to a `fetch` element.

use serde_json::Value;

use super::object::{Object, literal, string};
use super::{AGGREGATES, DATE_GROUPINGS, JOINS, JsonError, from_sdk};
use crate::operators;
use crate::xml::Element;

/// A `fetch` element, and whether the query asked for any column.
pub(super) struct Document {
    pub(super) fetch: Element,
    pub(super) says_columns: bool,
}

pub(super) fn query(json: &Value) -> Result<Document, JsonError> {
    let query = Object::new(
        json,
        String::new(),
        &[
            "EntityName",
            "ColumnSet",
            "Criteria",
            "Orders",
            "LinkEntities",
            "PageInfo",
            "TopCount",
            "Distinct",
        ],
    )?;
    let mut fetch = Element::new("fetch");
    page(&query, &mut fetch)?;
    if query.flag("Distinct")? {
        fetch.set("distinct", "true");
    }
    let mut reader = Reader::default();
    let mut entity = Element::new("entity");
    entity.set("name", query.text("EntityName")?.unwrap_or_default());
    reader.columns(&query, "ColumnSet", &mut entity)?;
    orders(&query, &mut entity)?;
    reader.criteria(&query, "Criteria", &mut entity, 0)?;
    reader.links(&query, "LinkEntities", &mut entity, 0)?;
    if reader.aggregate {
        fetch.set("aggregate", "true");
    }
    fetch.children.push(entity);
    Ok(Document { fetch, says_columns: reader.says_columns })
}

/// What shows only once everything has been read.
#[derive(Default)]
struct Reader {
    aggregate: bool,
    says_columns: bool,
}

impl Reader {
    fn columns(
        &mut self,
        of: &Object<'_>,
        member: &'static str,
        element: &mut Element,
    ) -> Result<(), JsonError> {
        let Some(set_of) = of.object(member, &["AllColumns", "Columns", "AttributeExpressions"])?
        else {
            return Ok(());
        };
        let before = element.children.len();
        if set_of.flag("AllColumns")? {
            element.children.push(Element::new("all-attributes"));
        }
        for (name, path) in set_of.list("Columns")? {
            let mut attribute = Element::new("attribute");
            attribute.set("name", string(name, &path)?);
            element.children.push(attribute);
        }
        for (json, path) in set_of.list("AttributeExpressions")? {
            element.children.push(self.expression(json, path)?);
        }
        self.says_columns |= element.children.len() > before;
        Ok(())
    }

    fn expression(&mut self, json: &Value, path: String) -> Result<Element, JsonError> {
        let members = ["AttributeName", "Alias", "AggregateType", "HasGroupBy", "DateTimeGrouping"];
        let expression = Object::new(json, path, &members)?;
        let mut attribute = Element::new("attribute");
        attribute.set("name", expression.text("AttributeName")?.unwrap_or_default());
        if let Some(alias) = expression.text("Alias")? {
            attribute.set("alias", alias);
        }
        for (member, name, names) in [
            ("AggregateType", "aggregate", AGGREGATES.as_slice()),
            ("DateTimeGrouping", "dategrouping", DATE_GROUPINGS.as_slice()),
        ] {
            match expression.text(member)? {
                None | Some("None") => {}
                Some(text) => {
                    let value = from_sdk(names, text);
                    let value = value.ok_or_else(|| expression.unknown(member, text))?;
                    attribute.set(name, value);
                    self.aggregate |= name == "aggregate";
                }
            }
        }
        if expression.flag("HasGroupBy")? {
            attribute.set("groupby", "true");
            self.aggregate = true;
        }
        Ok(attribute)
    }

    fn criteria(
        &mut self,
        of: &Object<'_>,
        member: &'static str,
        element: &mut Element,
        depth: usize,
    ) -> Result<(), JsonError> {
        if let Some(filter) = of.object(member, &FILTER)? {
            element.children.push(self.filter(&filter, depth)?);
        }
        Ok(())
    }

    fn filter(&mut self, filter: &Object<'_>, depth: usize) -> Result<Element, JsonError> {
        filter.bounded(depth)?;
        let mut element = Element::new("filter");
        match filter.enumeration("FilterOperator", &["And", "Or"])? {
            Some("Or") => element.set("type", "or"),
            _ => element.set("type", "and"),
        }
        for (json, path) in filter.list("Conditions")? {
            element.children.push(condition(json, path)?);
        }
        for (json, path) in filter.list("Filters")? {
            let inner = Object::new(json, path, &FILTER)?;
            element.children.push(self.filter(&inner, depth + 1)?);
        }
        if let Some(link) = filter.object("AnyAllFilterLinkEntity", &LINK)? {
            element.children.push(self.link(&link, depth + 1)?);
        }
        Ok(element)
    }

    fn links(
        &mut self,
        of: &Object<'_>,
        member: &'static str,
        element: &mut Element,
        depth: usize,
    ) -> Result<(), JsonError> {
        for (json, path) in of.list(member)? {
            let link = Object::new(json, path, &LINK)?;
            element.children.push(self.link(&link, depth + 1)?);
        }
        Ok(())
    }

    fn link(&mut self, link: &Object<'_>, depth: usize) -> Result<Element, JsonError> {
        link.bounded(depth)?;
        let mut element = Element::new("link-entity");
        for (member, name) in [
            ("LinkToEntityName", "name"),
            ("LinkToAttributeName", "from"),
            ("LinkFromAttributeName", "to"),
            ("EntityAlias", "alias"),
        ] {
            if let Some(text) = link.text(member)? {
                element.set(name, text);
            }
        }
        if let Some(join) = link.enumeration("JoinOperator", &JOINS.map(|(it, _)| it))? {
            element.set("link-type", from_sdk(&JOINS, join).unwrap_or_default());
        }
        self.columns(link, "Columns", &mut element)?;
        orders(link, &mut element)?;
        self.criteria(link, "LinkCriteria", &mut element, depth)?;
        self.links(link, "LinkEntities", &mut element, depth)?;
        Ok(element)
    }
}

const FILTER: [&str; 4] = ["FilterOperator", "Conditions", "Filters", "AnyAllFilterLinkEntity"];

const LINK: [&str; 9] = [
    "LinkFromAttributeName",
    "LinkToEntityName",
    "LinkToAttributeName",
    "JoinOperator",
    "EntityAlias",
    "Columns",
    "LinkCriteria",
    "LinkEntities",
    "Orders",
];

fn page(query: &Object<'_>, fetch: &mut Element) -> Result<(), JsonError> {
    // What is zero was never set.
    if let Some(top) = query.number("TopCount")?.filter(|it| *it != 0) {
        fetch.set("top", &top.to_string());
    }
    let members = ["PageNumber", "Count", "PagingCookie", "ReturnTotalRecordCount"];
    let Some(page) = query.object("PageInfo", &members)? else { return Ok(()) };
    for (member, name) in [("Count", "count"), ("PageNumber", "page")] {
        if let Some(number) = page.number(member)?.filter(|it| *it != 0) {
            fetch.set(name, &number.to_string());
        }
    }
    if let Some(cookie) = page.text("PagingCookie")? {
        fetch.set("paging-cookie", cookie);
    }
    if page.flag("ReturnTotalRecordCount")? {
        fetch.set("returntotalrecordcount", "true");
    }
    Ok(())
}

fn orders(of: &Object<'_>, element: &mut Element) -> Result<(), JsonError> {
    for (json, path) in of.list("Orders")? {
        let order =
            Object::new(json, path, &["AttributeName", "OrderType", "Alias", "EntityName"])?;
        let mut result = Element::new("order");
        let alias = order.text("Alias")?.filter(|it| !it.is_empty());
        match alias {
            Some(alias) => result.set("alias", alias),
            None => result.set("attribute", order.text("AttributeName")?.unwrap_or_default()),
        }
        if let Some(entity) = order.text("EntityName")?.filter(|_| alias.is_none()) {
            result.set("entityname", entity);
        }
        if order.enumeration("OrderType", &["Ascending", "Descending"])? == Some("Descending") {
            result.set("descending", "true");
        }
        element.children.push(result);
    }
    Ok(())
}

fn condition(json: &Value, path: String) -> Result<Element, JsonError> {
    let members = ["EntityName", "AttributeName", "Operator", "Values", "CompareColumns"];
    let condition = Object::new(json, path, &members)?;
    let mut element = Element::new("condition");
    element.set("attribute", condition.text("AttributeName")?.unwrap_or_default());
    if let Some(entity) = condition.text("EntityName")?.filter(|it| !it.is_empty()) {
        element.set("entityname", entity);
    }
    // The first member of the enumeration is what an SDK object has when nothing is said.
    let name = condition.text("Operator")?.unwrap_or("Equal");
    let operator = operators::by_sdk(name).ok_or_else(|| condition.unknown("Operator", name))?;
    let contains = match name {
        "Contains" => Some("like"),
        "DoesNotContain" => Some("not-like"),
        _ => None,
    };
    element.set("operator", contains.or(operator.fetch).unwrap_or_default());
    let compares = condition.flag("CompareColumns")?;
    for (json, path) in condition.list("Values")? {
        let text = literal(json, &path)?;
        if compares {
            element.set("valueof", &text);
            continue;
        }
        let text = if contains.is_some() { format!("%{text}%") } else { text };
        element.children.push(Element { text, ..Element::new("value") });
    }
    Ok(element)
}
