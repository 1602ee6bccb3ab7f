//! The first translation: a tree in the platform's vocabulary becomes one in a provider's. Pure:
//! metadata and what is known of the caller in, messages out.
//!
//! Where a link leads to a table of another provider, the tree is split: the far part becomes a
//! query of its own ([`Far`]), and stays in the near one as a link whose rows will be given by value.

mod columns;
mod conditions;
mod draft;
mod expands;
mod filter;
mod links;
mod orders;
mod values;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use proto::query::v1 as pb;
use proto::query::v1::SystemColumn;
use proto::query::v1::column_ref::Column as Named;

use self::draft::{FarDraft, Wanted};
use super::dates::Calendar;
use super::{Read, Style};
use crate::companies::Codes;
use crate::error::GatewayError;
use crate::metadata::{Column, ColumnKind, Snapshot, Table};
use crate::translate::page_values;

/// Rows of a page at most, and where nobody says.
pub(crate) const PAGE_SIZE: i32 = 5_000;
/// The page size of who wants no rows, only their number.
pub(crate) const COUNT_ONLY: i32 = -1;
const MAX_CONDITIONS: usize = 500;
/// Links of one query, expands among them (spec §3.6, API-14).
const MAX_LINKS: usize = 15;
/// Deeper trees are refused, so that no request can exhaust the stack.
const MAX_DEPTH: usize = 60;
/// Names the root's row from within a link.
const ROOT: &str = "$it";

/// By a table and columns of its provider.
pub(crate) type MayRead<'a> = dyn Fn(&Table, &[&pb::ColumnRef]) -> bool + 'a;

/// What is known besides the tree.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) companies: &'a Codes,
    pub(crate) calendar: &'a Calendar,
    pub(crate) now: DateTime<Utc>,
    /// LCID of the user's language.
    pub(crate) language: i32,
    pub(crate) style: &'a Style,
    /// Whether the caller may read columns of a table that the query does not name itself.
    pub(crate) may_read: &'a MayRead<'a>,
}

/// A query for one provider.
pub(crate) struct Lowered {
    pub(crate) table: Arc<Table>,
    /// In the provider's vocabulary; links to far rows are still without them.
    pub(crate) query: pb::QueryExpression,
    pub(crate) fars: Vec<Far>,
    /// What the rows' keys shall be, for the children.
    pub(crate) keys: Vec<pb::ColumnRef>,
    pub(crate) children: Vec<Child>,
}

/// Rows of another provider that take part in a query.
pub(crate) struct Far {
    /// Of the link that they belong to.
    pub(crate) alias: String,
    /// The columns are keyed as the near query names them.
    pub(crate) query: Lowered,
    /// What the link compares.
    pub(crate) pairs: Vec<FarPair>,
    /// Alias of the row that the link is joined to; empty for the root.
    pub(crate) parent: String,
}

/// One pair of a link to far rows.
pub(crate) struct FarPair {
    pub(crate) far: pb::ColumnRef,
    /// Of the row that the link is joined to.
    pub(crate) near: pb::ColumnRef,
    pub(crate) exact: bool,
}

/// An expand that is read by a statement of its own.
pub(crate) struct Child {
    pub(crate) navigation: String,
    pub(crate) is_collection: bool,
    /// Index among the parent's keys, and the child's column.
    pub(crate) pairs: Vec<(usize, pb::ColumnRef, bool)>,
    pub(crate) query: Lowered,
    /// Rows of each parent at most.
    pub(crate) limit: i32,
    /// Options of the link that a collection carries.
    pub(crate) options: String,
    /// Index of the parent's id among its keys.
    pub(crate) id: usize,
}

/// Where a column is.
#[derive(Clone)]
enum Place {
    Near(Arc<Table>),
    /// Index in [`Lowering::fars`].
    Far(usize),
}

