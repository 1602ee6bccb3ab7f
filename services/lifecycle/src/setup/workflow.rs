//! The stages of a setup, forwards and backwards.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::capacity::v1::CapacityOperation;
use proto::lifecycle::v1::{FailureKind, OperationStage, PlatformEnvironmentState, Prerequisite};
use rpc::ErrorReason;
use serde_json::json;
use sqlx::Connection as _;
use uuid::Uuid;

use super::facts::{self, Held, Question};
use super::template::Template;
use super::{Order, defaults, linking, prerequisites, services};
use crate::Deps;
use crate::add_ins;
use crate::databases;
use crate::engine::{Failure, StageContext, StageError, Workflow};
use crate::environments::capacity::{self, Need};
use crate::environments::{locations, provisioning};
use crate::error::Error;
use crate::store::finance_and_operations::{self, FinanceAndOperations};
use crate::store::platform::{self, Dataverse, Platform};
use crate::store::settings;

/// Noted where the operation makes a database: then it may drop it.
const MADE_DATABASE: &str = "made_database";
/// Noted once the reservation was made.
const RESERVED: &str = "reserved";

/// A setup.
pub(super) struct Setup {
    pub(super) deps: Arc<Deps>,
    pub(super) order: Order,
    pub(super) template: &'static Template,
}

/// Both halves as they are.
pub(super) struct Halves {
    pub(super) erp: FinanceAndOperations,
    pub(super) platform: Platform,
}

impl Workflow for Setup {
    fn stages(&self) -> Vec<OperationStage> {
        let stages = [
            OperationStage::Validating,
            OperationStage::ReservingCapacity,
            OperationStage::ProvisioningDataverse,
            OperationStage::InstallingPackages,
            OperationStage::ConfiguringVirtualEntities,
            OperationStage::RegisteringApplications,
            OperationStage::DualWritePlatformSetup,
            OperationStage::LinkingRuntime,
        ];
        let skipped = |it: &OperationStage| {
            self.order.existing && *it == OperationStage::ProvisioningDataverse
        };
        stages.into_iter().filter(|it| !skipped(it)).collect()
    }

    fn perform<'a>(
        &'a self,
        stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        async move {
            if !matches!(stage, OperationStage::Validating | OperationStage::LinkingRuntime) {
                self.reserve(context).await?;
            }
            match stage {
                OperationStage::Validating => self.validate(context).await,
                OperationStage::ProvisioningDataverse => self.provision(context).await,
                OperationStage::InstallingPackages => {
                    self.install(context, self.template.packages().collect()).await
                }
                OperationStage::ConfiguringVirtualEntities => self.configure(context).await,
                OperationStage::RegisteringApplications => self.register(context).await,
                OperationStage::DualWritePlatformSetup => {
                    self.install(context, self.template.dual_write_packages().collect()).await
                }
                OperationStage::LinkingRuntime => linking::link(self, context).await,
                _ => Ok(()),
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
                    capacity::release(&self.deps.clients.capacity, context, &self.need()).await
                }
                OperationStage::ProvisioningDataverse => self.drop_database(context).await,
                // Add-ins may have been installed while it stood still at this stage.
                OperationStage::DualWritePlatformSetup => {
                    add_ins::uninstall_all(&self.deps, context, self.order.platform).await
                }
                OperationStage::LinkingRuntime => linking::unlink(self, context).await,
                // What these did is in the database, which goes; an existing one keeps packages and
                // applications, because nobody can tell any more which of them it had before.
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn recheck<'a>(&'a self, context: &'a StageContext) -> BoxFuture<'a, Result<(), StageError>> {
        self.validate(context).boxed()
    }

    fn point_of_no_return(&self) -> Option<OperationStage> {
        Some(OperationStage::LinkingRuntime)
    }

    fn status_texts(&self) -> (&'static str, &'static str) {
        ("Environment setup is in progress", "Setup completed successfully")
    }
}

impl Setup {
    pub(super) fn need(&self) -> Need {
        let environment = crate::resource::name(crate::resource::PLATFORM, self.order.platform);
        Need::new(CapacityOperation::AddDatabase, environment)
    }

