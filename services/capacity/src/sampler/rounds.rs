//! When it is measured: everything once per period, by whichever replica comes first. In between it is looked
//! every few seconds, and when somebody knows of something, for what a period is too long for: environments
//! that come and go, a database that nobody has measured, and what operations have begun to use. Only these
//! are measured then, each once: what cannot be measured waits for the period.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Sampler, Sampling};
use crate::error::Error;
use crate::store;
use crate::store::usage;

/// A whole tenant is measured in so long, or what is left waits for the next time.
const LONGEST_RUN: Duration = Duration::from_secs(600);
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Between two looks there is at least so much, however often somebody asks for one.
const APART: Duration = Duration::from_secs(2);

/// Measures, for ever.
pub(crate) async fn follow(sampler: Arc<Sampler>) {
    let mut passed_over = BTreeSet::new();
    let mut delay = FIRST_DELAY;
    let mut told = false;
    loop {
        let wait = match sampler.turn(&mut passed_over).await {
            Ok(wait) => {
                if told {
                    tracing::info!("usage is measured again");
                }
                (delay, told) = (FIRST_DELAY, false);
                wait
            }
            Err(error) => {
                if !told {
                    tracing::warn!(%error, "usage is not measured; the last measurements count");
                    told = true;
                }
                let wait = delay.min(sampler.period);
                delay = (delay * 2).min(sampler.period);
                wait
            }
        };
        sampler.pause(wait).await;
    }
}

impl Sampler {
    /// When to come again, after measuring what is due now. `passed_over` could not be measured since
    /// everything was.
    async fn turn(&self, passed_over: &mut BTreeSet<String>) -> Result<Duration, Error> {
        let Some(turn) = self.store.turn().await? else {
            return Ok(self.period.min(LOOK_EVERY));
        };
        let age = turn.sampled_at.map(|last| (turn.now - last).to_std().unwrap_or_default());
        let left = age.and_then(|age| self.period.checked_sub(age)).filter(|it| !it.is_zero());
        let Some(left) = left else {
            *passed_over = self.measure_all().await?;
            return Ok(self.period.min(LOOK_EVERY));
        };
        if left > APART {
            self.look(passed_over).await?;
        }
        Ok(left.min(LOOK_EVERY))
    }

    /// Answers with what could not be measured.
    async fn measure_all(&self) -> Result<BTreeSet<String>, Error> {
        let measured = self.measure(None, Instant::now() + LONGEST_RUN).await;
        if measured.is_err() {
            // Terms of licences begin and end all the same.
            let mut change = self.store.change().await?;
            change.review_notices().await?;
            change.commit(&[]).await?;
        }
        let run = measured?;
        tracing::debug!(measured = run.samples.len(), failed = run.failed.len(), "measured usage");
        Ok(run.failed)
    }

    async fn look(&self, passed_over: &mut BTreeSet<String>) -> Result<(), Error> {
        let mut read = self.store.read().await?;
        let began = store::now(&mut read).await?;
        let known = usage::known(&mut read).await?;
        drop(read);
        let listed = self.list().await?;
        let is_due = |it: &&_| known.is_due(it) && !passed_over.contains(&it.name);
        let chosen: Vec<_> = listed.iter().filter(is_due).cloned().collect();
        if chosen.is_empty() && known.agrees(&listed) {
            return Ok(());
        }
        let sampling = Sampling { began, listed, chosen, complete: false };
        let run = self.sample(sampling, Instant::now() + LONGEST_RUN).await?;
        tracing::debug!(
            measured = run.samples.len(),
            failed = run.failed.len(),
            "measured the new"
        );
        passed_over.extend(run.failed);
        Ok(())
    }

    async fn pause(&self, wait: Duration) {
        let least = wait.min(APART);
        tokio::time::sleep(least).await;
        tokio::select! {
            () = tokio::time::sleep(wait - least) => {}
            () = self.woken.notified() => {}
        }
    }
}
