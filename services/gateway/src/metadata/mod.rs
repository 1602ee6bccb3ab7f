//! What tables there are: the union of what their owners publish, held in memory.

mod declared;
mod history;
mod navigation;
mod snapshot;
mod table;
mod watch;

pub(crate) use declared::InvalidDeclaration;
pub(crate) use history::{Changes, Deleted};
pub(crate) use navigation::Navigation;
pub(crate) use snapshot::Snapshot;
pub(crate) use table::{Column, ColumnKind, Options, Source, Table};
pub(crate) use watch::Metadata;

#[cfg(test)]
mod tests;