    /// Reads both halves anew: another run may have changed them.
    pub(super) async fn halves(&self, context: &StageContext) -> Result<Halves, StageError> {
        let connection = &mut *context.connection().await;
        let erp = finance_and_operations::find(&mut *connection, self.order.finance_and_operations);
        let erp = erp.await?.ok_or_else(|| gone(self.order.finance_and_operations))?;
        let platform = platform::find(&mut *connection, self.order.platform).await?;
        let platform = platform
            .filter(|it| it.delete_time.is_none())
            .ok_or_else(|| gone(self.order.platform))?;
        Ok(Halves { erp, platform })
    }

    /// P1 to P9. Of the operation's own reservation, P1 is judged no more.
    async fn validate(&self, context: &StageContext) -> Result<(), StageError> {
        let Halves { erp, platform } = self.halves(context).await?;
        let held = Held { capacity: context.noted(RESERVED).await?.is_some() };
        let facts = facts::gather(
            &self.deps,
            Question {
                user: &context.user,
                erp: &erp,
                existing: self.order.existing.then_some(&platform),
                by_its_operation: Some(held),
            },
        );
        let facts = facts.await.map_err(transient)?;
        let mut failing = prerequisites::failing(prerequisites::check(&facts));
        if platform.unified {
            // Nothing of a unified environment is in a project of Lifecycle Services (spec §1.6).
            failing.retain(|it| it.prerequisite() != Prerequisite::ProjectRole);
        }
        match prerequisites::failure(failing, facts.capacity.in_overage) {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }

    /// Holds what the database will take, and goes on holding it: one that expired while the operation
    /// waited for somebody is made anew, if there still is room.
    pub(super) async fn reserve(&self, context: &StageContext) -> Result<(), StageError> {
        capacity::keep(&self.deps.clients.capacity, context, &self.need()).await?;
        context.step("reserved").await?;
        context.note(RESERVED, &json!(true)).await
    }

    async fn provision(&self, context: &StageContext) -> Result<(), StageError> {
        let dataverse = self.announce_database(context).await?;
        context.say(10, "Making the database").await?;
        self.deps.databases.ensure_platform(self.order.platform).await?;
        context.step("database-made").await?;
        context.say(40, "Making tables").await?;
        let Halves { platform, .. } = self.halves(context).await?;
        let place = services::place(&dataverse);
        provisioning::provision(&self.deps, context, &platform, &dataverse, &place).await?;
        let ready = PlatformEnvironmentState::Ready;
        platform::set_state(&mut *context.connection().await, platform.id, ready).await?;
        Ok(())
    }

    /// Writes what the database is going to be, with a host that nobody else has, before anything is made:
    /// so that whoever goes on, or undoes, finds it.
    async fn announce_database(&self, context: &StageContext) -> Result<Dataverse, StageError> {
        let Halves { erp, platform } = self.halves(context).await?;
        if let Some(dataverse) = platform.dataverse {
            return match context.noted(MADE_DATABASE).await? {
                Some(_) => Ok(dataverse),
                None => Err(has_database(&platform.display_name)),
            };
        }
        let mut connection = context.connection().await;
        let mut transaction = connection.begin().await?;
        let country = settings::read(&mut transaction).await?.country_code;
        let (language, currency) = defaults::of_country(&country);
        for host_name in defaults::host_names(&erp.id) {
            let crm = locations::all().iter().find(|it| it.id == platform.location);
            let dataverse = Dataverse {
                url: web_api_url(&self.deps, &host_name, crm.map_or("crm", |it| &it.crm)),
                host_name,
                organization_id: Uuid::new_v4(),
                language: language.to_owned(),
                currency_code: currency.to_owned(),
                d365_apps_enabled: true,
                database: databases::platform(platform.id),
                role: databases::platform(platform.id),
            };
            if platform::set_dataverse(&mut transaction, platform.id, &dataverse).await? {
                let preparing = PlatformEnvironmentState::Preparing;
                platform::set_state(&mut *transaction, platform.id, preparing).await?;
                context.note_within(&mut transaction, MADE_DATABASE, &json!(true)).await?;
                transaction.commit().await?;
                return Ok(dataverse);
            }
        }
        Err(no_host(&erp.id))
    }

    /// Only what this operation made, and only as long as no link leads there.
    async fn drop_database(&self, context: &StageContext) -> Result<(), StageError> {
        if context.noted(MADE_DATABASE).await?.is_none() {
            return Ok(());
        }
        self.deps.databases.drop_platform(self.order.platform).await?;
        context.step("database-dropped").await?;
        let mut connection = context.connection().await;
        let mut transaction = connection.begin().await?;
        platform::clear_dataverse(&mut transaction, self.order.platform).await?;
        let ready = PlatformEnvironmentState::Ready;
        platform::set_state(&mut *transaction, self.order.platform, ready).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn install(&self, context: &StageContext, packages: Vec<&str>) -> Result<(), StageError> {
        let dataverse = self.dataverse(context).await?;
        let place = services::place(&dataverse);
        let count = packages.len();
        for (position, package) in packages.into_iter().enumerate() {
            let percent = i32::try_from(position * 100 / count).unwrap_or_default();
            context.say(percent, &format!("Installing {package}")).await?;
            services::install(&self.deps, &place, package).await?;
            context.step("package-installed").await?;
            self.reserve(context).await?;
        }
        Ok(())
    }

    async fn configure(&self, context: &StageContext) -> Result<(), StageError> {
        let dataverse = self.dataverse(context).await?;
        let erp = self.halves(context).await?.erp;
        let place = services::place(&dataverse);
        provisioning::configure(&self.deps, context, &erp, &place).await
    }

    async fn register(&self, context: &StageContext) -> Result<(), StageError> {
        let dataverse = self.dataverse(context).await?;
        services::register(&self.deps, &services::place(&dataverse)).await?;
        context.step("applications-registered").await
    }

    async fn dataverse(&self, context: &StageContext) -> Result<Dataverse, StageError> {
        let platform = self.halves(context).await?.platform;
        platform.dataverse.ok_or_else(|| gone(self.order.platform))
    }
}

/// The Web API of an environment, by its host.
pub(crate) fn web_api_url(deps: &Deps, host_name: &str, crm: &str) -> String {
    deps.config.web_api_url.replace("{host}", host_name).replace("{crm}", crm)
}

/// What could not be found out now.
pub(super) fn transient(error: Error) -> StageError {
    match error {
        Error::PeerUnavailable(status) | Error::PeerFailed(status) => (*status).into(),
        _ => StageError::Transient(error.to_string()),
    }
}

pub(super) fn failed(
    kind: FailureKind,
    reason: ErrorReason,
    message: String,
    help: &str,
) -> StageError {
    let help = help.to_owned();
    Failure { kind, reason, message, help, prerequisites: Vec::new() }.into()
}

fn gone(environment: Uuid) -> StageError {
    let message = format!("The environment {environment} is not there any more.");
    failed(FailureKind::State, ErrorReason::InvalidState, message, "Cancel the operation.")
}

fn has_database(display_name: &str) -> StageError {
    let message = format!("`{display_name}` has a database that this setup did not make.");
    let help = "Cancel, and link it as an existing environment.";
    failed(FailureKind::State, ErrorReason::InvalidState, message, help)
}

fn no_host(id: &str) -> StageError {
    let message = format!("`{id}` and all numbered names like it are taken.");
    let help = "Wait until names of deleted environments are free, then resume.";
    failed(FailureKind::State, ErrorReason::ResourceExists, message, help)
}
