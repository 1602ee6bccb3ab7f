//! What a query may ask for at most: checked before anything is planned, without recursion, so that
//! the planner may follow the tree wherever it leads.

use std::collections::HashSet;

use proto::query::v1 as pb;

use crate::error::Error;

/// Deeper trees are refused, so that no request can exhaust the stack.
const MAX_DEPTH: usize = 64;
/// Callers have 15 links (spec FX limits), which the gateway sees to; what it adds by itself, for
/// names of lookups, expands and rows from elsewhere, comes on top.
const MAX_LINKS: usize = 64;
/// Callers have 500 conditions; relative dates and the like become several.
const MAX_CONDITIONS: usize = 2_000;
/// What PostgreSQL can select, less what sort keys and links need.
const MAX_COLUMNS: usize = 1_200;
/// Sort keys.
const MAX_ORDERS: usize = 64;
/// `$it` names the root.
pub(super) const IT: &str = "$it";

/// A part of a query's tree.
#[derive(Clone, Copy)]
pub(super) enum Part<'q> {
    Condition(&'q pb::ConditionExpression),
    Filter(&'q pb::FilterExpression),
    Link(&'q pb::LinkEntity),
}

/// Refuses a query beyond the bounds.
pub(super) fn check(query: &pb::QueryExpression) -> Result<(), Error> {
    check_columns(&query.columns)?;
    if query.orders.len() > MAX_ORDERS {
        return Err(Error::InvalidQuery(format!(
            "rows are sorted by {MAX_ORDERS} columns at most"
        )));
    }
    check_tree(query.criteria.as_ref(), &query.links)
}

/// Refuses more columns, or more deeply nested ones, than are written.
pub(super) fn check_columns(columns: &[pb::OutputColumn]) -> Result<(), Error> {
    let mut open: Vec<(&pb::OutputColumn, usize)> = columns.iter().map(|it| (it, 0)).collect();
    let mut count = 0;
    while let Some((column, depth)) = open.pop() {
        count += 1;
        if count > MAX_COLUMNS || depth > MAX_DEPTH {
            let message = format!("at most {MAX_COLUMNS} columns are returned");
            return Err(Error::InvalidQuery(message));
        }
        open.extend(column.members.iter().map(|it| (it, depth + 1)));
    }
    Ok(())
}

/// Refuses links and conditions beyond the bounds.
pub(super) fn check_tree(
    criteria: Option<&pb::FilterExpression>,
    links: &[pb::LinkEntity],
) -> Result<(), Error> {
    let mut aliases = HashSet::new();
    let mut conditions = 0;
    let mut open: Vec<(Part<'_>, usize)> =
        criteria.map(|it| (Part::Filter(it), 0)).into_iter().collect();
    open.extend(links.iter().map(|it| (Part::Link(it), 0)));
    while let Some((node, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return Err(Error::InvalidQuery(format!("filters nest deeper than {MAX_DEPTH}")));
        }
        match node {
            Part::Condition(_) => {}
            Part::Filter(filter) => {
                conditions += filter.conditions.len();
                open.extend(filter.filters.iter().map(|it| (Part::Filter(it), depth + 1)));
                open.extend(filter.links.iter().map(|it| (Part::Link(it), depth + 1)));
            }
            Part::Link(link) => {
                conditions += link.on.len();
                if link.alias.is_empty() || link.alias == IT {
                    return Err(Error::Missing("alias"));
                }
                if !aliases.insert(link.alias.as_str()) {
                    let message = format!("two links are called `{}`", link.alias);
                    return Err(Error::InvalidQuery(message));
                }
                open.extend(link.criteria.iter().map(|it| (Part::Filter(it), depth + 1)));
                open.extend(link.links.iter().map(|it| (Part::Link(it), depth + 1)));
            }
        }
        if conditions > MAX_CONDITIONS {
            return Err(Error::InvalidQuery(format!("at most {MAX_CONDITIONS} conditions")));
        }
        if aliases.len() > MAX_LINKS {
            return Err(Error::InvalidQuery(format!("at most {MAX_LINKS} links in all")));
        }
    }
    Ok(())
}

/// Whether everything that a part names is among `own`, or its own.
pub(super) fn names_only<'q>(part: Part<'q>, own: &HashSet<&'q str>) -> bool {
    let mut known = own.clone();
    let mut named: Vec<&str> = Vec::new();
    let mut open = vec![part];
    while let Some(part) = open.pop() {
        match part {
            Part::Condition(it) => {
                let columns = it.column.iter().chain(&it.compare_column);
                named.extend(columns.map(|it| it.link.as_str()));
            }
            Part::Filter(filter) => {
                open.extend(filter.conditions.iter().map(Part::Condition));
                open.extend(filter.filters.iter().map(Part::Filter));
                open.extend(filter.links.iter().map(Part::Link));
            }
            Part::Link(link) => {
                known.insert(&link.alias);
                for it in &link.on {
                    let columns = it.column.iter().chain(&it.parent);
                    named.extend(columns.map(|it| it.link.as_str()));
                }
                open.extend(link.criteria.iter().map(Part::Filter));
                open.extend(link.links.iter().map(Part::Link));
            }
        }
    }
    named.iter().all(|it| it.is_empty() || known.contains(it))
}
