//! The first translation: what a client said, in platform names, becomes what a provider is asked,
//! in its own names and types. Pure: metadata in, messages out.

mod columns;
mod condition;
mod filter;
mod key;
mod order;
mod page;
mod value;

pub(crate) use columns::{Annotations, outputs, select};
pub(crate) use condition::Terms;
pub(crate) use filter::filter;
pub(crate) use key::{RowKey, row_key};
pub(crate) use order::{order_by, sort_key};
pub(crate) use page::{next_position, page_values, scope};
pub(crate) use value::literal_of;

#[cfg(test)]
mod tests;
