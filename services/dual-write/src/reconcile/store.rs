//! Comparisons and what they found, as they are stored.

use chrono::{DateTime, Utc};
use prost::Message as _;
use proto::dual_write::v1::{self as pb, DifferenceKind, ReconciliationState, Side, SyncError};
use proto::query::v1::ImageKey;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Row as _};

use super::compare::Found;
use crate::error::Error;
use crate::names;

/// One comparison of one map.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) number: i64,
    pub(crate) map: String,
    pub(crate) id: String,
    state: i32,
    /// Those that are compared, in order; of a map without companies, one that is empty.
    pub(super) companies: Vec<String>,
    asked_companies: Vec<String>,
    pub(super) compared_row_count: i64,
    pub(super) total_row_count: i64,
    difference_count: i64,
    failure: Option<Vec<u8>>,
    start_time: DateTime<Utc>,
    end_time: Option<DateTime<Utc>>,
    source: i32,
    company_index: i32,
    after_key: Option<Vec<u8>>,
}

/// The next range: behind a key of one company, in the order of one side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    /// Whose rows are gone through.
    pub(super) source: Side,
    pub(super) company_index: usize,
    pub(super) after: Option<ImageKey>,
}

/// A row that is not the same.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) number: i64,
    pub(super) company: String,
    pub(super) key_text: String,
    content: Vec<u8>,
    erp_key: Option<Vec<u8>>,
    platform_key: Option<Vec<u8>>,
    erp_hash: Option<Vec<u8>>,
    platform_hash: Option<Vec<u8>>,
    pub(super) repaired: bool,
}

/// Where a list of differences goes on.
pub(crate) type After = (String, String, i64);

const COMPARISON: &str = "number, map, id, state, companies, asked_companies, compared_row_count, \
                          total_row_count, difference_count, failure, start_time, end_time, source, \
                          company_index, after_key";
const DIFFERENCE: &str = "number, company, key_text, content, erp_key, platform_key, erp_hash, \
                          platform_hash, repaired";

// === comparisons ===

/// Begins a comparison; `None` while another of the map is under way.
pub(crate) async fn create(
    connection: &mut PgConnection,
    map: &str,
    asked: &[String],
    companies: &[String],
    total_row_count: i64,
) -> Result<Option<Comparison>, Error> {
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "INSERT INTO reconciliation (map, id, state, companies, asked_companies, total_row_count, source)
         SELECT $1, to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD') || '-' ||
             (SELECT count(*) + 1 FROM reconciliation
              WHERE map = $1 AND id LIKE to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD') || '-%'),
             $2, $3, $4, $5, $6
         ON CONFLICT DO NOTHING RETURNING {COMPARISON}"
    )))
    .bind(map)
    .bind(i32::from(ReconciliationState::Running))
    .bind(companies)
    .bind(asked)
    .bind(total_row_count)
    .bind(i32::from(Side::FinanceAndOperations))
    .fetch_optional(connection)
    .await?)
}

pub(crate) async fn get(
    connection: &mut PgConnection,
    map: &str,
    id: &str,
) -> Result<Option<Comparison>, Error> {
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COMPARISON} FROM reconciliation WHERE map = $1 AND id = $2"
    )))
    .bind(map)
    .bind(id)
    .fetch_optional(connection)
    .await?)
}

/// Newest first; of one map, or of all.
pub(crate) async fn list(
    connection: &mut PgConnection,
    map: Option<&str>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Comparison>, Error> {
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COMPARISON} FROM reconciliation
         WHERE (map = $1 OR $1 IS NULL) AND (number < $2 OR $2 IS NULL)
         ORDER BY number DESC LIMIT $3"
    )))
    .bind(map)
    .bind(before)
    .bind(limit)
    .fetch_all(connection)
    .await?)
}

/// Those under way, oldest first.
pub(super) async fn under_way(connection: &mut PgConnection) -> Result<Vec<Comparison>, Error> {
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COMPARISON} FROM reconciliation WHERE end_time IS NULL ORDER BY number"
    )))
    .fetch_all(connection)
    .await?)
}

