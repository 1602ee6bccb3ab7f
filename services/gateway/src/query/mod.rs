//! Reads: one tree for every dialect, in the platform's vocabulary, and its way to the rows.

mod batch;
mod children;
mod dates;
mod execute;
mod far;
mod hierarchy;
mod lower;
mod resolve;

use odata::PagePosition;
use prost::Message as _;
use proto::query::v1 as pb;

#[cfg(test)]
pub(crate) use self::dates::Calendar;
pub(crate) use self::execute::{count, explain, page, record, rows_by_id};
pub(crate) use self::lower::COUNT_ONLY as NO_ROWS;
#[cfg(test)]
pub(crate) use self::lower::{Context, lower};
use crate::http::Annotations;
use crate::translate;

/// One read, whichever dialect it came in.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    /// In the platform's vocabulary.
    pub(crate) tree: pb::QueryExpression,
    pub(crate) expands: Vec<Expand>,
    pub(crate) style: Style,
    /// Where the page begins; from a page token or a paging cookie.
    pub(crate) position: Option<PagePosition>,
}

/// `$expand=navigation(...)`.
#[derive(Clone, Debug)]
pub(crate) struct Expand {
    /// As the parent's table calls it.
    pub(crate) navigation: String,
    /// Of the target: columns, criteria, orders, `top_count`.
    pub(crate) tree: pb::QueryExpression,
    pub(crate) expands: Vec<Expand>,
    /// `navigation/$ref`.
    pub(crate) references_only: bool,
    /// The query of the link that a collection carries, without the question mark.
    pub(crate) link_options: String,
}

/// How rows are written.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    pub(crate) annotations: Annotations,
    pub(crate) dialect: Dialect,
    /// 64-bit integers and decimals as JSON strings (`IEEE754Compatible=true`).
    pub(crate) numbers_as_strings: bool,
}

/// Whose conventions the rows follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Property names; nulls are there.
    OData,
    /// Aliases; nulls are left out.
    Fetch,
    /// Logical names; nothing but the columns.
    Message,
}

/// What makes a query, so that a page's position is known to be one of it: all but the page itself.
pub(crate) fn scope(tree: &pb::QueryExpression) -> [u8; 32] {
    let query = pb::QueryExpression {
        page: None,
        total_count: pb::TotalCount::Unspecified.into(),
        ..tree.clone()
    };
    translate::scope([b"fetch".as_slice(), &query.encode_to_vec()])
}
