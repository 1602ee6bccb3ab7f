//! One run of one operation: from where it stands until it has ended or waits for somebody.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::lifecycle::v1::{FailureKind, OperationStage, OperationState};
use rpc::ErrorReason;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::progress::Recorded;
use super::stage::{StageContext, step_name};
use super::workflow::{Failure, StageError, Workflow};
use super::{Changes, workflow};
use crate::Deps;
use crate::error::Error;
use crate::store::operation::{self, Operation, Stage};
use crate::words::Word;

const LONGEST_DELAY: Duration = Duration::from_secs(15);
/// How often a run looks whether it still is the one, while a stage is at work.
const PULSE: Duration = Duration::from_secs(3);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// The operation has ended, or waits for somebody.
    ToItsEnd,
    /// Another run has it.
    Elsewhere,
    /// It goes on, but not now: something could not be undone.
    Later,
}

/// How one stage ended in this run.
enum Performed {
    Done,
    Failed(Box<Failure>),
    /// Somebody gave the operation up meanwhile.
    GivenUp,
}

struct Run<'a> {
    deps: &'a Arc<Deps>,
    changes: &'a Changes,
    id: Uuid,
    connection: Arc<Mutex<PgConnection>>,
}

/// Runs an operation, unless somebody else does.
pub(super) async fn run(deps: &Arc<Deps>, changes: &Changes, id: Uuid) -> Result<Ran, Error> {
    let mut connection = deps.store.connect().await?;
    let lock =
        "SELECT pg_try_advisory_lock(hashtextextended('lifecycle.operation.' || $1::text, 0))";
    let locked: bool = sqlx::query_scalar(lock).bind(id).fetch_one(&mut connection).await?;
    if !locked {
        return Ok(Ran::Elsewhere);
    }
    let connection = Arc::new(Mutex::new(connection));
    // Dropped at the end, the session is over, and the lock with it.
    Run { deps, changes, id, connection }.to_its_end().await
}

