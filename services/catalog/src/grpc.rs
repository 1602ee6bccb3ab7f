//! The wire. Messages become the catalog's terms here, and nowhere else.

mod administration;
mod list_provider;
mod metadata;
mod provisioning;
mod relationships;

pub(crate) use administration::Administration;
pub(crate) use list_provider::ListProvider;
pub(crate) use metadata::Metadata;
pub(crate) use provisioning::Provisioning;
pub(crate) use relationships::Relationships;

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio_stream::wrappers::WatchStream;
use tonic::Status;

use crate::changes::Changes;
use crate::error::Error;
use crate::snapshot::Snapshot;

/// What a page holds where nothing is said, and at most.
const PAGE_SIZE: usize = 100;
const MAX_PAGE_SIZE: usize = 1_000;

type Watched<T> = BoxStream<'static, Result<T, Status>>;

/// The newest snapshot now and after every change, as `view` shows it.
fn watch<T: 'static>(changes: &Changes, view: fn(&Snapshot) -> T) -> Watched<T> {
    let snapshots = WatchStream::new(changes.subscribe());
    snapshots.map(move |it: Arc<Snapshot>| Ok(view(&it))).boxed()
}

/// How many a page shall hold.
fn page_size(wanted: i32) -> Result<usize, Error> {
    match usize::try_from(wanted) {
        Ok(0) => Ok(PAGE_SIZE),
        Ok(size) => Ok(size.min(MAX_PAGE_SIZE)),
        Err(_) => {
            let reason = "is a number of rows";
            Err(Error::InvalidValue { column: "page_size".to_owned(), reason })
        }
    }
}
