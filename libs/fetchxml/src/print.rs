//! The query tree as FetchXML.

mod columns;
mod conditions;

use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column;

use self::columns::{attribute, settings};
use self::conditions::operator_of;
use crate::MAX_DEPTH;
use crate::error::PrintError;
use crate::operators::{self, Arity};
use crate::parse::link_type;
use crate::tree;
use crate::xml::{self, Element};

/// Writes a query as FetchXML. A query without any column is written without any attribute, as the
/// platform does, which as FetchXML means all columns.
///
/// # Errors
///
/// When the query says what FetchXML cannot.
pub fn print(query: &pb::QueryExpression) -> Result<String, PrintError> {
    let document = document(query)?;
    xml::write(&document)
        .ok_or_else(|| PrintError::unsupported("a text holds a character that XML does not allow"))
}

/// The `fetch` element of a query.
pub(crate) fn document(query: &pb::QueryExpression) -> Result<Element, PrintError> {
    for (is_said, what) in [
        (query.fiscal_calendar.is_some(), "a fiscal calendar"),
        (query.partition_limit.is_some(), "a limit for each of several groups"),
        (query.entity_name.is_empty(), "a query without a table"),
    ] {
        PrintError::when(is_said, what)?;
    }
    let mut fetch = settings(query)?;
    let mut joined = Vec::new();
    let mut aliases = Vec::new();
    collect(query.criteria.as_ref(), &query.links, 0, &mut joined, &mut aliases)?;
    let shadowed = aliases.contains(&query.entity_name.as_str());
    let unknown = |link: &str| !link.is_empty() && link != tree::ROOT && !joined.contains(&link);
    if let Some(column) = query.columns.iter().find(|it| unknown(link_of(it.column.as_ref()))) {
        let link = link_of(column.column.as_ref());
        let message = format!("a column of '{link}', which is no joined link");
        return Err(PrintError::Unsupported(message));
    }
    let printer = Printer { query, shadowed };
    let mut entity = Element::new("entity");
    entity.set("name", &query.entity_name);
    printer.columns(&mut entity, "", query.all_columns)?;
    for order in &query.orders {
        entity.children.push(printer.order(order)?);
    }
    let place = Place { alias: "", depth: 2 };
    printer.body(&mut entity, query.criteria.as_ref(), &query.links, place)?;
    fetch.children.push(entity);
    Ok(fetch)
}

struct Printer<'a> {
    query: &'a pb::QueryExpression,
    /// A link is called as the table is, so that the table cannot be named.
    shadowed: bool,
}

/// Where an expression stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// Of the link; empty for the root.
    alias: &'a str,
    /// Elements around it.
    depth: usize,
}

impl Place<'_> {
    fn deeper(self) -> Result<Self, PrintError> {
        match self.depth < MAX_DEPTH - 1 {
            true => Ok(Self { depth: self.depth + 1, ..self }),
            false => Err(PrintError::TooDeep),
        }
    }
}

/// The aliases of all links, and of those whose rows are joined.
fn collect<'a>(
    criteria: Option<&'a pb::FilterExpression>,
    links: &'a [pb::LinkEntity],
    depth: usize,
    joined: &mut Vec<&'a str>,
    aliases: &mut Vec<&'a str>,
) -> Result<(), PrintError> {
    if depth > MAX_DEPTH {
        return Err(PrintError::TooDeep);
    }
    for link in links {
        joined.push(&link.alias);
        aliases.push(&link.alias);
        collect(link.criteria.as_ref(), &link.links, depth + 1, joined, aliases)?;
    }
    if let Some(filter) = criteria {
        for filter in &filter.filters {
            collect(Some(filter), &[], depth + 1, joined, aliases)?;
        }
        // What is within a semi-join returns nothing.
        for link in &filter.links {
            aliases.push(&link.alias);
            collect(link.criteria.as_ref(), &link.links, depth + 1, &mut Vec::new(), aliases)?;
        }
    }
    Ok(())
}

