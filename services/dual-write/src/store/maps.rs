//! Maps as they are stored.

use chrono::{DateTime, Utc};
use proto::dual_write::v1::{MapState, Side, SyncMode, TableMap};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use crate::error::Error;
use crate::names;
use crate::store::{side_of, side_text, state_of, state_text};

/// A map with what is not told of it.
#[derive(Clone, Debug)]
pub(crate) struct StoredMap {
    pub(crate) map: TableMap,
    pub(crate) epoch: i64,
}

/// A fingerprint of all maps and the link: whatever changes, it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(i64, i64, i64, i64, i64);

/// Which maps are listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Empty: all.
    pub(crate) states: Vec<MapState>,
    /// Of this entity or table; empty: all.
    pub(crate) table: String,
    /// Behind this name.
    pub(crate) after: Option<String>,
    pub(crate) limit: i64,
}

const COLUMNS: &str = "name, display_name, finance_and_operations_entity, platform_table,
    active_version, state, epoch, sync_mode, primary_side, company_specific, owning_team,
    peer_timeout_milliseconds, debug, coalesce_queue, import_task_count, import_threshold_row_count,
    state_change_time, revision";

/// No less than the milliseconds of now, so that it also grows over a map that was deleted.
const NEXT_EPOCH: &str =
    "greatest(epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)";

pub(crate) async fn generation(connection: &mut PgConnection) -> Result<Generation, Error> {
    let (maps, revisions, epoch, link, created): (i64, i64, i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM map),
                (SELECT coalesce(sum(revision), 0)::bigint FROM map),
                (SELECT coalesce(max(epoch), 0) FROM map),
                (SELECT coalesce(sum(revision), 0)::bigint FROM link),
                (SELECT coalesce(sum(extract(epoch FROM create_time) * 1000), 0)::bigint FROM link)",
    )
    .fetch_one(connection)
    .await?;
    Ok(Generation(maps, revisions, epoch, link, created))
}

pub(crate) async fn all(connection: &mut PgConnection) -> Result<Vec<StoredMap>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM map ORDER BY name COLLATE \"C\"");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

