//! The rows that a statement pages through or counts.

use proto::query::v1 as pb;

use super::COUNT_LIMIT;
use super::order::Sort;
use super::select::Shape;

/// The number of rows that groups are made of, behind the other columns.
pub(super) const SOURCE_ROWS: &str = ", (SELECT count(*) FROM source)";

/// Rows to page through: those of a FROM clause.
pub(super) struct Rowset {
    /// What the statement begins with.
    pub(super) with: String,
    /// What counting needs, if that is less.
    pub(super) counted: Option<Counted>,
    pub(super) from: String,
    pub(super) filter: Option<String>,
    pub(super) shape: Shape,
    pub(super) sorts: Vec<Sort>,
    /// Most rows of `source`, which the rows are computed of.
    pub(super) source_limit: Option<i64>,
}

/// The part of a statement that says which rows there are, whatever is told of them.
pub(super) struct Counted {
    pub(super) from: String,
    /// How many of the arguments it needs, with the filter: the first ones.
    pub(super) arguments: usize,
}

// === impl Rowset ===

impl Rowset {
    /// The statement that counts all rows, if they are to be counted.
    pub(super) fn counting(&self, total: pb::TotalCount) -> Option<String> {
        let from = self.counted.as_ref().map_or(&self.from, |it| &it.from);
        let filter = self.filter.as_ref().map(|it| format!(" WHERE {it}")).unwrap_or_default();
        let limit = COUNT_LIMIT + 1;
        Some(match total {
            pb::TotalCount::Unspecified => return None,
            pb::TotalCount::Limited => format!(
                "SELECT count(*) AS n FROM (SELECT 1 FROM {from}{filter} LIMIT {limit}) AS c"
            ),
            pb::TotalCount::Exact => format!("SELECT count(*) AS n FROM {from}{filter}"),
        })
    }

    /// The statement of a page, and whether the count is in it.
    pub(super) fn paged(&self, order: &str, range: &str, counting: Option<&str>) -> (String, bool) {
        let Self { with, from, .. } = self;
        let filter = self.filter.as_ref().map(|it| format!(" WHERE {it}")).unwrap_or_default();
        let source = if self.source_limit.is_some() { SOURCE_ROWS } else { "" };
        let Some(counting) = counting else {
            let columns = self.shape.list(false);
            let sql = format!("{with}SELECT {columns}{source} FROM {from}{filter}{order}{range}");
            return (sql, false);
        };
        // The count is there even when the page is empty.
        let inner = self.shape.list(true);
        let outer: Vec<String> =
            (0..self.shape.columns.len()).map(|it| format!("p.c{it}, ")).collect();
        let (outer, window) = (outer.concat(), order.trim_start());
        let sql = format!(
            "{with}SELECT {outer}t.n, p.ord{source} FROM ({counting}) AS t LEFT JOIN (SELECT \
             {inner}, row_number() OVER ({window}) AS ord FROM {from}{filter}{order}{range}) AS p \
             ON true ORDER BY p.ord"
        );
        (sql, true)
    }
}
