//! Background operations: who asked for them, who holds them, how they ended.

use std::time::{Duration, SystemTime};

use sqlx::postgres::PgRow;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use super::Store;

/// A holder that was not heard of for so long is believed dead.
const LEASE: Duration = Duration::from_secs(30);
/// Operations are remembered for so long.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Old ones that are forgotten whenever a new one comes.
const FORGOTTEN_AT_ONCE: i64 = 100;

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Waiting,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    /// Its holder died at work.
    Interrupted,
    /// Its holder died before.
    Abandoned,
}

/// An operation to be remembered.
#[derive(Clone, Debug)]
pub(crate) struct NewOperation {
    pub(crate) id: Uuid,
    pub(crate) owner: Uuid,
    pub(crate) holder: Uuid,
    pub(crate) display_name: String,
    pub(crate) client_request_id: String,
}

/// How one ended.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) succeeded: bool,
    pub(crate) error_code: String,
    pub(crate) error_message: String,
    pub(crate) outputs: Vec<u8>,
    pub(crate) entity_url: String,
}

/// One that is remembered.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) id: Uuid,
    pub(crate) state: State,
    pub(crate) display_name: String,
    pub(crate) client_request_id: String,
    pub(crate) error_code: String,
    pub(crate) error_message: String,
    pub(crate) outputs: Vec<u8>,
    pub(crate) entity_url: String,
    pub(crate) created: SystemTime,
    pub(crate) started: Option<SystemTime>,
    pub(crate) ended: Option<SystemTime>,
}

/// Who may be told of an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    pub(crate) user: Uuid,
    pub(crate) administrator: bool,
}

impl Store {
    pub(crate) async fn create_operation(&self, it: &NewOperation) -> Result<(), sqlx::Error> {
        sqlx::query(
            "WITH old AS (
                 DELETE FROM backgroundoperation WHERE backgroundoperationid IN (
                     SELECT backgroundoperationid FROM backgroundoperation
                     WHERE createdon < now() - make_interval(secs => $7) ORDER BY createdon LIMIT $8
                     FOR UPDATE SKIP LOCKED
                 )
             )
             INSERT INTO backgroundoperation (backgroundoperationid, ownerid, holder, displayname,
                 clientrequestid, leaseuntil)
             VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
             ON CONFLICT (backgroundoperationid) DO NOTHING",
        )
        .bind(it.id)
        .bind(it.owner)
        .bind(it.holder)
        .bind(&it.display_name)
        .bind(&it.client_request_id)
        .bind(LEASE.as_secs_f64())
        .bind(KEPT.as_secs_f64())
        .bind(FORGOTTEN_AT_ONCE)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether it may begin. Who asks twice is told the same.
    pub(crate) async fn start_operation(
        &self,
        id: Uuid,
        holder: Uuid,
    ) -> Result<bool, sqlx::Error> {
        let started = sqlx::query(
            "UPDATE backgroundoperation SET state = 'running', startedon = coalesce(startedon, now()),
                 leaseuntil = now() + make_interval(secs => $3)
             WHERE backgroundoperationid = $1 AND holder = $2
                 AND (state = 'running' OR state = 'waiting' AND leaseuntil >= now())",
        )
        .bind(id)
        .bind(holder)
        .bind(LEASE.as_secs_f64())
        .execute(&self.pool)
        .await?;
        Ok(started.rows_affected() == 1)
    }

    /// One that has not begun and was told as abandoned stays so: its client may have repeated it.
    pub(crate) async fn renew_operations(
        &self,
        ids: &[Uuid],
        holder: Uuid,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE backgroundoperation SET leaseuntil = now() + make_interval(secs => $3)
             WHERE backgroundoperationid = ANY($1) AND holder = $2
                 AND (state = 'running' OR state = 'waiting' AND leaseuntil >= now())",
        )
        .bind(ids)
        .bind(holder)
        .bind(LEASE.as_secs_f64())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub(crate) async fn finish_operation(
        &self,
        id: Uuid,
        holder: Uuid,
        outcome: &Outcome,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE backgroundoperation SET state = $3, errorcode = $4, errormessage = $5,
                 outputs = $6, entityurl = $7, endedon = now()
             WHERE backgroundoperationid = $1 AND holder = $2 AND state IN ('waiting', 'running')",
        )
        .bind(id)
        .bind(holder)
        .bind(if outcome.succeeded { "succeeded" } else { "failed" })
        .bind(&outcome.error_code)
        .bind(&outcome.error_message)
        .bind(&outcome.outputs)
        .bind(&outcome.entity_url)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub(crate) async fn operation(
        &self,
        id: Uuid,
        reader: Reader,
    ) -> Result<Option<Operation>, sqlx::Error> {
        sqlx::query_as(
            "SELECT *, leaseuntil < now() AS lapsed FROM backgroundoperation
             WHERE backgroundoperationid = $1 AND (ownerid = $2 OR $3)",
        )
        .bind(id)
        .bind(reader.user)
        .bind(reader.administrator)
        .fetch_optional(&self.pool)
        .await
    }

    /// Has an effect on what waits and nothing else.
    pub(crate) async fn cancel_operation(
        &self,
        id: Uuid,
        reader: Reader,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE backgroundoperation SET state = 'cancelled', endedon = now()
             WHERE backgroundoperationid = $1 AND (ownerid = $2 OR $3) AND state = 'waiting'",
        )
        .bind(id)
        .bind(reader.user)
        .bind(reader.administrator)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

impl FromRow<'_, PgRow> for Operation {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let time = |it: DateTime<Utc>| SystemTime::from(it);
        let optional = |name| Ok::<_, sqlx::Error>(row.try_get::<Option<_>, _>(name)?.map(time));
        Ok(Self {
            id: row.try_get("backgroundoperationid")?,
            state: State::of(row.try_get("state")?, row.try_get("lapsed")?),
            display_name: row.try_get("displayname")?,
            client_request_id: row.try_get("clientrequestid")?,
            error_code: row.try_get("errorcode")?,
            error_message: row.try_get("errormessage")?,
            outputs: row.try_get("outputs")?,
            entity_url: row.try_get("entityurl")?,
            created: time(row.try_get("createdon")?),
            started: optional("startedon")?,
            ended: optional("endedon")?,
        })
    }
}

impl State {
    fn of(stored: &str, lapsed: bool) -> Self {
        match (stored, lapsed) {
            ("waiting", false) => Self::Waiting,
            ("waiting", true) => Self::Abandoned,
            ("running", false) => Self::Running,
            ("running", true) => Self::Interrupted,
            ("succeeded", _) => Self::Succeeded,
            ("cancelled", _) => Self::Cancelled,
            // The table admits one more.
            _ => Self::Failed,
        }
    }
}
