//! What is no longer kept is removed: backups, databases of environments that can no longer be recovered, and
//! files that a process which died was writing.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;

use super::backups;
use crate::Deps;
use crate::databases;
use crate::engine::StageError;
use crate::error::Error;
use crate::store::{backup, platform};

/// How long a deleted environment can be recovered.
pub(crate) const RECOVERABLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const PERIOD: Duration = Duration::from_secs(15 * 60);

/// Removes what is due, at once and then again and again.
pub(crate) async fn sweep(deps: Arc<Deps>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = sweep_once(&deps).await {
            tracing::warn!(%error, "what is no longer kept could not be removed; trying again later");
        }
    }
}

/// One process at a time does it, once.
async fn sweep_once(deps: &Deps) -> Result<(), Error> {
    databases::remove_unfinished(&deps.databases.backup_dir).await?;
    let mut session = deps.store.connect().await?;
    let lock = "SELECT pg_try_advisory_lock(hashtextextended('lifecycle.sweep', 0))";
    if sqlx::query_scalar(lock).fetch_one(&mut session).await? {
        for environment in platform::expired(&mut session, RECOVERABLE.as_secs_f64()).await? {
            // Its database first, so that it is never forgotten. One that was there before stays.
            if environment
                .dataverse
                .is_some_and(|it| it.database == databases::platform(environment.id))
            {
                deps.databases.drop_platform(environment.id).await?;
            }
            commit::step("expired-database-dropped");
            platform::purge(&mut session, environment.id).await?;
        }
        for expired in backup::expired(&mut session).await? {
            backups::remove(deps, expired.id).await.map_err(of_stage)?;
        }
    }
    Ok(session.close().await?)
}

fn of_stage(error: StageError) -> Error {
    let text = match error {
        StageError::Failed(failure) => failure.message,
        StageError::Transient(text) => text,
    };
    Error::StoreFailed(sqlx::Error::Protocol(text))
}
