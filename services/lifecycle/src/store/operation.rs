//! Rows of operations and their stages.

use chrono::{DateTime, Utc};
use proto::lifecycle::v1::{OperationKind, OperationStage, OperationState};
use serde_json::Value;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use super::hold::{self, Below};
use super::word;
use crate::error::Error;
use crate::resource::{self, OPERATIONS};
use crate::words::Word;

/// What a handler wants to be done.
#[derive(Clone, Debug)]
pub(crate) struct NewOperation {
    pub(crate) kind: OperationKind,
    /// As its workflow reads it.
    pub(crate) request: Value,
    /// `users/…` who asks.
    pub(crate) user: String,
    /// Environments and installations that it changes, by name: what it is found by.
    pub(crate) targets: Vec<String>,
    /// Those that nothing else may change meanwhile.
    pub(crate) holds: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) id: Uuid,
    pub(crate) kind: OperationKind,
    pub(crate) state: OperationState,
    pub(crate) request: Value,
    pub(crate) user: String,
    pub(crate) targets: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) failure: Option<Value>,
    pub(crate) resumed: bool,
    pub(crate) irrevocable: bool,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) end_time: Option<DateTime<Utc>>,
    pub(crate) revision: i64,
}

/// A row of one of its stages.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) stage: OperationStage,
    pub(crate) state: OperationState,
    pub(crate) progress_percent: i32,
    pub(crate) status_text: String,
    pub(crate) attempt_count: i32,
    pub(crate) start_time: Option<DateTime<Utc>>,
    pub(crate) end_time: Option<DateTime<Utc>>,
}

pub(super) const COLUMNS: &str =
    "id, kind, state, request::text AS request, user_name, targets, warnings,
    failure::text AS failure, resumed, irrevocable, create_time, end_time, revision";

impl FromRow<'_, PgRow> for Operation {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let failure: Option<String> = row.try_get("failure")?;
        Ok(Self {
            id: row.try_get("id")?,
            kind: word(row, "kind")?,
            state: word(row, "state")?,
            request: json(&row.try_get::<String, _>("request")?)?,
            user: row.try_get("user_name")?,
            targets: row.try_get("targets")?,
            warnings: row.try_get("warnings")?,
            failure: failure.as_deref().map(json).transpose()?,
            resumed: row.try_get("resumed")?,
            irrevocable: row.try_get("irrevocable")?,
            create_time: row.try_get("create_time")?,
            end_time: row.try_get("end_time")?,
            revision: row.try_get("revision")?,
        })
    }
}

impl FromRow<'_, PgRow> for Stage {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            stage: word(row, "stage")?,
            state: word(row, "state")?,
            progress_percent: row.try_get("progress_percent")?,
            status_text: row.try_get("status_text")?,
            attempt_count: row.try_get("attempt_count")?,
            start_time: row.try_get("start_time")?,
            end_time: row.try_get("end_time")?,
        })
    }
}

fn json(text: &str) -> Result<Value, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}

impl Operation {
    /// `operations/…`.
    pub(crate) fn name(&self) -> String {
        resource::name(OPERATIONS, self.id)
    }
}

/// Writes the rows of a new operation, and takes its holds: of several that want one, the first gets it.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    new: &NewOperation,
    stages: &[OperationStage],
) -> Result<Uuid, Error> {
    let insert = "INSERT INTO operation (kind, request, user_name, targets, warnings)
                  VALUES ($1, $2::jsonb, $3, $4, $5) RETURNING id";
    let id: Uuid = sqlx::query_scalar(insert)
        .bind(new.kind.word())
        .bind(new.request.to_string())
        .bind(&new.user)
        .bind(&new.targets)
        .bind(&new.warnings)
        .fetch_one(&mut *connection)
        .await?;
    let stages: Vec<String> = stages.iter().map(|it| it.word()).collect();
    let insert = "INSERT INTO operation_stage (operation, position, stage)
                  SELECT $1, position, stage FROM unnest($2::text[]) WITH ORDINALITY AS t (stage, position)";
    sqlx::query(insert).bind(id).bind(&stages).execute(&mut *connection).await?;
    hold::take(connection, id, &new.holds, Below::of(new.kind)).await?;
    Ok(id)
}

/// One operation.
pub(crate) async fn find(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Operation>, sqlx::Error> {
    let sql = format!("SELECT {COLUMNS} FROM operation WHERE id = $1");
    sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(connection).await
}

/// One operation, which nobody else changes until the transaction ends.
pub(crate) async fn find_locked(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Operation>, sqlx::Error> {
    let sql = format!("SELECT {COLUMNS} FROM operation WHERE id = $1 FOR UPDATE");
    sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(connection).await
}

/// Its stages, in their order.
pub(crate) async fn stages(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Vec<Stage>, sqlx::Error> {
    let sql = "SELECT * FROM operation_stage WHERE operation = $1 ORDER BY position";
    sqlx::query_as(sql).bind(id).fetch_all(connection).await
}

/// Which operations somebody wants to see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) target: Option<String>,
    /// Empty: any.
    pub(crate) states: Vec<OperationState>,
    /// Only what this one (`users/…`) asked for.
    pub(crate) user: Option<String>,
    /// After this one.
    pub(crate) after: Option<(DateTime<Utc>, Uuid)>,
    pub(crate) limit: usize,
}

/// The newest first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    wanted: &Wanted,
) -> Result<Vec<Operation>, sqlx::Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM operation
         WHERE ($1::text IS NULL OR $1 = ANY (targets))
           AND (cardinality($2::text[]) = 0 OR state = ANY ($2))
           AND ($3::timestamptz IS NULL OR (create_time, id) < ($3, $4::uuid))
           AND ($5::text IS NULL OR lower(user_name) = lower($5))
         ORDER BY create_time DESC, id DESC LIMIT $6"
    );
    let states: Vec<String> = wanted.states.iter().map(|it| it.word()).collect();
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(&wanted.target)
        .bind(&states)
        .bind(wanted.after.map(|it| it.0))
        .bind(wanted.after.map(|it| it.1))
        .bind(&wanted.user)
        .bind(i64::try_from(wanted.limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
}

/// Lets it go on, or gives it up: the state says which.
pub(crate) async fn set_wish(
    connection: &mut PgConnection,
    id: Uuid,
    state: OperationState,
) -> Result<(), sqlx::Error> {
    let sql =
        "UPDATE operation SET state = $2, failure = NULL, resumed = true, revision = revision + 1
               WHERE id = $1";
    sqlx::query(sql).bind(id).bind(state.word()).execute(connection).await?;
    Ok(())
}

/// Those that somebody has to carry on with, the oldest first.
pub(crate) async fn open(connection: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
    let sql = "SELECT id FROM operation WHERE state IN ('pending', 'running', 'cancelling')
               ORDER BY create_time";
    sqlx::query_scalar(sql).fetch_all(connection).await
}

/// How long each stage took in earlier operations of the kind, in seconds on average.
pub(crate) async fn durations(
    connection: &mut PgConnection,
    kind: OperationKind,
) -> Result<Vec<(String, f64)>, sqlx::Error> {
    let sql = "SELECT stage, avg(extract(epoch FROM s.end_time - s.start_time))::float8
               FROM operation_stage s JOIN operation o ON o.id = s.operation
               WHERE o.kind = $1 AND o.state = 'succeeded' AND o.create_time > now() - interval '90 days'
                 AND s.start_time IS NOT NULL AND s.end_time IS NOT NULL
               GROUP BY stage";
    sqlx::query_as(sql).bind(kind.word()).fetch_all(connection).await
}
