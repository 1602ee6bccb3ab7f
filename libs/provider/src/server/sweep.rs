//! Forgets what was promised to be kept for so long and no longer.

use std::time::Duration;

use commit::{idempotency, last_resource, participant};

use super::{Role, Server};

const INTERVAL: Duration = Duration::from_secs(60 * 60);

impl Server {
    /// Sweeps for ever, for a task of the service.
    pub async fn sweep(self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            match self.sweep_once().await {
                Ok(0) => {}
                Ok(rows) => {
                    tracing::info!(domain = self.domain(), rows, "old records are forgotten")
                }
                Err(error) => {
                    tracing::warn!(domain = self.domain(), %error, "old records cannot be forgotten");
                }
            }
        }
    }

    /// Answers how many rows are gone.
    async fn sweep_once(&self) -> Result<u64, commit::Error> {
        let mut lease = self.provider.pool().lease().await?;
        let connection = lease.connection()?;
        let mut forgotten = 0;
        if commit::Schema::exists(connection).await? {
            loop {
                let decided = match self.role {
                    Role::Participant => participant::forget(connection).await?,
                    Role::LastResource => last_resource::forget(connection).await?,
                };
                let rows = decided + idempotency::forget(connection).await?;
                forgotten += rows;
                if rows == 0 {
                    break;
                }
            }
        }
        lease.finish();
        Ok(forgotten)
    }
}
