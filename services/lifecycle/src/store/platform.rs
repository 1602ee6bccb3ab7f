//! Rows of `platform_environment`.

mod end;

use chrono::{DateTime, Utc};
use proto::lifecycle::v1::{PlatformEnvironmentState as State, PlatformEnvironmentType as Type};
use sqlx::postgres::{PgExecutor, PgRow};
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Row as _};
use uuid::Uuid;

pub(crate) use end::{delete, expired, forget, purge, recover};

use super::name_claim::{self, Kind};
use super::word;
use crate::words::Word as _;

/// The platform's half.
#[derive(Clone, Debug)]
pub(crate) struct Platform {
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    pub(crate) kind: Type,
    pub(crate) state: State,
    /// `europe`.
    pub(crate) location: String,
    /// Empty: any of the location.
    pub(crate) region: String,
    pub(crate) tenant_id: Uuid,
    pub(crate) dataverse: Option<Dataverse>,
    /// The ERP that it was made with and is still connected to.
    pub(crate) initial_of: Option<Uuid>,
    /// Last part of that one's name.
    pub(crate) initial_name: Option<String>,
    /// It was made with an ERP, whatever it is connected to now.
    pub(crate) initial: bool,
    /// Finance and operations is, or was, an app of it.
    pub(crate) unified: bool,
    /// The app of the platform tools is installed.
    pub(crate) platform_tools: bool,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) delete_time: Option<DateTime<Utc>>,
    pub(crate) revision: i64,
    pub(crate) link: Option<LinkEnd>,
    /// Of the ERP that it is linked with, or initial of.
    pub(crate) finance_and_operations_url: Option<String>,
}

/// The link of a platform environment, seen from there.
#[derive(Clone, Debug)]
pub(crate) struct LinkEnd {
    pub(crate) id: String,
    /// The ERP.
    pub(crate) environment_id: Uuid,
    pub(crate) url: String,
}

/// The Dataverse database of an environment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Dataverse {
    pub(crate) host_name: String,
    pub(crate) url: String,
    pub(crate) organization_id: Uuid,
    pub(crate) language: String,
    pub(crate) currency_code: String,
    pub(crate) d365_apps_enabled: bool,
    /// Of PostgreSQL.
    pub(crate) database: String,
    /// Owns it; empty where it was there before.
    pub(crate) role: String,
}

const SELECT: &str = "
    SELECT p.*, l.id AS link_id, l.finance_and_operations_environment AS link_environment,
           f.url AS link_url, i.id AS initial_name, i.url AS initial_url
    FROM platform_environment p
    LEFT JOIN link l ON l.platform_environment = p.id
    LEFT JOIN finance_and_operations_environment f
        ON f.environment_id = l.finance_and_operations_environment
    LEFT JOIN finance_and_operations_environment i ON i.environment_id = p.initial_of
    WHERE p.purge_time IS NULL";

impl FromRow<'_, PgRow> for Platform {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let dataverse = match row.try_get::<Option<String>, _>("database")? {
            Some(database) => Some(Dataverse {
                host_name: row.try_get("host_name")?,
                url: row.try_get("url")?,
                organization_id: row.try_get("organization_id")?,
                language: row.try_get("language")?,
                currency_code: row.try_get("currency_code")?,
                d365_apps_enabled: row.try_get("d365_apps_enabled")?,
                database,
                role: row.try_get("database_role")?,
            }),
            None => None,
        };
        let link = match row.try_get::<Option<String>, _>("link_id")? {
            Some(id) => Some(LinkEnd {
                id,
                environment_id: row.try_get("link_environment")?,
                url: row.try_get("link_url")?,
            }),
            None => None,
        };
        let initial_url: Option<String> = row.try_get("initial_url")?;
        Ok(Self {
            id: row.try_get("id")?,
            display_name: row.try_get("display_name")?,
            kind: word(row, "type")?,
            state: word(row, "state")?,
            location: row.try_get("location")?,
            region: row.try_get("region")?,
            tenant_id: row.try_get("tenant_id")?,
            dataverse,
            initial_of: row.try_get("initial_of")?,
            initial_name: row.try_get("initial_name")?,
            initial: row.try_get("initial")?,
            unified: row.try_get("unified")?,
            platform_tools: row.try_get("platform_tools")?,
            create_time: row.try_get("create_time")?,
            delete_time: row.try_get("delete_time")?,
            revision: row.try_get("revision")?,
            finance_and_operations_url: link.as_ref().map(|it| it.url.clone()).or(initial_url),
            link,
        })
    }
}

