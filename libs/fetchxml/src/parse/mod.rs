//! FetchXML to the query tree (spec §3.1 to §3.4).

mod element;
pub(crate) mod fetch;
mod filter;
mod scope;

use proto::query::v1 as pb;

use self::scope::{Place, Scope};
use crate::error::FetchXmlError;
use crate::tree;
use crate::xml::{self, Element};

/// Reads a FetchXML document.
///
/// `paging-cookie` and `page` go to the tree's page as they are; the other values of conditions stay
/// text. What is accepted without effect (`no-lock`, `options`, `latematerialize`, `hint` and the
/// like) is checked all the same.
///
/// # Errors
///
/// When the document is not XML, not FetchXML, or larger than a query may be.
pub fn parse(text: &str) -> Result<pb::QueryExpression, FetchXmlError> {
    document(&xml::read(text)?)
}

/// Reads a `fetch` element, wherever it comes from.
pub(crate) fn document(root: &Element) -> Result<pb::QueryExpression, FetchXmlError> {
    let entity = fetch::entity_of(root)?;
    let mut query = fetch::settings(root)?;
    let scope = Scope::of(entity)?;
    let aggregate = root.flag("aggregate")?.unwrap_or_default();
    let mut parser = Parser { scope, aggregate, ..Parser::default() };
    entity.only(&["name", "enableprefiltering", "prefilterparametername"])?;
    query.entity_name = entity.required("name")?.to_owned();
    let body = parser.body(entity, &Place::root())?;
    parser.check_orders()?;
    query.all_columns = body.all_columns;
    if !query.all_columns && parser.columns.is_empty() && !body.links.iter().any(any_columns) {
        if aggregate {
            return Err(entity.invalid("an aggregate query needs attributes"));
        }
        // No column asked for at all means every column of the table.
        query.all_columns = true;
    }
    query.criteria = body.criteria;
    query.links = body.links;
    query.columns = parser.columns;
    query.orders = parser.orders.into_iter().map(|(it, _)| it).collect();
    query.orders.extend(parser.link_orders.into_iter().map(|(it, _)| it));
    Ok(query)
}

/// What has been read so far.
#[derive(Default)]
struct Parser {
    scope: Scope,
    aggregate: bool,
    columns: Vec<pb::OutputColumn>,
    /// With the position of the element, for what can only be checked at the end.
    orders: Vec<(pb::OrderExpression, xml::Position)>,
    link_orders: Vec<(pb::OrderExpression, xml::Position)>,
    /// Links that were begun; they are numbered as the scope numbers them.
    links: usize,
    union_hint: bool,
}

/// What stands within an `entity` or a `link-entity`.
struct Body {
    criteria: Option<pb::FilterExpression>,
    links: Vec<pb::LinkEntity>,
    all_columns: bool,
}

const JOINS: [(&str, pb::JoinOperator); 10] = [
    ("inner", pb::JoinOperator::Inner),
    ("outer", pb::JoinOperator::LeftOuter),
    ("natural", pb::JoinOperator::Inner),
    ("matchfirstrowusingcrossapply", pb::JoinOperator::MatchFirstRow),
    ("in", pb::JoinOperator::In),
    ("exists", pb::JoinOperator::Exists),
    ("any", pb::JoinOperator::Any),
    ("not any", pb::JoinOperator::NotAny),
    ("all", pb::JoinOperator::All),
    ("not all", pb::JoinOperator::NotAll),
];

const LINK_ATTRIBUTES: [&str; 9] = [
    "name",
    "from",
    "to",
    "alias",
    "link-type",
    "intersect",
    "visible",
    "enableprefiltering",
    "prefilterparametername",
];

/// The `link-type` of a join.
pub(crate) fn link_type(join: pb::JoinOperator) -> &'static str {
    JOINS.iter().find(|(_, it)| *it == join).map_or("inner", |(name, _)| name)
}

fn join_of(element: &Element) -> Result<pb::JoinOperator, FetchXmlError> {
    let Some(name) = element.get("link-type") else { return Ok(pb::JoinOperator::Inner) };
    let join = JOINS.iter().find(|(it, _)| *it == name).map(|(_, join)| *join);
    join.ok_or_else(|| element.bad_value("link-type", name))
}

fn any_columns(link: &pb::LinkEntity) -> bool {
    link.all_columns || link.links.iter().any(any_columns)
}

// === impl Parser ===

impl Parser {
    fn body(&mut self, element: &Element, place: &Place) -> Result<Body, FetchXmlError> {
        element.no_text()?;
        let (mut filters, mut semi_joins) = (Vec::new(), Vec::new());
        let mut body = Body { criteria: None, links: Vec::new(), all_columns: false };
        for child in &element.children {
            match child.name.as_str() {
                "all-attributes" => {
                    self.returns(child, place)?;
                    child.only(&[])?;
                    child.no_children()?;
                    if self.aggregate {
                        return Err(child.invalid("an aggregate query returns no plain columns"));
                    }
                    body.all_columns = true;
                }
                "attribute" => self.attribute(child, place)?,
                "order" => self.order(child, place)?,
                "filter" => filters.extend(self.filter(child, place, 1)?),
                "link-entity" => {
                    let link = self.link(child, place, false)?;
                    match tree::is_semi_join(link.join()) {
                        true => semi_joins.push(link),
                        false => body.links.push(link),
                    }
                }
                _ => {
                    let expected = "all-attributes, attribute, order, filter, link-entity";
                    return Err(element.bad_child(child, expected));
                }
            }
        }
        body.criteria = tree::all_of(filters, semi_joins);
        Ok(body)
    }

    fn link(
        &mut self,
        element: &Element,
        parent: &Place,
        in_filter: bool,
    ) -> Result<pb::LinkEntity, FetchXmlError> {
        element.only(&LINK_ATTRIBUTES)?;
        let join = join_of(element)?;
        if tree::is_filter_join(join) != in_filter {
            let name = element.get("link-type").unwrap_or("inner");
            let message = match in_filter {
                true => format!("a link-entity of type '{name}' cannot stand within a filter"),
                false => format!("a link-entity of type '{name}' must stand within a filter"),
            };
            return Err(element.invalid(message));
        }
        let number = self.links;
        self.links += 1;
        let place = self.scope.place_of(number, tree::is_semi_join(join), parent);
        element.flag("visible")?;
        let on = pb::JoinPair {
            column: Some(tree::column(element.required("from")?, "")),
            parent: Some(tree::column(element.required("to")?, "")),
            exact: false,
        };
        let entity = element.required("name")?.to_owned();
        let body = self.body(element, &place)?;
        Ok(pb::LinkEntity {
            alias: self.scope.alias(number).to_owned(),
            target: Some(pb::link_entity::Target::EntityName(entity)),
            join: join.into(),
            on: vec![on],
            criteria: body.criteria,
            links: body.links,
            navigation: String::new(),
            all_columns: body.all_columns,
            intersect: element.flag("intersect")?.unwrap_or_default(),
        })
    }

    /// Refuses what asks for values of rows that are only looked for.
    fn returns(&self, element: &Element, place: &Place) -> Result<(), FetchXmlError> {
        match place.is_tested_only() {
            true => {
                let name = &element.name;
                Err(element.invalid(format!(
                    "'{name}' is not possible here: the rows of this link-entity are not returned"
                )))
            }
            false => Ok(()),
        }
    }
}
