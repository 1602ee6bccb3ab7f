//! Changes that failed, and those that wait behind them (spec DW-41, DW-60).

mod listing;
mod losses;
mod retry;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use prost::Message as _;
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::{FailedChangeOrigin, Side, SyncErrorKind};
use proto::query::v1 as wire;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Row as _};

use super::change::RowIdentity;
use crate::error::Error;
pub(crate) use listing::{Choice, get, id_of, list, of_record};
pub(crate) use losses::Losses;
pub(crate) use retry::{ask, dismiss, failed, next, over, waiting};

/// A change that is about to be stored as failed.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) row: RowIdentity,
    /// That was written.
    pub(crate) side: Side,
    pub(crate) change: pb::PendingChange,
    pub(crate) error: pb::SyncError,
    pub(crate) origin: FailedChangeOrigin,
    /// Of a conflict: what the primary side has.
    pub(crate) winner: Vec<wire::FieldValue>,
}

/// One that is stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) id: i64,
    pub(crate) map: String,
    pub(crate) side: Side,
    pub(crate) record_id: Vec<u8>,
    pub(crate) message: pb::FailedChange,
}

const COLUMNS: &str = "id, map, side, record_id, origin, retry_state, change, error, winner";

/// Stores a change that failed, or failed again. Where the row waits already, with `replace`, the newest state
/// of it takes the place of what waited; else each change waits for itself.
pub(crate) async fn store(
    connection: &mut PgConnection,
    failed: &Failed,
    replace: bool,
) -> Result<(), Error> {
    if replace && let Some(open) = first_open(connection, failed.side, &failed.row).await? {
        return again(connection, open, failed).await;
    }
    store_all(connection, std::slice::from_ref(failed)).await
}

/// Stores changes each of which waits for itself.
pub(crate) async fn store_all(
    connection: &mut PgConnection,
    failed: &[Failed],
) -> Result<(), Error> {
    let of = |value: fn(&Failed) -> i32| -> Vec<i16> {
        failed.iter().map(|it| number(value(it))).collect()
    };
    let bytes =
        |value: fn(&Failed) -> Vec<u8>| -> Vec<Vec<u8>> { failed.iter().map(value).collect() };
    let winner = |it: &Failed| {
        let winner = pb::FailedChange { winner: it.winner.clone(), ..Default::default() };
        (!it.winner.is_empty()).then(|| winner.encode_to_vec())
    };
    let time = |it: &Failed| time_of(it.change.commit_time.as_ref());
    sqlx::query(
        "INSERT INTO failed_change
             (map, side, position, record_id, row_key, origin, kind, retry_state, commit_time,
              change, error, winner)
         SELECT map, side, position, record_id, row_key, origin, kind, 1, commit_time,
                change, error, winner
         FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::bytea[], $5::bytea[],
                     $6::smallint[], $7::smallint[], $8::timestamptz[], $9::bytea[], $10::bytea[],
                     $11::bytea[])
              AS f (map, side, position, record_id, row_key, origin, kind, commit_time, change,
                    error, winner)
         ON CONFLICT (map, side, position) WHERE kind <> 10 DO UPDATE
         SET record_id = excluded.record_id, row_key = excluded.row_key, origin = excluded.origin,
             kind = excluded.kind, retry_state = excluded.retry_state, retry = NULL,
             commit_time = excluded.commit_time, change = excluded.change, error = excluded.error",
    )
    .bind(failed.iter().map(|it| it.row.map.clone()).collect::<Vec<_>>())
    .bind(of(|it| it.side as i32))
    .bind(failed.iter().map(|it| it.change.position).collect::<Vec<_>>())
    .bind(bytes(|it| it.row.record_id.clone()))
    .bind(bytes(|it| it.row.key_digest.clone()))
    .bind(of(|it| it.origin as i32))
    .bind(of(|it| it.error.kind))
    .bind(failed.iter().map(time).collect::<Vec<_>>())
    .bind(bytes(|it| it.change.encode_to_vec()))
    .bind(bytes(|it| it.error.encode_to_vec()))
    .bind(failed.iter().map(winner).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// The first change of the row that waits, which the others wait behind.
pub(crate) async fn first_open(
    connection: &mut PgConnection,
    side: Side,
    row: &RowIdentity,
) -> Result<Option<Stored>, Error> {
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM failed_change
         WHERE map = $1 AND side = $2 AND (record_id = $3 OR row_key = $4)
           AND retry_state <> 3 AND kind <> 10
         ORDER BY position, id LIMIT 1"
    )))
    .bind(&row.map)
    .bind(number(side as i32))
    .bind(&row.record_id)
    .bind(&row.key_digest)
    .fetch_optional(connection)
    .await?)
}

/// The first of each row's changes that wait, by map and record. What is just being completed is waited for, and
/// not among them.
pub(crate) async fn first_of_rows(
    connection: &mut PgConnection,
    side: Side,
    (maps, record_ids): (Vec<&str>, Vec<&[u8]>),
) -> Result<HashMap<(String, Vec<u8>), pb::PendingChange>, Error> {
    let rows: Vec<(String, Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT row.map, row.record_id, change
         FROM (SELECT DISTINCT * FROM unnest($2::text[], $3::bytea[]) AS it (map, record_id)) AS row
         CROSS JOIN LATERAL (
             SELECT change FROM failed_change AS f
             WHERE f.map = row.map AND f.side = $1 AND f.record_id = row.record_id
               AND retry_state <> 3 AND kind <> 10
             ORDER BY position, id LIMIT 1 FOR SHARE
         ) AS first",
    )
    .bind(number(side as i32))
    .bind(maps)
    .bind(record_ids)
    .fetch_all(connection)
    .await?;
    let decoded = rows.into_iter().map(|(map, id, change)| {
        let change = pb::PendingChange::decode(change.as_slice());
        Ok(((map, id), change.map_err(|it| sqlx::Error::Decode(Box::new(it)))?))
    });
    decoded.collect()
}

