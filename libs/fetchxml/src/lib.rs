//! The other dialects of the one query tree: FetchXML, the SDK's QueryExpression as JSON, and the
//! paging cookies that FetchXML clients send back. Pure, no I/O, no catalog.
//!
//! [`parse`] reads a FetchXML document into a [`QueryExpression`](proto::query::v1::QueryExpression) in
//! the platform's vocabulary; [`print()`] writes one. [`from_json`] and [`to_json`] do the same for the
//! SDK's form. What is said is checked against the language here; whether tables and columns exist,
//! and what values mean for them, is the gateway's business, so values stay text. [`Cookie`] is a
//! page's position as FetchXML clients know it. Nothing here panics, whatever the input.

mod cookie;
mod error;
mod operators;
mod parse;
mod print;
mod sdk_json;
mod tree;
mod xml;

pub use cookie::{Cookie, CookieColumn};
pub use error::{FetchXmlError, PrintError};
pub use parse::parse;
pub use print::print;
pub use sdk_json::{JsonError, from_json, to_json};
pub use xml::Position;

/// The longest document, in bytes.
pub const MAX_LENGTH: usize = 256 << 10;

/// How deep elements, or filters and links of a query, may be nested.
pub const MAX_DEPTH: usize = 64;

/// Links in a query (platform code 0x8004430D).
pub const MAX_LINKS: usize = 15;

/// Conditions and links in a query (platform code 0x8004430C).
pub const MAX_CONDITIONS: usize = 500;

/// Rows that a page or a `top` may ask for.
pub const MAX_ROWS: i32 = 5_000;
