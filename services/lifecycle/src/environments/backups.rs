//! Backups: made by administrators, and by the system before it overwrites something.

use std::sync::Arc;

use chrono::{Duration, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::lifecycle::v1::{
    FailureKind, FinanceAndOperationsEnvironmentType as ErpType, OperationStage,
    PlatformEnvironmentType,
};
use rpc::ErrorReason;
use uuid::Uuid;

use super::order::Half;
use super::stages::{erp_of, fail, platform_of};
use crate::Deps;
use crate::databases::Dump;
use crate::engine::{StageContext, StageError, Workflow};
use crate::store::backup::{self, Backup};

const KEPT_PRODUCTION: Duration = Duration::days(28);
const KEPT: Duration = Duration::days(7);

/// A backup that is to be made.
pub(super) struct Wanted<'a> {
    pub(super) id: Uuid,
    pub(super) half: Half,
    pub(super) environment: Uuid,
    pub(super) label: &'a str,
    pub(super) system: bool,
}

/// The name of a backup's file.
fn file(id: Uuid) -> String {
    format!("{}.backup", id.simple())
}

/// Makes a backup, unless it is made.
pub(super) async fn make(
    deps: &Arc<Deps>,
    context: &StageContext,
    wanted: &Wanted<'_>,
) -> Result<(), StageError> {
    if backup::find(deps.store.pool(), wanted.id).await?.is_some() {
        return Ok(());
    }
    let (server, database, kept) = match wanted.half {
        Half::Platform => {
            let environment = platform_of(deps, wanted.environment).await?;
            let production = environment.kind == PlatformEnvironmentType::Production;
            let Some(dataverse) = environment.dataverse else { return Err(no_database()) };
            let kept = if production { KEPT_PRODUCTION } else { KEPT };
            (&deps.databases.platform, dataverse.database, kept)
        }
        Half::Erp => {
            let environment = erp_of(deps, wanted.environment).await?;
            let production =
                [ErpType::Production, ErpType::UnifiedProduction].contains(&environment.kind);
            let kept = if production { KEPT_PRODUCTION } else { KEPT };
            (&deps.databases.erp, environment.database, kept)
        }
    };
    let dump = Dump::new(&deps.databases.backup_dir, &file(wanted.id));
    // The state that it holds is the one at the beginning.
    let create_time = Utc::now();
    // What an interrupted attempt left is older than it would say.
    dump.remove().await?;
    let size_bytes = server.size(&database).await?;
    dump.write(&deps.databases.programs, server, &database).await?;
    context.step("backup-written").await?;
    let new = Backup {
        id: wanted.id,
        platform_environment: (wanted.half == Half::Platform).then_some(wanted.environment),
        finance_and_operations_environment: (wanted.half == Half::Erp)
            .then_some(wanted.environment),
        label: wanted.label.to_owned(),
        system: wanted.system,
        file: file(wanted.id),
        size_bytes,
        create_time,
        expire_time: create_time + kept,
    };
    backup::insert(&mut *context.connection().await, &new).await?;
    Ok(())
}

fn no_database() -> StageError {
    let message = "The environment has no database.";
    fail(FailureKind::State, ErrorReason::InvalidState, message, "Cancel the operation.")
}

/// Takes a backup away: the row last, so that the file is never forgotten.
pub(super) async fn remove(deps: &Deps, id: Uuid) -> Result<(), StageError> {
    Dump::new(&deps.databases.backup_dir, &file(id)).remove().await?;
    commit::step("backup-file-removed");
    Ok(backup::remove(deps.store.pool(), id).await?)
}

/// The workflow of BACK_UP_ENVIRONMENT.
pub(crate) struct BackUp {
    pub(crate) deps: Arc<Deps>,
    pub(crate) half: Half,
    pub(crate) environment: Uuid,
    pub(crate) backup: Uuid,
    pub(crate) label: String,
}

impl Workflow for BackUp {
    fn stages(&self) -> Vec<OperationStage> {
        vec![OperationStage::CopyingData]
    }

    fn perform<'a>(
        &'a self,
        _stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        async move {
            let wanted = Wanted {
                id: self.backup,
                half: self.half,
                environment: self.environment,
                label: &self.label,
                system: false,
            };
            make(&self.deps, context, &wanted).await
        }
        .boxed()
    }

    fn undo<'a>(
        &'a self,
        _stage: OperationStage,
        _context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        remove(&self.deps, self.backup).boxed()
    }

    fn status_texts(&self) -> (&'static str, &'static str) {
        ("The environment is being backed up", "The environment was backed up")
    }
}
