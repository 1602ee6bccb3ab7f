//! News of operations: the database tells every process of each change that was committed.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::broadcast;
use uuid::Uuid;

const CHANNEL: &str = "lifecycle_operation";
const BOUND: usize = 1_024;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LAST_DELAY: Duration = Duration::from_secs(5);

/// Where news is heard.
#[derive(Clone, Debug)]
pub(crate) struct Changes(broadcast::Sender<Option<Uuid>>);

/// One who listens.
#[derive(Debug)]
pub(crate) struct Subscription(broadcast::Receiver<Option<Uuid>>);

impl Changes {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(BOUND).0)
    }

    /// Hears of everything from now on.
    pub(crate) fn subscribe(&self) -> Subscription {
        Subscription(self.0.subscribe())
    }

    fn tell(&self, operation: Option<Uuid>) {
        // That nobody listens is no mistake.
        let _ = self.0.send(operation);
    }
}

impl Subscription {
    /// Waits for the next change of any operation; `None`: it may have been any.
    pub(crate) async fn next(&mut self) -> Option<Uuid> {
        match self.0.recv().await {
            Ok(operation) => operation,
            Err(broadcast::error::RecvError::Lagged(_)) => None,
            // The process is stopping: nothing will be heard.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }

    /// Waits until this operation may have changed.
    pub(crate) async fn of(&mut self, operation: Uuid) {
        while self.next().await.is_some_and(|it| it != operation) {}
    }
}

/// Passes on what the database tells, for ever.
pub(crate) async fn follow(changes: Changes, url: String) {
    let mut delay = FIRST_DELAY;
    loop {
        if let Err(error) = listen(&changes, &url, &mut delay).await {
            tracing::warn!(%error, "cannot hear of operations; trying again");
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LAST_DELAY);
    }
}

async fn listen(changes: &Changes, url: &str, delay: &mut Duration) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(CHANNEL).await?;
    *delay = FIRST_DELAY;
    // What changed while nobody listened was not told.
    changes.tell(None);
    while let Some(news) = listener.try_recv().await? {
        changes.tell(news.payload().parse().ok());
    }
    Ok(())
}
