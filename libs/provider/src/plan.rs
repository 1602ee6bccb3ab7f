//! The second translation: a query expression over an entity becomes one SQL statement with bound
//! values (design.md §4). The caller's grant is part of every statement, never a filter after it.
//!
//! Every entity that a query names is a scope (`scope`): its tables, its grant, a query level of its
//! own. A column is resolved where it is used (`select`, `column`), whether its scope is the root, a
//! link (`link`), a lookup's target (`lookup`) or rows by value (`inline`). Conditions (`condition`,
//! `compare`, `key`), sort keys (`order`, `halves`) and groups (`group`) are made of such columns and
//! know nothing of where they come from.

mod acting;
mod argument;
mod bind;
mod bounds;
mod column;
mod compare;
mod condition;
mod date_part;
mod group;
mod halves;
mod images;
mod inline;
mod invoke;
mod key;
mod link;
mod listed;
mod locked;
mod lookup;
mod order;
mod past;
mod pattern;
mod retrieve;
mod row;
mod rowset;
mod scope;
mod select;

use std::collections::HashMap;
use std::sync::Arc;

use proto::query::v1 as pb;

pub(crate) use acting::settings;
pub(crate) use argument::{Argument, Arguments};
pub(crate) use halves::KnownIndexes;
pub(crate) use images::{ImageQuery, ImageStatement, Which, count_images, images};
pub(crate) use invoke::{Call, call, lock};
pub(crate) use locked::{Look, lock_images, look};
pub(crate) use order::{PositionKind, SortKey};
pub(crate) use past::Past;
pub(crate) use retrieve::{check_sole, retrieve};
pub(crate) use row::{RowParts, references, row_parts, seen, stored, target};
pub(crate) use select::{Output, declared};

use crate::binding::Binding;
use crate::error::Error;
use crate::grant::Grants;
use column::RowGuid;
use group::order_by;
use rowset::{Counted, Rowset, SOURCE_ROWS};
use scope::{Body, Join, Place, ROOT, Scope};
use select::Shape;

/// Rows of a page that names no size (spec API-13).
const DEFAULT_PAGE: i32 = 5_000;
/// Most rows of a page.
const MAX_PAGE: i32 = 100_000;
/// Most rows to pass over.
const MAX_SKIP: i32 = 50_000;
/// Where a limited count stops (spec API-12).
pub(crate) const COUNT_LIMIT: i64 = 5_000;
/// Longer statements are refused.
const MAX_SQL: usize = 2 * 1024 * 1024;

/// One SQL statement and how to read its rows.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) arguments: Arguments,
    /// What each row is written as.
    pub(crate) outputs: Vec<Output>,
    /// What stands beside the rows.
    pub(crate) keys: Vec<Output>,
    /// Where a row stands in the order.
    pub(crate) position: Vec<SortKey>,
    /// Most rows to write; the statement asks for one more, to know whether there are more.
    pub(crate) page_size: usize,
    pub(crate) count: Option<Count>,
    pub(crate) guard: Option<Guard>,
}

/// Where the count of all matching rows is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    /// The column that holds it.
    pub(crate) column: usize,
    /// It stops one above [`COUNT_LIMIT`].
    pub(crate) limited: bool,
    /// The statement counts only, and has one row. Otherwise, a row whose `present` column is null
    /// says that the page is empty.
    pub(crate) present: Option<usize>,
}

/// Every row says how many rows it was computed of: with more than the limit, it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guard {
    /// The column that holds the number; it is there even where the page is empty.
    pub(crate) column: usize,
    pub(crate) limit: i64,
}

/// State of planning one statement.
pub(crate) struct Planner<'q> {
    grants: &'q Grants<'q>,
    arguments: Arguments,
    /// The root is the first.
    scopes: Vec<Scope<'q>>,
    /// Scopes of links, by alias.
    aliases: HashMap<&'q str, usize>,
    /// Lookups that were resolved, by where they start from and where they stand.
    lookups: HashMap<LookupKey, RowGuid>,
    calendar: Option<pb::FiscalCalendar>,
    /// Nobody is shown what the statement finds: it may look at hidden fields.
    is_internal: bool,
    /// The root's rows are meant as they were.
    past: Option<Past>,
}

type LookupKey = (usize, String, usize, usize, Option<usize>);

/// Plans a page of rows, their count, or both.
pub(crate) fn retrieve_multiple<'q>(
    grants: &'q Grants<'q>,
    query: &'q pb::QueryExpression,
    keys: &[pb::ColumnRef],
    known: &KnownIndexes<'_>,
) -> Result<Statement, Error> {
    bounds::check(query)?;
    let page = page_of(query)?;
    let mut planner = Planner::new(grants, query.fiscal_calendar);
    planner.join_all(&query.links, ROOT)?;
    let mut predicate = match &query.criteria {
        Some(filter) => planner.filter(filter, Place::within(ROOT))?,
        None => None,
    };
    for related in std::mem::take(&mut planner.scopes[ROOT].filter) {
        predicate = Some(and(predicate, related));
    }
    if let Some(policy) = planner.policy(ROOT) {
        predicate = Some(and(predicate, policy));
    }
    let rows = planner.rowset(query, keys, predicate)?;
    planner.page(rows, &page, query.total_count(), known)
}

fn page_of(query: &pb::QueryExpression) -> Result<pb::Page, Error> {
    let page = match &query.page {
        Some(page) => page.clone(),
        None => pb::Page { size: DEFAULT_PAGE, ..Default::default() },
    };
    if !(0..=MAX_PAGE).contains(&page.size) {
        return Err(Error::InvalidQuery(format!("a page has 0 to {MAX_PAGE} rows")));
    }
    if !(0..=MAX_SKIP).contains(&page.skip) || (page.skip > 0 && !page.after.is_empty()) {
        let message = format!("a page passes over 0 to {MAX_SKIP} rows, or begins at a position");
        return Err(Error::InvalidQuery(message));
    }
    Ok(page)
}

