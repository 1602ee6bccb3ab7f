//! The wire. Messages become the catalog's terms here, and nowhere else.

mod administration;
mod list_provider;
mod metadata;

pub(crate) use administration::Administration;
pub(crate) use list_provider::ListProvider;
pub(crate) use metadata::Metadata;

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio_stream::wrappers::WatchStream;
use tonic::Status;

use crate::changes::Changes;
use crate::snapshot::Snapshot;

type Watched<T> = BoxStream<'static, Result<T, Status>>;

/// The newest snapshot now and after every change, as `view` shows it.
fn watch<T: 'static>(changes: &Changes, view: fn(&Snapshot) -> T) -> Watched<T> {
    let snapshots = WatchStream::new(changes.subscribe());
    snapshots.map(move |it: Arc<Snapshot>| Ok(view(&it))).boxed()
}