/// Ends one that is under way; answers whether it was.
pub(crate) async fn end(
    connection: &mut PgConnection,
    number: i64,
    state: ReconciliationState,
    failure: Option<&SyncError>,
) -> Result<bool, Error> {
    let ended = sqlx::query(
        "UPDATE reconciliation SET state = $2, failure = $3, end_time = clock_timestamp()
         WHERE number = $1 AND end_time IS NULL",
    )
    .bind(number)
    .bind(i32::from(state))
    .bind(failure.map(prost::Message::encode_to_vec))
    .execute(connection)
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// Keeps what a range held, and which is next (`None`: all are done). Answers whether the comparison is
/// still under way; if not, nothing is kept.
pub(super) async fn advance(
    connection: &mut PgConnection,
    comparison: &Comparison,
    compared: usize,
    found: &[Found],
    next: Option<&Range>,
) -> Result<bool, Error> {
    let known: Option<i64> = sqlx::query_scalar(
        "SELECT difference_count FROM reconciliation WHERE number = $1 AND end_time IS NULL FOR UPDATE",
    )
    .bind(comparison.number)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(mut count) = known else { return Ok(false) };
    for it in found {
        count += 1;
        insert(connection, comparison.number, count, it).await?;
    }
    let range = next.cloned().unwrap_or_else(|| comparison.range());
    sqlx::query(
        "UPDATE reconciliation SET compared_row_count = compared_row_count + $2,
             difference_count = $3, source = $4, company_index = $5, after_key = $6
         WHERE number = $1",
    )
    .bind(comparison.number)
    .bind(i64::try_from(compared).unwrap_or(i64::MAX))
    .bind(count)
    .bind(i32::from(range.source))
    .bind(i32::try_from(range.company_index).unwrap_or(i32::MAX))
    .bind(range.after.map(|it| it.encode_to_vec()))
    .execute(&mut *connection)
    .await?;
    match next {
        Some(_) => Ok(true),
        None => end(connection, comparison.number, ReconciliationState::Completed, None).await,
    }
}

async fn insert(
    connection: &mut PgConnection,
    comparison: i64,
    number: i64,
    found: &Found,
) -> Result<(), Error> {
    let key = |it: &Option<ImageKey>| it.as_ref().map(prost::Message::encode_to_vec);
    sqlx::query(
        "INSERT INTO difference (reconciliation, number, kind, company, key_text, content, erp_key,
             platform_key, erp_hash, platform_hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(comparison)
    .bind(number)
    .bind(found.content.kind)
    .bind(&found.company)
    .bind(&found.key_text)
    .bind(found.content.encode_to_vec())
    .bind(key(&found.erp.key))
    .bind(key(&found.platform.key))
    .bind(&found.erp.hash)
    .bind(&found.platform.hash)
    .execute(connection)
    .await?;
    Ok(())
}

// === differences ===

/// By key; of one kind, or of all.
pub(crate) async fn differences(
    connection: &mut PgConnection,
    comparison: i64,
    kind: DifferenceKind,
    after: Option<&After>,
    limit: i64,
) -> Result<Vec<Stored>, Error> {
    let kind = Some(i32::from(kind)).filter(|it| *it != 0);
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {DIFFERENCE} FROM difference
         WHERE reconciliation = $1 AND (kind = $2 OR $2 IS NULL)
           AND ((company, key_text, number) > ($3, $4, $5) OR $3 IS NULL)
         ORDER BY company, key_text, number LIMIT $6"
    )))
    .bind(comparison)
    .bind(kind)
    .bind(after.map(|it| it.0.as_str()))
    .bind(after.map(|it| it.1.as_str()))
    .bind(after.map(|it| it.2))
    .bind(limit)
    .fetch_all(connection)
    .await?)
}

/// Those of `numbers` that there are.
pub(super) async fn chosen(
    connection: &mut PgConnection,
    comparison: i64,
    numbers: &[i64],
) -> Result<Vec<Stored>, Error> {
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {DIFFERENCE} FROM difference WHERE reconciliation = $1 AND number = ANY($2)
         ORDER BY number"
    )))
    .bind(comparison)
    .bind(numbers)
    .fetch_all(connection)
    .await?)
}

pub(super) async fn repaired(
    connection: &mut PgConnection,
    comparison: i64,
    number: i64,
) -> Result<(), Error> {
    sqlx::query("UPDATE difference SET repaired = true WHERE reconciliation = $1 AND number = $2")
        .bind(comparison)
        .bind(number)
        .execute(connection)
        .await?;
    Ok(())
}

// === impl Comparison ===

impl Comparison {
    /// `maps/…/reconciliations/20261121-1`.
    pub(crate) fn name(&self) -> String {
        format!("{}/reconciliations/{}", self.map, self.id)
    }

    pub(super) fn range(&self) -> Range {
        Range {
            source: Side::try_from(self.source).unwrap_or(Side::FinanceAndOperations),
            company_index: usize::try_from(self.company_index).unwrap_or_default(),
            after: self.after_key.as_ref().and_then(|it| ImageKey::decode(&**it).ok()),
        }
    }

