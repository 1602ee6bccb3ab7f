//! Rows of `backup`: copies to go back to.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgExecutor, PgRow};
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Row as _};
use uuid::Uuid;

/// A copy of one half.
#[derive(Clone, Debug)]
pub(crate) struct Backup {
    pub(crate) id: Uuid,
    pub(crate) platform_environment: Option<Uuid>,
    pub(crate) finance_and_operations_environment: Option<Uuid>,
    pub(crate) label: String,
    /// Taken by the system before it overwrote something.
    pub(crate) system: bool,
    /// In the backups' directory.
    pub(crate) file: String,
    pub(crate) size_bytes: i64,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) expire_time: DateTime<Utc>,
}

impl FromRow<'_, PgRow> for Backup {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            platform_environment: row.try_get("platform_environment")?,
            finance_and_operations_environment: row
                .try_get("finance_and_operations_environment")?,
            label: row.try_get("label")?,
            system: row.try_get("system")?,
            file: row.try_get("file")?,
            size_bytes: row.try_get("size_bytes")?,
            create_time: row.try_get("create_time")?,
            expire_time: row.try_get("expire_time")?,
        })
    }
}

const COLUMNS: &str =
    "id, platform_environment, finance_and_operations_environment, label, system, file,
    size_bytes, create_time, expire_time";

/// One that is still kept.
pub(crate) async fn find(
    executor: impl PgExecutor<'_>,
    id: Uuid,
) -> Result<Option<Backup>, sqlx::Error> {
    let select = format!("SELECT {COLUMNS} FROM backup WHERE id = $1 AND expire_time > now()");
    sqlx::query_as(AssertSqlSafe(select)).bind(id).fetch_optional(executor).await
}

/// The newest of an environment, of either half, at or before a moment.
pub(crate) async fn newest(
    executor: impl PgExecutor<'_>,
    environment: Uuid,
    moment: DateTime<Utc>,
) -> Result<Option<Backup>, sqlx::Error> {
    let select = format!(
        "SELECT {COLUMNS} FROM backup
         WHERE $1 IN (platform_environment, finance_and_operations_environment)
           AND create_time <= $2 AND expire_time > now()
         ORDER BY create_time DESC, id DESC LIMIT 1"
    );
    sqlx::query_as(AssertSqlSafe(select))
        .bind(environment)
        .bind(moment)
        .fetch_optional(executor)
        .await
}

/// Of a platform environment, newest first, those older than a place.
pub(crate) async fn list(
    executor: impl PgExecutor<'_>,
    platform_environment: Uuid,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Backup>, sqlx::Error> {
    let select = format!(
        "SELECT {COLUMNS} FROM backup
         WHERE platform_environment = $1 AND expire_time > now()
           AND ($2::timestamptz IS NULL OR (create_time, id) < ($2, $3))
         ORDER BY create_time DESC, id DESC LIMIT $4"
    );
    let (time, id) = before.unzip();
    sqlx::query_as(AssertSqlSafe(select))
        .bind(platform_environment)
        .bind(time)
        .bind(id)
        .bind(limit)
        .fetch_all(executor)
        .await
}

/// Writes one whose file is there, unless it is written already.
pub(crate) async fn insert(connection: &mut PgConnection, new: &Backup) -> Result<(), sqlx::Error> {
    let insert = "
        INSERT INTO backup (id, platform_environment, finance_and_operations_environment, label, system, file,
                            size_bytes, create_time, expire_time)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING";
    sqlx::query(insert)
        .bind(new.id)
        .bind(new.platform_environment)
        .bind(new.finance_and_operations_environment)
        .bind(&new.label)
        .bind(new.system)
        .bind(&new.file)
        .bind(new.size_bytes)
        .bind(new.create_time)
        .bind(new.expire_time)
        .execute(connection)
        .await?;
    Ok(())
}

/// Those that are not kept any longer, or whose environment is not.
pub(crate) async fn expired(executor: impl PgExecutor<'_>) -> Result<Vec<Backup>, sqlx::Error> {
    let select = format!(
        "SELECT {COLUMNS} FROM backup b WHERE expire_time <= now()
            OR EXISTS (SELECT FROM platform_environment p
                       WHERE p.id = b.platform_environment AND p.purge_time IS NOT NULL)"
    );
    sqlx::query_as(AssertSqlSafe(select)).fetch_all(executor).await
}

/// Forgets one whose file is gone.
pub(crate) async fn remove(executor: impl PgExecutor<'_>, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM backup WHERE id = $1").bind(id).execute(executor).await?;
    Ok(())
}