async fn again(connection: &mut PgConnection, open: Stored, failed: &Failed) -> Result<(), Error> {
    let before = open.message.error.map_or(0, |it| it.attempt_count);
    let error = pb::SyncError { attempt_count: before.saturating_add(1), ..failed.error.clone() };
    let mut change = failed.change.clone();
    if let Some(first) = open.message.change {
        // Since when the row waits, and how the other side knows it.
        change.position = first.position;
        if !first.before.is_empty() {
            change.before = first.before;
        }
    }
    sqlx::query(
        "UPDATE failed_change SET kind = $2, change = $3, error = $4, retry = NULL,
             retry_state = CASE retry_state WHEN 2 THEN 4 ELSE retry_state END
         WHERE id = $1",
    )
    .bind(open.id)
    .bind(number(error.kind))
    .bind(change.encode_to_vec())
    .bind(error.encode_to_vec())
    .execute(connection)
    .await?;
    Ok(())
}

/// The rows are on the other side as they were after the change of each: nothing of them up to there waits
/// any more.
pub(crate) async fn complete(
    connection: &mut PgConnection,
    side: Side,
    rows: &[(RowIdentity, i64)],
) -> Result<u64, Error> {
    if rows.is_empty() {
        return Ok(0);
    }
    let maps: Vec<&str> = rows.iter().map(|(it, _)| it.map.as_str()).collect();
    let ids: Vec<&[u8]> = rows.iter().map(|(it, _)| it.record_id.as_slice()).collect();
    let keys: Vec<&[u8]> = rows.iter().map(|(it, _)| it.key_digest.as_slice()).collect();
    let numbers: Vec<i64> = rows.iter().map(|(_, it)| *it).collect();
    let done = sqlx::query(
        "UPDATE failed_change AS f SET retry_state = 3, retry = NULL, complete_time = now()
         FROM unnest($2::text[], $3::bytea[], $4::bytea[], $5::bigint[])
                  AS r (map, record_id, row_key, number)
         WHERE f.map = r.map AND f.side = $1 AND f.position <= r.number
           AND (f.record_id = r.record_id OR f.row_key = r.row_key)
           AND f.retry_state <> 3 AND f.kind <> 10",
    )
    .bind(number(side as i32))
    .bind(maps)
    .bind(ids)
    .bind(keys)
    .bind(numbers)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets what was completed so many days ago.
pub(crate) async fn forget_completed(
    connection: &mut PgConnection,
    days: u16,
) -> Result<(), Error> {
    sqlx::query(
        "DELETE FROM failed_change
         WHERE retry_state = 3 AND complete_time < now() - make_interval(days => $1)",
    )
    .bind(i32::from(days))
    .execute(connection)
    .await?;
    Ok(())
}

/// Numbers of the contract's enums are small.
fn number(value: i32) -> i16 {
    i16::try_from(value).unwrap_or_default()
}

pub(crate) fn time_of(time: Option<&prost_types::Timestamp>) -> DateTime<Utc> {
    time.and_then(|it| {
        DateTime::from_timestamp(it.seconds, u32::try_from(it.nanos).unwrap_or_default())
    })
    .unwrap_or_else(Utc::now)
}

// === impl Stored ===

impl Stored {
    /// `maps/…/syncErrors/812`.
    pub(crate) fn name(&self) -> String {
        format!("{}/syncErrors/{}", self.map, self.id)
    }

    /// A later change of its row, which has this number, waits behind it.
    pub(crate) fn holds(&self, number: i64) -> bool {
        let position = self.message.change.as_ref().map_or(0, |it| it.position);
        self.message.origin() == FailedChangeOrigin::CatchUp && position < number
    }

    pub(crate) fn kind(&self) -> SyncErrorKind {
        self.message.error.as_ref().map_or(SyncErrorKind::Unspecified, pb::SyncError::kind)
    }
}

impl FromRow<'_, PgRow> for Stored {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let bytes = |column: &str| -> Result<Vec<u8>, sqlx::Error> { row.try_get(column) };
        let unknown = |it: prost::DecodeError| sqlx::Error::Decode(Box::new(it));
        let (id, map): (i64, String) = (row.try_get("id")?, row.try_get("map")?);
        let winner: Option<Vec<u8>> = row.try_get("winner")?;
        let winner = pb::FailedChange::decode(&*winner.unwrap_or_default()).map_err(unknown)?;
        let side: i16 = row.try_get("side")?;
        let side = Side::try_from(i32::from(side)).unwrap_or(Side::Unspecified);
        let origin: i16 = row.try_get("origin")?;
        let retry_state: i16 = row.try_get("retry_state")?;
        let message = pb::FailedChange {
            name: format!("{map}/syncErrors/{id}"),
            change: Some(pb::PendingChange::decode(&*bytes("change")?).map_err(unknown)?),
            error: Some(pb::SyncError::decode(&*bytes("error")?).map_err(unknown)?),
            origin: origin.into(),
            retry_state: retry_state.into(),
            winner: winner.winner,
        };
        Ok(Self { id, map, side, record_id: bytes("record_id")?, message })
    }
}
