//! OData requests as reads: what was said of a table, in names of properties, becomes a tree in the
//! platform's vocabulary. Pure: metadata in, messages out. Values are typed as they were said; what
//! they mean beside a column is for the query to find out. Start with [`collection`] and [`record`].

mod apply;
mod columns;
mod expand;
mod filter;
mod functions;
mod key;
mod literal;
mod scope;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use odata::{QueryOptions, SystemOption};
use proto::query::v1 as pb;

use self::columns::{Selection, orders, select};
use self::expand::Expander;
pub(crate) use self::key::Place;
use self::scope::{Scope, Serial};
use crate::error::GatewayError;
use crate::http::Preferences;
use crate::metadata::{Snapshot, Table};
use crate::query::{Dialect, Expand, NO_ROWS, Read, Style};

/// Rows of a page at most, and where a client does not say.
const PAGE_SIZE: i32 = 5_000;

/// Options that only make sense for many rows.
const OF_COLLECTIONS: [SystemOption; 6] = [
    SystemOption::Filter,
    SystemOption::OrderBy,
    SystemOption::Top,
    SystemOption::Count,
    SystemOption::Apply,
    SystemOption::SkipToken,
];
/// Options that `$apply` takes the place of.
const NOT_WITH_APPLY: [SystemOption; 4] =
    [SystemOption::Select, SystemOption::Expand, SystemOption::Filter, SystemOption::Count];

/// A request for rows.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) read: Read,
    /// What a context URL says of the columns; empty for all.
    pub(crate) names: Vec<String>,
    pub(crate) counted: bool,
    /// There are pages, and not just the first rows.
    pub(crate) paged: bool,
}

/// The rows of a table, or of a part of it.
pub(crate) fn collection(
    snapshot: &Snapshot,
    place: &Place,
    options: &QueryOptions,
    prefer: &Preferences,
) -> Result<Request, GatewayError> {
    refuse_unknown(options)?;
    if options.get(SystemOption::Apply).is_some() {
        return applied(snapshot, place, options, prefer);
    }
    let serial = Serial::default();
    let (selection, expands, names) = shape(snapshot, &serial, &place.table, options)?;
    let mut scope = Scope::new(snapshot, &serial, Arc::clone(&place.table));
    let criteria = criteria(place, options, &mut scope)?;
    let orders = ordered(options, &mut scope)?;
    let counted = options.count()?;
    let total = if counted { pb::TotalCount::Limited } else { pb::TotalCount::Unspecified };
    let (size, paged) = size(options, prefer)?;
    let tree = pb::QueryExpression {
        entity_name: place.table.logical_name.clone(),
        columns: selection.columns,
        all_columns: selection.all,
        criteria,
        orders,
        links: scope.into_links(),
        page: Some(pb::Page { size, ..Default::default() }),
        total_count: total.into(),
        ..Default::default()
    };
    let read = Read { tree, expands, style: style(prefer), position: None };
    Ok(Request { read, names, counted, paged })
}

/// How many rows there are in a place.
pub(crate) fn count(
    snapshot: &Snapshot,
    place: &Place,
    options: &QueryOptions,
    prefer: &Preferences,
) -> Result<Read, GatewayError> {
    refuse_unknown(options)?;
    let serial = Serial::default();
    let mut scope = Scope::new(snapshot, &serial, Arc::clone(&place.table));
    let criteria = criteria(place, options, &mut scope)?;
    let tree = pb::QueryExpression {
        entity_name: place.table.logical_name.clone(),
        criteria,
        links: scope.into_links(),
        ..Default::default()
    };
    Ok(Read { tree, expands: Vec::new(), style: style(prefer), position: None })
}

/// One row: whichever the place's criteria leave.
pub(crate) fn record(
    snapshot: &Snapshot,
    place: &Place,
    options: &QueryOptions,
    prefer: &Preferences,
) -> Result<Request, GatewayError> {
    refuse_unknown(options)?;
    refuse_of_collections(options)?;
    let serial = Serial::default();
    let (selection, expands, names) = shape(snapshot, &serial, &place.table, options)?;
    let tree = pb::QueryExpression {
        entity_name: place.table.logical_name.clone(),
        columns: selection.columns,
        all_columns: selection.all,
        criteria: place.criteria.clone(),
        ..Default::default()
    };
    let read = Read { tree, expands, style: style(prefer), position: None };
    Ok(Request { read, names, counted: false, paged: false })
}

/// Rows of which only some columns are wanted, by logical name.
pub(crate) fn columns_of(place: &Place, names: &[&str], prefer: &Preferences) -> Read {
    let tree = pb::QueryExpression {
        entity_name: place.table.logical_name.clone(),
        columns: names.iter().map(|it| columns::output(it)).collect(),
        criteria: place.criteria.clone(),
        ..Default::default()
    };
    Read { tree, expands: Vec::new(), style: style(prefer), position: None }
}

