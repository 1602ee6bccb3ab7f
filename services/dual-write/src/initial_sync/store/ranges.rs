//! Ranges of a leg, and lookups that wait for the second phase.

use sqlx::PgConnection;

use crate::initial_sync::model::OpenLookup;

/// Where a range of a leg ends, as its source says it.
pub(crate) type Cursor = Vec<u8>;

/// A stretch of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) number: i64,
    /// Where the one before it ends; `None`: it is the first.
    pub(crate) after: Option<Cursor>,
    pub(crate) until: Cursor,
    pub(crate) plan: Option<Plan>,
}

/// What is about to be done on the other side, by row ids of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) creating: Vec<u8>,
    pub(crate) changing: Vec<u8>,
}

const ID: usize = 16;

impl Plan {
    pub(crate) fn add(&mut self, record_id: &[u8], creates: bool) {
        let ids = if creates { &mut self.creating } else { &mut self.changing };
        // Ids of another length are none, and would shift the others.
        if record_id.len() == ID {
            ids.extend_from_slice(record_id);
        }
    }

    pub(crate) fn creates(&self, record_id: &[u8]) -> bool {
        self.creating.chunks_exact(ID).any(|it| it == record_id)
    }

    pub(crate) fn changes(&self, record_id: &[u8]) -> bool {
        self.changing.chunks_exact(ID).any(|it| it == record_id)
    }
}

/// Where the last range that was begun ends.
pub(crate) async fn ranges_end(
    conn: &mut PgConnection,
    run: i64,
    leg: i32,
) -> sqlx::Result<Option<(i64, Cursor)>> {
    sqlx::query_as(
        "SELECT number, until_cursor FROM initial_sync_range WHERE run = $1 AND leg = $2
         ORDER BY number DESC LIMIT 1",
    )
    .bind(run)
    .bind(leg)
    .fetch_optional(conn)
    .await
}

/// Ranges that were begun and are not done.
pub(crate) async fn unfinished(
    conn: &mut PgConnection,
    run: i64,
    leg: i32,
) -> sqlx::Result<Vec<Range>> {
    type Row = (i64, Option<Cursor>, Cursor, Option<Vec<u8>>, Option<Vec<u8>>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT r.number, before.until_cursor, r.until_cursor, r.creating, r.changing
         FROM initial_sync_range r
         LEFT JOIN initial_sync_range before
             ON before.run = r.run AND before.leg = r.leg AND before.number = r.number - 1
         WHERE r.run = $1 AND r.leg = $2 AND r.done_time IS NULL ORDER BY r.number",
    )
    .bind(run)
    .bind(leg)
    .fetch_all(conn)
    .await?;
    let range = |(number, after, until, creating, changing): Row| Range {
        number,
        after,
        until,
        plan: creating.zip(changing).map(|(creating, changing)| Plan { creating, changing }),
    };
    Ok(rows.into_iter().map(range).collect())
}

/// Notes that a range is about to be copied.
pub(crate) async fn begin_range(
    conn: &mut PgConnection,
    run: i64,
    leg: i32,
    range: &Range,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO initial_sync_range (run, leg, number, until_cursor, row_count)
         VALUES ($1, $2, $3, $4, 0)",
    )
    .bind(run)
    .bind(leg)
    .bind(range.number)
    .bind(&range.until)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes what is about to be done with a range's rows.
pub(crate) async fn plan(
    conn: &mut PgConnection,
    run: i64,
    leg: i32,
    number: i64,
    plan: &Plan,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE initial_sync_range SET creating = $4, changing = $5
         WHERE run = $1 AND leg = $2 AND number = $3",
    )
    .bind(run)
    .bind(leg)
    .bind(number)
    .bind(&plan.creating)
    .bind(&plan.changing)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a range is done. False where it was before.
pub(crate) async fn finish_range(
    conn: &mut PgConnection,
    run: i64,
    leg: i32,
    number: i64,
    rows: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE initial_sync_range
         SET done_time = now(), row_count = $4, creating = NULL, changing = NULL
         WHERE run = $1 AND leg = $2 AND number = $3 AND done_time IS NULL",
    );
    let done = done.bind(run).bind(leg).bind(number).bind(rows).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets the ranges of a run that has ended.
pub(crate) async fn drop_ranges(conn: &mut PgConnection, run: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM initial_sync_range WHERE run = $1").bind(run).execute(conn).await?;
    Ok(())
}

/// Remembers lookups for the second phase.
pub(crate) async fn add_lookups(
    conn: &mut PgConnection,
    run: i64,
    leg: i32,
    lookups: &[OpenLookup],
) -> sqlx::Result<()> {
    if lookups.is_empty() {
        return Ok(());
    }
    let ids: Vec<&[u8]> = lookups.iter().map(|it| &*it.record_id).collect();
    // PostgreSQL's arrays of arrays are rectangles.
    let columns: Vec<String> = lookups.iter().map(|it| it.columns.join(",")).collect();
    sqlx::query(
        "INSERT INTO initial_sync_lookup (run, leg, record_id, columns)
         SELECT $1, $2, id, string_to_array(columns, ',') FROM unnest($3::bytea[], $4::text[]) AS t (id, columns)",
    )
    .bind(run)
    .bind(leg)
    .bind(ids)
    .bind(columns)
    .execute(conn)
    .await?;
    Ok(())
}

/// The next lookups of a leg, with their ids.
pub(crate) async fn lookups(
    conn: &mut PgConnection,
    run: i64,
    leg: i32,
    limit: i64,
) -> sqlx::Result<Vec<(i64, OpenLookup)>> {
    let rows: Vec<(i64, Vec<u8>, Vec<String>)> = sqlx::query_as(
        "SELECT id, record_id, columns FROM initial_sync_lookup WHERE run = $1 AND leg = $2
         ORDER BY id LIMIT $3",
    )
    .bind(run)
    .bind(leg)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let lookup = |(id, record_id, columns): (i64, Vec<u8>, _)| {
        (id, OpenLookup { record_id: record_id.into(), columns })
    };
    Ok(rows.into_iter().map(lookup).collect())
}

/// Forgets lookups that were tried again.
pub(crate) async fn patched(conn: &mut PgConnection, ids: &[i64]) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM initial_sync_lookup WHERE id = ANY($1)")
        .bind(ids)
        .execute(conn)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_knows_its_rows() {
        let mut plan = Plan::default();
        assert_eq!(plan, Plan::default());
        plan.add(&[1; 16], true);
        plan.add(&[2; 16], false);
        plan.add(&[3; 5], true);
        assert!(plan.creates(&[1; 16]) && !plan.creates(&[2; 16]));
        assert!(plan.changes(&[2; 16]) && !plan.changes(&[1; 16]));
        assert_eq!(plan.creating.len(), 16);
    }
}
