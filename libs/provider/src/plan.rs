//! The second translation: a query expression over an entity becomes one SQL statement with bound
//! values (design.md §4). The caller's grant is part of every statement, never a filter after it.

mod argument;
mod bind;
mod condition;
mod key;
mod order;
mod pattern;
mod select;

use std::fmt::Write as _;

use proto::query::v1 as pb;

pub(crate) use argument::Arguments;
pub(crate) use order::{PositionKind, SortKey};
pub(crate) use select::Output;

use crate::binding::{Binding, SourceSet};
use crate::error::Error;
use crate::grant::Grant;

/// Most rows of a page (spec API-13).
const MAX_PAGE: i32 = 5_000;
/// Where a limited count stops (spec API-12).
pub(crate) const COUNT_LIMIT: i64 = 5_000;

/// One SQL statement and how to read its rows.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) arguments: Arguments,
    /// What each row is written as.
    pub(crate) outputs: Vec<Output>,
    /// Where a row stands in the order.
    pub(crate) position: Vec<SortKey>,
    /// Most rows to write; the statement asks for one more, to know whether there are more.
    pub(crate) page_size: usize,
    pub(crate) count: Option<Count>,
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

/// State of planning one statement.
pub(crate) struct Planner<'a> {
    binding: &'a Binding,
    arguments: Arguments,
    /// Sources that the statement needs.
    needs: SourceSet,
}

/// Plans the retrieval of one row.
pub(crate) fn retrieve(grant: &Grant, request: &pb::RetrieveRequest) -> Result<Statement, Error> {
    let binding = grant.binding();
    let mut planner = Planner::new(binding);
    let shape = planner.select(&request.columns)?;
    let key = request.key.as_ref().and_then(|it| it.key.as_ref()).ok_or(Error::Missing("key"))?;
    let mut predicate = planner.key(key)?;
    if let Some(policy) = planner.policy(grant) {
        let _ = write!(predicate, " AND {policy}");
    }
    let (columns, from) = (shape.columns.join(", "), planner.from());
    let sql = format!("SELECT {columns} FROM {from} WHERE {predicate} LIMIT 1");
    Ok(Statement {
        sql,
        arguments: planner.arguments,
        outputs: shape.outputs,
        position: Vec::new(),
        page_size: 1,
        count: None,
    })
}

/// Plans a page of rows, their count, or both.
pub(crate) fn retrieve_multiple(
    grant: &Grant,
    query: &pb::QueryExpression,
) -> Result<Statement, Error> {
    let page = query.page.clone().unwrap_or(pb::Page { size: MAX_PAGE, after: Vec::new() });
    if !(0..=MAX_PAGE).contains(&page.size) {
        return Err(Error::InvalidQuery(format!("a page has 0 to {MAX_PAGE} rows")));
    }
    let mut planner = Planner::new(grant.binding());
    let mut predicate = match &query.criteria {
        Some(filter) => planner.filter(filter)?,
        None => None,
    };
    if let Some(policy) = planner.policy(grant) {
        predicate = Some(and(predicate, policy));
    }
    let counted = match query.total_count() {
        pb::TotalCount::Unspecified => None,
        pb::TotalCount::Limited => Some(planner.counting(predicate.as_deref(), true)),
        pb::TotalCount::Exact => Some(planner.counting(predicate.as_deref(), false)),
    };
    let limited = query.total_count() == pb::TotalCount::Limited;
    match (page.size, counted) {
        (0, Some(sql)) => Ok(planner.count_only(sql, limited)),
        (_, counted) => planner.page(query, &page, predicate, counted, limited),
    }
}

// === impl Planner ===

impl<'a> Planner<'a> {
    fn new(binding: &'a Binding) -> Self {
        // The root and every inner join decide which rows there are, whoever looks at them.
        let inner = binding
            .sources
            .iter()
            .enumerate()
            .filter(|(_, source)| source.join.as_ref().is_none_or(|it| !it.optional));
        let needs = inner.map(|(index, _)| SourceSet::of(index));
        let needs = needs.fold(SourceSet::default(), SourceSet::with);
        Self { binding, arguments: Arguments::default(), needs }
    }

