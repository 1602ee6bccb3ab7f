//! Native tables follow what is installed, by this replica or another: the database knows, and is asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;

use crate::error::Error;
use crate::native::NativeTables;
use crate::packages::Packages;
use crate::store::Store;

/// What another replica installed is known here after so long.
const POLL: Duration = Duration::from_secs(1);

/// Shows tables of installed packages.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    store: Store,
    tables: Arc<NativeTables>,
    /// Held while one looks, so that nobody looks later and shows earlier.
    looking: Arc<Mutex<()>>,
}

impl Installed {
    pub(crate) fn new(store: Store, tables: Arc<NativeTables>) -> Self {
        Self { store, tables, looking: Arc::default() }
    }

    /// What there is to install.
    pub(crate) fn packages(&self) -> &Packages {
        self.tables.packages()
    }

    /// Installs what comes with installed packages today and did not when they were installed.
    pub(crate) async fn complete(&self) -> Result<(), Error> {
        let installed = self.store.installed_packages().await?;
        self.store.install_packages(&self.packages().missing(&installed)).await
    }

    /// Looks for what was installed.
    pub(crate) async fn catch_up(&self) -> Result<(), sqlx::Error> {
        let _looking = self.looking.lock().await;
        self.tables.show(&self.store.installed_packages().await?);
        Ok(())
    }

    /// Looks for what others installed, for ever.
    pub(crate) async fn follow(self) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.catch_up().await {
                tracing::debug!(%error, "cannot ask which packages are installed");
            }
        }
    }
}
