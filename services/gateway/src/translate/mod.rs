//! Parts of the first translation: values, keys, single conditions and page positions, as a provider
//! takes them. Pure: metadata in, messages out.

mod condition;
mod key;
mod page;
mod value;

pub(crate) use condition::{Terms, incompatible, negated};
pub(crate) use key::{RowKey, row_key};
pub(crate) use page::{next_position, page_values, scope};
pub(crate) use value::{Fit, fit, guid, literal_of, unquoted, value};

#[cfg(test)]
mod tests;
