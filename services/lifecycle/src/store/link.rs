//! Rows of links. There is no way to delete one but with its finance-and-operations environment.

use chrono::{DateTime, Utc};
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::DualWriteStatus;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use super::word;
use crate::engine::progress::timestamp;
use crate::resource::{self, FINANCE_AND_OPERATIONS, LINKS, PLATFORM, TEMPLATES};
use crate::words::Word as _;

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// That of the finance-and-operations environment.
    pub(crate) id: String,
    pub(crate) finance_and_operations_environment: Uuid,
    pub(crate) platform_environment: Uuid,
    pub(crate) template: String,
    pub(crate) dual_write_status: DualWriteStatus,
    pub(crate) dual_write_platform_environment: Option<Uuid>,
    pub(crate) create_time: DateTime<Utc>,
}

impl FromRow<'_, PgRow> for Link {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            finance_and_operations_environment: row
                .try_get("finance_and_operations_environment")?,
            platform_environment: row.try_get("platform_environment")?,
            template: row.try_get("template")?,
            dual_write_status: word(row, "dual_write_status")?,
            dual_write_platform_environment: row.try_get("dual_write_platform_environment")?,
            create_time: row.try_get("create_time")?,
        })
    }
}

impl Link {
    /// `links/…`.
    pub(crate) fn name(&self) -> String {
        resource::name(LINKS, &self.id)
    }

    /// As it is shown.
    pub(crate) fn to_message(&self) -> pb::Link {
        let platform = |it: Uuid| resource::name(PLATFORM, it);
        pb::Link {
            name: self.name(),
            finance_and_operations_environment: resource::name(FINANCE_AND_OPERATIONS, &self.id),
            platform_environment: platform(self.platform_environment),
            template: resource::name(TEMPLATES, &self.template),
            dual_write_status: self.dual_write_status.into(),
            dual_write_platform_environment: self
                .dual_write_platform_environment
                .map(platform)
                .unwrap_or_default(),
            create_time: Some(timestamp(self.create_time)),
        }
    }
}

/// By the id of its name.
pub(crate) async fn find(
    connection: &mut PgConnection,
    id: &str,
) -> Result<Option<Link>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM link WHERE id = $1").bind(id).fetch_optional(connection).await
}

/// Of an environment of either half, by its GUID.
pub(crate) async fn of_environment(
    connection: &mut PgConnection,
    environment: Uuid,
) -> Result<Option<Link>, sqlx::Error> {
    let sql = "SELECT * FROM link
               WHERE finance_and_operations_environment = $1 OR platform_environment = $1";
    sqlx::query_as(sql).bind(environment).fetch_optional(connection).await
}

/// By name; only those of what this user (`users/…`) administers, where one is given.
pub(crate) async fn list(
    connection: &mut PgConnection,
    after: &str,
    administrator: Option<&str>,
    limit: usize,
) -> Result<Vec<Link>, sqlx::Error> {
    let sql = "SELECT link.* FROM link
               JOIN finance_and_operations_environment f
                 ON f.environment_id = link.finance_and_operations_environment
               WHERE link.id > $1 AND ($2::text IS NULL OR lower(f.administrator) = lower($2))
               ORDER BY link.id LIMIT $3";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let links = sqlx::query_as(sql).bind(after).bind(administrator).bind(limit);
    links.fetch_all(connection).await
}

/// How far dual-write is.
pub(crate) async fn set_dual_write(
    connection: &mut PgConnection,
    id: &str,
    status: DualWriteStatus,
) -> Result<(), sqlx::Error> {
    let sql = "UPDATE link SET dual_write_status = $2 WHERE id = $1";
    sqlx::query(sql).bind(id).bind(status.word()).execute(connection).await?;
    Ok(())
}
