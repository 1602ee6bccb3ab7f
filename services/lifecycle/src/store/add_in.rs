//! What is installed where, and what is known of an environment that something is to be installed in.

use chrono::{DateTime, Utc};
use proto::lifecycle::v1::AddInInstallationState as State;
use sqlx::postgres::{PgExecutor, PgRow};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::words::Word as _;

/// A platform environment, as add-ins see it.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    pub(crate) url: String,
    /// Absent without Dataverse.
    pub(crate) database: Option<String>,
    pub(crate) database_role: String,
    /// Absent unless linked, or linked but for the last stages of a setup.
    pub(crate) erp: Option<Erp>,
    pub(crate) dual_write_linked: bool,
}

/// The other half of the link.
#[derive(Clone, Debug)]
pub(crate) struct Erp {
    pub(crate) display_name: String,
    /// Its type.
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) region: String,
    pub(crate) version: String,
    /// `users/…`.
    pub(crate) administrator: String,
}

/// An add-in in an environment.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub(crate) platform_environment: Uuid,
    pub(crate) add_in: String,
    pub(crate) version: String,
    pub(crate) state: State,
    /// A JSON object.
    pub(crate) parameters: String,
    pub(crate) status_text: String,
    pub(crate) operation: Uuid,
    pub(crate) install_time: Option<DateTime<Utc>>,
    pub(crate) revision: i64,
}

impl Installation {
    /// Its version, for who wants to change it.
    pub(crate) fn etag(&self) -> String {
        self.revision.to_string()
    }
}

// One whose operation waits for somebody says what it waits for.
const COLUMNS: &str = "platform_environment, add_in, version, state, parameters::text,
    coalesce((SELECT o.failure ->> 'message' FROM operation o
              WHERE o.id = add_in_installation.operation AND o.state = 'failed'), status_text) AS status_text,
    operation, install_time, revision";

/// An environment that is not deleted.
pub(crate) async fn environment(
    executor: impl PgExecutor<'_>,
    id: Uuid,
) -> Result<Option<Environment>, sqlx::Error> {
    // A setup that got as far as dual-write and failed there left everything that add-ins need (spec §1.3).
    let select = "
        SELECT p.id, p.display_name, p.url, p.database, p.database_role,
               coalesce(l.dual_write_status = 'linked', false) AS dual_write_linked,
               f.display_name AS erp_display_name, f.type AS erp_type, f.state AS erp_state,
               f.region AS erp_region, f.version AS erp_version,
               f.administrator AS erp_administrator
        FROM platform_environment p
        LEFT JOIN link l ON l.platform_environment = p.id
        LEFT JOIN LATERAL (
            SELECT o.targets FROM operation o
            JOIN operation_stage s ON s.operation = o.id
            WHERE l.id IS NULL AND o.kind = 'setup' AND o.state = 'failed'
              AND 'platformEnvironments/' || p.id = ANY (o.targets)
              AND s.stage = 'dual_write_platform_setup' AND s.state = 'failed'
            LIMIT 1
        ) unlinked ON true
        LEFT JOIN finance_and_operations_environment f
          ON f.environment_id = l.finance_and_operations_environment
          OR 'financeAndOperationsEnvironments/' || f.id = ANY (unlinked.targets)
        WHERE p.id = $1 AND p.delete_time IS NULL";
    let row = sqlx::query(select).bind(id).fetch_optional(executor).await?;
    row.map(|row| environment_of(&row)).transpose()
}

fn environment_of(row: &PgRow) -> Result<Environment, sqlx::Error> {
    let erp = match row.try_get::<Option<String>, _>("erp_display_name")? {
        Some(display_name) => Some(Erp {
            display_name,
            kind: row.try_get("erp_type")?,
            state: row.try_get("erp_state")?,
            region: row.try_get("erp_region")?,
            version: row.try_get("erp_version")?,
            administrator: row.try_get("erp_administrator")?,
        }),
        None => None,
    };
    Ok(Environment {
        id: row.try_get("id")?,
        display_name: row.try_get("display_name")?,
        url: row.try_get::<Option<String>, _>("url")?.unwrap_or_default(),
        database: row.try_get("database")?,
        database_role: row.try_get("database_role")?,
        erp,
        dual_write_linked: row.try_get("dual_write_linked")?,
    })
}

/// One installation.
pub(crate) async fn find(
    executor: impl PgExecutor<'_>,
    platform_environment: Uuid,
    add_in: &str,
) -> Result<Option<Installation>, sqlx::Error> {
    let select = format!(
        "SELECT {COLUMNS} FROM add_in_installation WHERE platform_environment = $1 AND add_in = $2"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(select)).bind(platform_environment).bind(add_in);
    let row = query.fetch_optional(executor).await?;
    row.map(|row| installation_of(&row)).transpose()
}

