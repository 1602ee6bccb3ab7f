//! Filters and conditions.

use proto::query::v1 as pb;

use super::Parser;
use super::scope::Place;
use crate::error::FetchXmlError;
use crate::operators::{self, Arity, Names};
use crate::tree;
use crate::xml::Element;

const FILTER_ATTRIBUTES: [&str; 5] = [
    "type",
    "hint",
    "isquickfindfields",
    "overridequickfindrecordlimitenabled",
    "overridequickfindrecordlimitdisabled",
];

const CONDITION_ATTRIBUTES: [&str; 8] =
    ["attribute", "operator", "value", "valueof", "entityname", "uiname", "uitype", "uihidden"];

/// The hint means nothing in filters deeper than this.
const HINT_DEPTH: usize = 3;

impl Parser {
    /// `None` for a filter that says nothing.
    pub(super) fn filter(
        &mut self,
        element: &Element,
        place: &Place,
        depth: usize,
    ) -> Result<Option<pb::FilterExpression>, FetchXmlError> {
        element.only(&FILTER_ATTRIBUTES)?;
        element.no_text()?;
        let operator = match element.filled("type") {
            None | Some("and") => pb::FilterOperator::And,
            Some("or") => pb::FilterOperator::Or,
            Some(other) => return Err(element.bad_value("type", other)),
        };
        self.hints(element, operator, depth)?;
        let mut filter = pb::FilterExpression { operator: operator.into(), ..Default::default() };
        for child in &element.children {
            match child.name.as_str() {
                "condition" => filter.conditions.push(self.condition(child, place)?),
                "filter" => filter.filters.extend(self.filter(child, place, depth + 1)?),
                "link-entity" => filter.links.push(self.link(child, place, true)?),
                _ => return Err(element.bad_child(child, "condition, filter, link-entity")),
            }
        }
        let empty =
            filter.conditions.is_empty() && filter.filters.is_empty() && filter.links.is_empty();
        Ok((!empty).then_some(filter))
    }

    fn hints(
        &mut self,
        element: &Element,
        operator: pb::FilterOperator,
        depth: usize,
    ) -> Result<(), FetchXmlError> {
        for flag in FILTER_ATTRIBUTES.iter().filter(|it| !matches!(**it, "type" | "hint")) {
            element.flag(flag)?;
        }
        match element.filled("hint") {
            None => Ok(()),
            Some("union") if depth > HINT_DEPTH => Ok(()),
            Some("union") if operator != pb::FilterOperator::Or => {
                Err(element.invalid("the hint 'union' needs a filter of type 'or'"))
            }
            Some("union") if self.union_hint => {
                Err(element.invalid("the hint 'union' is possible only once in a query"))
            }
            Some("union") => {
                self.union_hint = true;
                Ok(())
            }
            Some(other) => Err(element.bad_value("hint", other)),
        }
    }

    fn condition(
        &self,
        element: &Element,
        place: &Place,
    ) -> Result<pb::ConditionExpression, FetchXmlError> {
        element.only(&CONDITION_ATTRIBUTES)?;
        element.no_text()?;
        let attribute = element.required("attribute")?;
        let link = match element.filled("entityname") {
            Some(name) => self.scope.resolve(name, place, element)?,
            None => String::new(),
        };
        let name = element.required("operator")?;
        let operator =
            operators::by_fetch(name).ok_or_else(|| element.bad_value("operator", name))?;
        let mut condition = pb::ConditionExpression {
            column: Some(tree::column(attribute, &link)),
            operator: operator.operator.into(),
            ..Default::default()
        };
        match element.filled("valueof") {
            Some(other) => {
                condition.compare_column =
                    Some(self.other_column(element, other, operator, place)?);
            }
            None => condition.values = values(element, operator)?,
        }
        Ok(condition)
    }

    /// `column` of the same row, or `alias.column`.
    fn other_column(
        &self,
        element: &Element,
        name: &str,
        operator: &Names,
        place: &Place,
    ) -> Result<pb::ColumnRef, FetchXmlError> {
        if !operators::compares_columns(operator.operator) {
            let operator = operator.fetch.unwrap_or_default();
            let message = format!("The operator '{operator}' does not compare columns.");
            return Err(element.invalid(message));
        }
        if element.get("value").is_some() || !element.children.is_empty() {
            return Err(element.invalid("a condition has either a value or 'valueof'"));
        }
        match name.split_once('.') {
            Some((alias, column)) => {
                Ok(tree::column(column, &self.scope.resolve(alias, place, element)?))
            }
            // The same row as the condition's own column.
            None => match element.filled("entityname") {
                Some(entity) => {
                    Ok(tree::column(name, &self.scope.resolve(entity, place, element)?))
                }
                None => Ok(tree::column(name, "")),
            },
        }
    }
}

fn values(element: &Element, operator: &Names) -> Result<Vec<pb::Value>, FetchXmlError> {
    let mut values = Vec::with_capacity(element.children.len());
    for child in &element.children {
        if child.name != "value" {
            return Err(element.bad_child(child, "value"));
        }
        child.only(&["uiname", "uitype"])?;
        match child.children.first() {
            None => values.push(tree::text(child.text.clone())),
            Some(inner) => return Err(child.bad_child(inner, "")),
        }
    }
    match element.get("value") {
        // Tools write an empty value for operators that take none.
        Some("") if operator.arity == Arity::None => {}
        Some(_) if !values.is_empty() => {
            return Err(element.invalid("a condition has its values in one place"));
        }
        Some(value) => values.push(tree::text(value)),
        None => {}
    }
    if operator.arity.takes(values.len()) {
        return Ok(values);
    }
    let (name, expected) = (operator.fetch.unwrap_or_default(), operator.arity.expected());
    let found = values.len();
    Err(element.invalid(format!("The operator '{name}' takes {expected}, and not {found}.")))
}
