//! Rows of `finance_and_operations_environment`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use proto::lifecycle::v1::{
    FinanceAndOperationsEnvironmentState as State, FinanceAndOperationsEnvironmentType as Type,
};
use sqlx::postgres::{PgExecutor, PgRow};
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Row as _};
use uuid::Uuid;

use super::name_claim::{self, Kind};
use super::word;

/// The ERP's half.
#[derive(Clone, Debug)]
pub(crate) struct FinanceAndOperations {
    pub(crate) environment_id: Uuid,
    /// Last part of its name.
    pub(crate) id: String,
    pub(crate) display_name: String,
    pub(crate) kind: Type,
    pub(crate) state: State,
    pub(crate) url: String,
    pub(crate) tenant_id: Uuid,
    pub(crate) region: String,
    /// `users/…`.
    pub(crate) administrator: String,
    pub(crate) version: String,
    /// Name of its database.
    pub(crate) database: String,
    /// The database was there before, and is somebody else's.
    pub(crate) adopted: bool,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) revision: i64,
    /// Of the platform environment that was made with it and is still connected.
    pub(crate) initial: Option<Uuid>,
    /// Id of its link, and the platform environment on the other end.
    pub(crate) link: Option<(String, Uuid)>,
}

const SELECT: &str = "
    SELECT f.*, p.id AS initial_id, l.id AS link_id, l.platform_environment AS link_platform_environment
    FROM finance_and_operations_environment f
    LEFT JOIN platform_environment p ON p.initial_of = f.environment_id
    LEFT JOIN link l ON l.finance_and_operations_environment = f.environment_id
    WHERE f.delete_time IS NULL";

impl FromRow<'_, PgRow> for FinanceAndOperations {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let link: Option<String> = row.try_get("link_id")?;
        let linked_with: Option<Uuid> = row.try_get("link_platform_environment")?;
        Ok(Self {
            environment_id: row.try_get("environment_id")?,
            id: row.try_get("id")?,
            display_name: row.try_get("display_name")?,
            kind: word(row, "type")?,
            state: word(row, "state")?,
            url: row.try_get("url")?,
            tenant_id: row.try_get("tenant_id")?,
            region: row.try_get("region")?,
            administrator: row.try_get("administrator")?,
            version: row.try_get("version")?,
            database: row.try_get("database")?,
            adopted: row.try_get("adopted")?,
            create_time: row.try_get("create_time")?,
            revision: row.try_get("revision")?,
            initial: row.try_get("initial_id")?,
            link: link.zip(linked_with),
        })
    }
}

impl FinanceAndOperations {
    /// `financeAndOperationsEnvironments/contoso-prod`.
    pub(crate) fn name(&self) -> String {
        crate::resource::name(crate::resource::FINANCE_AND_OPERATIONS, &self.id)
    }
}

/// One of them that is not deleted, by the last part of its name.
pub(crate) async fn by_id(
    executor: impl PgExecutor<'_>,
    id: &str,
) -> Result<Option<FinanceAndOperations>, sqlx::Error> {
    let select = format!("{SELECT} AND f.id = $1");
    sqlx::query_as(AssertSqlSafe(select)).bind(id).fetch_optional(executor).await
}

/// The same by its GUID.
pub(crate) async fn find(
    executor: impl PgExecutor<'_>,
    environment_id: Uuid,
) -> Result<Option<FinanceAndOperations>, sqlx::Error> {
    let select = format!("{SELECT} AND f.environment_id = $1");
    sqlx::query_as(AssertSqlSafe(select)).bind(environment_id).fetch_optional(executor).await
}

/// The first ones after a name; only those of this administrator (`users/…`), where one is given.
pub(crate) async fn list(
    executor: impl PgExecutor<'_>,
    after: &str,
    administrator: Option<&str>,
    limit: i64,
) -> Result<Vec<FinanceAndOperations>, sqlx::Error> {
    let select = format!(
        "{SELECT} AND f.id > $1 AND ($3::text IS NULL OR lower(f.administrator) = lower($3))
         ORDER BY f.id LIMIT $2"
    );
    sqlx::query_as(AssertSqlSafe(select))
        .bind(after)
        .bind(limit)
        .bind(administrator)
        .fetch_all(executor)
        .await
}

