//! What a table map says, as plain values: nothing here reads or writes anything.
//!
//! A definition ([`MapVersion`](proto::dual_write::v1::MapVersion)) names columns of two tables
//! ([`schema`]). [`validate()`](validate::validate) says what is wrong with it, in the original's codes
//! ([`issue`]); [`CompiledMap::compile`] makes of it what runs: the two halves as the sides know them
//! ([`CompiledMap::side`]), the translation of a changed row ([`CompiledMap::translate`]) and the
//! comparison of two rows ([`CompiledMap::differences`]).

pub(crate) mod compare;
pub(crate) mod compile;
pub(crate) mod definition;
pub(crate) mod depend;
pub(crate) mod file;
pub(crate) mod filter;
pub(crate) mod issue;
pub(crate) mod key;
pub(crate) mod schema;
pub(crate) mod solution;
pub(crate) mod template;
pub(crate) mod text;
pub(crate) mod transform;
pub(crate) mod translate;
pub(crate) mod validate;
pub(crate) mod value;
mod way;

pub(crate) use compile::CompiledMap;
pub(crate) use schema::Schemas;
pub(crate) use translate::{Owner, TranslateContext, TranslateError};

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
