//! Changes by other replicas: the database tells of every new revision, and is asked now and then in
//! case it could not.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::time::MissedTickBehavior;

use crate::changes::Changes;
use crate::store::CHANNEL;

const FIRST_DELAY: Duration = Duration::from_millis(200);
const LAST_DELAY: Duration = Duration::from_secs(5);
/// How old a snapshot may get where nothing can be heard, as behind some connection poolers.
const POLL: Duration = Duration::from_secs(2);

/// Publishes whatever others change, for ever.
pub(crate) async fn follow(changes: Arc<Changes>, url: String) {
    tokio::join!(hear(&changes, &url), ask(&changes));
}

async fn hear(changes: &Changes, url: &str) {
    let mut delay = FIRST_DELAY;
    loop {
        if let Err(error) = listen(changes, url, &mut delay).await {
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

async fn ask(changes: &Changes) {
    let mut ticks = tokio::time::interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = changes.catch_up().await {
            tracing::debug!(%error, "cannot ask for changes by other replicas");
        }
    }
}