impl Platform {
    /// `platformEnvironments/6f1c…`.
    pub(crate) fn name(&self) -> String {
        crate::resource::name(crate::resource::PLATFORM, self.id)
    }
}

/// One of them, also a deleted one that can be recovered.
pub(crate) async fn find(
    executor: impl PgExecutor<'_>,
    id: Uuid,
) -> Result<Option<Platform>, sqlx::Error> {
    let select = format!("{SELECT} AND p.id = $1");
    sqlx::query_as(AssertSqlSafe(select)).bind(id).fetch_optional(executor).await
}

/// Whether a database is one's.
pub(crate) async fn has_database(
    executor: impl PgExecutor<'_>,
    database: &str,
) -> Result<bool, sqlx::Error> {
    let select = "SELECT EXISTS (SELECT FROM platform_environment WHERE database = $1)";
    sqlx::query_scalar(select).bind(database).fetch_one(executor).await
}

/// The first ones after a display name and an id.
pub(crate) async fn list(
    executor: impl PgExecutor<'_>,
    after: (&str, Uuid),
    limit: i64,
    show_deleted: bool,
) -> Result<Vec<Platform>, sqlx::Error> {
    let select = format!(
        "{SELECT} AND (p.display_name, p.id) > ($1, $2) AND (p.delete_time IS NULL OR $4)
         ORDER BY p.display_name, p.id LIMIT $3"
    );
    sqlx::query_as(AssertSqlSafe(select))
        .bind(after.0)
        .bind(after.1)
        .bind(limit)
        .bind(show_deleted)
        .fetch_all(executor)
        .await
}

/// The first ones after an id, none of them deleted.
pub(crate) async fn list_by_id(
    executor: impl PgExecutor<'_>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Platform>, sqlx::Error> {
    let select = format!("{SELECT} AND p.id > $1 AND p.delete_time IS NULL ORDER BY p.id LIMIT $2");
    sqlx::query_as(AssertSqlSafe(select)).bind(after).bind(limit).fetch_all(executor).await
}

/// Writes a new one, unless its host is taken: answers whether it was written.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    new: &Platform,
) -> Result<bool, sqlx::Error> {
    let insert = "
        INSERT INTO platform_environment
            (id, display_name, type, state, location, region, tenant_id, initial_of, initial)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    sqlx::query(insert)
        .bind(new.id)
        .bind(&new.display_name)
        .bind(new.kind.word())
        .bind(new.state.word())
        .bind(&new.location)
        .bind(&new.region)
        .bind(new.tenant_id)
        .bind(new.initial_of)
        .bind(new.initial)
        .execute(&mut *connection)
        .await?;
    match &new.dataverse {
        Some(dataverse) => set_dataverse(connection, new.id, dataverse).await,
        None => Ok(true),
    }
}

/// Writes what its database is, or is going to be; answers whether the host was not taken.
pub(crate) async fn set_dataverse(
    connection: &mut PgConnection,
    id: Uuid,
    dataverse: &Dataverse,
) -> Result<bool, sqlx::Error> {
    if !name_claim::claim(connection, Kind::Host, &dataverse.host_name, id).await? {
        return Ok(false);
    }
    let update = "
        UPDATE platform_environment
        SET host_name = $2, url = $3, organization_id = $4, language = $5, currency_code = $6,
            d365_apps_enabled = $7, database = $8, database_role = $9, revision = revision + 1
        WHERE id = $1";
    sqlx::query(update)
        .bind(id)
        .bind(&dataverse.host_name)
        .bind(&dataverse.url)
        .bind(dataverse.organization_id)
        .bind(&dataverse.language)
        .bind(&dataverse.currency_code)
        .bind(dataverse.d365_apps_enabled)
        .bind(&dataverse.database)
        .bind(&dataverse.role)
        .execute(connection)
        .await?;
    Ok(true)
}

/// Its data is a copy of another one's, which decided once and for all what this says.
pub(crate) async fn set_origin(
    connection: &mut PgConnection,
    id: Uuid,
    source: (&Dataverse, bool),
) -> Result<(), sqlx::Error> {
    let (source, platform_tools) = source;
    let update = "
        UPDATE platform_environment
        SET language = $2, currency_code = $3, d365_apps_enabled = $4, platform_tools = $5,
            revision = revision + 1
        WHERE id = $1";
    sqlx::query(update)
        .bind(id)
        .bind(&source.language)
        .bind(&source.currency_code)
        .bind(source.d365_apps_enabled)
        .bind(platform_tools)
        .execute(connection)
        .await?;
    Ok(())
}