impl Printer<'_> {
    fn columns(
        &self,
        element: &mut Element,
        alias: &str,
        all_columns: bool,
    ) -> Result<(), PrintError> {
        if all_columns {
            element.children.push(Element::new("all-attributes"));
        }
        for output in &self.query.columns {
            let link = link_of(output.column.as_ref());
            if link == alias || (alias.is_empty() && link == tree::ROOT) {
                element.children.push(attribute(output)?);
            }
        }
        Ok(())
    }

    fn order(&self, order: &pb::OrderExpression) -> Result<Element, PrintError> {
        PrintError::when(order.by_label, "an order by label that the query decides itself")?;
        let mut element = Element::new("order");
        if order.output.is_empty() {
            let column = order.column.as_ref();
            element.set("attribute", field_of(column)?);
            match link_of(column) {
                "" | tree::ROOT => {}
                link => element.set("entityname", link),
            }
        } else {
            element.set("alias", &order.output);
        }
        if order.descending {
            element.set("descending", "true");
        }
        Ok(element)
    }

    /// Filters and links of an entity.
    fn body(
        &self,
        element: &mut Element,
        criteria: Option<&pb::FilterExpression>,
        links: &[pb::LinkEntity],
        place: Place<'_>,
    ) -> Result<(), PrintError> {
        if let Some(mut filter) = criteria.map(|it| simplified(it, 0)).transpose()?.flatten() {
            let mut beside = Vec::new();
            if filter.operator() == pb::FilterOperator::And {
                beside =
                    filter.links.extract_if(.., |it| !tree::is_filter_join(it.join())).collect();
            }
            if !is_empty(&filter) {
                element.children.push(self.filter(&filter, place.deeper()?)?);
            }
            for link in &beside {
                PrintError::when(!tree::is_semi_join(link.join()), "a join within a filter")?;
                element.children.push(self.link(link, link.join(), place.deeper()?)?);
            }
        }
        for link in links {
            PrintError::when(tree::is_semi_join(link.join()), "a semi-join outside of a filter")?;
            element.children.push(self.link(link, link.join(), place.deeper()?)?);
        }
        Ok(())
    }

    fn filter(
        &self,
        filter: &pb::FilterExpression,
        place: Place<'_>,
    ) -> Result<Element, PrintError> {
        let mut element = Element::new("filter");
        let or = filter.operator() == pb::FilterOperator::Or;
        element.set("type", if or { "or" } else { "and" });
        for condition in &filter.conditions {
            element.children.push(self.condition(condition, place.deeper()?)?);
        }
        for filter in &filter.filters {
            element.children.push(self.filter(filter, place.deeper()?)?);
        }
        for link in &filter.links {
            let join = match link.join() {
                // The same rows, by the name that a filter may hold.
                pb::JoinOperator::Exists | pb::JoinOperator::In => pb::JoinOperator::Any,
                join => join,
            };
            PrintError::when(!tree::is_semi_join(join), "a join within a filter")?;
            element.children.push(self.link(link, join, place.deeper()?)?);
        }
        Ok(element)
    }

    fn link(
        &self,
        link: &pb::LinkEntity,
        join: pb::JoinOperator,
        place: Place<'_>,
    ) -> Result<Element, PrintError> {
        PrintError::when(!link.navigation.is_empty(), "a link by a navigation property")?;
        let Some(pb::link_entity::Target::EntityName(name)) = &link.target else {
            return Err(PrintError::unsupported("a link to rows that are given by value"));
        };
        let [pair] = link.on.as_slice() else {
            return Err(PrintError::unsupported("a link by more or less than one pair of columns"));
        };
        let linked = [&pair.column, &pair.parent].map(|it| link_of(it.as_ref()));
        PrintError::when(linked != ["", ""], "a link by columns of a third table")?;
        let mut element = Element::new("link-entity");
        element.set("name", name);
        element.set("from", field_of(pair.column.as_ref())?);
        element.set("to", field_of(pair.parent.as_ref())?);
        if !link.alias.is_empty() {
            PrintError::when(!tree::is_alias(&link.alias), "an alias that is no name")?;
            element.set("alias", &link.alias);
        }
        element.set("link-type", link_type(join));
        if link.intersect {
            element.set("intersect", "true");
        }
        if !tree::is_semi_join(join) && !link.alias.is_empty() {
            self.columns(&mut element, &link.alias, link.all_columns)?;
        } else if link.all_columns {
            PrintError::when(tree::is_semi_join(join), "columns of a semi-join")?;
            element.children.push(Element::new("all-attributes"));
        }
        let place = Place { alias: &link.alias, ..place };
        self.body(&mut element, link.criteria.as_ref(), &link.links, place)?;
        Ok(element)
    }

    fn condition(
        &self,
        condition: &pb::ConditionExpression,
        place: Place<'_>,
    ) -> Result<Element, PrintError> {
        let by_part = condition.date_part != 0 || !condition.time_zone.is_empty();
        PrintError::when(by_part, "a condition on a part of a date")?;
        let (operator, values) = operator_of(condition)?;
        let mut element = Element::new("condition");
        let column = condition.column.as_ref();
        let link = self.link_name(link_of(column), place)?;
        if !link.is_empty() {
            element.set("entityname", link);
        }
        element.set("attribute", field_of(column)?);
        element.set("operator", operator.fetch.unwrap_or_default());
        if let Some(other) = &condition.compare_column {
            let field = field_of(Some(other))?;
            let comparable = operators::compares_columns(operator.operator) && values.is_empty();
            PrintError::when(!comparable, "this comparison of two columns")?;
            let other = self.link_name(link_of(Some(other)), place)?;
            if other == link {
                element.set("valueof", field);
            } else {
                // The row at which the condition stands has a name, too.
                let name = match other {
                    "" if place.alias.is_empty() => self.root_name()?,
                    "" => place.alias,
                    other => other,
                };
                element.set("valueof", &format!("{name}.{field}"));
            }
            return Ok(element);
        }
        if !operator.arity.takes(values.len()) {
            let (name, expected) = (operator.fetch.unwrap_or_default(), operator.arity.expected());
            return Err(PrintError::Unsupported(format!("'{name}' takes {expected}")));
        }
        match (operator.arity, values.as_slice()) {
            (Arity::One, [value]) => element.set("value", value),
            _ => element
                .children
                .extend(values.into_iter().map(|text| Element { text, ..Element::new("value") })),
        }
        Ok(element)
    }

    /// How `entityname` says it; empty for the row at which the condition stands.
    fn link_name<'b>(&'b self, link: &'b str, place: Place<'_>) -> Result<&'b str, PrintError> {
        match link {
            "" => Ok(""),
            tree::ROOT if place.alias.is_empty() => Ok(""),
            tree::ROOT => self.root_name(),
            link if link == place.alias => Ok(""),
            link => Ok(link),
        }
    }

    fn root_name(&self) -> Result<&str, PrintError> {
        PrintError::when(self.shadowed, "the table, whose name is also a link's")?;
        Ok(&self.query.entity_name)
    }
}

