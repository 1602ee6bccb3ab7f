//! How an add-in's operation begins: what is asked for is held against what there is, in one transaction with
//! the operation's row. Changes of one environment's add-ins begin one after the other.

use std::sync::Arc;

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{AddInInstallationState as State, OperationKind};
use serde_json::Value;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::catalogue::AddIn;
use super::requirements::Unmet;
use super::work::Order;
use super::{ADD_INS, unmet};
use crate::Deps;
use crate::caller::Actor;
use crate::engine;
use crate::error::Error;
use crate::resource::{self, OPERATIONS, PLATFORM};
use crate::store::add_in::{self as store, Environment, Installation};
use crate::store::hold;
use crate::store::operation::NewOperation;
use crate::words::Word as _;

/// An installation that somebody wants to change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) environment: Uuid,
    pub(crate) add_in: &'a str,
    /// Empty: whatever its version.
    pub(crate) etag: &'a str,
}

impl Target<'_> {
    /// `platformEnvironments/…/addIns/…`.
    pub(crate) fn name(&self) -> String {
        installation_name(self.environment, self.add_in)
    }
}

/// `platformEnvironments/…/addIns/…`.
pub(crate) fn installation_name(environment: Uuid, add_in: &str) -> String {
    format!("{PLATFORM}/{environment}/{ADD_INS}/{add_in}")
}

/// The environment, where the caller may change its add-ins.
pub(crate) async fn environment_for(
    connection: &mut PgConnection,
    actor: &Actor,
    id: Uuid,
) -> Result<Environment, Error> {
    let environment = store::environment(connection, id).await?;
    let administrator = environment.as_ref().and_then(|it| it.erp.as_ref());
    actor.may_set_up(administrator.map_or("", |it| &it.administrator))?;
    environment.ok_or_else(|| Error::NotFound(resource::name(PLATFORM, id)))
}

/// Begins to install. `lacking` is what the capacity service said.
pub(crate) async fn begin_install(
    deps: &Arc<Deps>,
    connection: &mut PgConnection,
    actor: &Actor,
    target: Target<'_>,
    parameters: &str,
    lacking: Option<Unmet>,
) -> Result<pb::Operation, Error> {
    hold::lock(connection, &[target.name()]).await?;
    let environment = environment_for(connection, actor, target.environment).await?;
    let add_in = add_in_of(deps, target.add_in)?;
    let parameters = accepted(add_in, parameters)?;
    if let Some(there) = store::find(&mut *connection, target.environment, target.add_in).await? {
        let message = format!("{} is there already, {}.", target.name(), there.state.word());
        return Err(Error::Exists { resource: target.name(), message });
    }
    hold::refuse_held(connection, &target.name()).await?;
    let unmet = unmet(&mut *connection, deps, add_in, &environment, lacking).await?;
    if !unmet.is_empty() {
        let environment = resource::name(PLATFORM, target.environment);
        return Err(Error::AddInRequirements { environment, unmet });
    }
    let order = Order {
        platform_environment: target.environment,
        add_in: target.add_in.to_owned(),
        display_name: add_in.file.display_name.clone(),
        version: add_in.file.version.clone(),
        previous: parameters.clone(),
        parameters: parameters.clone(),
        delete_data: false,
    };
    let new = new_operation(OperationKind::InstallAddIn, actor, &target, &order)?;
    let operation = engine::begin(connection, deps, &new).await?;
    let installation = Installation {
        platform_environment: target.environment,
        add_in: order.add_in,
        version: order.version,
        state: State::Installing,
        parameters,
        status_text: String::new(),
        operation: resource::guid(OPERATIONS, &operation.name)?,
        install_time: None,
        revision: 1,
    };
    store::insert(connection, &installation).await?;
    Ok(operation)
}

/// Begins to configure.
pub(crate) async fn begin_configure(
    deps: &Arc<Deps>,
    connection: &mut PgConnection,
    actor: &Actor,
    target: Target<'_>,
    parameters: &str,
) -> Result<pb::Operation, Error> {
    let installation = locked(connection, actor, &target).await?;
    require_state(&target, &installation, &[State::Installed])?;
    let add_in = add_in_of(deps, target.add_in)?;
    let parameters = accepted(add_in, parameters)?;
    hold::refuse_held(connection, &target.name()).await?;
    let order = Order { parameters, ..order_of(deps, &installation) };
    let new = new_operation(OperationKind::ConfigureAddIn, actor, &target, &order)?;
    let operation = engine::begin(connection, deps, &new).await?;
    changing(connection, &target, operation, State::Configuring).await
}