// === impl Planner ===

impl<'q> Planner<'q> {
    fn new(grants: &'q Grants<'q>, calendar: Option<pb::FiscalCalendar>) -> Self {
        let root = Body::Entity(grants.root().clone());
        Self {
            grants,
            arguments: Arguments::default(),
            scopes: vec![Scope::new(root, Join::Root, Place::within(ROOT))],
            aliases: HashMap::new(),
            lookups: HashMap::new(),
            calendar,
            is_internal: false,
            past: None,
        }
    }

    /// The query's own entity.
    fn root(&self) -> Arc<Binding> {
        self.grants.root().shared_binding()
    }

    fn rowset(
        &mut self,
        query: &pb::QueryExpression,
        keys: &[pb::ColumnRef],
        predicate: Option<String>,
    ) -> Result<Rowset, Error> {
        let is_aggregate = group::is_aggregate(query);
        let shapes = [is_aggregate, query.distinct, query.partition_limit.is_some()];
        if shapes.into_iter().filter(|it| *it).count() > 1 {
            let message = "groups, distinct rows and partitions do not go together";
            return Err(Error::InvalidQuery(message.to_owned()));
        }
        if (is_aggregate || query.distinct) && !keys.is_empty() {
            let message = "groups and distinct rows have no columns beside them";
            return Err(Error::InvalidQuery(message.to_owned()));
        }
        if is_aggregate {
            return self.groups(query, predicate.as_deref());
        }
        if query.distinct {
            return self.distinct(query, predicate.as_deref());
        }
        if let Some(partition) = &query.partition_limit {
            return self.partitions(query, partition, keys, predicate.as_deref());
        }
        let counted = Some(Counted { from: self.from(ROOT), arguments: self.arguments.len() });
        let shape = self.select(&query.columns, keys)?;
        let sorts = self.sorts(&query.orders)?;
        let (with, from) = (String::new(), self.from(ROOT));
        Ok(Rowset { with, counted, from, filter: predicate, shape, sorts, source_limit: None })
    }

    fn page(
        mut self,
        mut rows: Rowset,
        page: &pb::Page,
        total: pb::TotalCount,
        known: &KnownIndexes<'_>,
    ) -> Result<Statement, Error> {
        let counting = rows.counting(total);
        let limited = total == pb::TotalCount::Limited;
        if let (0, Some(counting)) = (page.size, &counting) {
            return self.count_only(&rows, counting, limited);
        }
        let (keys, order) = match self.halved(&mut rows, page, known)? {
            Some(halved) => halved,
            None => {
                let keys = self.keys(&rows.sorts, &mut rows.shape);
                if let Some(seek) = self.seek(&keys, &page.after)? {
                    rows.filter = Some(and(rows.filter, seek));
                }
                let order = order_by(&keys);
                (keys, order)
            }
        };
        let mut range = format!(" LIMIT {}", self.arguments.int(i64::from(page.size) + 1));
        if page.skip > 0 {
            range = format!("{range} OFFSET {}", self.arguments.int(page.skip.into()));
        }
        let (sql, count) = rows.paged(&order, &range, counting.as_deref());
        let width = rows.shape.columns.len();
        let count = count.then_some(Count { column: width, limited, present: Some(width + 1) });
        let column = if count.is_some() { width + 2 } else { width };
        let guard = rows.source_limit.map(|limit| Guard { column, limit });
        let page_size = usize::try_from(page.size).unwrap_or_default();
        let statement = self.statement(sql, rows.shape, keys, page_size)?;
        Ok(Statement { count, guard, ..statement })
    }

    fn count_only(
        mut self,
        rows: &Rowset,
        counting: &str,
        limited: bool,
    ) -> Result<Statement, Error> {
        if let Some(counted) = &rows.counted {
            // A statement takes as many values as it names.
            self.arguments.truncate(counted.arguments);
        }
        let sql = match rows.source_limit {
            Some(_) => format!("{}SELECT t.n{SOURCE_ROWS} FROM ({counting}) AS t", rows.with),
            None => counting.to_owned(),
        };
        let statement = self.statement(sql, Shape::default(), Vec::new(), 0)?;
        let guard = rows.source_limit.map(|limit| Guard { column: 1, limit });
        let count = Some(Count { column: 0, limited, present: None });
        Ok(Statement { count, guard, ..statement })
    }

    fn statement(
        self,
        sql: String,
        shape: Shape,
        position: Vec<SortKey>,
        page_size: usize,
    ) -> Result<Statement, Error> {
        if sql.len() > MAX_SQL || self.arguments.len() > usize::from(u16::MAX) {
            return Err(Error::InvalidQuery("the query asks for too much at once".to_owned()));
        }
        Ok(Statement {
            sql,
            arguments: self.arguments,
            outputs: shape.outputs,
            keys: shape.keys,
            position,
            page_size,
            count: None,
            guard: None,
        })
    }
}

fn and(left: Option<String>, right: String) -> String {
    match left {
        Some(left) => format!("({left}) AND ({right})"),
        None => right,
    }
}

/// All of these; `None` of none.
fn and_all(parts: &[String]) -> Option<String> {
    match parts {
        [] => None,
        [part] => Some(part.clone()),
        parts => Some(parts.iter().map(|it| format!("({it})")).collect::<Vec<_>>().join(" AND ")),
    }
}

#[cfg(test)]
mod tests;
