//! An environment is overwritten: by another one (copy, refresh), by a backup (restore), by nothing (reset).
//!
//! Whatever it is overwritten by is restored into a database beside, which is made the target's (its
//! organization, its link's configuration) before the two swap names in one transaction. Until that begins,
//! giving up leaves the target as it was; from then on the old database is dropped and the operation ends.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::capacity::v1::CapacityOperation;
use proto::lifecycle::v1::{
    EnvironmentDatabase, FailureKind, FinanceAndOperationsEnvironmentState as ErpState,
    OperationStage, PlatformEnvironmentState as State,
};
use rpc::ErrorReason;
use uuid::Uuid;

use super::backups;
use super::capacity::{self, Need};
use super::order::{Half, Origin};
use super::provisioning;
use super::stages::{erp_of, fail, in_transaction, platform_of, set_erp_state, set_platform_state};
use crate::Deps;
use crate::databases::{self, Dump, Server, Target};
use crate::engine::{StageContext, StageError, Workflow};
use crate::resource::{self, PLATFORM};
use crate::store::{backup, platform};

/// Note: what the target grows by, in bytes.
const GROWTH: &str = "growth";

/// The workflow of COPY_ENVIRONMENT, RESTORE_ENVIRONMENT and RESET_ENVIRONMENT.
pub(crate) struct Replace {
    pub(crate) deps: Arc<Deps>,
    pub(crate) half: Half,
    pub(crate) target: Uuid,
    pub(crate) origin: Origin,
    /// The target counts for capacity.
    pub(crate) takes_capacity: bool,
}

/// Where a database is, and whose.
struct Place {
    server: Server,
    database: String,
    /// The role that owns it and what is in it.
    owner: String,
    /// As which the platform's services use it; empty: as themselves.
    role: String,
}

impl Workflow for Replace {
    fn stages(&self) -> Vec<OperationStage> {
        use OperationStage::{
            Configuring, CopyingData, ProvisioningDataverse, Removing, ReservingCapacity,
        };
        match (&self.origin, self.takes_capacity) {
            (Origin::Nothing, _) => vec![ProvisioningDataverse, Configuring, Removing],
            (_, true) => vec![ReservingCapacity, CopyingData, Configuring, Removing],
            (_, false) => vec![CopyingData, Configuring, Removing],
        }
    }

