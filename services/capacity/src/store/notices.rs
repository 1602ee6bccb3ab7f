//! Notices: which hold, which have ended, and which are to be told again.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Error;
use crate::notices::{self, Finding, NoticeKind};
use crate::pool::Pool;
use crate::standing::Standing;

/// While it holds, a notice is told once in so long.
const TELL_EVERY: TimeDelta = TimeDelta::days(7);

/// A notice.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) id: Uuid,
    pub(crate) finding: Finding,
    pub(crate) begin_time: DateTime<Utc>,
    /// Absent while it holds.
    pub(crate) end_time: Option<DateTime<Utc>>,
}

/// What is told once the change is everybody's.
#[derive(Clone, Debug)]
pub(crate) enum Telling {
    Holds(Finding),
    Ended(Finding),
}

type Row = (Uuid, i16, i16, String, DateTime<Utc>, Option<DateTime<Utc>>);
/// With when it was told last.
type OpenRow = (Uuid, i16, i16, String, DateTime<Utc>, DateTime<Utc>);

impl Telling {
    pub(crate) fn tell(&self) {
        match self {
            Self::Holds(Finding { pool, kind, message }) => {
                tracing::warn!(
                    target: "capacity::notice", pool = pool.label(), ?kind, "{message}"
                );
            }
            Self::Ended(Finding { pool, kind, .. }) => {
                tracing::info!(
                    target: "capacity::notice",
                    pool = pool.label(),
                    ?kind,
                    "the notice holds no longer"
                );
            }
        }
    }
}

/// Begins and ends notices, and answers what to tell. Within a decision.
pub(super) async fn review(
    connection: &mut PgConnection,
    standing: &Standing,
    now: DateTime<Utc>,
) -> Result<Vec<Telling>, Error> {
    let mut telling = Vec::new();
    let findings = notices::review(standing);
    for pool in Pool::ALL {
        let finding = findings.iter().find(|it| it.pool == pool);
        let open = open(connection, pool).await?;
        let same =
            matches!((&open, finding), (Some((open, _)), Some(it)) if open.finding.kind == it.kind);
        match (open, finding) {
            (Some((open, last_told)), Some(finding)) if same => {
                let due = now - last_told >= TELL_EVERY;
                update(connection, open.id, &finding.message, due.then_some(now)).await?;
                telling.extend(due.then(|| Telling::Holds(finding.clone())));
            }
            (open, finding) => {
                if let Some((open, _)) = open {
                    end(connection, open.id, now).await?;
                    telling.push(Telling::Ended(open.finding));
                }
                if let Some(finding) = finding {
                    begin(connection, finding, now).await?;
                    telling.push(Telling::Holds(finding.clone()));
                }
            }
        }
    }
    Ok(telling)
}

/// The newest first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    active_only: bool,
    after: Option<&(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Notice>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, pool, kind, message, begin_time, end_time FROM notice
         WHERE (end_time IS NULL OR NOT $1)
             AND ($2::timestamptz IS NULL OR begin_time < $2 OR begin_time = $2 AND id > $3)
         ORDER BY begin_time DESC, id LIMIT $4",
    )
    .bind(active_only)
    .bind(after.map(|it| it.0))
    .bind(after.map(|it| it.1))
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(notice).collect()
}

async fn open(
    connection: &mut PgConnection,
    pool: Pool,
) -> Result<Option<(Notice, DateTime<Utc>)>, Error> {
    let row: Option<OpenRow> = sqlx::query_as(
        "SELECT id, pool, kind, message, begin_time, last_told
         FROM notice WHERE pool = $1 AND end_time IS NULL",
    )
    .bind(pool.number())
    .fetch_optional(connection)
    .await?;
    let Some((id, pool, kind, message, begin_time, last_told)) = row else { return Ok(None) };
    Ok(Some((notice((id, pool, kind, message, begin_time, None))?, last_told)))
}

async fn begin(
    connection: &mut PgConnection,
    finding: &Finding,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO notice (id, pool, kind, message, begin_time, last_told)
         VALUES ($1, $2, $3, $4, $5, $5)",
    )
    .bind(Uuid::new_v4())
    .bind(finding.pool.number())
    .bind(finding.kind.number())
    .bind(&finding.message)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

async fn update(
    connection: &mut PgConnection,
    id: Uuid,
    message: &str,
    told: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE notice SET message = $2, last_told = coalesce($3, last_told)
         WHERE id = $1 AND (message <> $2 OR $3 IS NOT NULL)",
    )
    .bind(id)
    .bind(message)
    .bind(told)
    .execute(connection)
    .await?;
    Ok(())
}

async fn end(connection: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query("UPDATE notice SET end_time = $2 WHERE id = $1")
        .bind(id)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets what ended long ago.
pub(super) async fn forget(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("DELETE FROM notice WHERE end_time < now() - interval '400 days'")
        .execute(connection)
        .await?;
    Ok(())
}

fn notice((id, pool, kind, message, begin_time, end_time): Row) -> Result<Notice, Error> {
    let unknown = || Error::Stored(format!("notice {id} is {kind} of pool {pool}"));
    let finding = Finding {
        pool: Pool::of_number(pool).ok_or_else(unknown)?,
        kind: NoticeKind::of_number(kind).ok_or_else(unknown)?,
        message,
    };
    Ok(Notice { id, finding, begin_time, end_time })
}
