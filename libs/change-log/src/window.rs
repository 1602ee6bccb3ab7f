//! What came between two positions.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::error::{Error, code};
use crate::position::Position;

/// The condition on `tombolo.change_log` that selects a window's entries: `$1` is its begin, `$2` its
/// end, both [`Position::snapshot`]s.
pub const IN_WINDOW: &str = "xid >= pg_snapshot_xmin($1::pg_snapshot) \
     AND xid < pg_snapshot_xmax($2::pg_snapshot) \
     AND pg_visible_in_snapshot(xid, $2::pg_snapshot) \
     AND NOT pg_visible_in_snapshot(xid, $1::pg_snapshot)";

/// The log's id, which positions name: a server that was promoted, or restored to an earlier moment, may lack
/// transactions that positions of before speak of, so its history is another. It is written out as
/// `tombolo.change_log_home` has it, which PostgreSQL would plan anew with each call.
const NOW: &str = "
    SELECT (
        SELECT md5(concat_ws('/', id, home, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)))::uuid
        FROM tombolo.change_log_identity
        JOIN (
            SELECT system_identifier || '/' || (
                SELECT oid FROM pg_database WHERE datname = current_database()
            ) AS home
            FROM pg_control_system()
        ) AS here USING (home)
    ), clock_timestamp(), pg_current_snapshot()::text,
        (SELECT pg_snapshot_xmin(snapshot)::text FROM tombolo.change_log_mark ORDER BY at LIMIT 1)";

/// [`Entry::origin`] of what was written with the setting `tombolo.skip_business_events` on: readers of the log see
/// it, and nobody is told of it as of an event.
pub const SKIPPED: &str = "skipped";

/// Each relation, the transaction that made its triggers, and whether they are all there now.
const CAPTURED: &str = "
    SELECT wanted.relation, log.installed_by::text, (
        SELECT count(*) = 2 FROM pg_trigger
        WHERE tgrelid = to_regclass(wanted.relation) AND tgrelid = log.oid AND tgenabled = 'A'
            AND tgname IN ('tombolo_capture', 'tombolo_capture_truncate')
    )
    FROM unnest($1::text[]) AS wanted(relation)
    LEFT JOIN tombolo.change_log_relation AS log USING (relation)";

const EMPTIED: &str = "
    SELECT relation FROM tombolo.change_log WHERE relation = ANY($3) AND operation = 'T' AND ";

/// What was committed behind one position and up to another, of some relations. Valid only within the
/// transaction in which it was opened: to be `REPEATABLE READ`, so that nothing is purged from under
/// its reader.
#[derive(Clone, Debug)]
pub struct Window {
    after: Position,
    until: Position,
    relations: Vec<String>,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place: [`Cursor`] of the page behind it.
    pub cursor: Cursor,
    /// The transaction.
    pub transaction: String,
    /// The table, as [`crate::Relation`] writes it.
    pub relation: String,
    /// What was done.
    pub operation: Operation,
    /// The row before, as JSON, in which numbers have all their digits.
    pub old: Option<String>,
    /// The row after, likewise.
    pub new: Option<String>,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// Who wrote, where Tombolo did.
    pub actor: Option<String>,
    /// The other side's transaction that this one applies, or [`SKIPPED`].
    pub origin: Option<String>,
}

/// What was done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It was made.
    Insert,
    /// It was changed.
    Update,
    /// It was deleted.
    Delete,
}

/// Up to which entry a reader has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Greatest number of the transaction's entries, by which transactions are ordered.
    pub transaction: i64,
    /// The entry's own.
    pub entry: i64,
}

/// Some entries of a window.
#[derive(Clone, Debug)]
pub struct Page {
    /// In order.
    pub entries: Vec<Entry>,
    /// More follow.
    pub more: bool,
}

// === impl Window ===

impl Window {
    /// Opens a window: behind `after` (the present when absent, which is an empty window), up to
    /// `until` (the present when absent).
    ///
    /// # Errors
    ///
    /// [`Error::Expired`] when the log is not whole behind `after`; [`Error::Emptied`] or
    /// [`Error::Interrupted`] when it does not tell all of a table; [`Error::NotCaptured`];
    /// [`Error::ForeignPosition`]; or the database's own.
    pub async fn open(
        connection: &mut PgConnection,
        after: Option<Position>,
        until: Option<Position>,
        relations: Vec<String>,
    ) -> Result<Self, Error> {
        let now = sqlx::query(NOW).fetch_one(&mut *connection).await.map_err(missing)?;
        let (present, horizon) = present(&now)?;
        for position in [&after, &until].into_iter().flatten() {
            check(position, &present, horizon)?;
        }
        let until = until.unwrap_or(present);
        let after = after.unwrap_or_else(|| until.clone());
        check_captured(connection, &relations, &after).await?;
        let window = Self { after, until, relations };
        if window.after != window.until
            && let Some(relation) = window.emptied(connection).await?
        {
            return Err(Error::Emptied(relation));
        }
        Ok(window)
    }

    /// Where it ends, and the next begins.
    #[must_use]
    pub fn until(&self) -> &Position {
        &self.until
    }