/// Without the filters that say nothing; `None` when nothing is left.
fn simplified(
    filter: &pb::FilterExpression,
    depth: usize,
) -> Result<Option<pb::FilterExpression>, PrintError> {
    if depth > MAX_DEPTH {
        return Err(PrintError::TooDeep);
    }
    let or = filter.operator() == pb::FilterOperator::Or;
    let mut kept = pb::FilterExpression { filters: Vec::new(), ..filter.clone() };
    for inner in &filter.filters {
        match simplified(inner, depth + 1)? {
            Some(inner) => kept.filters.push(inner),
            // An empty filter is true, and so is whatever is joined with it by "or".
            None if or => return Ok(None),
            None => {}
        }
    }
    kept.operator = if or { pb::FilterOperator::Or } else { pb::FilterOperator::And }.into();
    Ok((!is_empty(&kept)).then_some(kept))
}

fn is_empty(filter: &pb::FilterExpression) -> bool {
    filter.conditions.is_empty() && filter.filters.is_empty() && filter.links.is_empty()
}

fn field_of(column: Option<&pb::ColumnRef>) -> Result<&str, PrintError> {
    match column.and_then(|it| it.column.as_ref()) {
        Some(Column::Field(name)) if !name.is_empty() => Ok(name),
        Some(Column::Field(_)) | None => Err(PrintError::unsupported("a column without a name")),
        Some(Column::System(_) | Column::Relation(_)) => {
            Err(PrintError::unsupported("a provider's column"))
        }
    }
}

fn link_of(column: Option<&pb::ColumnRef>) -> &str {
    column.map_or("", |it| &it.link)
}
