//! Installing: requirements again, the gigabyte, the platform's row, the runtime, installed. Given up, all of it
//! is taken back in the other order.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::capacity::v1::CapacityOperation;
use proto::lifecycle::v1::{AddInInstallationState as State, FailureKind, OperationStage};
use proto::user_context::v1::LookupUserRequest;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use rpc::{Channel, ErrorReason, role};
use tonic::Code;

use super::requirements::{self, Unmet};
use super::requirements_of;
use super::work::{Work, refused};
use crate::clients::asked;
use crate::engine::{StageContext, StageError, Workflow};
use crate::environments::capacity::{self, Need};
use crate::store::add_in::{self as store, Environment};

/// The workflow of INSTALL_ADD_IN.
pub(crate) struct Install(pub(crate) Work);

impl Workflow for Install {
    fn stages(&self) -> Vec<OperationStage> {
        vec![
            OperationStage::Validating,
            OperationStage::ReservingCapacity,
            OperationStage::InstallingAddIn,
        ]
    }

    fn perform<'a>(
        &'a self,
        stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        async move {
            match stage {
                OperationStage::Validating => self.validate(context).await,
                OperationStage::ReservingCapacity => {
                    capacity::reserve(self.capacity(), context, &self.need()).await
                }
                _ => self.install(context).await,
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
                OperationStage::Validating => self.forget(context).await,
                OperationStage::ReservingCapacity => {
                    capacity::release(self.capacity(), context, &self.need()).await
                }
                _ => self.uninstall(context).await,
            }
        }
        .boxed()
    }

    fn recheck<'a>(&'a self, context: &'a StageContext) -> BoxFuture<'a, Result<(), StageError>> {
        self.validate(context).boxed()
    }

    fn status_texts(&self) -> (&'static str, &'static str) {
        ("The add-in is being installed", "The add-in is installed")
    }
}

impl Install {
    /// What held when it was asked for may not hold any more, and the user has to be allowed to install
    /// solutions, which only the environment's own directory knows.
    async fn validate(&self, context: &StageContext) -> Result<(), StageError> {
        let environment = self.0.existing_environment().await?;
        let unmet = self.unmet(&environment).await?;
        if let Some(first) = unmet.first() {
            let sentences: Vec<_> = unmet.iter().map(|it| it.sentence.as_str()).collect();
            let help = "Remove what is in the way and resume, or cancel.";
            return Err(refused(kind(first), first.reason, sentences.join(" "), help));
        }
        self.check_rights(&environment, context).await
    }

    async fn unmet(&self, environment: &Environment) -> Result<Vec<Unmet>, StageError> {
        let Work { deps, order, .. } = &self.0;
        let Some(add_in) = deps.add_ins.get(&order.add_in) else {
            let message = format!("There is no add-in {} any more.", order.add_in);
            let reason = ErrorReason::ResourceNotFound;
            return Err(refused(FailureKind::Validation, reason, message, "Cancel the operation."));
        };
        // Capacity is asked for by the next stage, which keeps what it gets.
        let pool = deps.store.pool();
        let surroundings = requirements_of(pool, deps, environment.id, &order.add_in, None).await?;
        Ok(requirements::unmet(add_in, environment, &surroundings))
    }

    async fn check_rights(
        &self,
        environment: &Environment,
        context: &StageContext,
    ) -> Result<(), StageError> {
        let request = LookupUserRequest {
            user: context.user.clone(),
            database: environment.database.clone().unwrap_or_default(),
            database_role: environment.database_role.clone(),
        };
        let channel = self.0.deps.clients.user_context.clone();
        let found = match UserContextServiceClient::new(channel).lookup_user(asked(request)).await {
            Ok(answer) => Some(answer.into_inner()),
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => return Err(status.into()),
        };
        let may_install = found.is_some_and(|user| {
            let is_administrator =
                |it: &String| it.eq_ignore_ascii_case(role::SYSTEM_ADMINISTRATOR);
            !user.disabled && user.roles.iter().any(is_administrator)
        });
        if may_install {
            return Ok(());
        }
        let name = &environment.display_name;
        let why = format!("installing solutions in {name} takes a {}.", role::SYSTEM_ADMINISTRATOR);
        let help = format!(
            "Give {} the role {} in {name} (and a licence that lets it sign in there, such as Dynamics 365 \
             Unified Operations Plan) and resume, or cancel.",
            context.user,
            role::SYSTEM_ADMINISTRATOR
        );
        Err(self.0.permission(&why, help))
    }

    fn capacity(&self) -> &Channel {
        &self.0.deps.clients.capacity
    }

    fn need(&self) -> Need {
        Need::new(CapacityOperation::InstallAddIn, self.0.environment_name())
    }

    async fn install(&self, context: &StageContext) -> Result<(), StageError> {
        let parameters = &self.0.order.parameters;
        self.set_state(context, State::Installing).await?;
        self.0.write_row(State::Installing, parameters).await?;
        context.say(20, "The add-in is starting").await?;
        context.step("row-written").await?;
        let installed = self.0.install(parameters).await;
        if matches!(&installed, Err(StageError::Failed(it)) if it.kind == FailureKind::Validation) {
            self.set_failed(context).await?;
        }
        let status_text = installed?;
        context.step("runtime-installed").await?;
        capacity::commit(self.capacity(), context, &self.need()).await?;
        context.step("capacity-committed").await?;
        self.0.write_row(State::Installed, parameters).await?;
        context.step("row-installed").await?;
        let connection = &mut *context.connection().await;
        store::set_installed(connection, self.0.key(), parameters, &status_text).await?;
        Ok(())
    }

    /// It does not accept what it was given, and will not.
    async fn set_failed(&self, context: &StageContext) -> Result<(), StageError> {
        self.0.write_row(State::Failed, &self.0.order.parameters).await?;
        self.set_state(context, State::Failed).await
    }

    async fn uninstall(&self, context: &StageContext) -> Result<(), StageError> {
        self.set_state(context, State::Cancelling).await?;
        // What an earlier installation stored is not this one's to delete.
        self.0.uninstall(false).await?;
        context.step("runtime-uninstalled").await?;
        self.0.remove_row().await
    }

    async fn forget(&self, context: &StageContext) -> Result<(), StageError> {
        store::remove(&mut *context.connection().await, self.0.key()).await?;
        Ok(())
    }

    async fn set_state(&self, context: &StageContext, state: State) -> Result<(), StageError> {
        let connection = &mut *context.connection().await;
        store::set_state(connection, self.0.key(), context.operation, state).await?;
        Ok(())
    }
}

/// Who can remove what is in the way.
fn kind(unmet: &Unmet) -> FailureKind {
    match unmet.reason {
        ErrorReason::InvalidState | ErrorReason::NotLinked => FailureKind::State,
        _ => FailureKind::Validation,
    }
}
