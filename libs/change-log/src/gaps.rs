//! Tables whose changes escape the log now.

use sqlx::postgres::PgConnection;

use crate::error::Error;

/// A trigger that does not capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The table that is to be captured, as the log names it.
    pub relation: String,
    /// That table, or the partition or heir of it that lacks the trigger, as SQL.
    pub table: String,
    /// `trigger tombolo_capture is disabled`, `does not exist`.
    pub reason: String,
}

/// Every table with its partitions and heirs, and what keeps each of both triggers from firing for whoever writes.
const GAPS: &str = "
    WITH RECURSIVE member(relation, oid) AS (
        SELECT relation, to_regclass(relation)::oid FROM unnest($1::text[]) AS wanted(relation)
        UNION
        SELECT relation, inhrelid FROM pg_inherits JOIN member ON inhparent = member.oid
    ), found AS (
        SELECT relation, coalesce(quote_ident(nspname) || '.' || quote_ident(relname), relation) AS member,
        CASE
            WHEN pg_class.oid IS NULL THEN 'does not exist'
            WHEN trigger.oid IS NULL THEN format('trigger %s is missing', wanted.name)
            WHEN tgenabled = 'D' THEN format('trigger %s is disabled', wanted.name)
            WHEN tgenabled <> 'A' THEN format('trigger %s is not enabled always', wanted.name)
        END AS reason
        FROM member
        LEFT JOIN pg_class ON pg_class.oid = member.oid
        LEFT JOIN pg_namespace ON pg_namespace.oid = relnamespace
        CROSS JOIN unnest('{tombolo_capture,tombolo_capture_truncate}'::text[]) AS wanted(name)
        LEFT JOIN pg_trigger AS trigger ON tgrelid = member.oid AND tgname = wanted.name
    )
    SELECT DISTINCT relation, member, reason FROM found WHERE reason IS NOT NULL
    ORDER BY relation, member, reason";

/// Says which of these tables, as the log names them, are not captured as they should be. [`crate::reconcile`] mends
/// what it may.
///
/// # Errors
///
/// The database's own.
pub async fn gaps(connection: &mut PgConnection, relations: &[String]) -> Result<Vec<Gap>, Error> {
    let rows: Vec<(String, String, String)> =
        sqlx::query_as(GAPS).bind(relations).fetch_all(connection).await.map_err(Error::of)?;
    let gap = |(relation, table, reason)| Gap { relation, table, reason };
    Ok(rows.into_iter().map(gap).collect())
}
