//! OData URL and filter syntax, and page tokens, for the Dataverse dialect: pure, no I/O.
//!
//! This crate knows what was *said*; what it means (which tables and columns exist, what may be
//! compared with what) is the gateway's business. Start with [`Resource`] for paths and
//! [`QueryOptions`] for what follows the question mark. [`parse_filter`] reads `$filter` into an
//! [`Expr`], [`parse_expand`] and [`parse_apply`] read their options into trees of their own; the
//! grammar stands at the top of `parser.rs`. [`PageTokens`] writes and checks `$skiptoken`.
//! [`parse_batch`] takes a `$batch` apart. Nothing here panics, whatever the input.

mod apply;
mod arguments;
mod batch;
mod expand;
mod expr;
mod expression;
mod literal;
mod options;
mod page_token;
mod parser;
mod percent;
mod print;
mod resource;
mod scanner;

pub use apply::{AggregateMethod, AggregateSource, Aggregation, Transformation, parse_apply};
pub use batch::{
    BatchError, BatchMethod, BatchPart, BatchRequest, BatchTarget, MAX_OPERATIONS, parse_batch,
};
pub use expand::{ExpandForm, ExpandItem, ExpandOptions, RefusedOption, parse_expand};
pub use expr::{
    Argument, ArgumentValue, CompareOp, Expr, Operand, OperandKind, Path, Quantifier,
    QueryFunction, Span,
};
pub use literal::Literal;
pub use options::{OptionError, OrderItem, QueryOptions, SystemOption};
pub use page_token::{PagePosition, PageTokenError, PageTokens, PositionColumn, TokenValue};
pub use parser::{
    Aliases, MAX_DEPTH, MAX_LENGTH, SyntaxError, parse_filter, parse_literal, parse_order_by,
    parse_select,
};
pub use percent::{InvalidEncoding, decode_query, encode_query};
pub use resource::{Key, Parameter, PathError, Resource, Tail};