impl Run<'_> {
    async fn to_its_end(&self) -> Result<Ran, Error> {
        loop {
            let Some((operation, stages)) = self.read().await? else { return Ok(Ran::ToItsEnd) };
            let workflow = workflow(operation.kind, &operation.request, self.deps)?;
            let workflow = workflow.as_ref();
            match operation.state {
                OperationState::Pending | OperationState::Running => {
                    let next = stages.iter().find(|it| it.state != OperationState::Succeeded);
                    let last = stages.last().map(|it| it.stage);
                    match next {
                        Some(next) => self.forward(workflow, &operation, next, last).await?,
                        None => self.end(OperationState::Succeeded).await?,
                    }
                }
                OperationState::Cancelling => {
                    let untouched = [OperationState::Pending, OperationState::Cancelled];
                    let reached = stages.iter().rfind(|it| !untouched.contains(&it.state));
                    let none_ever = stages.iter().all(|it| it.state == OperationState::Pending);
                    // What the request's handler wrote is taken back with the first stage.
                    let last = reached.or_else(|| stages.first().filter(|_| none_ever));
                    match last {
                        Some(last) if !self.backward(workflow, &operation, last).await? => {
                            return Ok(Ran::Later);
                        }
                        Some(_) => {}
                        None => self.end(OperationState::Cancelled).await?,
                    }
                }
                OperationState::Failed
                | OperationState::Succeeded
                | OperationState::Cancelled
                | OperationState::Unspecified => return Ok(Ran::ToItsEnd),
            }
        }
    }

    async fn read(&self) -> Result<Option<(Operation, Vec<Stage>)>, Error> {
        let connection = &mut *self.connection.lock().await;
        match operation::find(connection, self.id).await? {
            Some(operation) => Ok(Some((operation, operation::stages(connection, self.id).await?))),
            None => Ok(None),
        }
    }

    /// Does a stage, and records how it ended. When the operation was given up meanwhile, what the stage
    /// reached is left to be undone.
    async fn forward(
        &self,
        workflow: &dyn Workflow,
        operation: &Operation,
        stage: &Stage,
        last: Option<OperationStage>,
    ) -> Result<(), Error> {
        let step = |it| commit::step(&step_name(operation.kind, stage.stage, it));
        let context = self.context(operation, stage.stage);
        // What is past the way back has to go on, whoever began it and whatever became of him.
        let recheck = operation.resumed
            && !operation.irrevocable
            && stage.stage != workflow.stages().first().copied().unwrap_or_default();
        if !self.mark_begun(stage.stage).await? {
            return Ok(());
        }
        step("begin");
        let work = || -> BoxFuture<'_, Result<(), StageError>> {
            Box::pin(async {
                if recheck {
                    workflow.recheck(&context).await?;
                }
                workflow.perform(stage.stage, &context).await
            })
        };
        match self.perform(&context, work).await? {
            Performed::GivenUp => Ok(()),
            Performed::Failed(failure) => self.mark_failed(stage.stage, &failure).await,
            Performed::Done => {
                step("done");
                let irrevocable = workflow.point_of_no_return() == Some(stage.stage);
                self.mark_done(stage.stage, irrevocable, last == Some(stage.stage)).await
            }
        }
    }

    /// Undoes a stage; whether that is done.
    async fn backward(
        &self,
        workflow: &dyn Workflow,
        operation: &Operation,
        stage: &Stage,
    ) -> Result<bool, Error> {
        let step = |it| commit::step(&step_name(operation.kind, stage.stage, it));
        let context = self.context(operation, stage.stage);
        self.mark_stage(stage.stage, OperationState::Cancelling).await?;
        step("undo");
        let undo = || workflow.undo(stage.stage, &context);
        match self.retry(&context, undo).await {
            Ok(()) => {
                step("undone");
                self.mark_stage(stage.stage, OperationState::Cancelled).await?;
                Ok(true)
            }
            Err(failure) => {
                tracing::error!(
                    operation = %self.id, stage = stage.stage.as_str_name(), message = failure.message,
                    "a stage cannot be undone; trying again"
                );
                let text = format!("Cannot be undone yet: {}", failure.message);
                // Only for people to read: the state says that it is not done.
                let _ = context.say(stage.progress_percent, &text).await;
                Ok(false)
            }
        }
    }

    fn context(&self, operation: &Operation, stage: OperationStage) -> StageContext {
        StageContext {
            operation: self.id,
            kind: operation.kind,
            stage,
            user: operation.user.clone(),
            connection: Arc::clone(&self.connection),
        }
    }

    /// Works on a stage until it ends, somebody gives the operation up, or this run no longer is the one.
    async fn perform<'f, F>(&self, context: &StageContext, work: F) -> Result<Performed, Error>
    where
        F: Fn() -> BoxFuture<'f, Result<(), StageError>>,
    {
        tokio::select! {
            ended = self.retry(context, work) => Ok(match ended {
                Ok(()) => Performed::Done,
                Err(failure) => Performed::Failed(failure),
            }),
            interrupted = self.interrupted() => interrupted.map(|()| Performed::GivenUp),
        }
    }

    /// Tries again what may go better by itself, with growing delays that differ between processes.
    async fn retry<'f, F>(&self, context: &StageContext, work: F) -> Result<(), Box<Failure>>
    where
        F: Fn() -> BoxFuture<'f, Result<(), StageError>>,
    {
        let config = &self.deps.config;
        let mut delays = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(config.retry_delay_milliseconds))
            .with_max_delay(LONGEST_DELAY)
            .with_max_times(config.retries)
            .build();
        loop {
            let ended = AssertUnwindSafe(work()).catch_unwind().await;
            let message = match ended {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(StageError::Failed(failure))) => return Err(failure),
                Ok(Err(StageError::Transient(message))) => message,
                Err(_) => return Err(Box::new(defect())),
            };
            let stage = context.stage.as_str_name();
            tracing::warn!(operation = %self.id, stage, message, "a stage did not end well");
            let Some(delay) = delays.next() else { return Err(Box::new(worn_out(&message))) };
            tokio::time::sleep(delay).await;
            // A run whose session is over finds that out in its next write.
            let _ = self.count_attempt(context.stage).await;
        }
    }

    /// Returns when the operation was given up; fails when the session is over.
    async fn interrupted(&self) -> Result<(), Error> {
        let mut changed = self.changes.subscribe();
        loop {
            let state = "SELECT state FROM operation WHERE id = $1";
            let state: Option<String> = sqlx::query_scalar(state)
                .bind(self.id)
                .fetch_optional(&mut *self.connection.lock().await)
                .await?;
            if state.is_none_or(|it| it == OperationState::Cancelling.word()) {
                return Ok(());
            }
            let _ = tokio::time::timeout(PULSE, changed.of(self.id)).await;
        }
    }

    /// Whether there still is something to be done.
    async fn mark_begun(&self, stage: OperationStage) -> Result<bool, Error> {
        let mut connection = self.connection.lock().await;
        let mut transaction = connection.begin().await?;
        let begin =
            "UPDATE operation SET state = 'running', failure = NULL, revision = revision + 1
                     WHERE id = $1 AND state IN ('pending', 'running')";
        let begun = sqlx::query(begin).bind(self.id).execute(&mut *transaction).await?;
        if begun.rows_affected() == 0 {
            return Ok(false);
        }
        let begin =
            "UPDATE operation_stage SET state = 'running', attempt_count = attempt_count + 1,
                         start_time = coalesce(start_time, now()), end_time = NULL, status_text = ''
                     WHERE operation = $1 AND stage = $2";
        sqlx::query(begin).bind(self.id).bind(stage.word()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn count_attempt(&self, stage: OperationStage) -> Result<(), Error> {
        let sql = "WITH stage AS (
                       UPDATE operation_stage SET attempt_count = attempt_count + 1,
                           status_text = 'It did not go well; trying again'
                       WHERE operation = $1 AND stage = $2)
                   UPDATE operation SET revision = revision + 1 WHERE id = $1";
        let count = sqlx::query(sql).bind(self.id).bind(stage.word());
        count.execute(&mut *self.connection.lock().await).await?;
        Ok(())
    }

    /// In one transaction with the operation's end, where it was the last stage and nobody gave it up.
    async fn mark_done(
        &self,
        stage: OperationStage,
        irrevocable: bool,
        last: bool,
    ) -> Result<(), Error> {
        let mut connection = self.connection.lock().await;
        let mut transaction = connection.begin().await?;
        let done = "UPDATE operation SET resumed = false, revision = revision + 1,
                        irrevocable = irrevocable OR ($2 AND state = 'running')
                    WHERE id = $1 RETURNING state";
        let done = sqlx::query_scalar(done).bind(self.id).bind(irrevocable);
        let state: String = done.fetch_one(&mut *transaction).await?;
        let done = "UPDATE operation_stage SET state = 'succeeded', progress_percent = 100, status_text = '',
                        end_time = now()
                    WHERE operation = $1 AND stage = $2";
        sqlx::query(done).bind(self.id).bind(stage.word()).execute(&mut *transaction).await?;
        if last && state == OperationState::Running.word() {
            end(&mut transaction, self.id, OperationState::Succeeded).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn mark_failed(&self, stage: OperationStage, failure: &Failure) -> Result<(), Error> {
        let mut connection = self.connection.lock().await;
        let mut transaction = connection.begin().await?;
        let failed =
            "UPDATE operation SET state = 'failed', failure = $2::jsonb, revision = revision + 1
                      WHERE id = $1 AND state = 'running'";
        let failure = Recorded::new(stage, failure).to_json()?;
        let failed =
            sqlx::query(failed).bind(self.id).bind(failure).execute(&mut *transaction).await?;
        // Given up meanwhile: the stage stays reached, and is undone.
        if failed.rows_affected() == 1 {
            let failed =
                "UPDATE operation_stage SET state = 'failed', status_text = '', end_time = now()
                          WHERE operation = $1 AND stage = $2";
            sqlx::query(failed).bind(self.id).bind(stage.word()).execute(&mut *transaction).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    async fn mark_stage(&self, stage: OperationStage, state: OperationState) -> Result<(), Error> {
        let sql = "WITH stage AS (
                       UPDATE operation_stage SET state = $3, status_text = '', end_time = now()
                       WHERE operation = $1 AND stage = $2)
                   UPDATE operation SET revision = revision + 1 WHERE id = $1";
        let mark = sqlx::query(sql).bind(self.id).bind(stage.word()).bind(state.word());
        mark.execute(&mut *self.connection.lock().await).await?;
        Ok(())
    }

    async fn end(&self, state: OperationState) -> Result<(), Error> {
        let mut connection = self.connection.lock().await;
        let mut transaction = connection.begin().await?;
        end(&mut transaction, self.id, state).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Ends an operation, and its holds with it.
async fn end(
    transaction: &mut PgConnection,
    id: Uuid,
    state: OperationState,
) -> Result<(), sqlx::Error> {
    let sql = "UPDATE operation SET state = $2, end_time = now(), revision = revision + 1
               WHERE id = $1 AND end_time IS NULL";
    sqlx::query(sql).bind(id).bind(state.word()).execute(&mut *transaction).await?;
    let sql = "DELETE FROM operation_hold WHERE operation = $1";
    sqlx::query(sql).bind(id).execute(&mut *transaction).await?;
    Ok(())
}

const RESUME: &str = "Resume the operation with `tombolo env resume`; if it fails again, the log of \
                      the lifecycle service says why.";

fn worn_out(message: &str) -> Failure {
    Failure {
        kind: FailureKind::Internal,
        reason: ErrorReason::PeerUnavailable,
        message: format!("It did not go well after several tries: {message}"),
        help: RESUME.to_owned(),
        prerequisites: Vec::new(),
    }
}

fn defect() -> Failure {
    Failure {
        kind: FailureKind::Internal,
        reason: ErrorReason::StoreFailed,
        message: "The stage ended in a defect of the service.".to_owned(),
        help: RESUME.to_owned(),
        prerequisites: Vec::new(),
    }
}
