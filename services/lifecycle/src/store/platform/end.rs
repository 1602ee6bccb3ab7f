//! Rows of what is deleted: for a while they can be brought back.

use sqlx::postgres::PgExecutor;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::{Platform, SELECT};
use crate::store::name_claim::{self, Kind};

/// It is deleted, and can be recovered; its names stay taken for a while.
pub(crate) async fn delete(
    connection: &mut PgConnection,
    environment: &Platform,
) -> Result<(), sqlx::Error> {
    let update = "
        UPDATE platform_environment SET delete_time = now(), state = 'deleted', revision = revision + 1
        WHERE id = $1 AND delete_time IS NULL";
    sqlx::query(update).bind(environment.id).execute(&mut *connection).await?;
    let kept = match environment.unified {
        true => name_claim::UNIFIED_HOST_KEPT,
        false => name_claim::KEPT,
    };
    name_claim::release(connection, Kind::Host, environment.id, kept).await?;
    name_claim::release(connection, Kind::UnifiedName, environment.id, name_claim::KEPT).await
}

/// Brings a deleted one back, unless its host or name is somebody else's by now.
pub(crate) async fn recover(
    connection: &mut PgConnection,
    environment: &Platform,
) -> Result<bool, sqlx::Error> {
    let host = environment.dataverse.as_ref().map(|it| (Kind::Host, it.host_name.as_str()));
    let unified =
        environment.unified.then_some((Kind::UnifiedName, environment.display_name.as_str()));
    for (kind, name) in host.into_iter().chain(unified) {
        if !name_claim::claim(connection, kind, name, environment.id).await? {
            return Ok(false);
        }
    }
    let update = "
        UPDATE platform_environment SET delete_time = NULL, state = 'ready', revision = revision + 1
        WHERE id = $1 AND purge_time IS NULL";
    sqlx::query(update).bind(environment.id).execute(connection).await?;
    Ok(true)
}

/// Those whose time to be recovered is over and that nothing is at work on.
pub(crate) async fn expired(
    executor: impl PgExecutor<'_>,
    recoverable_seconds: f64,
) -> Result<Vec<Platform>, sqlx::Error> {
    let select = format!(
        "{SELECT} AND p.delete_time <= now() - make_interval(secs => $1)
         AND NOT EXISTS (SELECT FROM operation_hold h WHERE h.target = 'platformEnvironments/' || p.id)"
    );
    sqlx::query_as(AssertSqlSafe(select)).bind(recoverable_seconds).fetch_all(executor).await
}

/// Its database is gone for good.
pub(crate) async fn purge(connection: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    let update = "
        UPDATE platform_environment SET purge_time = now(), database = NULL, organization_id = NULL
        WHERE id = $1 AND delete_time IS NOT NULL";
    sqlx::query(update).bind(id).execute(connection).await?;
    Ok(())
}

/// Takes a creation back, as if it had never been.
pub(crate) async fn forget(connection: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    let statements = [
        "DELETE FROM name_claim WHERE environment = $1",
        "DELETE FROM platform_environment WHERE id = $1",
    ];
    for statement in statements {
        sqlx::query(statement).bind(id).execute(&mut *connection).await?;
    }
    Ok(())
}