fn shape(
    snapshot: &Snapshot,
    serial: &Serial,
    table: &Table,
    options: &QueryOptions,
) -> Result<(Selection, Vec<Expand>, Vec<String>), GatewayError> {
    let paths = options.get(SystemOption::Select).map(odata::parse_select).transpose()?;
    let selection = select(table, paths.as_deref())?;
    let items = options.get(SystemOption::Expand).map(odata::parse_expand).transpose()?;
    let expanded =
        Expander::new(snapshot, serial).items(table, &items.unwrap_or_default(), false)?;
    let mut names = selection.names.clone();
    names.extend(expanded.names);
    Ok((selection, expanded.expands, names))
}

fn criteria(
    place: &Place,
    options: &QueryOptions,
    scope: &mut Scope<'_>,
) -> Result<Option<pb::FilterExpression>, GatewayError> {
    let mut filters: Vec<_> = place.criteria.iter().cloned().collect();
    if let Some(text) = options.get(SystemOption::Filter) {
        let expr = odata::parse_filter(text, &options.aliases)?;
        filters.push(filter::filter(&expr, scope)?);
    }
    Ok(apply::all(filters))
}

fn ordered(
    options: &QueryOptions,
    scope: &mut Scope<'_>,
) -> Result<Vec<pb::OrderExpression>, GatewayError> {
    let Some(text) = options.get(SystemOption::OrderBy) else { return Ok(Vec::new()) };
    orders(&odata::parse_order_by(text, &options.aliases)?, scope)
}

/// Groups instead of rows.
fn applied(
    snapshot: &Snapshot,
    place: &Place,
    options: &QueryOptions,
    prefer: &Preferences,
) -> Result<Request, GatewayError> {
    if let Some(option) = NOT_WITH_APPLY.into_iter().find(|it| options.get(*it).is_some()) {
        let name = option.name();
        let message = format!("The query parameter '{name}' is not supported with $apply.");
        return Err(GatewayError::InvalidQuery(message));
    }
    let serial = Serial::default();
    let mut scope = Scope::new(snapshot, &serial, Arc::clone(&place.table));
    let text = options.get(SystemOption::Apply).unwrap_or_default();
    let steps = odata::parse_apply(text, &options.aliases)?;
    let applied = apply::apply(&steps, &mut scope)?;
    let filters = place.criteria.iter().cloned().chain(applied.filters).collect();
    let orders = group_orders(options, &applied.columns)?;
    let (size, paged) = size(options, prefer)?;
    let tree = pb::QueryExpression {
        entity_name: place.table.logical_name.clone(),
        columns: applied.columns,
        criteria: apply::all(filters),
        orders,
        links: scope.into_links(),
        page: Some(pb::Page { size, ..Default::default() }),
        ..Default::default()
    };
    let read = Read { tree, expands: Vec::new(), style: style(prefer), position: None };
    Ok(Request { read, names: Vec::new(), counted: false, paged })
}

/// Groups are ordered by what they are grouped by, and by nothing else.
fn group_orders(
    options: &QueryOptions,
    columns: &[pb::OutputColumn],
) -> Result<Vec<pb::OrderExpression>, GatewayError> {
    let Some(text) = options.get(SystemOption::OrderBy) else { return Ok(Vec::new()) };
    let mut orders = Vec::new();
    for item in odata::parse_order_by(text, &options.aliases)? {
        let key = item.path.0.join("_");
        if !columns.iter().any(|it| it.group_by && it.key == key) {
            let message = "The query node SingleValueOpenPropertyAccess is not supported";
            return Err(GatewayError::InvalidQuery(message.to_owned()));
        }
        let descending = item.descending;
        orders.push(pb::OrderExpression { descending, output: key, ..Default::default() });
    }
    Ok(orders)
}

/// Rows of a page, and whether another may follow. `$top` means nothing where pages have a size.
fn size(options: &QueryOptions, prefer: &Preferences) -> Result<(i32, bool), GatewayError> {
    Ok(match (prefer.max_page_size, options.top()?) {
        (Some(size), _) => (size, true),
        (None, Some(0)) => (NO_ROWS, false),
        (None, Some(top)) => (i32::try_from(top).unwrap_or(PAGE_SIZE).min(PAGE_SIZE), false),
        (None, None) => (PAGE_SIZE, true),
    })
}

fn style(prefer: &Preferences) -> Style {
    Style {
        annotations: prefer.annotations.clone(),
        dialect: Dialect::OData,
        numbers_as_strings: prefer.numbers_as_strings,
    }
}

/// Options that are known and not offered: refused, so that no answer leaves them out.
fn refuse_unknown(options: &QueryOptions) -> Result<(), GatewayError> {
    if options.get(SystemOption::DeltaToken).is_some() {
        return Err(GatewayError::NotOffered("The query option '$deltatoken'".to_owned()));
    }
    match options.custom("sql") {
        Some(_) => Err(GatewayError::NotOffered("The query option 'sql'".to_owned())),
        None => Ok(()),
    }
}

/// One record has no order and no number.
pub(crate) fn refuse_of_collections(options: &QueryOptions) -> Result<(), GatewayError> {
    let given = OF_COLLECTIONS.into_iter().find(|it| options.get(*it).is_some());
    given.map_or(Ok(()), |it| {
        let name = it.name();
        let message = format!("The query parameter '{name}' is not supported for a single record.");
        Err(GatewayError::InvalidQuery(message))
    })
}
