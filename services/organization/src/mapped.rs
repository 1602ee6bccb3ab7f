//! Which tables dual-write has maps of: rows of those are made by users of dual-write only. The database knows,
//! and is asked.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::store::Store;

/// A map that is configured is known here after so long.
const POLL: Duration = Duration::from_secs(1);

/// Tables with maps.
#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    store: Store,
    tables: Arc<RwLock<BTreeSet<String>>>,
}

impl Mapped {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, tables: Arc::default() }
    }

    /// Whether there is a map of the table.
    pub(crate) fn contains(&self, table: &str) -> bool {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).contains(table)
    }

    /// Looks for maps.
    pub(crate) async fn catch_up(&self) -> Result<(), sqlx::Error> {
        let found = self.store.mapped_tables().await?.into_iter().collect();
        *self.tables.write().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(())
    }

    /// Looks for maps, for ever.
    pub(crate) async fn follow(self) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.catch_up().await {
                tracing::debug!(%error, "cannot ask which tables have maps");
            }
        }
    }
}