/// Begins to remove. One that failed for good is removed by giving its installation up.
pub(crate) async fn begin_uninstall(
    deps: &Arc<Deps>,
    connection: &mut PgConnection,
    actor: &Actor,
    target: Target<'_>,
    delete_data: bool,
) -> Result<pb::Operation, Error> {
    let installation = locked(connection, actor, &target).await?;
    require_state(&target, &installation, &[State::Installed, State::Failed])?;
    if installation.state == State::Failed {
        return give_up(deps, connection, &target, &installation).await;
    }
    refuse_while_needed(deps, connection, &target).await?;
    hold::refuse_held(connection, &target.name()).await?;
    let order = Order { delete_data, ..order_of(deps, &installation) };
    let new = new_operation(OperationKind::UninstallAddIn, actor, &target, &order)?;
    let operation = engine::begin(connection, deps, &new).await?;
    changing(connection, &target, operation, State::Uninstalling).await
}

/// Gives an installation up that is under way.
pub(crate) async fn begin_cancel(
    deps: &Arc<Deps>,
    connection: &mut PgConnection,
    actor: &Actor,
    target: Target<'_>,
) -> Result<pb::Operation, Error> {
    let installation = locked(connection, actor, &target).await?;
    require_state(&target, &installation, &[State::Installing, State::Failed])?;
    give_up(deps, connection, &target, &installation).await
}

async fn give_up(
    deps: &Arc<Deps>,
    connection: &mut PgConnection,
    target: &Target<'_>,
    installation: &Installation,
) -> Result<pb::Operation, Error> {
    let operation = engine::cancel(connection, deps, installation.operation).await?;
    changing(connection, target, operation, State::Cancelling).await
}

/// The operation, which is the one that changes the installation from now on.
async fn changing(
    connection: &mut PgConnection,
    target: &Target<'_>,
    operation: pb::Operation,
    state: State,
) -> Result<pb::Operation, Error> {
    let id = resource::guid(OPERATIONS, &operation.name)?;
    store::set_state(connection, (target.environment, target.add_in), id, state).await?;
    Ok(operation)
}

async fn locked(
    connection: &mut PgConnection,
    actor: &Actor,
    target: &Target<'_>,
) -> Result<Installation, Error> {
    hold::lock(connection, &[target.name()]).await?;
    environment_for(connection, actor, target.environment).await?;
    let found = store::find(&mut *connection, target.environment, target.add_in).await?;
    let installation = found.ok_or_else(|| Error::NotFound(target.name()))?;
    if !target.etag.is_empty() && target.etag != installation.etag() {
        return Err(Error::VersionMismatch(target.name()));
    }
    Ok(installation)
}

fn require_state(
    target: &Target<'_>,
    installation: &Installation,
    states: &[State],
) -> Result<(), Error> {
    if states.contains(&installation.state) {
        return Ok(());
    }
    let state = installation.state.word();
    let operation = resource::name(OPERATIONS, installation.operation);
    let message = format!("{} is {state}, by {operation}.", target.name());
    Err(Error::InvalidState { resource: target.name(), state, message })
}

/// What other add-ins there need, stays.
async fn refuse_while_needed(
    deps: &Deps,
    connection: &mut PgConnection,
    target: &Target<'_>,
) -> Result<(), Error> {
    for other in store::all_of(connection, target.environment).await? {
        let file = deps.add_ins.get(&other.add_in).map(|it| &it.file);
        if file.is_some_and(|it| it.required_add_ins.iter().any(|it| it == target.add_in)) {
            let used_by = installation_name(target.environment, &other.add_in);
            let message = format!("{} needs it; uninstall that first.", other.add_in);
            return Err(Error::InUse { resource: target.name(), used_by, message });
        }
    }
    Ok(())
}

pub(crate) fn add_in_of<'d>(deps: &'d Deps, name: &str) -> Result<&'d AddIn, Error> {
    deps.add_ins.get(name).ok_or_else(|| Error::NotFound(resource::name(ADD_INS, name)))
}

fn accepted(add_in: &AddIn, parameters: &str) -> Result<String, Error> {
    let parameters = add_in.schema.accept(parameters).map_err(Error::Parameters)?;
    Ok(Value::Object(parameters).to_string())
}

/// What is there, as it is.
pub(super) fn order_of(deps: &Deps, installation: &Installation) -> Order {
    let name = &installation.add_in;
    let file = deps.add_ins.get(name).map(|it| &it.file);
    Order {
        platform_environment: installation.platform_environment,
        add_in: name.clone(),
        display_name: file.map_or_else(|| name.clone(), |it| it.display_name.clone()),
        version: installation.version.clone(),
        parameters: installation.parameters.clone(),
        previous: installation.parameters.clone(),
        delete_data: false,
    }
}

fn new_operation(
    kind: OperationKind,
    actor: &Actor,
    target: &Target<'_>,
    order: &Order,
) -> Result<NewOperation, Error> {
    let request =
        serde_json::to_value(order).map_err(|error| Error::Malformed(error.to_string()))?;
    Ok(NewOperation {
        kind,
        request,
        user: actor.name(),
        targets: vec![resource::name(PLATFORM, target.environment), target.name()],
        // Another add-in may be installed at the same time.
        holds: vec![target.name()],
        warnings: Vec::new(),
    })
}
