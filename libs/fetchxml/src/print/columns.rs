//! What the query as a whole says, and what a row carries.

use proto::query::v1 as pb;

use super::field_of;
use crate::MAX_ROWS;
use crate::error::PrintError;
use crate::parse::fetch::DATE_GROUPINGS;
use crate::tree;
use crate::xml::Element;

pub(super) fn settings(query: &pb::QueryExpression) -> Result<Element, PrintError> {
    let mut fetch = Element::new("fetch");
    let counted = query.total_count() != pb::TotalCount::Unspecified;
    if query.top_count != 0 {
        let paged = query.page.as_ref().is_some_and(|it| *it != pb::Page::default());
        PrintError::when(paged || counted, "'top' together with paging or a count")?;
        PrintError::when(!(1..=MAX_ROWS).contains(&query.top_count), "a 'top' out of its range")?;
        fetch.set("top", &query.top_count.to_string());
    }
    if let Some(page) = &query.page {
        PrintError::when(!page.after.is_empty() || page.skip != 0, "a provider's page")?;
        PrintError::when(page.size < 0 || page.number < 0, "a negative page")?;
        for (name, number) in [("count", page.size), ("page", page.number)] {
            if number != 0 {
                fetch.set(name, &number.to_string());
            }
        }
        if !page.cookie.is_empty() {
            fetch.set("paging-cookie", &page.cookie);
        }
    }
    let aggregate = query.columns.iter().any(|it| it.group_by || it.aggregate != 0);
    for (name, is_said) in [
        ("returntotalrecordcount", counted),
        ("distinct", query.distinct),
        ("aggregate", aggregate),
        ("useraworderby", query.raw_order_by),
    ] {
        if is_said {
            fetch.set(name, "true");
        }
    }
    if query.aggregate_limit > 0 {
        fetch.set("aggregatelimit", &query.aggregate_limit.to_string());
    }
    Ok(fetch)
}

pub(super) fn attribute(output: &pb::OutputColumn) -> Result<Element, PrintError> {
    let decorated = !output.formatted_key.is_empty()
        || !output.static_members.is_empty()
        || !output.members.is_empty()
        || output.omit_null
        || output.number_as_string;
    PrintError::when(decorated, "a provider's column")?;
    let mut element = Element::new("attribute");
    element.set("name", field_of(output.column.as_ref())?);
    if !output.key.is_empty() {
        PrintError::when(!tree::is_alias(&output.key), "an alias that is no name")?;
        element.set("alias", &output.key);
    }
    let aggregate = match output.aggregate() {
        pb::Aggregate::Unspecified => "",
        pb::Aggregate::Count => "count",
        pb::Aggregate::CountColumn | pb::Aggregate::CountDistinct => "countcolumn",
        pb::Aggregate::Sum => "sum",
        pb::Aggregate::Average => "avg",
        pb::Aggregate::Min => "min",
        pb::Aggregate::Max => "max",
    };
    if !aggregate.is_empty() {
        element.set("aggregate", aggregate);
    }
    if output.aggregate() == pb::Aggregate::CountDistinct {
        element.set("distinct", "true");
    }
    if output.group_by {
        element.set("groupby", "true");
    }
    let grouping = DATE_GROUPINGS.iter().find(|(_, it)| *it == output.date_grouping());
    if let Some((name, _)) = grouping {
        element.set("dategrouping", name);
    }
    match output.time_zone.as_str() {
        "" => {}
        "UTC" if grouping.is_some() => element.set("usertimezone", "false"),
        _ => return Err(PrintError::unsupported("a time zone of a column")),
    }
    Ok(element)
}
