//! The newest portal mappings, for whoever watches them. Edits by any tool count: the database counts
//! them, and is asked for the count.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::error::Error;
use crate::store::{PortalMapping, Store};

/// Who lost a mapping keeps access for about so long.
const POLL: Duration = Duration::from_millis(250);

/// All mappings at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mappings {
    revision: i64,
    pub(crate) all: Arc<[PortalMapping]>,
}

/// Tells watchers of the mappings.
#[derive(Debug)]
pub(crate) struct PortalMappings {
    store: Store,
    newest: watch::Sender<Mappings>,
}

impl PortalMappings {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, newest: watch::Sender::default() }
    }

    /// The newest mappings, and those that follow.
    pub(crate) async fn watch(&self) -> Result<watch::Receiver<Mappings>, Error> {
        self.catch_up().await?;
        let mut receiver = self.newest.subscribe();
        receiver.mark_changed();
        Ok(receiver)
    }

    /// Looks for changes, for ever.
    pub(crate) async fn follow(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.newest.receiver_count() == 0 {
                continue;
            }
            if let Err(error) = self.catch_up().await {
                tracing::debug!(%error, "cannot ask for changes of the portal mappings");
            }
        }
    }

    async fn catch_up(&self) -> Result<(), Error> {
        let stored = self.store.portal_mapping_revision().await?;
        if stored == self.newest.borrow().revision {
            return Ok(());
        }
        let (revision, all) = self.store.portal_mappings().await?;
        self.newest.send_if_modified(|newest| {
            // Somebody else may have looked later and told earlier.
            let is_news = revision > newest.revision;
            if is_news {
                *newest = Mappings { revision, all: all.into() };
            }
            is_news
        });
        Ok(())
    }
}
