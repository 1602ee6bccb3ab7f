//! What is known of the data entities: the newest set that the catalog published, in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::{DataEntity, WatchDataEntitiesRequest, WatchDataEntitiesResponse};
use provider::Binding;
use tokio::sync::watch;
use tonic::Status;

const FIRST_DELAY: Duration = Duration::from_millis(50);
const LAST_DELAY: Duration = Duration::from_secs(2);
/// A visible model of a large ERP is some megabytes.
const MAX_SNAPSHOT_BYTES: usize = 256 * 1024 * 1024;

/// Compiled definitions by entity name.
#[derive(Debug)]
pub(crate) struct Definitions {
    current: ArcSwap<HashMap<String, Arc<Binding>>>,
    revision: watch::Sender<Option<i64>>,
}

impl Definitions {
    pub(crate) fn new() -> Self {
        Self { current: ArcSwap::default(), revision: watch::Sender::new(None) }
    }

    /// The entity of that external name.
    pub(crate) fn find(&self, entity: &str) -> Option<Arc<Binding>> {
        self.current.load().get(entity).cloned()
    }

    /// Every entity.
    pub(crate) fn all(&self) -> Arc<HashMap<String, Arc<Binding>>> {
        self.current.load_full()
    }

    /// Tells of every new set.
    pub(crate) fn revisions(&self) -> watch::Receiver<Option<i64>> {
        self.revision.subscribe()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.revision.borrow().is_some()
    }

    pub(crate) async fn ready(&self) {
        // The sender lives as long as `self`, so this ends only when there is a revision.
        let _ = self.revision.subscribe().wait_for(Option::is_some).await;
    }

    /// Takes over every set that the catalog publishes, for ever.
    pub(crate) async fn follow(self: Arc<Self>, catalog: rpc::Channel) {
        let mut delay = FIRST_DELAY;
        loop {
            match self.follow_once(catalog.clone()).await {
                Ok(()) => delay = FIRST_DELAY,
                Err(status) => {
                    tracing::warn!(code = ?status.code(), "the catalog does not answer; trying again");
                    delay = (delay * 2).min(LAST_DELAY);
                }
            }
            tokio::time::sleep(delay).await;
        }
    }

    async fn follow_once(&self, catalog: rpc::Channel) -> Result<(), Status> {
        let mut client =
            CatalogServiceClient::new(catalog).max_decoding_message_size(MAX_SNAPSHOT_BYTES);
        let mut sets = client.watch_data_entities(WatchDataEntitiesRequest {}).await?.into_inner();
        while let Some(set) = sets.message().await? {
            self.take(set);
        }
        Ok(())
    }

    fn take(&self, set: WatchDataEntitiesResponse) {
        let compiled: HashMap<_, _> = set.data_entities.into_iter().filter_map(compile).collect();
        tracing::info!(revision = set.revision, entities = compiled.len(), "definitions arrived");
        self.current.store(Arc::new(compiled));
        self.revision.send_replace(Some(set.revision));
    }
}

/// One entity that cannot be compiled must not take the others with it.
fn compile(entity: DataEntity) -> Option<(String, Arc<Binding>)> {
    match Binding::try_from(entity) {
        Ok(binding) => Some((binding.name().to_owned(), Arc::new(binding))),
        Err(error) => {
            tracing::error!(%error, "a definition was left out");
            None
        }
    }
}