/// How many there are of a type, or are being made.
pub(crate) async fn count(executor: impl PgExecutor<'_>, kind: Type) -> Result<i64, sqlx::Error> {
    use crate::words::Word as _;
    let count = "SELECT count(*) FROM finance_and_operations_environment
                 WHERE delete_time IS NULL AND type = $1";
    sqlx::query_scalar(count).bind(kind.word()).fetch_one(executor).await
}

/// Writes a new one, unless its id or URL is taken: answers what is.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    new: &FinanceAndOperations,
) -> Result<Option<Kind>, sqlx::Error> {
    use crate::words::Word as _;
    let id = new.environment_id;
    for (kind, name) in [
        (Kind::FinanceAndOperations, &new.id),
        (Kind::FinanceAndOperationsUrl, &new.url),
        (Kind::FinanceAndOperationsDatabase, &new.database),
    ] {
        if !name_claim::claim(connection, kind, name, id).await? {
            return Ok(Some(kind));
        }
    }
    let insert = "
        INSERT INTO finance_and_operations_environment
            (environment_id, id, display_name, type, state, url, tenant_id, region, administrator, version,
             database, adopted)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    sqlx::query(insert)
        .bind(id)
        .bind(&new.id)
        .bind(&new.display_name)
        .bind(new.kind.word())
        .bind(new.state.word())
        .bind(&new.url)
        .bind(new.tenant_id)
        .bind(&new.region)
        .bind(&new.administrator)
        .bind(&new.version)
        .bind(&new.database)
        .bind(new.adopted)
        .execute(connection)
        .await?;
    Ok(None)
}

/// Changes its state.
pub(crate) async fn set_state(
    executor: impl PgExecutor<'_>,
    environment_id: Uuid,
    state: State,
) -> Result<(), sqlx::Error> {
    use crate::words::Word as _;
    let update = "
        UPDATE finance_and_operations_environment SET state = $2, revision = revision + 1
        WHERE environment_id = $1 AND state <> $2";
    sqlx::query(update).bind(environment_id).bind(state.word()).execute(executor).await?;
    Ok(())
}

/// Changes who administers it, if nobody changed it since; says whether that was so.
pub(crate) async fn set_administrator(
    executor: impl PgExecutor<'_>,
    environment_id: Uuid,
    revision: i64,
    administrator: &str,
) -> Result<bool, sqlx::Error> {
    let update = "
        UPDATE finance_and_operations_environment SET administrator = $3, revision = revision + 1
        WHERE environment_id = $1 AND revision = $2 AND delete_time IS NULL";
    let query = sqlx::query(update).bind(environment_id).bind(revision).bind(administrator);
    Ok(query.execute(executor).await?.rows_affected() == 1)
}

/// It is deleted: its link and its hold on its initial environment end, and its names stay taken for a while.
pub(crate) async fn delete(
    connection: &mut PgConnection,
    environment_id: Uuid,
) -> Result<(), sqlx::Error> {
    let statements = [
        "DELETE FROM link WHERE finance_and_operations_environment = $1",
        "UPDATE platform_environment SET initial_of = NULL, revision = revision + 1 WHERE initial_of = $1",
        "UPDATE finance_and_operations_environment SET delete_time = now(), revision = revision + 1
         WHERE environment_id = $1 AND delete_time IS NULL",
    ];
    for statement in statements {
        sqlx::query(statement).bind(environment_id).execute(&mut *connection).await?;
    }
    for kind in [Kind::FinanceAndOperations, Kind::FinanceAndOperationsUrl] {
        name_claim::release(connection, kind, environment_id, name_claim::KEPT).await?;
    }
    let database = Kind::FinanceAndOperationsDatabase;
    name_claim::release(connection, database, environment_id, Duration::ZERO).await
}

/// Takes a creation back, as if it had never been: its names are free at once.
pub(crate) async fn forget(
    connection: &mut PgConnection,
    environment_id: Uuid,
) -> Result<(), sqlx::Error> {
    let statements = [
        "DELETE FROM name_claim WHERE environment = $1",
        "DELETE FROM finance_and_operations_environment WHERE environment_id = $1",
    ];
    for statement in statements {
        sqlx::query(statement).bind(environment_id).execute(&mut *connection).await?;
    }
    Ok(())
}
