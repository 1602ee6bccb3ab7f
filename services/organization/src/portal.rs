//! The newest portal mappings, for whoever watches them. Edits by any tool count: the database counts
//! them, and is asked for the count.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::MissedTickBehavior;

use crate::error::Error;
use crate::store::{PortalMapping, PortalVersion, Store};

/// Who lost a mapping keeps access for about so long.
const POLL: Duration = Duration::from_millis(250);

/// All mappings at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mappings {
    version: PortalVersion,
    pub(crate) all: Arc<[PortalMapping]>,
}

/// Tells watchers of the mappings.
#[derive(Debug)]
pub(crate) struct PortalMappings {
    store: Store,
    newest: watch::Sender<Mappings>,
    /// Held while one looks, so that nobody looks later and tells earlier.
    looking: Mutex<()>,
}

impl PortalMappings {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, newest: watch::Sender::default(), looking: Mutex::default() }
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
        let _looking = self.looking.lock().await;
        // Another database that takes this one's place may count less.
        if self.store.portal_version().await? == self.newest.borrow().version {
            return Ok(());
        }
        let (version, all) = self.store.portal_mappings().await?;
        self.newest.send_replace(Mappings { version, all: all.into() });
        Ok(())
    }
}