/// It has no database, and its host is free at once.
pub(crate) async fn clear_dataverse(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<(), sqlx::Error> {
    let statements = [
        "DELETE FROM name_claim WHERE kind = 'host' AND environment = $1",
        "UPDATE platform_environment
         SET host_name = NULL, url = NULL, organization_id = NULL, language = NULL, currency_code = NULL,
             d365_apps_enabled = false, platform_tools = false, database = NULL, database_role = '',
             revision = revision + 1
         WHERE id = $1",
    ];
    for statement in statements {
        sqlx::query(statement).bind(id).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Changes its state.
pub(crate) async fn set_state(
    executor: impl PgExecutor<'_>,
    id: Uuid,
    state: State,
) -> Result<(), sqlx::Error> {
    let update = "
        UPDATE platform_environment SET state = $2, revision = revision + 1
        WHERE id = $1 AND state <> $2";
    sqlx::query(update).bind(id).bind(state.word()).execute(executor).await?;
    Ok(())
}

/// Changes its type.
pub(crate) async fn set_kind(
    executor: impl PgExecutor<'_>,
    id: Uuid,
    kind: Type,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE platform_environment SET type = $2, revision = revision + 1
                  WHERE id = $1 AND type <> $2";
    sqlx::query(update).bind(id).bind(kind.word()).execute(executor).await?;
    Ok(())
}

/// Changes what it is called, if nobody changed it since; says whether that was so.
pub(crate) async fn set_display_name(
    executor: impl PgExecutor<'_>,
    id: Uuid,
    revision: i64,
    display_name: &str,
) -> Result<bool, sqlx::Error> {
    let update = "
        UPDATE platform_environment SET display_name = $3, revision = revision + 1
        WHERE id = $1 AND revision = $2 AND delete_time IS NULL";
    let query = sqlx::query(update).bind(id).bind(revision).bind(display_name);
    Ok(query.execute(executor).await?.rows_affected() == 1)
}

/// The apps of finance and operations may follow: a database that is made with Dynamics 365 apps comes with the
/// platform tools.
pub(crate) async fn set_platform_tools(
    executor: impl PgExecutor<'_>,
    id: Uuid,
    installed: bool,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE platform_environment SET platform_tools = $2, revision = revision + 1
                  WHERE id = $1 AND platform_tools <> $2";
    sqlx::query(update).bind(id).bind(installed).execute(executor).await?;
    Ok(())
}

/// Another host, and the old one is free after a while; answers whether it was not taken.
pub(crate) async fn change_host(
    connection: &mut PgConnection,
    environment: &Platform,
    dataverse: &Dataverse,
) -> Result<bool, sqlx::Error> {
    let kept = match environment.unified {
        true => name_claim::UNIFIED_HOST_KEPT,
        false => name_claim::KEPT,
    };
    name_claim::release(connection, Kind::Host, environment.id, kept).await?;
    set_dataverse(connection, environment.id, dataverse).await
}

/// Another display name of a unified one; answers whether it was not taken.
pub(crate) async fn rename_unified(
    connection: &mut PgConnection,
    id: Uuid,
    display_name: &str,
) -> Result<bool, sqlx::Error> {
    name_claim::release(connection, Kind::UnifiedName, id, name_claim::KEPT).await?;
    name_claim::claim(connection, Kind::UnifiedName, display_name, id).await
}

/// Finance and operations becomes an app of it, and its display name one that only one has; says whether it
/// was free.
pub(crate) async fn set_unified(
    connection: &mut PgConnection,
    environment: &Platform,
) -> Result<bool, sqlx::Error> {
    let name = &environment.display_name;
    if !name_claim::claim(connection, Kind::UnifiedName, name, environment.id).await? {
        return Ok(false);
    }
    let update = "UPDATE platform_environment SET unified = true, revision = revision + 1
                  WHERE id = $1 AND NOT unified";
    sqlx::query(update).bind(environment.id).execute(connection).await?;
    Ok(true)
}

/// It is no unified environment after all.
pub(crate) async fn unset_unified(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<(), sqlx::Error> {
    let statements = [
        "DELETE FROM name_claim WHERE kind = 'unified_name' AND environment = $1",
        "UPDATE platform_environment SET unified = false, revision = revision + 1 WHERE id = $1 AND unified",
    ];
    for statement in statements {
        sqlx::query(statement).bind(id).execute(&mut *connection).await?;
    }
    Ok(())
}
