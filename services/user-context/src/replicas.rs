//! Other replicas: told of changes through Redis, where there is one, and asked for theirs in the store
//! now and then, in case nobody could tell.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use redis::AsyncCommands as _;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::time::MissedTickBehavior;

use crate::changes::Changes;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(5);
/// A change by another replica, or another database in place of this one, is known here after this long,
/// whatever has become of Redis.
pub(crate) const POLL: Duration = Duration::from_secs(1);
/// A connection that was lost is only noticed when it is used.
const TELL_AGAIN: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500)];
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);

/// Where replicas tell each other of changes.
pub(crate) struct Redis {
    client: redis::Client,
    channel: String,
}

impl Redis {
    pub(crate) fn new(url: &str, environment: &str) -> Result<Self, redis::RedisError> {
        let channel = format!("tombolo:{environment}:user-context:revision");
        Ok(Self { client: redis::Client::open(url)?, channel })
    }

    fn connection(&self) -> Result<ConnectionManager, redis::RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(REDIS_TIMEOUT))
            .set_response_timeout(Some(REDIS_TIMEOUT))
            .set_number_of_retries(1);
        self.client.get_connection_manager_lazy(config)
    }
}

/// Publishes whatever others change, and tells them of what is new here, for ever.
pub(crate) async fn follow(changes: Arc<Changes>, redis: Option<Redis>) {
    match redis {
        Some(redis) => {
            tokio::join!(ask(&changes), hear(&changes, &redis), tell(&changes, &redis));
        }
        None => ask(&changes).await,
    }
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

async fn hear(changes: &Changes, redis: &Redis) {
    let mut delay = FIRST_DELAY;
    let mut heard = true;
    loop {
        let ended = listen(changes, redis, &mut delay, &mut heard).await;
        if heard {
            let reason = ended.err().map(|it| it.to_string()).unwrap_or_default();
            tracing::warn!(
                reason,
                poll = ?POLL,
                "lost Redis; until it is back, changes by other replicas are known when asked for"
            );
            heard = false;
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LAST_DELAY);
    }
}

async fn listen(
    changes: &Changes,
    redis: &Redis,
    delay: &mut Duration,
    heard: &mut bool,
) -> Result<(), redis::RedisError> {
    let connecting = tokio::time::timeout(REDIS_TIMEOUT, redis.client.get_async_pubsub()).await;
    let mut listener = connecting.map_err(std::io::Error::from)??;
    listener.subscribe(&redis.channel).await?;
    if !*heard {
        tracing::info!("Redis is back");
    }
    (*delay, *heard) = (FIRST_DELAY, true);
    // What changed while nobody listened was not told.
    catch_up(changes).await;
    let mut messages = listener.on_message();
    while messages.next().await.is_some() {
        catch_up(changes).await;
    }
    Ok(())
}

async fn catch_up(changes: &Changes) {
    if let Err(error) = changes.catch_up().await {
        tracing::warn!(%error, "cannot read a change by another replica yet");
    }
}

/// A change that is heard of is told again: whoever knows it already does nothing.
async fn tell(changes: &Changes, redis: &Redis) {
    let connection = match redis.connection() {
        Ok(connection) => connection,
        Err(error) => return tracing::error!(%error, "Redis cannot be used"),
    };
    let mut directories = changes.subscribe();
    // What the start of this replica changed is news as well.
    directories.mark_changed();
    while directories.changed().await.is_ok() {
        let revision = directories.borrow_and_update().version.revision;
        for delay in TELL_AGAIN {
            let told: Result<(), _> = connection.clone().publish(&redis.channel, revision).await;
            match told {
                Ok(()) => break,
                // `hear` says so once, and others ask.
                Err(error) => tracing::debug!(%error, "cannot tell other replicas of a change"),
            }
            tokio::time::sleep(delay).await;
        }
    }
}
