//! What the stages of all three workflows do: the platform's row, and calls of the add-in's runtime.

use std::sync::Arc;
use std::time::Duration;

use proto::add_in::v1::add_in_runtime_service_client::AddInRuntimeServiceClient;
use proto::add_in::v1::{ConfigureAddInRequest, InstallAddInRequest, UninstallAddInRequest};
use proto::lifecycle::v1::provisioning_service_client::ProvisioningServiceClient;
use proto::lifecycle::v1::{
    AddInInstallationState as State, EnvironmentDatabase, FailureKind, WriteAddInRequest,
};
use rpc::{Channel, ErrorReason};
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::Deps;
use crate::clients::timed;
use crate::engine::{Failure, StageError};
use crate::resource::{self, PLATFORM};
use crate::store::add_in::{self as store, Environment};

/// A runtime has a minute; the call itself a little more.
const RUNTIME_DEADLINE: Duration = Duration::from_secs(65);
const PROVISIONING_DEADLINE: Duration = Duration::from_secs(30);

/// What an operation of an add-in is asked for, as its row keeps it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) platform_environment: Uuid,
    pub(crate) add_in: String,
    pub(crate) display_name: String,
    pub(crate) version: String,
    /// Those that are to be in force; a JSON object.
    pub(crate) parameters: String,
    /// Those that were before; the same where they do not change.
    pub(crate) previous: String,
    pub(crate) delete_data: bool,
}

/// An order, and what it takes to carry it out.
pub(crate) struct Work {
    pub(crate) deps: Arc<Deps>,
    pub(crate) order: Order,
    /// `install`: what the user may lack the permission for.
    pub(crate) verb: &'static str,
}

impl Work {
    /// Environment and add-in, as the store has them.
    pub(crate) fn key(&self) -> (Uuid, &str) {
        (self.order.platform_environment, &self.order.add_in)
    }

    /// `platformEnvironments/…`.
    pub(crate) fn environment_name(&self) -> String {
        resource::name(PLATFORM, self.order.platform_environment)
    }

    pub(crate) async fn environment(&self) -> Result<Option<Environment>, StageError> {
        let id = self.order.platform_environment;
        Ok(store::environment(self.deps.store.pool(), id).await?)
    }

    /// The environment of a stage that needs one.
    pub(crate) async fn existing_environment(&self) -> Result<Environment, StageError> {
        self.environment().await?.ok_or_else(|| {
            let message = format!("The environment {} was deleted.", self.environment_name());
            refused(FailureKind::State, ErrorReason::InvalidState, message, CANCEL_IT)
        })
    }

    /// Writes what the platform shows of the add-in (spec ADD-03).
    pub(crate) async fn write_row(&self, state: State, parameters: &str) -> Result<(), StageError> {
        let environment = self.existing_environment().await?;
        let request = self.row(&environment, state, parameters, false);
        match self.provisioning().write_add_in(timed(request, PROVISIONING_DEADLINE)).await {
            Ok(_) => Ok(()),
            Err(status) if rpc::reason(&status) == Some(ErrorReason::RequirementUnmet) => {
                let help = "Set up Power Platform integration with a template that supports add-ins, and \
                            resume.";
                let message = status.message().to_owned();
                Err(refused(FailureKind::State, ErrorReason::RequirementUnmet, message, help))
            }
            Err(status) => Err(status.into()),
        }
    }

    /// Takes it away; there is nothing to take from an environment that is gone.
    pub(crate) async fn remove_row(&self) -> Result<(), StageError> {
        let Some(environment) = self.environment().await? else { return Ok(()) };
        if environment.database.is_none() {
            return Ok(());
        }
        let request = self.row(&environment, State::Uninstalling, "{}", true);
        match self.provisioning().write_add_in(timed(request, PROVISIONING_DEADLINE)).await {
            Ok(_) => Ok(()),
            Err(status) if is_gone(&status) => Ok(()),
            Err(status) => Err(status.into()),
        }
    }

    fn row(
        &self,
        environment: &Environment,
        state: State,
        parameters: &str,
        removed: bool,
    ) -> WriteAddInRequest {
        WriteAddInRequest {
            database: Some(EnvironmentDatabase {
                database: environment.database.clone().unwrap_or_default(),
                role: environment.database_role.clone(),
            }),
            add_in: self.order.add_in.clone(),
            display_name: self.order.display_name.clone(),
            version: self.order.version.clone(),
            state: shown(state).to_owned(),
            parameters_json: parameters.to_owned(),
            removed,
        }
    }