/// A column as the provider finds it.
#[derive(Clone)]
struct Spot {
    /// Of the platform's query; empty for the root.
    alias: String,
    far: Option<usize>,
}

/// State of translating one query.
struct Lowering<'a> {
    context: Context<'a>,
    table: Arc<Table>,
    places: HashMap<String, Place>,
    fars: Vec<FarDraft<'a>>,
    /// Links that no client named: for orders, names of lookups and expands.
    extra: Vec<pb::LinkEntity>,
    /// Those to what a lookup leads to, by the row's alias and the navigation.
    sides: HashMap<(String, String), String>,
    /// What the aliases of such links begin with.
    prefix: String,
    /// It is the far part of another query.
    is_far: bool,
    conditions: usize,
    links: usize,
}

/// Translates a read.
pub(crate) fn lower(context: Context<'_>, read: &Read) -> Result<Lowered, GatewayError> {
    let mut lowering = Lowering::new(context, find(context.snapshot, &read.tree.entity_name)?);
    let tree = &read.tree;
    let mut query = lowering.body(tree)?;
    let mut keys = Vec::new();
    let mut children = Vec::new();
    for expand in &read.expands {
        match lowering.expand(expand, "", 0, &mut keys)? {
            expands::Expanded::Inline(member) => query.columns.push(member),
            expands::Expanded::Child(child) => children.push(*child),
        }
    }
    query.page = Some(page(tree, read.position.as_ref().map(page_values).unwrap_or_default())?);
    query.total_count = total_count(tree.total_count)?;
    query.distinct = tree.distinct;
    query.aggregate_limit = tree.aggregate_limit;
    query.fiscal_calendar = Some(context.calendar.fiscal.to_proto());
    lowering.finish(query, keys, children)
}

/// The key's column of a table is not among those of any link.
pub(crate) fn find(snapshot: &Snapshot, name: &str) -> Result<Arc<Table>, GatewayError> {
    let table = snapshot.by_name(name).cloned();
    table.ok_or_else(|| GatewayError::UnknownTable(name.to_owned()))
}

/// Counted as asked, or not at all.
fn total_count(number: i32) -> Result<i32, GatewayError> {
    pb::TotalCount::try_from(number).map(Into::into).map_err(|_| {
        GatewayError::InvalidValue(format!("There is no total_count with the number {number}."))
    })
}

fn page(tree: &pb::QueryExpression, after: Vec<pb::Value>) -> Result<pb::Page, GatewayError> {
    let given = tree.page.clone().unwrap_or_default();
    if tree.top_count != 0 {
        let size = tree.top_count.clamp(0, PAGE_SIZE);
        return Ok(pb::Page { size, after, ..Default::default() });
    }
    let wants_count_only = given.size < 0;
    let size = match given.size {
        _ if wants_count_only => 0,
        0 => PAGE_SIZE,
        size => size.min(PAGE_SIZE),
    };
    let number = if after.is_empty() { given.number.max(1) } else { 1 };
    let skip = (number - 1).checked_mul(size).filter(|it| *it <= 50_000).ok_or_else(|| {
        GatewayError::InvalidQuery("Paging by number ends at 50,000 rows.".to_owned())
    })?;
    Ok(pb::Page { size, after, skip, ..Default::default() })
}

impl<'a> Lowering<'a> {
    fn new(context: Context<'a>, table: Arc<Table>) -> Self {
        Self {
            context,
            table,
            places: HashMap::new(),
            fars: Vec::new(),
            extra: Vec::new(),
            sides: HashMap::new(),
            prefix: String::new(),
            is_far: false,
            conditions: 0,
            links: 0,
        }
    }

    /// Everything but the page.
    fn body(&mut self, tree: &pb::QueryExpression) -> Result<pb::QueryExpression, GatewayError> {
        let links = self.links(&tree.links, "", 0)?;
        let criteria = match &tree.criteria {
            Some(filter) => Some(self.filter(filter, "", 0)?),
            None => None,
        };
        let columns = self.columns(tree)?;
        let orders = self.orders(tree)?;
        let entity_name = self.table.external_name.clone();
        Ok(pb::QueryExpression {
            entity_name,
            columns,
            criteria,
            orders,
            links,
            ..Default::default()
        })
    }

