//! The `fetch` element, and what a row carries: `attribute` and `order`.

use proto::query::v1 as pb;

use super::Parser;
use super::scope::Place;
use crate::MAX_ROWS;
use crate::error::FetchXmlError;
use crate::tree;
use crate::xml::Element;

const FETCH_ATTRIBUTES: [&str; 19] = [
    "top",
    "count",
    "page",
    "paging-cookie",
    "returntotalrecordcount",
    "distinct",
    "aggregate",
    "aggregatelimit",
    "latematerialize",
    "no-lock",
    "options",
    "datasource",
    "useraworderby",
    "version",
    "mapping",
    "output-format",
    "utc-offset",
    "min-active-row-version",
    "savedqueryid",
];

const ATTRIBUTES: [&str; 8] = [
    "name",
    "alias",
    "aggregate",
    "groupby",
    "dategrouping",
    "distinct",
    "usertimezone",
    "rowaggregate",
];

/// Hints to SQL Server. They are checked, and mean nothing here.
const HINTS: [&str; 9] = [
    "OptimizeForUnknown",
    "ForceOrder",
    "DisableRowGoal",
    "EnableOptimizerHotfixes",
    "LoopJoin",
    "MergeJoin",
    "HashJoin",
    "NO_PERFORMANCE_SPOOL",
    "ENABLE_HIST_AMENDMENT_FOR_ASC_KEYS",
];

/// Most source rows of an aggregate query.
const MAX_AGGREGATED: i32 = 50_000;

/// The names of date parts.
pub(crate) const DATE_GROUPINGS: [(&str, pb::DateGrouping); 7] = [
    ("day", pb::DateGrouping::Day),
    ("week", pb::DateGrouping::Week),
    ("month", pb::DateGrouping::Month),
    ("quarter", pb::DateGrouping::Quarter),
    ("year", pb::DateGrouping::Year),
    ("fiscal-period", pb::DateGrouping::FiscalPeriod),
    ("fiscal-year", pb::DateGrouping::FiscalYear),
];

/// The one `entity` of the document.
pub(super) fn entity_of(root: &Element) -> Result<&Element, FetchXmlError> {
    if root.name != "fetch" {
        return Err(root.invalid(format!("The '{}' element is not declared.", root.name)));
    }
    root.only(&FETCH_ATTRIBUTES)?;
    root.no_text()?;
    match root.children.as_slice() {
        [entity] if entity.name == "entity" => Ok(entity),
        [] => Err(root.invalid(
            "The element 'fetch' has incomplete content. List of possible elements expected: \
             'entity'.",
        )),
        [entity, second, ..] if entity.name == "entity" => Err(root.bad_child(second, "")),
        [other, ..] => Err(root.bad_child(other, "entity")),
    }
}

/// What the attributes of `fetch` say.
pub(super) fn settings(root: &Element) -> Result<pb::QueryExpression, FetchXmlError> {
    accepted_without_effect(root)?;
    let top = root.number("top", 1)?;
    if top.is_some_and(|it| it > MAX_ROWS) {
        return Err(root.invalid(format!("The 'top' attribute cannot exceed {MAX_ROWS}.")));
    }
    let (count, page) = (root.number("count", 0)?, root.number("page", 1)?);
    let cookie = root.filled("paging-cookie");
    let counted = root.flag("returntotalrecordcount")?.unwrap_or_default();
    if top.is_some() && (count.is_some() || page.is_some() || cookie.is_some() || counted) {
        return Err(root.invalid(
            "The 'top' attribute can't be specified with paging attributes 'page', 'count', \
             'paging-cookie' or 'returntotalrecordcount'.",
        ));
    }
    let paged = count.is_some() || page.is_some() || cookie.is_some();
    let limit = root.number("aggregatelimit", 1)?.unwrap_or_default().min(MAX_AGGREGATED);
    Ok(pb::QueryExpression {
        top_count: top.unwrap_or_default(),
        page: paged.then(|| pb::Page {
            size: count.unwrap_or_default().min(MAX_ROWS),
            number: page.unwrap_or_default(),
            cookie: cookie.unwrap_or_default().to_owned(),
            ..Default::default()
        }),
        total_count: match counted {
            true => pb::TotalCount::Limited.into(),
            false => pb::TotalCount::Unspecified.into(),
        },
        distinct: root.flag("distinct")?.unwrap_or_default(),
        aggregate_limit: limit,
        raw_order_by: root.flag("useraworderby")?.unwrap_or_default(),
        ..Default::default()
    })
}

fn accepted_without_effect(root: &Element) -> Result<(), FetchXmlError> {
    for name in ["latematerialize", "no-lock"] {
        root.flag(name)?;
    }
    for hint in root.filled("options").unwrap_or_default().split(',').map(str::trim) {
        if !hint.is_empty() && !HINTS.iter().any(|it| it.eq_ignore_ascii_case(hint)) {
            return Err(root.bad_value("options", hint));
        }
    }
    if let Some(mapping) = root.filled("mapping").filter(|it| *it != "logical") {
        return Err(root.bad_value("mapping", mapping));
    }
    match root.filled("datasource") {
        None => Ok(()),
        Some("retained") => {
            Err(FetchXmlError::NotOffered { at: root.at, what: "The data source 'retained'" })
        }
        Some(other) => Err(root.bad_value("datasource", other)),
    }
}