    /// What is shown of it.
    pub(crate) fn message(&self, now: DateTime<Utc>) -> pb::Reconciliation {
        let failure = self.failure.as_ref().and_then(|it| SyncError::decode(&**it).ok());
        pb::Reconciliation {
            name: self.name(),
            state: self.state,
            companies: self.asked_companies.clone(),
            compared_row_count: self.compared_row_count,
            // Rows come and go while they are compared.
            total_row_count: self.total_row_count.max(self.compared_row_count),
            difference_count: self.difference_count,
            remaining_duration: self.remaining(now).map(names::duration),
            failure,
            start_time: Some(names::timestamp(self.start_time)),
            end_time: self.end_time.map(names::timestamp),
        }
    }

    /// In milliseconds, as if it went on as it went so far.
    fn remaining(&self, now: DateTime<Utc>) -> Option<i64> {
        if self.end_time.is_some() || self.compared_row_count <= 0 {
            return None;
        }
        let left = self.total_row_count.saturating_sub(self.compared_row_count).max(0);
        let elapsed = (now - self.start_time).num_milliseconds().max(0);
        let total = i128::from(elapsed) * i128::from(left) / i128::from(self.compared_row_count);
        i64::try_from(total).ok()
    }
}

// === impl Stored ===

impl Stored {
    /// What is shown of it.
    pub(crate) fn message(&self, comparison: &Comparison) -> Result<pb::Difference, Error> {
        let content = pb::Difference::decode(&*self.content);
        let content = content.map_err(|it| Error::Stored(it.to_string()))?;
        let name = format!("{}/differences/{}", comparison.name(), self.number);
        Ok(pb::Difference { name, repaired: self.repaired, ..content })
    }

    pub(crate) fn after(&self) -> After {
        (self.company.clone(), self.key_text.clone(), self.number)
    }

    /// Finds the row of a side.
    pub(super) fn key(&self, side: Side) -> Option<ImageKey> {
        let key = match side {
            Side::FinanceAndOperations => &self.erp_key,
            Side::Platform | Side::Unspecified => &self.platform_key,
        };
        key.as_ref().and_then(|it| ImageKey::decode(&**it).ok())
    }

    /// Of the row as it was compared; `None`: there was none.
    pub(super) fn hash(&self, side: Side) -> Option<&[u8]> {
        match side {
            Side::FinanceAndOperations => self.erp_hash.as_deref(),
            Side::Platform | Side::Unspecified => self.platform_hash.as_deref(),
        }
    }
}

impl FromRow<'_, PgRow> for Comparison {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: row.try_get("number")?,
            map: row.try_get("map")?,
            id: row.try_get("id")?,
            state: row.try_get("state")?,
            companies: row.try_get("companies")?,
            asked_companies: row.try_get("asked_companies")?,
            compared_row_count: row.try_get("compared_row_count")?,
            total_row_count: row.try_get("total_row_count")?,
            difference_count: row.try_get("difference_count")?,
            failure: row.try_get("failure")?,
            start_time: row.try_get("start_time")?,
            end_time: row.try_get("end_time")?,
            source: row.try_get("source")?,
            company_index: row.try_get("company_index")?,
            after_key: row.try_get("after_key")?,
        })
    }
}

impl FromRow<'_, PgRow> for Stored {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: row.try_get("number")?,
            company: row.try_get("company")?,
            key_text: row.try_get("key_text")?,
            content: row.try_get("content")?,
            erp_key: row.try_get("erp_key")?,
            platform_key: row.try_get("platform_key")?,
            erp_hash: row.try_get("erp_hash")?,
            platform_hash: row.try_get("platform_hash")?,
            repaired: row.try_get("repaired")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_remains_is_told_from_what_took_how_long() {
        let mut comparison = Comparison {
            number: 1,
            map: "maps/a".to_owned(),
            id: "20261121-1".to_owned(),
            state: 1,
            companies: Vec::new(),
            asked_companies: Vec::new(),
            compared_row_count: 0,
            total_row_count: 1_000,
            difference_count: 0,
            failure: None,
            start_time: DateTime::UNIX_EPOCH,
            end_time: None,
            source: 1,
            company_index: 0,
            after_key: None,
        };
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(10);
        assert_eq!(comparison.remaining(now), None);
        comparison.compared_row_count = 250;
        assert_eq!(comparison.remaining(now), Some(30_000));
        comparison.end_time = Some(now);
        assert_eq!(comparison.remaining(now), None);
    }
}