    fn finish(
        self,
        mut query: pb::QueryExpression,
        keys: Vec<pb::ColumnRef>,
        children: Vec<Child>,
    ) -> Result<Lowered, GatewayError> {
        query.links.extend(self.extra);
        let fars = self.fars.into_iter().map(FarDraft::finish).collect::<Result<_, _>>()?;
        Ok(Lowered { table: self.table, query, fars, keys, children })
    }

    /// The link that a reference names, from where it stands.
    fn spot(&self, current: &str, link: &str) -> Result<Spot, GatewayError> {
        let alias = match link {
            "" => current,
            ROOT if self.is_far => {
                let what = "Comparing the columns of two systems within a filter of related rows";
                return Err(GatewayError::NotOffered(what.to_owned()));
            }
            ROOT => "",
            other => other,
        };
        let far = match self.places.get(alias) {
            Some(Place::Far(index)) => Some(*index),
            Some(Place::Near(_)) => None,
            None if alias.is_empty() => None,
            None => {
                return Err(GatewayError::InvalidQuery(format!(
                    "There is no link-entity with the alias or name '{alias}'."
                )));
            }
        };
        Ok(Spot { alias: alias.to_owned(), far })
    }

    fn table_at(&self, spot: &Spot) -> Result<Arc<Table>, GatewayError> {
        if let Some(far) = spot.far.and_then(|it| self.fars.get(it)) {
            return far.lowering.table_at(&far.inner(spot)?);
        }
        match self.places.get(&spot.alias) {
            Some(Place::Near(table)) => Ok(Arc::clone(table)),
            _ => Ok(Arc::clone(&self.table)),
        }
    }

    /// A provider's column, named from where the expression stands.
    fn refer(
        &mut self,
        current: &str,
        spot: &Spot,
        external: &pb::ColumnRef,
    ) -> Result<pb::ColumnRef, GatewayError> {
        if let Some(far) = spot.far.and_then(|it| self.fars.get_mut(it)) {
            return far.column(spot, external, Wanted::default());
        }
        let link = match spot.alias.as_str() {
            alias if alias == current => String::new(),
            "" => ROOT.to_owned(),
            alias => alias.to_owned(),
        };
        Ok(pb::ColumnRef { column: external.column.clone(), link })
    }

    /// A table's column by the name that a reference gives it.
    fn column<'t>(
        &self,
        table: &'t Table,
        named: &pb::ColumnRef,
    ) -> Result<&'t Column, GatewayError> {
        let name = match named.column.as_ref() {
            Some(Named::Field(name)) => name.as_str(),
            Some(Named::System(it)) if *it == i32::from(SystemColumn::RecordId) => {
                &table.primary_id
            }
            _ => return Err(GatewayError::InvalidQuery("A column has no name.".to_owned())),
        };
        let column = table.by_name(name);
        column.ok_or_else(|| GatewayError::UnknownColumn {
            column: name.to_owned(),
            table: table.logical_name.clone(),
        })
    }
}

/// What the labels of a far column are called.
pub(super) fn label_key(key: &str) -> String {
    format!("{key}_label")
}

/// As the values of a far column come: options as their numbers, companies as their GUIDs.
fn as_shipped(column: &Column) -> Column {
    let kind = match &column.kind {
        ColumnKind::Option(_) => ColumnKind::Integer,
        kind => kind.clone(),
    };
    Column { kind, ..column.clone() }
}

/// Whether rows of the table are read from the same provider.
fn is_near(one: &Table, other: &Table) -> bool {
    one.source == other.source
}

#[cfg(test)]
mod tests;
