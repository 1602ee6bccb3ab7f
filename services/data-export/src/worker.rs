//! The task of one installation: waits until a run is due, exports one table after the other, and after
//! failures tries again sooner than the schedule says, but ever less often.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use crate::files;
use crate::history::History;
use crate::parameters::Schedule;
use crate::table::{self, ExportError, ExportKind};
use crate::web_api::{ApiError, WebApi};

const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(1);
const LONGEST_PAUSE: TimeDelta = TimeDelta::minutes(15);
/// Clocks are set: the wait is checked this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// What the task needs.
pub(crate) struct Worker {
    pub(crate) api: WebApi,
    /// For people who read logs.
    pub(crate) environment: String,
    pub(crate) tables: Vec<String>,
    pub(crate) schedule: Schedule,
    /// Where it writes.
    pub(crate) folder: PathBuf,
    pub(crate) history: SharedHistory,
    pub(crate) stop: CancellationToken,
}

/// The history of an installation, for its task and for who asks, and where it is kept.
#[derive(Clone, Debug)]
pub(crate) struct SharedHistory {
    now: Arc<Mutex<History>>,
    dir: PathBuf,
    name: String,
}

/// What a run left to do.
enum Outcome {
    Stopped,
    /// These tables failed.
    Ended(Vec<String>),
}

// === impl SharedHistory ===

impl SharedHistory {
    /// Kept in a file of this name.
    pub(crate) fn new(history: History, dir: PathBuf, name: String) -> Self {
        Self { now: Arc::new(Mutex::new(history)), dir, name }
    }

    pub(crate) fn get(&self) -> History {
        self.lock().clone()
    }

    fn change(&self, change: impl FnOnce(&mut History)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The export does not depend on it: without it, the next run comes too early.
    async fn keep(&self) {
        let (history, this) = (self.get(), self.clone());
        let kept = files::blocking(move || files::replace(&this.dir, &this.name, &history));
        if let Err(error) = kept.await {
            tracing::warn!(%error, "when the export last ran could not be written down");
        }
    }
}

// === impl Worker ===

impl Worker {
    /// Runs until it is stopped.
    pub(crate) async fn run(self) {
        let mut due = self.tables.clone();
        let mut failures: u32 = 0;
        let mut next = self.first_run();
        loop {
            self.history.change(|it| it.next_run = next);
            if !self.wait_until(next).await {
                return;
            }
            self.history.change(|it| it.running = true);
            let failed = match self.export(&due).await {
                Outcome::Stopped => return,
                Outcome::Ended(failed) => failed,
            };
            let now = Utc::now();
            let scheduled = self.schedule.after(now);
            if failed.is_empty() {
                (due, failures, next) = (self.tables.clone(), 0, scheduled);
            } else {
                next = Some(now + pause(failures));
                failures += 1;
                // From the next run of the schedule on, it is about all tables again.
                due = match scheduled.is_some_and(|it| Some(it) <= next) {
                    true => self.tables.clone(),
                    false => failed,
                };
            }
            self.history.change(|it| (it.running, it.next_run) = (false, next));
            self.history.keep().await;
        }
    }

    /// At once, unless the last one was and none was missed.
    fn first_run(&self) -> Option<DateTime<Utc>> {
        let history = self.history.get();
        match history.last_run {
            Some(last) if history.problems.is_empty() => self.schedule.after(last),
            _ => Some(Utc::now()),
        }
    }

    /// False when it was stopped.
    async fn wait_until(&self, moment: Option<DateTime<Utc>>) -> bool {
        loop {
            let left = moment.map(|it| (it - Utc::now()).to_std().unwrap_or_default());
            let sleep = left.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                () = tokio::time::sleep(sleep) => {}
            }
            if moment.is_some_and(|it| it <= Utc::now()) {
                return true;
            }
        }
    }

    async fn export(&self, tables: &[String]) -> Outcome {
        let mut failed = Vec::new();
        let mut rows = 0;
        for table in tables {
            match table::export(&self.api, &self.folder, table).await {
                Ok(exported) => {
                    rows += exported.rows;
                    self.history.change(|it| {
                        it.problems.remove(table);
                        match exported.kind {
                            ExportKind::Incremental => it.snapshots.remove(table),
                            ExportKind::Snapshot => it.snapshots.insert(table.clone()),
                        };
                    });
                }
                Err(ExportError::Api(ApiError::Stopped)) => return Outcome::Stopped,
                Err(error) => {
                    tracing::warn!(environment = self.environment, table, %error, "a table was not exported");
                    self.history.change(|it| {
                        it.problems.insert(table.clone(), error.to_string());
                    });
                    failed.push(table.clone());
                }
            }
        }
        self.history.change(|it| (it.last_run, it.rows) = (Some(Utc::now()), rows));
        Outcome::Ended(failed)
    }
}

/// Doubles with every failure.
fn pause(failures: u32) -> TimeDelta {
    let factor = 1_i32.checked_shl(failures.min(16)).unwrap_or(i32::MAX);
    FIRST_PAUSE.checked_mul(factor).map_or(LONGEST_PAUSE, |it| it.min(LONGEST_PAUSE))
}
