//! What a stage of a workflow works with.

use serde_json::Value;
use sqlx::postgres::PgConnection;
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use proto::lifecycle::v1::{OperationKind, OperationStage};

use super::workflow::StageError;
use crate::resource::{self, OPERATIONS};
use crate::words::Word;

/// The run that a stage is part of.
#[derive(Debug)]
pub(crate) struct StageContext {
    pub(crate) operation: Uuid,
    pub(crate) kind: OperationKind,
    pub(crate) stage: OperationStage,
    /// `users/…` who asked for it.
    pub(crate) user: String,
    /// The session that holds the operation's lock.
    pub(super) connection: std::sync::Arc<Mutex<PgConnection>>,
}

/// A step's name: `setup:linking-runtime:begin`.
pub(super) fn step_name(kind: OperationKind, stage: OperationStage, step: &str) -> String {
    format!("{}:{}:{step}", kind.word(), stage.word()).replace('_', "-")
}

impl StageContext {
    /// `operations/…`.
    pub(crate) fn name(&self) -> String {
        resource::name(OPERATIONS, self.operation)
    }

    /// The session of the run: whatever a stage writes to this store goes through it, so that nobody writes
    /// who is no longer the one. One at a time; begin a transaction on it where several writes belong together.
    pub(crate) async fn connection(&self) -> MutexGuard<'_, PgConnection> {
        self.connection.lock().await
    }

    /// Between two effects: a test may kill the process here, and a run that is no longer the one ends here.
    pub(crate) async fn step(&self, step: &str) -> Result<(), StageError> {
        commit::step(&step_name(self.kind, self.stage, step));
        sqlx::query("SELECT 1").execute(&mut *self.connection().await).await?;
        Ok(())
    }

    /// Shows how far the stage is, and what it is at.
    pub(crate) async fn say(&self, percent: i32, text: &str) -> Result<(), StageError> {
        let sql = "WITH stage AS (
                       UPDATE operation_stage SET progress_percent = $3, status_text = $4
                       WHERE operation = $1 AND stage = $2)
                   UPDATE operation SET revision = revision + 1 WHERE id = $1";
        let say = sqlx::query(sql).bind(self.operation).bind(self.stage.word());
        let say = say.bind(percent.clamp(0, 100)).bind(text);
        say.execute(&mut *self.connection().await).await?;
        Ok(())
    }

    /// Remembers something for later stages, and for whoever goes on after a crash.
    pub(crate) async fn note(&self, name: &str, value: &Value) -> Result<(), StageError> {
        self.note_within(&mut *self.connection().await, name, value).await
    }

    /// The same within a transaction of the run's session.
    pub(crate) async fn note_within(
        &self,
        transaction: &mut PgConnection,
        name: &str,
        value: &Value,
    ) -> Result<(), StageError> {
        let sql = "UPDATE operation SET notes = notes || jsonb_build_object($2::text, $3::jsonb)
                   WHERE id = $1";
        let note = sqlx::query(sql).bind(self.operation).bind(name).bind(value.to_string());
        note.execute(transaction).await?;
        Ok(())
    }

    /// What was remembered.
    pub(crate) async fn noted(&self, name: &str) -> Result<Option<Value>, StageError> {
        let sql = "SELECT (notes -> $2)::text FROM operation WHERE id = $1";
        let found: Option<Option<String>> = sqlx::query_scalar(sql)
            .bind(self.operation)
            .bind(name)
            .fetch_optional(&mut *self.connection().await)
            .await?;
        let parse = |it: String| serde_json::from_str(&it);
        let value = found.flatten().map(parse).transpose();
        value.map_err(|error| StageError::Transient(error.to_string()))
    }

    /// Within the transaction that does what cannot be undone, first: refused when the operation was given
    /// up, and from its commit on it cannot be.
    pub(crate) async fn pass_point_of_no_return(
        &self,
        transaction: &mut PgConnection,
    ) -> Result<(), StageError> {
        let sql = "UPDATE operation SET irrevocable = true, revision = revision + 1
                   WHERE id = $1 AND state = 'running'";
        let passed = sqlx::query(sql).bind(self.operation).execute(transaction).await?;
        match passed.rows_affected() {
            1 => Ok(()),
            _ => Err(StageError::Transient("the operation was given up".to_owned())),
        }
    }
}