impl Parser {
    pub(super) fn attribute(
        &mut self,
        element: &Element,
        place: &Place,
    ) -> Result<(), FetchXmlError> {
        self.returns(element, place)?;
        element.only(&ATTRIBUTES)?;
        element.no_children()?;
        let column = tree::column(element.required("name")?, self.scope.own_alias(place));
        let mut output = pb::OutputColumn {
            column: Some(column),
            key: element.alias()?.unwrap_or_default().to_owned(),
            group_by: element.flag("groupby")?.unwrap_or_default(),
            aggregate: aggregate(element)?.into(),
            date_grouping: date_grouping(element)?.into(),
            ..Default::default()
        };
        if element.flag("usertimezone")? == Some(false) && output.date_grouping != 0 {
            output.time_zone = "UTC".to_owned();
        }
        self.check_attribute(element, &output)?;
        // A column that is asked for twice is returned once, as it has only one name.
        if output.key.is_empty() && self.columns.contains(&output) {
            return Ok(());
        }
        self.columns.push(output);
        Ok(())
    }

    fn check_attribute(
        &self,
        element: &Element,
        output: &pb::OutputColumn,
    ) -> Result<(), FetchXmlError> {
        match element.filled("rowaggregate") {
            None => {}
            Some("CountChildren") => {
                return Err(FetchXmlError::NotOffered {
                    at: element.at,
                    what: "The attribute 'rowaggregate'",
                });
            }
            Some(other) => return Err(element.bad_value("rowaggregate", other)),
        }
        let (aggregate, group) = (output.aggregate != 0, output.group_by);
        let message = match self.aggregate {
            _ if aggregate && group => "an attribute is either aggregated or grouped by",
            true if !aggregate && !group => {
                "an attribute of an aggregate query needs 'aggregate' or 'groupby'"
            }
            true if output.key.is_empty() => "an attribute of an aggregate query needs an alias",
            false if aggregate || group => "the query is not an aggregate query",
            _ if output.date_grouping != 0 && !group => "'dategrouping' needs 'groupby'",
            _ if !output.key.is_empty() && self.columns.iter().any(|it| it.key == output.key) => {
                return Err(element.invalid(format!("The alias '{}' is not unique.", output.key)));
            }
            _ => return Ok(()),
        };
        Err(element.invalid(message))
    }

    pub(super) fn order(&mut self, element: &Element, place: &Place) -> Result<(), FetchXmlError> {
        self.returns(element, place)?;
        element.only(&["attribute", "alias", "descending", "entityname"])?;
        element.no_children()?;
        let mut order = pb::OrderExpression {
            descending: element.flag("descending")?.unwrap_or_default(),
            ..Default::default()
        };
        match (self.aggregate, element.filled("attribute"), element.filled("alias")) {
            (true, None, Some(alias)) => order.output = alias.to_owned(),
            (true, _, _) => {
                return Err(element.invalid(
                    "An attribute can not be specified for an order clause for an aggregate \
                     Query. Use an alias",
                ));
            }
            (false, _, Some(_)) => {
                return Err(element.invalid(
                    "An alias cannot be specified for an order clause for a non-aggregate Query. \
                     Use an attribute.",
                ));
            }
            (false, _, None) => {
                let attribute = element.required("attribute")?;
                let link = match element.filled("entityname") {
                    Some(name) => self.scope.resolve(name, &Place::root(), element)?,
                    None => self.scope.own_alias(place).to_owned(),
                };
                order.column = Some(tree::column(attribute, &link));
            }
        }
        let orders = if place.is_root() { &mut self.orders } else { &mut self.link_orders };
        orders.push((order, element.at));
        Ok(())
    }

    /// Aliases may be used before they are given.
    pub(super) fn check_orders(&self) -> Result<(), FetchXmlError> {
        let orders = self.orders.iter().chain(&self.link_orders);
        for (order, at) in orders.filter(|(it, _)| !it.output.is_empty()) {
            if !self.columns.iter().any(|it| it.key == order.output) {
                let message = format!("The alias '{}' is not found.", order.output);
                return Err(FetchXmlError::Invalid { at: *at, message });
            }
        }
        Ok(())
    }
}

fn aggregate(element: &Element) -> Result<pb::Aggregate, FetchXmlError> {
    let distinct = element.flag("distinct")?.unwrap_or_default();
    let name = element.filled("aggregate");
    let aggregate = match name {
        None => pb::Aggregate::Unspecified,
        Some("count") => pb::Aggregate::Count,
        Some("countcolumn") if distinct => return Ok(pb::Aggregate::CountDistinct),
        Some("countcolumn") => pb::Aggregate::CountColumn,
        Some("sum") => pb::Aggregate::Sum,
        Some("avg") => pb::Aggregate::Average,
        Some("min") => pb::Aggregate::Min,
        Some("max") => pb::Aggregate::Max,
        Some(other) => return Err(element.bad_value("aggregate", other)),
    };
    match distinct {
        true => {
            Err(element.invalid("'distinct' is only possible with the aggregate 'countcolumn'"))
        }
        false => Ok(aggregate),
    }
}

fn date_grouping(element: &Element) -> Result<pb::DateGrouping, FetchXmlError> {
    let Some(name) = element.filled("dategrouping") else {
        return Ok(pb::DateGrouping::Unspecified);
    };
    let grouping = DATE_GROUPINGS.iter().find(|(it, _)| *it == name).map(|(_, it)| *it);
    grouping.ok_or_else(|| element.bad_value("dategrouping", name))
}