    fn perform<'a>(
        &'a self,
        stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        async move {
            match stage {
                OperationStage::ReservingCapacity => {
                    self.estimate(context).await?;
                    self.keep(context).await
                }
                OperationStage::CopyingData => self.copy(context).await,
                OperationStage::ProvisioningDataverse => self.make_empty(context).await,
                OperationStage::Configuring => self.take_over(context).await,
                _ => self.clean_up(context).await,
            }
        }
        .boxed()
    }

    fn undo<'a>(
        &'a self,
        stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        async move {
            match stage {
                OperationStage::ReservingCapacity => {
                    let need = self.need(context).await?;
                    capacity::release(&self.deps.clients.capacity, context, &need).await?;
                }
                OperationStage::CopyingData | OperationStage::ProvisioningDataverse => {
                    let place = self.place(self.target).await?;
                    place.server.drop_database(&databases::beside(context.operation)).await?;
                    self.working_dump(context).remove().await?;
                }
                _ => {
                    let place = self.place(self.target).await?;
                    let (new, old) = names(context);
                    place.server.swap_back(&place.database, &new, &old).await?;
                }
            }
            if self.stages().first() == Some(&stage) {
                self.set_servicing(context, false).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn point_of_no_return(&self) -> Option<OperationStage> {
        Some(OperationStage::Configuring)
    }

    fn status_texts(&self) -> (&'static str, &'static str) {
        match self.origin {
            Origin::Environment { .. } => {
                ("The environment is being copied", "The environment was copied")
            }
            Origin::Backup { .. } => {
                ("The environment is being restored", "The environment was restored")
            }
            Origin::Nothing => ("The environment is being reset", "The environment was reset"),
        }
    }
}

fn names(context: &StageContext) -> (String, String) {
    (databases::beside(context.operation), databases::replaced(context.operation))
}

impl Replace {
    fn capacity_operation(&self) -> CapacityOperation {
        match self.origin {
            Origin::Environment { .. } => CapacityOperation::Copy,
            Origin::Backup { .. } | Origin::Nothing => CapacityOperation::Restore,
        }
    }

    fn target_name(&self) -> String {
        resource::name(PLATFORM, self.target)
    }

    /// What was found at the beginning: once the target is overwritten, nobody can tell any more.
    async fn need(&self, context: &StageContext) -> Result<Need, StageError> {
        let noted = context.noted(GROWTH).await?.and_then(|it| it.as_i64()).unwrap_or_default();
        Ok(Need::new(self.capacity_operation(), self.target_name()).with_size(noted))
    }

    /// Goes on holding what the target grows by, for as long as one of the long steps may take.
    async fn keep(&self, context: &StageContext) -> Result<(), StageError> {
        if !self.stages().contains(&OperationStage::ReservingCapacity) {
            return Ok(());
        }
        let need = self.need(context).await?;
        capacity::keep(&self.deps.clients.capacity, context, &need).await
    }

    /// Notes what the target grows by, unless it was noted.
    async fn estimate(&self, context: &StageContext) -> Result<(), StageError> {
        if context.noted(GROWTH).await?.is_some() {
            return Ok(());
        }
        let target = self.place(self.target).await?;
        let size = match &self.origin {
            Origin::Environment { id, .. } => {
                let source = self.place(*id).await?;
                source.server.size(&source.database).await?
            }
            Origin::Backup { id } => self.kept(*id).await?.size_bytes,
            Origin::Nothing => 0,
        };
        let growth = size - target.server.size(&target.database).await?;
        context.note(GROWTH, &growth.into()).await
    }

    /// Where an environment of this half has its data.
    async fn place(&self, environment: Uuid) -> Result<Place, StageError> {
        let (server, database, role) = match self.half {
            Half::Platform => {
                let found = platform_of(&self.deps, environment).await?;
                let dataverse = found.dataverse.ok_or_else(|| {
                    let message =
                        format!("The environment {} has no database.", found.display_name);
                    let help = "Cancel the operation.";
                    fail(FailureKind::State, ErrorReason::InvalidState, message, help)
                })?;
                (&self.deps.databases.platform, dataverse.database, dataverse.role)
            }
            Half::Erp => {
                let found = erp_of(&self.deps, environment).await?;
                (&self.deps.databases.erp, found.database, String::new())
            }
        };
        let owner = server.owner(&database).await?;
        Ok(Place { server: server.clone(), database, owner, role })
    }

    async fn kept(&self, id: Uuid) -> Result<backup::Backup, StageError> {
        let found = backup::find(self.deps.store.pool(), id).await?;
        found.ok_or_else(|| {
            let message = "The backup is no longer kept.";
            fail(FailureKind::State, ErrorReason::PositionExpired, message, "Cancel the operation.")
        })
    }

    /// Of the source, for this operation only.
    fn working_dump(&self, context: &StageContext) -> Dump {
        let name = format!("{}.copy", context.operation.simple());
        Dump::new(&self.deps.databases.backup_dir, &name)
    }

    /// Backs the target up and restores the origin beside it.
    async fn copy(&self, context: &StageContext) -> Result<(), StageError> {
        self.set_servicing(context, true).await?;
        let target = self.place(self.target).await?;
        self.back_up(context).await?;
        self.keep(context).await?;
        let programs = &self.deps.databases.programs;
        let dump = match &self.origin {
            Origin::Environment { id, .. } => {
                context.say(30, "Reading the source").await?;
                let source = self.place(*id).await?;
                let dump = self.working_dump(context);
                dump.write(programs, &source.server, &source.database).await?;
                context.step("source-read").await?;
                self.keep(context).await?;
                dump
            }
            Origin::Backup { id } => {
                Dump::new(&self.deps.databases.backup_dir, &self.kept(*id).await?.file)
            }
            Origin::Nothing => return Ok(()),
        };
        context.say(60, "Restoring beside the target").await?;
        let new = databases::beside(context.operation);
        let beside = Target { database: &new, owner: &target.owner };
        dump.restore(programs, &target.server, beside, self.origin.content()).await?;
        context.step("restored-beside").await?;
        self.keep(context).await
    }

    /// Backs the target up and makes an empty database beside it.
    async fn make_empty(&self, context: &StageContext) -> Result<(), StageError> {
        self.set_servicing(context, true).await?;
        let target = self.place(self.target).await?;
        self.back_up(context).await?;
        context.say(60, "Making an empty database").await?;
        let new = databases::beside(context.operation);
        target.server.drop_database(&new).await?;
        target.server.ensure_empty(&new, &target.owner).await?;
        context.step("made-beside").await
    }

    async fn back_up(&self, context: &StageContext) -> Result<(), StageError> {
        context.say(5, "Backing the target up").await?;
        let label = match self.origin {
            Origin::Environment { .. } => "Before a copy",
            Origin::Backup { .. } => "Before a restore",
            Origin::Nothing => "Before a reset",
        };
        let id = Uuid::new_v5(&context.operation, b"backup");
        let wanted =
            backups::Wanted { id, half: self.half, environment: self.target, label, system: true };
        backups::make(&self.deps, context, &wanted).await?;
        context.step("backed-up").await
    }

    /// Makes the new database the target's own, and lets it take the old one's place.
    async fn take_over(&self, context: &StageContext) -> Result<(), StageError> {
        let place = self.place(self.target).await?;
        let (new, old) = names(context);
        if self.half == Half::Platform && place.server.exists(&new).await? {
            // A swap that was only begun has closed them.
            for database in [&new, &place.database] {
                place.server.set_open(database, true).await?;
            }
            self.configure(context, &place, &new).await?;
        }
        context.say(70, "Swapping").await?;
        // Before anything is ended in the old database: what was acknowledged there, or prepared with its other
        // half committed elsewhere, would be missing in it if it came back.
        in_transaction!(context, |transaction| {
            context.pass_point_of_no_return(&mut transaction).await?;
        });
        context.step("swapping").await?;
        place.server.swap(&place.database, &new, &old).await?;
        context.step("swapped").await?;
        let source = match (&self.origin, self.half) {
            (Origin::Environment { id, .. }, Half::Platform) => {
                Some(platform_of(&self.deps, *id).await?)
            }
            _ => None,
        };
        if let Some(source) = source
            && let Some(dataverse) = &source.dataverse
        {
            let origin = (dataverse, source.platform_tools);
            let connection = &mut *context.connection().await;
            platform::set_origin(connection, self.target, origin).await?;
        }
        Ok(())
    }

    /// The organization is the target's, and so is what leads to an ERP (spec DW-50).
    async fn configure(
        &self,
        context: &StageContext,
        place: &Place,
        new: &str,
    ) -> Result<(), StageError> {
        context.say(10, "Making the new database the target's").await?;
        let environment = platform_of(&self.deps, self.target).await?;
        let Some(mut dataverse) = environment.dataverse.clone() else { return Ok(()) };
        if let Origin::Environment { id, .. } = &self.origin
            && let Some(source) = platform_of(&self.deps, *id).await?.dataverse
        {
            (dataverse.language, dataverse.currency_code) = (source.language, source.currency_code);
        }
        let database = EnvironmentDatabase { database: new.to_owned(), role: place.role.clone() };
        provisioning::provision(&self.deps, context, &environment, &dataverse, &database).await?;
        place.server.set_organization(new, dataverse.organization_id).await?;
        if let Some(link) = &environment.link {
            let erp = erp_of(&self.deps, link.environment_id).await?;
            provisioning::configure(&self.deps, context, &erp, &database).await?;
            provisioning::write_add_ins(&self.deps, context, self.target, &database).await?;
        }
        context.step("configured").await
    }

    async fn clean_up(&self, context: &StageContext) -> Result<(), StageError> {
        let place = self.place(self.target).await?;
        place.server.drop_database(&databases::replaced(context.operation)).await?;
        self.working_dump(context).remove().await?;
        context.step("old-dropped").await?;
        if self.stages().contains(&OperationStage::ReservingCapacity) {
            let need = self.need(context).await?;
            capacity::commit(&self.deps.clients.capacity, context, &need).await?;
        }
        self.set_servicing(context, false).await
    }

    async fn set_servicing(
        &self,
        context: &StageContext,
        servicing: bool,
    ) -> Result<(), StageError> {
        match self.half {
            Half::Platform => {
                let state = if servicing { State::Servicing } else { State::Ready };
                set_platform_state(context, self.target, state).await
            }
            Half::Erp => {
                let state = if servicing { ErpState::Servicing } else { ErpState::Deployed };
                set_erp_state(context, self.target, state).await
            }
        }
    }
}
