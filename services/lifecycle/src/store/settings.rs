//! The tenant's rules.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row as _};

/// The row.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) disable_environment_creation_by_non_admin_users: bool,
    pub(crate) disable_trial_environment_creation_by_non_admin_users: bool,
    pub(crate) country_code: String,
    pub(crate) revision: i64,
}

impl FromRow<'_, PgRow> for Settings {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            disable_environment_creation_by_non_admin_users: row
                .try_get("disable_environment_creation_by_non_admin_users")?,
            disable_trial_environment_creation_by_non_admin_users: row
                .try_get("disable_trial_environment_creation_by_non_admin_users")?,
            country_code: row.try_get("country_code")?,
            revision: row.try_get("revision")?,
        })
    }
}

/// As they are.
pub(crate) async fn read(connection: &mut PgConnection) -> Result<Settings, sqlx::Error> {
    sqlx::query_as("SELECT * FROM tenant_settings").fetch_one(connection).await
}

/// As they are, and nobody else changes them until the transaction ends.
pub(crate) async fn read_locked(connection: &mut PgConnection) -> Result<Settings, sqlx::Error> {
    sqlx::query_as("SELECT * FROM tenant_settings FOR UPDATE").fetch_one(connection).await
}

/// Replaces them; the revision is raised.
pub(crate) async fn write(
    connection: &mut PgConnection,
    settings: &Settings,
) -> Result<Settings, sqlx::Error> {
    let sql = "UPDATE tenant_settings SET disable_environment_creation_by_non_admin_users = $1,
                   disable_trial_environment_creation_by_non_admin_users = $2, country_code = $3,
                   revision = revision + 1
               RETURNING *";
    sqlx::query_as(sql)
        .bind(settings.disable_environment_creation_by_non_admin_users)
        .bind(settings.disable_trial_environment_creation_by_non_admin_users)
        .bind(&settings.country_code)
        .fetch_one(connection)
        .await
}
