//! Keeps triggers where definitions want them, and the log from growing for ever.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use change_log::{Error as LogError, Relation, install, is_installed, reconcile, retain};

use super::ChangeTracking;
use crate::sharing::shared_tables;

/// Tables may lose their triggers without our doing, and gain partitions.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const RETAIN_EVERY: Duration = Duration::from_secs(300);
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LAST_DELAY: Duration = Duration::from_secs(30);
/// Other replicas, and those of other environments over the same database, may want what we do not.
const GRACE: Duration = Duration::from_secs(900);

/// How the last pass over the tables ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// What cannot be captured until somebody does something about it, by the log's name.
    pub(super) refused: Arc<HashMap<String, String>>,
    /// Nothing can.
    pub(super) refused_at_all: Option<String>,
}

impl Outcome {
    /// Why changes of a table are not captured, if it is not a matter of time.
    pub(super) fn why(&self, relation: &str) -> Option<&str> {
        self.refused_at_all.as_deref().or_else(|| self.refused.get(relation).map(String::as_str))
    }
}

impl ChangeTracking {
    /// Captures, for ever. One such task for each process does.
    pub async fn run(self) {
        let mut wanted = self.inner.wanted.subscribe();
        let mut delay = FIRST_DELAY;
        let mut retained: Option<Instant> = None;
        loop {
            let tables = wanted.borrow_and_update().clone();
            let healthy = match &tables {
                Some(tables) => self.pass(tables).await,
                None => true,
            };
            if tables.is_some() && retained.is_none_or(|it| it.elapsed() >= RETAIN_EVERY) {
                retained = Some(Instant::now());
                self.retain().await;
            }
            if healthy {
                delay = FIRST_DELAY;
                tokio::select! {
                    _ = wanted.changed() => {}
                    () = self.inner.missing.notified() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                continue;
            }
            // Whoever waits is not let in earlier: the ERP's own writers wait behind every try.
            tokio::select! {
                _ = wanted.changed() => {}
                () = tokio::time::sleep(delay) => {}
            }
            delay = (delay * 2).min(LAST_DELAY);
        }
    }

    /// Whether everything is as it should be.
    async fn pass(&self, tables: &[Relation]) -> bool {
        let outcome = match self.reconcile(tables).await {
            Ok(failed) => failed,
            Err(error) => {
                tracing::warn!(%error, cause = ?std::error::Error::source(&error), "changes cannot be captured");
                let refused_at_all = is_final(&error).then(|| error.to_string());
                self.inner.outcome.send_replace(Outcome { refused_at_all, ..Outcome::default() });
                return false;
            }
        };
        // What nobody can mend by trying is no reason to try again soon, nor to keep others waiting.
        let healthy = outcome.iter().all(|(_, error)| is_final(error));
        let mut refused = HashMap::new();
        for (relation, error) in outcome {
            tracing::warn!(relation, %error, "changes of a table are not captured");
            if is_final(&error) {
                refused.insert(relation, error.to_string());
            }
        }
        let refused = Arc::new(refused);
        self.inner.outcome.send_replace(Outcome { refused, refused_at_all: None });
        healthy
    }

    async fn reconcile(&self, tables: &[Relation]) -> Result<Vec<(String, LogError)>, LogError> {
        let mut lease = self.inner.provider.pool().lease().await?;
        let connection = lease.connection()?;
        // Nobody's database gets a schema of ours without need.
        if tables.is_empty() && !is_installed(connection).await? {
            lease.finish();
            return Ok(Vec::new());
        }
        install(connection).await?;
        let shared = shared_tables(connection, self.authority()).await?;
        let mut wanted: Vec<Relation> = tables.iter().cloned().chain(shared).collect();
        wanted.sort();
        wanted.dedup();
        let done = reconcile(connection, &wanted, GRACE).await?;
        lease.finish();
        Ok(done.failed)
    }

    async fn retain(&self) {
        let retained = async {
            let mut lease = self.inner.provider.pool().lease().await?;
            let connection = lease.connection()?;
            let deleted = match is_installed(connection).await? {
                true => retain(connection, self.inner.retention).await?,
                false => 0,
            };
            lease.finish();
            Ok::<_, LogError>(deleted)
        };
        match retained.await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "old entries left the change log"),
            Err(error) => tracing::warn!(%error, "old entries stay in the change log"),
        }
    }
}

/// It stays so until somebody does something about it.
fn is_final(error: &LogError) -> bool {
    matches!(error, LogError::NotGranted(_) | LogError::Unsuitable { .. })
}
