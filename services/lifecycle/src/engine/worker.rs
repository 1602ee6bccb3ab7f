//! Finds operations that have to be carried on with, and runs some of them at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::Changes;
use super::run::{self, Ran};
use crate::Deps;
use crate::error::Error;
use crate::store::operation;

/// How often open operations are looked for, whatever is told: a process that died tells nothing.
const PERIOD: Duration = Duration::from_secs(5);

struct Worker {
    deps: Arc<Deps>,
    changes: Changes,
    runs: JoinSet<Result<Ran, Error>>,
    at_work: HashMap<Id, Uuid>,
    /// Not to be tried again before the next period: another process has them, or they cannot be run now.
    later: HashSet<Uuid>,
}

/// Works for ever. Dropped, it drops its runs, and with them their sessions.
pub(super) async fn work(deps: Arc<Deps>, changes: Changes) {
    let mut changed = changes.subscribe();
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (runs, at_work, later) = (JoinSet::new(), HashMap::new(), HashSet::new());
    let mut worker = Worker { deps, changes, runs, at_work, later };
    loop {
        tokio::select! {
            _ = ticks.tick() => worker.later.clear(),
            _ = changed.next() => {}
            Some(ended) = worker.runs.join_next_with_id() => worker.note_end(ended),
        }
        if let Err(error) = worker.take_up().await {
            tracing::warn!(%error, "cannot look for open operations; trying again");
        }
    }
}

impl Worker {
    async fn take_up(&mut self) -> Result<(), sqlx::Error> {
        if self.at_work.len() >= self.deps.config.workers {
            return Ok(());
        }
        let open = operation::open(&mut *self.deps.store.pool().acquire().await?).await?;
        for id in open {
            if self.at_work.len() >= self.deps.config.workers {
                break;
            }
            if self.later.contains(&id) || self.at_work.values().any(|it| *it == id) {
                continue;
            }
            let (deps, changes) = (Arc::clone(&self.deps), self.changes.clone());
            let run = self.runs.spawn(async move { run::run(&deps, &changes, id).await });
            self.at_work.insert(run.id(), id);
        }
        Ok(())
    }

    fn note_end(&mut self, ended: Result<(Id, Result<Ran, Error>), tokio::task::JoinError>) {
        let (task, later) = match ended {
            Ok((task, Ok(Ran::ToItsEnd))) => (task, false),
            Ok((task, Ok(Ran::Elsewhere | Ran::Later))) => (task, true),
            Ok((task, Err(error))) => {
                tracing::warn!(%error, "an operation is interrupted; going on soon");
                (task, true)
            }
            Err(error) => {
                tracing::error!(%error, "a run ended in a panic");
                (error.id(), true)
            }
        };
        if let Some(id) = self.at_work.remove(&task)
            && later
        {
            self.later.insert(id);
        }
    }
}
