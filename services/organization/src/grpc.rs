//! The wire. Messages become the store's terms here, and nowhere else.

mod directory;
mod metadata;
mod row_provider;

pub(crate) use directory::Directory;
pub(crate) use metadata::Metadata;
pub(crate) use row_provider::RowProvider;
