//! Changes by other replicas: the database tells of every new revision.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;

use crate::changes::Changes;
use crate::store::CHANNEL;

const FIRST_DELAY: Duration = Duration::from_millis(200);
const LAST_DELAY: Duration = Duration::from_secs(5);

/// Publishes whatever others change, for ever.
pub(crate) async fn follow(changes: Arc<Changes>, url: String) {
    let mut delay = FIRST_DELAY;
    loop {
        if let Err(error) = listen(&changes, &url, &mut delay).await {
            tracing::warn!(%error, "cannot hear of changes by other replicas; trying again");
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LAST_DELAY);
    }
}

async fn listen(changes: &Changes, url: &str, delay: &mut Duration) -> Result<(), crate::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(CHANNEL).await?;
    *delay = FIRST_DELAY;
    // What changed while nobody listened was not told.
    changes.catch_up().await?;
    while listener.try_recv().await?.is_some() {
        changes.catch_up().await?;
    }
    Ok(())
}