    /// Where it begins.
    #[must_use]
    pub fn after(&self) -> &Position {
        &self.after
    }

    /// How many entries it has.
    ///
    /// # Errors
    ///
    /// The database's own.
    pub async fn count(&self, connection: &mut PgConnection) -> Result<i64, Error> {
        let sql = format!(
            "SELECT count(*) FROM tombolo.change_log WHERE relation = ANY($3) AND {IN_WINDOW}"
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql));
        let query = query.bind(self.after.snapshot()).bind(self.until.snapshot());
        query.bind(&self.relations).fetch_one(connection).await.map_err(Error::of)
    }

    /// Up to `limit` entries behind `after`: transaction by transaction, each in the order of its
    /// writes.
    ///
    /// # Errors
    ///
    /// The database's own.
    pub async fn entries(
        &self,
        connection: &mut PgConnection,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page, Error> {
        let sql = format!(
            "SELECT transaction, seq, xid::text, relation, operation, old::text, new::text, at, actor,
                 origin
             FROM (
                 SELECT *, max(seq) OVER (PARTITION BY xid) AS transaction
                 FROM tombolo.change_log WHERE relation = ANY($3) AND {IN_WINDOW}
             ) AS entry
             WHERE (transaction, seq) > ($4, $5)
             ORDER BY transaction, seq LIMIT $6"
        );
        let after = after.unwrap_or_default();
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(self.after.snapshot())
            .bind(self.until.snapshot())
            .bind(&self.relations)
            .bind(after.transaction)
            .bind(after.entry)
            .bind(i64::from(limit) + 1);
        let rows = query.fetch_all(connection).await.map_err(Error::of)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        let entries = rows.iter().take(limit).map(entry).collect::<Result<_, _>>()?;
        Ok(Page { entries, more })
    }

    async fn emptied(&self, connection: &mut PgConnection) -> Result<Option<String>, Error> {
        let query = sqlx::query_scalar(AssertSqlSafe(format!("{EMPTIED}{IN_WINDOW} LIMIT 1")));
        let query = query.bind(self.after.snapshot()).bind(self.until.snapshot());
        query.bind(&self.relations).fetch_optional(connection).await.map_err(Error::of)
    }
}

fn present(row: &PgRow) -> Result<(Position, Option<u64>), Error> {
    let log: Option<Uuid> = row.try_get(0)?;
    // Not installed for this server: a copy of another one's log.
    let log = log.ok_or_else(|| Error::NotCaptured("the database".to_owned()))?;
    let (at, snapshot): (DateTime<Utc>, String) = (row.try_get(1)?, row.try_get(2)?);
    let malformed = || sqlx::Error::Decode("a snapshot that is none".into());
    let position = Position::of_snapshot(log, at, &snapshot).ok_or_else(malformed)?;
    let horizon: Option<String> = row.try_get(3)?;
    Ok((position, horizon.and_then(|it| it.parse().ok())))
}

fn check(position: &Position, present: &Position, horizon: Option<u64>) -> Result<(), Error> {
    if position.log != present.log {
        return Err(Error::Expired);
    }
    if position.xmax > present.xmax {
        return Err(Error::ForeignPosition);
    }
    // Without a mark nobody knows what was purged.
    if horizon.is_none_or(|it| position.xmin < it) {
        return Err(Error::Expired);
    }
    Ok(())
}

async fn check_captured(
    connection: &mut PgConnection,
    relations: &[String],
    after: &Position,
) -> Result<(), Error> {
    let rows: Vec<(String, Option<String>, bool)> =
        sqlx::query_as(CAPTURED).bind(relations).fetch_all(connection).await.map_err(missing)?;
    for (relation, installed_by, complete) in rows {
        match installed_by.and_then(|it| it.parse().ok()).filter(|_| complete) {
            None => return Err(Error::NotCaptured(relation)),
            Some(xid) if !after.sees(xid) => return Err(Error::Interrupted(relation)),
            Some(_) => {}
        }
    }
    Ok(())
}

/// The log's tables or functions are not there yet, or not any more.
fn missing(error: sqlx::Error) -> Error {
    match code(&error).as_str() {
        "42P01" | "42883" | "3F000" => Error::NotCaptured("the database".to_owned()),
        _ => Error::of(error),
    }
}

fn entry(row: &PgRow) -> Result<Entry, Error> {
    let operation = match row.try_get::<i8, _>("operation")? as u8 {
        b'I' => Operation::Insert,
        b'U' => Operation::Update,
        b'D' => Operation::Delete,
        _ => return Err(sqlx::Error::Decode("an unknown operation".into()).into()),
    };
    Ok(Entry {
        cursor: Cursor { transaction: row.try_get("transaction")?, entry: row.try_get("seq")? },
        transaction: row.try_get("xid")?,
        relation: row.try_get("relation")?,
        operation,
        old: row.try_get("old")?,
        new: row.try_get("new")?,
        at: row.try_get("at")?,
        actor: row.try_get("actor")?,
        origin: row.try_get("origin")?,
    })
}
