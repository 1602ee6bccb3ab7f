//! What users did, as all gateways of an environment saw it together.
//!
//! One script admits a request and counts it, another ends it: no request is counted by half, and no two
//! are admitted to the same place. Places are leases that end, so that those of a gateway that was killed
//! come free. A Redis that is away or slow costs a request no more than [`PATIENCE`], and then for
//! [`LEFT_ALONE`] nothing at all.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, RedisError, Script};
use uuid::Uuid;

use super::Limits;
use super::usage::{Judged, Part, Usage};

/// A request waits no longer for being counted.
const PATIENCE: Duration = Duration::from_millis(20);
/// The end of a request is waited for by nobody.
const PATIENCE_AT_END: Duration = Duration::from_secs(2);
/// Milliseconds that a Redis which did not answer is not asked again.
const LEFT_ALONE: u64 = 1_000;

const BEGIN: &str = include_str!("begin.lua");
const END: &str = include_str!("end.lua");

pub(super) struct Redis {
    connection: ConnectionManager,
    environment: String,
    lease: Duration,
    begin: Script,
    end: Script,
    /// It did not answer, and is not asked before this moment.
    away_until: AtomicU64,
    /// That it is away has been said.
    away: AtomicBool,
}

impl Redis {
    /// Connects when it is first asked. Requests that never end are forgotten after `lease`.
    pub(super) fn new(url: &str, environment: &str, lease: Duration) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE_AT_END))
            .set_response_timeout(Some(PATIENCE_AT_END))
            .set_number_of_retries(0);
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?,
            environment: environment.to_owned(),
            lease,
            begin: Script::new(BEGIN),
            end: Script::new(END),
            away_until: AtomicU64::new(0),
            away: AtomicBool::new(false),
        })
    }

    /// `None` when it is not known what the user did.
    pub(super) async fn begin(
        &self,
        user: Uuid,
        lease: Uuid,
        limits: &Limits,
        now: u64,
    ) -> Option<Judged> {
        if now < self.away_until.load(Ordering::Relaxed) {
            return None;
        }
        let [usage, leases] = self.keys(user);
        let mut call = self.begin.key(usage);
        call.key(leases)
            .arg(now)
            .arg(limits.part(now))
            .arg(limits.first_part(now))
            .arg(limits.requests)
            .arg(limits.execution_millis())
            .arg(limits.concurrent)
            .arg(lease.to_string())
            .arg(now.saturating_add(millis(self.lease)))
            .arg(kept(limits));
        let mut connection = self.connection.clone();
        let answer = call.invoke_async::<Vec<u64>>(&mut connection);
        let answer = match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                self.is_away(now, &error);
                return None;
            }
            Err(late) => {
                self.is_away(now, &late);
                return None;
            }
        };
        if self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("limits are counted for all gateways again");
        }
        usage_of(&answer).map(|it| it.judge(limits, now))
    }

    pub(super) async fn end(&self, user: Uuid, lease: Uuid, limits: &Limits, took: u64, now: u64) {
        let [usage, leases] = self.keys(user);
        let mut call = self.end.key(usage);
        call.key(leases).arg(lease.to_string()).arg(limits.part(now)).arg(took).arg(kept(limits));
        let mut connection = self.connection.clone();
        if let Err(error) = call.invoke_async::<()>(&mut connection).await {
            tracing::debug!(%error, "the end of a request was not counted");
        }
    }

    /// What the user did, and what it is doing. In braces is what decides where a cluster has them.
    fn keys(&self, user: Uuid) -> [String; 2] {
        let prefix = format!("tombolo:{}:limits:{{{user}}}", self.environment);
        [format!("{prefix}:usage"), format!("{prefix}:leases")]
    }

    fn is_away(&self, now: u64, error: &dyn std::fmt::Display) {
        self.away_until.store(now.saturating_add(LEFT_ALONE), Ordering::Relaxed);
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "Redis is away: limits are counted by this gateway alone");
        }
    }
}

/// The URL may hold a password.
impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("environment", &self.environment).finish_non_exhaustive()
    }
}

/// As the script answers: requests at the same time, refusals, and then each part's index, requests and
/// milliseconds.
fn usage_of(answer: &[u64]) -> Option<Usage> {
    let [concurrent, refused, parts @ ..] = answer else { return None };
    let mut usage = Usage {
        parts: Vec::with_capacity(parts.len() / 3),
        concurrent: *concurrent,
        refused: u32::try_from(*refused).unwrap_or(u32::MAX),
    };
    for part in parts.chunks_exact(3) {
        let [index, requests, millis] = *part else { return None };
        usage.parts.push(Part { index, requests, millis });
    }
    usage.parts.sort_unstable_by_key(|it| it.index);
    Some(usage)
}

/// How long the keys are kept: until all parts have left.
fn kept(limits: &Limits) -> u64 {
    millis(limits.window() * 2)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