pub(crate) async fn list(
    connection: &mut PgConnection,
    selection: &Selection,
) -> Result<Vec<StoredMap>, Error> {
    let states: Vec<_> = selection.states.iter().map(|it| state_text(*it).to_owned()).collect();
    let sql = format!(
        "SELECT {COLUMNS} FROM map
         WHERE ($1 = '{{}}'::text[] OR state = ANY ($1))
           AND ($2 = '' OR lower(finance_and_operations_entity) = lower($2)
                OR lower(platform_table) = lower($2))
           AND ($3::text IS NULL OR name COLLATE \"C\" > $3)
         ORDER BY name COLLATE \"C\" LIMIT $4"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(states)
        .bind(&selection.table)
        .bind(&selection.after)
        .bind(selection.limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(read).collect()
}

pub(crate) async fn get(connection: &mut PgConnection, name: &str) -> Result<StoredMap, Error> {
    fetch(connection, name, "").await
}

/// The present epoch of a map that is there.
pub(crate) async fn epoch(connection: &mut PgConnection, name: &str) -> Result<Option<i64>, Error> {
    let sql = "SELECT epoch FROM map WHERE name = $1";
    Ok(sqlx::query_scalar(sql).bind(name).fetch_optional(connection).await?)
}

/// Whether a map that had this epoch, or was not there, is as it was, and stays so until the transaction ends. False
/// where somebody is about to change it.
pub(crate) async fn is_still(
    connection: &mut PgConnection,
    name: &str,
    epoch: Option<i64>,
) -> Result<bool, Error> {
    if epoch.is_none() {
        return Ok(self::epoch(connection, name).await?.is_none());
    }
    let sql = "SELECT epoch FROM map WHERE name = $1 FOR SHARE SKIP LOCKED";
    let now: Option<i64> = sqlx::query_scalar(sql).bind(name).fetch_optional(connection).await?;
    Ok(now == epoch)
}

/// Nobody else changes it until the transaction ends.
pub(crate) async fn lock(connection: &mut PgConnection, name: &str) -> Result<StoredMap, Error> {
    fetch(connection, name, "FOR UPDATE").await
}

/// All of these, in the order of their names, so that no two callers wait for each other.
pub(crate) async fn lock_all(
    connection: &mut PgConnection,
    names: &[String],
) -> Result<Vec<StoredMap>, Error> {
    let mut sorted: Vec<_> = names.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut found = Vec::with_capacity(sorted.len());
    for name in &sorted {
        found.push(lock(connection, name).await?);
    }
    Ok(found)
}

async fn fetch(
    connection: &mut PgConnection,
    name: &str,
    locking: &'static str,
) -> Result<StoredMap, Error> {
    let sql = format!("SELECT {COLUMNS} FROM map WHERE name = $1 {locking}");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name).fetch_optional(connection).await?;
    read(&row.ok_or_else(|| Error::NotFound(names::shown(name)))?)
}

/// Puts a new map there, not running.
pub(crate) async fn insert(connection: &mut PgConnection, map: &TableMap) -> Result<(), Error> {
    let inserted = sqlx::query(
        "INSERT INTO map (name, display_name, finance_and_operations_entity, platform_table,
             active_version, epoch, company_specific, sync_mode, primary_side, owning_team,
             peer_timeout_milliseconds, debug, coalesce_queue, import_task_count,
             import_threshold_row_count)
         VALUES ($1, $2, $3, $4, $5, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $6, $7,
             $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (name) DO NOTHING",
    )
    .bind(&map.name)
    .bind(&map.display_name)
    .bind(&map.finance_and_operations_entity)
    .bind(&map.platform_table)
    .bind(&map.active_version)
    .bind(map.company_specific)
    .bind(mode_text(map.sync_mode()))
    .bind(side_text(primary(map)))
    .bind(&map.owning_team)
    .bind(timeout_milliseconds(map))
    .bind(map.debug)
    .bind(map.coalesce_queue)
    .bind(map.import_task_count)
    .bind(map.import_threshold_row_count)
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(Error::Exists(map.name.clone()));
    }
    sqlx::query("INSERT INTO map_report (map) VALUES ($1)")
        .bind(&map.name)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes the settings, which change in any state. The sync mode and the primary side decide how changes
/// are shared: with them the epoch grows.
pub(crate) async fn update_settings(
    connection: &mut PgConnection,
    map: &TableMap,
) -> Result<(), Error> {
    let sql = format!(
        "UPDATE map SET display_name = $2, sync_mode = $3, primary_side = $4, owning_team = $5,
             peer_timeout_milliseconds = $6, debug = $7, coalesce_queue = $8,
             import_task_count = $9, import_threshold_row_count = $10, revision = revision + 1,
             epoch = CASE WHEN sync_mode = $3 AND primary_side = $4 AND owning_team = $5
                          THEN epoch ELSE {NEXT_EPOCH} END
         WHERE name = $1"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(&map.name)
        .bind(&map.display_name)
        .bind(mode_text(map.sync_mode()))
        .bind(side_text(primary(map)))
        .bind(&map.owning_team)
        .bind(timeout_milliseconds(map))
        .bind(map.debug)
        .bind(map.coalesce_queue)
        .bind(map.import_task_count)
        .bind(map.import_threshold_row_count)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn set_state(
    connection: &mut PgConnection,
    name: &str,
    state: MapState,
) -> Result<(), Error> {
    let sql = format!(
        "UPDATE map SET state = $2, state_change_time = now(), revision = revision + 1,
             epoch = {NEXT_EPOCH}
         WHERE name = $1"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(name)
        .bind(state_text(state))
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn set_version(
    connection: &mut PgConnection,
    name: &str,
    version: &str,
    company_specific: bool,
) -> Result<(), Error> {
    let sql = format!(
        "UPDATE map SET active_version = $2, company_specific = $3, revision = revision + 1,
             epoch = {NEXT_EPOCH}
         WHERE name = $1"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(name)
        .bind(version)
        .bind(company_specific)
        .execute(connection)
        .await?;
    Ok(())
}

/// With a new epoch: the tables are other ones.
pub(crate) async fn renew_epoch(connection: &mut PgConnection, name: &str) -> Result<(), Error> {
    let sql =
        format!("UPDATE map SET revision = revision + 1, epoch = {NEXT_EPOCH} WHERE name = $1");
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name).execute(connection).await?;
    Ok(())
}

/// With a new epoch for every map that is not stopped: the companies are other ones.
pub(crate) async fn renew_epochs(connection: &mut PgConnection) -> Result<(), Error> {
    let sql = format!(
        "UPDATE map SET revision = revision + 1, epoch = {NEXT_EPOCH}
         WHERE state NOT IN ('NOT_RUNNING', 'STOPPING')"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

pub(crate) async fn delete(connection: &mut PgConnection, name: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM activity WHERE map = $1").bind(name).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM map WHERE name = $1").bind(name).execute(connection).await?;
    Ok(())
}

fn read(row: &PgRow) -> Result<StoredMap, Error> {
    let mode: String = row.try_get("sync_mode")?;
    let side: String = row.try_get("primary_side")?;
    let state: String = row.try_get("state")?;
    let timeout: Option<i64> = row.try_get("peer_timeout_milliseconds")?;
    let changed: DateTime<Utc> = row.try_get("state_change_time")?;
    let revision: i64 = row.try_get("revision")?;
    let map = TableMap {
        name: row.try_get("name")?,
        display_name: row.try_get("display_name")?,
        finance_and_operations_entity: row.try_get("finance_and_operations_entity")?,
        platform_table: row.try_get("platform_table")?,
        active_version: row.try_get("active_version")?,
        state: state_of(&state)?.into(),
        sync_mode: mode_of(&mode)?.into(),
        primary_side: side_of(&side)?.into(),
        company_specific: row.try_get("company_specific")?,
        owning_team: row.try_get("owning_team")?,
        peer_timeout: timeout.map(names::duration),
        debug: row.try_get("debug")?,
        coalesce_queue: row.try_get("coalesce_queue")?,
        import_task_count: row.try_get("import_task_count")?,
        import_threshold_row_count: row.try_get("import_threshold_row_count")?,
        counters: None,
        last_error: None,
        state_change_time: Some(names::timestamp(changed)),
        etag: revision.to_string(),
    };
    Ok(StoredMap { map, epoch: row.try_get("epoch")? })
}

fn primary(map: &TableMap) -> Side {
    match map.primary_side() {
        Side::FinanceAndOperations => Side::FinanceAndOperations,
        Side::Platform | Side::Unspecified => Side::Platform,
    }
}

fn timeout_milliseconds(map: &TableMap) -> Option<i64> {
    map.peer_timeout.as_ref().map(names::milliseconds)
}

fn mode_text(mode: SyncMode) -> &'static str {
    match mode {
        SyncMode::Unspecified | SyncMode::Live => "LIVE",
        SyncMode::LiveOrQueue => "LIVE_OR_QUEUE",
        SyncMode::Asynchronous => "ASYNCHRONOUS",
    }
}

fn mode_of(text: &str) -> Result<SyncMode, Error> {
    SyncMode::from_str_name(&format!("SYNC_MODE_{text}"))
        .ok_or_else(|| Error::Stored(format!("a sync mode `{text}`")))
}
