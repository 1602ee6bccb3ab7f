//! What tables there are: the union of what their owners publish, held in memory.

mod snapshot;
mod table;
mod watch;

pub(crate) use snapshot::Snapshot;
pub(crate) use table::{Column, ColumnKind, Options, Source, Table};
pub(crate) use watch::Metadata;