    /// Makes the add-in work; answers what it says of itself.
    pub(crate) async fn install(&self, parameters: &str) -> Result<String, StageError> {
        let request = InstallAddInRequest {
            environment: self.environment_name(),
            web_api_url: self.existing_environment().await?.url,
            parameters_json: parameters.to_owned(),
        };
        let answer = self.runtime()?.install_add_in(timed(request, RUNTIME_DEADLINE)).await;
        answer.map(|it| it.into_inner().status_text).map_err(|it| self.refusal_of_runtime(&it))
    }

    /// Makes it go on with other parameters.
    pub(crate) async fn configure(&self, parameters: &str) -> Result<String, StageError> {
        let request = ConfigureAddInRequest {
            environment: self.environment_name(),
            parameters_json: parameters.to_owned(),
        };
        match self.runtime()?.configure_add_in(timed(request, RUNTIME_DEADLINE)).await {
            Ok(answer) => Ok(answer.into_inner().status_text),
            // It forgot the environment, with what it kept: it begins anew.
            Err(status) if status.code() == Code::NotFound => self.install(parameters).await,
            Err(status) => Err(self.refusal_of_runtime(&status)),
        }
    }

    /// Stops it. Where nobody serves it any more there is nothing to stop.
    pub(crate) async fn uninstall(&self, delete_data: bool) -> Result<(), StageError> {
        let Ok(mut runtime) = self.runtime() else {
            tracing::warn!(
                add_in = self.order.add_in,
                "removed without its runtime, which is not registered"
            );
            return Ok(());
        };
        let request = UninstallAddInRequest { environment: self.environment_name(), delete_data };
        match runtime.uninstall_add_in(timed(request, RUNTIME_DEADLINE)).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => Ok(()),
            Err(status) => Err(self.refusal_of_runtime(&status)),
        }
    }

    fn runtime(&self) -> Result<AddInRuntimeServiceClient<Channel>, StageError> {
        let channel = self.deps.clients.add_ins.get(&self.order.add_in).cloned();
        channel.map(AddInRuntimeServiceClient::new).ok_or_else(|| {
            let message =
                format!("The service of {} is not running here.", self.order.display_name);
            let help =
                "Start it, name its address among the lifecycle service's peers, and resume.";
            refused(FailureKind::State, ErrorReason::RequirementUnmet, message, help)
        })
    }

    fn provisioning(&self) -> ProvisioningServiceClient<Channel> {
        ProvisioningServiceClient::new(self.deps.clients.organization.clone())
    }

    /// The warning of spec ADD-06.
    pub(crate) fn permission(&self, why: &str, help: String) -> StageError {
        let (verb, add_in) = (self.verb, &self.order.display_name);
        let message = format!("You don't have permission to {verb} {add_in}: {why}");
        refused(FailureKind::Permission, ErrorReason::PrivilegeDenied, message, help)
    }

    fn refusal_of_runtime(&self, status: &Status) -> StageError {
        // The gate's refusal is about the two services, not about the user.
        let of_service = rpc::reason(status) == Some(ErrorReason::ServiceDenied);
        match status.code() {
            Code::InvalidArgument => {
                let message = status.message().to_owned();
                let help = "Cancel, and try again with parameters that the add-in accepts.";
                refused(FailureKind::Validation, ErrorReason::ValidationFailed, message, help)
            }
            Code::PermissionDenied if !of_service => {
                let help = format!(
                    "Grant what {} says is missing and resume, or cancel.",
                    self.order.display_name
                );
                self.permission(status.message(), help)
            }
            _ => status.clone().into(),
        }
    }
}

const CANCEL_IT: &str = "Cancel the operation.";

/// A failure that waits for somebody.
pub(crate) fn refused(
    kind: FailureKind,
    reason: ErrorReason,
    message: String,
    help: impl Into<String>,
) -> StageError {
    Failure { kind, reason, message, help: help.into(), prerequisites: Vec::new() }.into()
}

/// Whether the database, or the add-in's table in it, is not there.
fn is_gone(status: &Status) -> bool {
    let gone = [ErrorReason::ResourceNotFound, ErrorReason::RequirementUnmet];
    rpc::reason(status).is_some_and(|it| gone.contains(&it))
}

/// As the platform shows a state.
pub(crate) fn shown(state: State) -> &'static str {
    match state {
        State::Unspecified | State::Installing | State::Cancelling => "Installing",
        State::Installed => "Installed",
        State::Configuring => "Configuring",
        State::Uninstalling => "Uninstalling",
        State::Failed => "Failed",
    }
}
