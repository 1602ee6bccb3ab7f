//! The first translation: what a client said, in platform names, becomes what a provider is asked,
//! in its own names and types. Pure: metadata in, messages out.

mod condition;
mod key;
mod page;
mod value;

pub(crate) use condition::{Terms, incompatible, negated};
pub(crate) use key::{RowKey, row_key};
pub(crate) use page::{next_position, page_values, scope};
pub(crate) use value::{guid, literal_of, unquoted, value};

#[cfg(test)]
mod tests;