    fn need(&mut self, sources: SourceSet) {
        self.needs = self.needs.with(sources);
    }

    /// The FROM clause, without optional joins that nothing needs: such a join finds one row at
    /// most, so leaving it out changes no result.
    fn from(&self) -> String {
        let sources = &self.binding.sources;
        let mut needs = self.needs;
        for (index, source) in sources.iter().enumerate().rev() {
            if let (true, Some(join)) = (needs.contains(index), &source.join) {
                needs = needs.with(join.needs);
            }
        }
        let mut sql = String::new();
        for (index, source) in sources.iter().enumerate() {
            if !needs.contains(index) {
                continue;
            }
            let (table, alias) = (&source.table, &source.alias);
            let _ = match &source.join {
                None => write!(sql, "{table} AS {alias}"),
                Some(join) => {
                    let kind = if join.optional { "LEFT JOIN" } else { "JOIN" };
                    write!(sql, " {kind} {table} AS {alias} ON {}", join.condition)
                }
            };
        }
        sql
    }

    fn counting(&self, predicate: Option<&str>, limited: bool) -> String {
        let from = self.from();
        let filter = predicate.map(|it| format!(" WHERE {it}")).unwrap_or_default();
        if limited {
            let limit = COUNT_LIMIT + 1;
            format!("SELECT count(*) AS n FROM (SELECT 1 FROM {from}{filter} LIMIT {limit}) AS c")
        } else {
            format!("SELECT count(*) AS n FROM {from}{filter}")
        }
    }

    fn count_only(self, sql: String, limited: bool) -> Statement {
        Statement {
            sql,
            arguments: self.arguments,
            outputs: Vec::new(),
            position: Vec::new(),
            page_size: 0,
            count: Some(Count { column: 0, limited, present: None }),
        }
    }

    fn page(
        mut self,
        query: &pb::QueryExpression,
        page: &pb::Page,
        predicate: Option<String>,
        counted: Option<String>,
        limited: bool,
    ) -> Result<Statement, Error> {
        let mut shape = self.select(&query.columns)?;
        let position = self.sort_keys(&query.orders, &mut shape)?;
        let predicate = match self.seek(&position, &page.after)? {
            Some(seek) => Some(and(predicate, seek)),
            None => predicate,
        };
        let order: Vec<String> = position.iter().map(SortKey::order_by).collect();
        let limit = self.arguments.int(i64::from(page.size) + 1);
        let filter = predicate.map(|it| format!(" WHERE {it}")).unwrap_or_default();
        let (from, order) = (self.from(), order.join(", "));
        let page_size = usize::try_from(page.size).unwrap_or_default();
        let (sql, count) = match counted {
            None => {
                let columns = shape.columns.join(", ");
                let sql =
                    format!("SELECT {columns} FROM {from}{filter} ORDER BY {order} LIMIT {limit}");
                (sql, None)
            }
            Some(counting) => {
                let sql = with_count(&shape.columns, &from, &filter, &order, &limit, &counting);
                let column = shape.columns.len();
                (sql, Some(Count { column, limited, present: Some(column + 1) }))
            }
        };
        let arguments = self.arguments;
        Ok(Statement { sql, arguments, outputs: shape.outputs, position, page_size, count })
    }
}

/// Rows and count in one statement; the count is there even when the page is empty.
fn with_count(
    columns: &[String],
    from: &str,
    filter: &str,
    order: &str,
    limit: &str,
    counting: &str,
) -> String {
    let mut inner = String::new();
    let mut outer = String::new();
    for (index, column) in columns.iter().enumerate() {
        let _ = write!(inner, "{column} AS c{index}, ");
        let _ = write!(outer, "p.c{index}, ");
    }
    format!(
        "SELECT {outer}t.n, p.ord FROM ({counting}) AS t LEFT JOIN (SELECT {inner}row_number() \
         OVER (ORDER BY {order}) AS ord FROM {from}{filter} ORDER BY {order} LIMIT {limit}) AS p \
         ON true ORDER BY p.ord"
    )
}

fn and(left: Option<String>, right: String) -> String {
    match left {
        Some(left) => format!("({left}) AND ({right})"),
        None => right,
    }
}

#[cfg(test)]
mod tests;
