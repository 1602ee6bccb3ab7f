//! Service protection limits (spec lifecycle-and-web-api §2.13): so many requests, so much time of
//! execution and so many requests at once, of each user, within a window that slides.
//!
//! [`Limiter::begin`] admits a request or refuses it; the [`Turn`] that it gives ends when it is dropped.
//! What users did is counted by `memory`, or by `redis` for all replicas together. Both keep the same
//! `Usage`, and one `Usage::exceeded` judges it.

mod held;
mod memory;
mod redis;
#[cfg(test)]
mod tests;
mod usage;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use uuid::Uuid;

pub(crate) use self::held::Held;
use self::memory::Memory;
use self::redis::Redis;
use self::usage::Judged;
pub(crate) use self::usage::{Exceeded, Limit};
use crate::Config;
use crate::callers::Session;
use crate::dual_write::LONGEST_WAIT;
use crate::error::GatewayError;

/// What one user may do within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests; a batch, or a message about many rows, is one.
    pub requests: u32,
    /// Time that they take, added up.
    pub execution_seconds: u32,
    /// Requests at the same time.
    pub concurrent: u32,
    /// How long the window is.
    pub window_seconds: u32,
}

/// `redis://HOST:PORT` and the like. It may hold a password, and stays out of logs.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RedisUrl(String);

/// A text that is no [`RedisUrl`]; it is not repeated, as it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the URL of a Redis; expected redis://HOST:PORT or rediss://HOST:PORT")]
pub struct InvalidRedisUrl;

/// Counts what users do.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// Without them everything is admitted.
    counting: Option<Arc<Counting>>,
}

#[derive(Debug)]
struct Counting {
    limits: Limits,
    memory: Memory,
    shared: Option<Redis>,
}

/// An admitted request. It goes on until this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    counting: Arc<Counting>,
    user: Uuid,
    place: Place,
    at: Instant,
    remaining: Remaining,
}

/// Where it is counted that a request goes on.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// By this gateway.
    Own,
    /// By all, under this name.
    Leased(Uuid),
    /// Nowhere: only its time counts.
    Aside,
}

/// What is left of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remaining {
    pub(crate) requests: u64,
    pub(crate) execution: Duration,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 6_000, execution_seconds: 1_200, concurrent: 52, window_seconds: 300 }
    }
}

// === impl RedisUrl ===

impl TryFrom<String> for RedisUrl {
    type Error = InvalidRedisUrl;

    fn try_from(url: String) -> Result<Self, InvalidRedisUrl> {
        ::redis::Client::open(url.as_str()).map_err(|_| InvalidRedisUrl)?;
        Ok(Self(url))
    }
}

impl std::fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisUrl(..)")
    }
}

// === impl Limiter ===

impl Limiter {
    pub(crate) fn new(config: &Config) -> Self {
        let counting = config.limits.map(|limits| {
            // A killed gateway's requests are forgotten after what any request may take.
            let lease = config.request_timeout + LONGEST_WAIT + Duration::from_secs(60);
            let shared = config.redis_url.as_ref().and_then(|RedisUrl(url)| {
                Redis::new(url, &config.environment, lease)
                    .inspect_err(|error| {
                        tracing::error!(%error, "limits are counted by this gateway alone");
                    })
                    .ok()
            });
            Arc::new(Counting { limits, memory: Memory::new(limits), shared })
        });
        Self { counting }
    }

    /// Admits one request of the token's user. Never fails because of where it is counted.
    pub(crate) async fn begin(&self, session: &Session) -> Result<Turn, GatewayError> {
        let Some(counting) = &self.counting else { return Ok(Turn { begun: None }) };
        let user = session.counted();
        let (judged, place) = counting.judge(user, now()).await;
        let remaining = judged.admitted.map_err(|exceeded| {
            let error = GatewayError::LimitExceeded(exceeded);
            session.audit_denied("request", "", &error);
            error
        })?;
        let (counting, at) = (Arc::clone(counting), Instant::now());
        Ok(Turn { begun: Some(Begun { counting, user, place, at, remaining }) })
    }

    /// Work that goes on behind a request that was answered: of it, only the time counts.
    pub(crate) fn aside(&self, session: &Session) -> Turn {
        let begun = self.counting.as_ref().map(|counting| Begun {
            counting: Arc::clone(counting),
            user: session.counted(),
            place: Place::Aside,
            at: Instant::now(),
            remaining: Remaining { requests: 0, execution: Duration::ZERO },
        });
        Turn { begun }
    }
}

impl Counting {
    async fn judge(&self, user: Uuid, now: u64) -> (Judged, Place) {
        if let Some(shared) = &self.shared {
            let lease = Uuid::new_v4();
            if let Some(judged) = shared.begin(user, lease, &self.limits, now).await {
                return (judged, Place::Leased(lease));
            }
        }
        (self.memory.begin(user, &self.limits, now), Place::Own)
    }
}

// === impl Turn ===

impl Turn {
    /// What was left when it began; `None` where nothing is limited.
    pub(crate) fn remaining(&self) -> Option<Remaining> {
        self.begun.as_ref().map(|it| it.remaining)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(Begun { counting, user, place, at, .. }) = self.begun.take() else { return };
        let took = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let lease = match place {
            Place::Own => {
                counting.memory.leave(user);
                None
            }
            Place::Leased(lease) => Some(lease),
            Place::Aside => counting.shared.is_some().then(Uuid::nil),
        };
        match (lease, tokio::runtime::Handle::try_current()) {
            (None, _) => counting.memory.spend(user, &counting.limits, took, now()),
            (Some(lease), Ok(runtime)) => {
                runtime.spawn(async move {
                    if let Some(shared) = &counting.shared {
                        shared.end(user, lease, &counting.limits, took, now()).await;
                    }
                });
            }
            // Nothing runs any more; the lease ends by itself.
            (Some(_), Err(_)) => {}
        }
    }
}

/// Milliseconds since 1970: replicas must agree on it, to a second or so.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
