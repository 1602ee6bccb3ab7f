//! One file per kind of answer: ask the provider, put its rows into an answer.

mod collection;
mod functions;
mod options;
mod page;
mod record;
mod update;

pub(crate) use collection::{collection, count};
pub(crate) use functions::{retrieve_version, service_document, who_am_i};
pub(crate) use record::record;
pub(crate) use update::update;
