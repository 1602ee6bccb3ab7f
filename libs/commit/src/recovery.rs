//! Finishes what coordinators left behind. Any number of processes may do it at once.

use std::time::{Duration, SystemTime};

use crate::coordinator::Sides;
use crate::id::Decision;

/// When to look, and at what.
#[derive(Clone, Copy, Debug)]
pub struct RecoveryOptions {
    /// A younger transaction is left to its coordinator. Longer than calls take; nothing
    /// breaks when it is shorter, but transactions are then given up that would have worked.
    pub grace: Duration,
    /// Whoever recovers is the only coordinator there is, and has been since: an older
    /// transaction is nobody's, and waits for no grace.
    pub alone_since: Option<SystemTime>,
    /// Between two looks.
    pub interval: Duration,
    /// Between two looks, while nothing works.
    pub longest_interval: Duration,
}

/// What one look found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Committed because the other side had.
    pub committed: usize,
    /// Rolled back because the other side had not, and never will.
    pub aborted: usize,
    /// Left to their coordinators.
    pub young: usize,
    /// Those that a side did not answer for; the next look tries again.
    pub failed: usize,
}

impl Default for RecoveryOptions {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(15),
            alone_since: None,
            interval: Duration::from_secs(5),
            longest_interval: Duration::from_secs(60),
        }
    }
}

/// Looks for ever. The first look is at once.
pub async fn recover<S: Sides>(sides: S, options: RecoveryOptions) {
    let mut interval = options.interval;
    loop {
        let failed = match look(&sides, options.grace, options.alone_since).await {
            Ok(recovered) => recovered.failed > 0,
            Err(error) => {
                tracing::warn!(%error, "prepared transactions cannot be listed");
                true
            }
        };
        interval = match failed {
            true => (interval * 2).min(options.longest_interval),
            false => options.interval,
        };
        tokio::time::sleep(interval).await;
    }
}

/// Settles every transaction that is prepared for longer than `grace`.
///
/// # Errors
///
/// When they cannot be listed. One that cannot be settled does not keep the others.
pub async fn recover_once<S: Sides>(sides: &S, grace: Duration) -> Result<Recovered, S::Error> {
    look(sides, grace, None).await
}

async fn look<S: Sides>(
    sides: &S,
    grace: Duration,
    alone_since: Option<SystemTime>,
) -> Result<Recovered, S::Error> {
    let mut recovered = Recovered::default();
    for prepared in sides.list_prepared().await? {
        let age = SystemTime::now().duration_since(prepared.at).unwrap_or_default();
        let is_nobodys = alone_since.is_some_and(|it| prepared.at < it);
        if age < grace && !is_nobodys {
            recovered.young += 1;
            continue;
        }
        let id = prepared.id;
        let settled = async {
            let decision = sides.resolve(id).await?;
            sides.settle(id, decision).await?;
            Ok::<_, S::Error>(decision)
        };
        match settled.await {
            Ok(decision) => {
                tracing::info!(transaction_id = %id, %decision, "a transaction was recovered");
                match decision {
                    Decision::Commit => recovered.committed += 1,
                    Decision::Abort => recovered.aborted += 1,
                }
            }
            Err(error) => {
                tracing::warn!(transaction_id = %id, %error, "a transaction still waits");
                recovered.failed += 1;
            }
        }
    }
    Ok(recovered)
}
