//! Keeps the snapshot new: one stream per owner of tables, connected again whenever it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use proto::query::v1 as pb;
use proto::query::v1::metadata_provider_service_client::MetadataProviderServiceClient;
use rpc::Channel;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::{Status, Streaming};

use super::snapshot::Snapshot;
use crate::Clients;
use crate::providers::within;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Definitions of a few thousand tables are larger than gRPC's default limit.
const MAX_MESSAGE: usize = 256 << 20;

/// The names of those who own tables, in the order of [`Metadata::parts`].
const OWNERS: [&str; 2] = ["catalog", "organization"];

/// The current tables, and how to hear of changes.
#[derive(Debug)]
pub(crate) struct Metadata {
    current: ArcSwap<Snapshot>,
    owners: [MetadataProviderServiceClient<Channel>; 2],
    parts: Mutex<[Option<pb::WatchTablesResponse>; 2]>,
    complete: watch::Sender<bool>,
}

impl Metadata {
    pub(crate) fn new(clients: &Clients) -> Self {
        let owner = |channel: &Channel| {
            MetadataProviderServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_MESSAGE)
        };
        Self {
            current: ArcSwap::default(),
            owners: [owner(&clients.catalog), owner(&clients.organization)],
            parts: Mutex::default(),
            complete: watch::Sender::new(false),
        }
    }

    /// The tables of this moment.
    pub(crate) fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(crate) fn is_ready(&self) -> bool {
        *self.complete.borrow()
    }

    pub(crate) async fn ready(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.complete.subscribe().wait_for(|it| *it).await;
    }

    /// Follows every owner until the tasks are aborted.
    pub(crate) fn watch(self: &Arc<Self>) -> Vec<JoinHandle<()>> {
        (0..OWNERS.len()).map(|owner| tokio::spawn(Arc::clone(self).follow(owner))).collect()
    }

    /// Reads the catalog's tables once more, so that what was just published is known here.
    pub(crate) async fn refresh_catalog(&self, deadline: Instant) -> Result<(), Status> {
        within(deadline, async {
            let mut stream = self.subscribe(0).await?;
            if let Some(part) = stream.message().await? {
                self.accept(0, part, false);
            }
            Ok(())
        })
        .await
    }

    async fn follow(self: Arc<Self>, owner: usize) {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.subscribe(owner).await {
                Ok(stream) => self.drain(owner, stream, &mut pause).await,
                Err(status) => status,
            };
            let owner = OWNERS.get(owner).copied().unwrap_or_default();
            tracing::warn!(owner, error = %error, "lost the table definitions; connecting again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Takes definitions as they come; returns why they stopped.
    async fn drain(
        &self,
        owner: usize,
        mut stream: Streaming<pb::WatchTablesResponse>,
        pause: &mut Duration,
    ) -> Status {
        let mut first = true;
        loop {
            match stream.message().await {
                Ok(Some(part)) => {
                    *pause = FIRST_PAUSE;
                    self.accept(owner, part, first);
                    first = false;
                }
                Ok(None) => return Status::unavailable("the stream ended"),
                Err(status) => return status,
            }
        }
    }

    async fn subscribe(&self, owner: usize) -> Result<Streaming<pb::WatchTablesResponse>, Status> {
        let client = self.owners.get(owner).cloned();
        let mut client = client.ok_or_else(|| Status::internal("no such owner"))?;
        Ok(client.watch_tables(pb::WatchTablesRequest {}).await?.into_inner())
    }

    /// An owner that was restarted may count from the beginning, which shows on a new connection
    /// only; elsewhere an older set is one that was overtaken.
    fn accept(&self, owner: usize, part: pb::WatchTablesResponse, may_be_older: bool) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = parts.get_mut(owner) else { return };
        let older = slot.as_ref().is_some_and(|it| it.revision > part.revision);
        if older && !may_be_older {
            return;
        }
        *slot = Some(part);
        let snapshot = Snapshot::new(parts.as_slice()).after(&self.current.load());
        self.current.store(Arc::new(snapshot));
        if parts.iter().all(Option::is_some) {
            self.complete.send_replace(true);
        }
    }
}