/// The first installations after a place, of one environment or of all.
pub(crate) async fn list(
    executor: impl PgExecutor<'_>,
    platform_environment: Option<Uuid>,
    after: (Uuid, &str),
    limit: i64,
) -> Result<Vec<Installation>, sqlx::Error> {
    let select = format!(
        "SELECT {COLUMNS} FROM add_in_installation
         WHERE ($1::uuid IS NULL OR platform_environment = $1)
           AND (platform_environment, add_in) > ($2, $3)
         ORDER BY platform_environment, add_in LIMIT $4"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(select))
        .bind(platform_environment)
        .bind(after.0)
        .bind(after.1)
        .bind(limit);
    query.fetch_all(executor).await?.iter().map(installation_of).collect()
}

/// Everything in one environment.
pub(crate) async fn all_of(
    executor: impl PgExecutor<'_>,
    platform_environment: Uuid,
) -> Result<Vec<Installation>, sqlx::Error> {
    list(executor, Some(platform_environment), (Uuid::nil(), ""), i64::MAX).await
}

fn installation_of(row: &PgRow) -> Result<Installation, sqlx::Error> {
    let state: String = row.try_get("state")?;
    let unknown =
        || sqlx::Error::Decode(format!("`{state}` is no state of an installation").into());
    Ok(Installation {
        platform_environment: row.try_get("platform_environment")?,
        add_in: row.try_get("add_in")?,
        version: row.try_get("version")?,
        state: State::of_word(&state).ok_or_else(unknown)?,
        parameters: row.try_get("parameters")?,
        status_text: row.try_get("status_text")?,
        operation: row.try_get("operation")?,
        install_time: row.try_get("install_time")?,
        revision: row.try_get("revision")?,
    })
}

/// Writes an installation where there is none; says whether there was none.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    installation: &Installation,
) -> Result<bool, sqlx::Error> {
    let insert = "
        INSERT INTO add_in_installation
            (platform_environment, add_in, version, state, parameters, operation, install_time)
        VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7) ON CONFLICT DO NOTHING";
    let query = sqlx::query(insert)
        .bind(installation.platform_environment)
        .bind(&installation.add_in)
        .bind(&installation.version)
        .bind(installation.state.word())
        .bind(&installation.parameters)
        .bind(installation.operation)
        .bind(installation.install_time);
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

/// Another state, because of an operation.
pub(crate) async fn set_state(
    connection: &mut PgConnection,
    installation: (Uuid, &str),
    operation: Uuid,
    state: State,
) -> Result<(), sqlx::Error> {
    let update = "
        UPDATE add_in_installation SET state = $3, operation = $4, revision = revision + 1
        WHERE platform_environment = $1 AND add_in = $2 AND (state, operation) <> ($3, $4)";
    let query = sqlx::query(update)
        .bind(installation.0)
        .bind(installation.1)
        .bind(state.word())
        .bind(operation);
    query.execute(connection).await?;
    Ok(())
}

/// It works, with these parameters.
pub(crate) async fn set_installed(
    connection: &mut PgConnection,
    installation: (Uuid, &str),
    parameters: &str,
    status_text: &str,
) -> Result<(), sqlx::Error> {
    let update = "
        UPDATE add_in_installation SET state = 'installed', parameters = $3::text::jsonb, status_text = $4,
            install_time = coalesce(install_time, now()), revision = revision + 1
        WHERE platform_environment = $1 AND add_in = $2";
    let query = sqlx::query(update)
        .bind(installation.0)
        .bind(installation.1)
        .bind(parameters)
        .bind(status_text);
    query.execute(connection).await?;
    Ok(())
}

/// What the add-in says of itself; no new version of the installation.
pub(crate) async fn set_status_text(
    executor: impl PgExecutor<'_>,
    installation: (Uuid, &str),
    status_text: &str,
) -> Result<(), sqlx::Error> {
    let update = "
        UPDATE add_in_installation SET status_text = $3
        WHERE platform_environment = $1 AND add_in = $2 AND status_text <> $3";
    sqlx::query(update)
        .bind(installation.0)
        .bind(installation.1)
        .bind(status_text)
        .execute(executor)
        .await?;
    Ok(())
}

/// It is not there any more.
pub(crate) async fn remove(
    connection: &mut PgConnection,
    installation: (Uuid, &str),
) -> Result<(), sqlx::Error> {
    let delete = "DELETE FROM add_in_installation WHERE platform_environment = $1 AND add_in = $2";
    sqlx::query(delete).bind(installation.0).bind(installation.1).execute(connection).await?;
    Ok(())
}
