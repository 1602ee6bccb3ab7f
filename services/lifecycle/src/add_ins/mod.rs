//! Add-ins of linked environments (spec §1.9): the catalogue, what keeps one from being installed, and the
//! workflows that install, configure and remove them.
//!
//! An add-in runs wherever its runtime does; what is here writes down that it is installed, tells the runtime
//! so, and shows it in the platform's tables. Start with [`begin`], then [`install`].

mod begin;
mod catalogue;
mod configure;
mod ending;
mod install;
mod parameters;
mod requirements;
mod status;
mod uninstall;
mod version;
mod work;

use std::sync::Arc;

use proto::capacity::v1::CapacityOperation;
use proto::lifecycle::v1::{AddInInstallationState as State, OperationKind};
use rpc::ErrorReason;
use serde_json::Value;
use sqlx::postgres::PgExecutor;
use uuid::Uuid;

pub(crate) use begin::{
    Target, add_in_of, begin_cancel, begin_configure, begin_install, begin_uninstall,
    environment_for, installation_name,
};
pub(crate) use catalogue::{AddIn, Catalogue};
pub(crate) use ending::uninstall_all;
pub(crate) use parameters::Finding;
use requirements::Surroundings;
pub(crate) use requirements::Unmet;
pub(crate) use status::refresh;
pub(crate) use version::Version;

use crate::Deps;
use crate::engine::Workflow;
use crate::environments::capacity::{self, Need};
use crate::error::Error;
use crate::store::add_in as store;
use configure::Configure;
use install::Install;
use uninstall::Uninstall;
use work::Work;
pub(crate) use work::shown;

/// The collection of add-ins, also within an environment.
pub(crate) const ADD_INS: &str = "addIns";

/// The workflow of an operation of an add-in.
pub(crate) fn workflow(
    kind: OperationKind,
    request: &Value,
    deps: &Arc<Deps>,
) -> Result<Box<dyn Workflow>, Error> {
    let order = serde_json::from_value(request.clone());
    let order = order.map_err(|error| Error::Malformed(error.to_string()))?;
    let work = |verb| Work { deps: Arc::clone(deps), order, verb };
    match kind {
        OperationKind::InstallAddIn => Ok(Box::new(Install(work("install")))),
        OperationKind::ConfigureAddIn => Ok(Box::new(Configure(work("configure")))),
        OperationKind::UninstallAddIn => Ok(Box::new(Uninstall(work("uninstall")))),
        _ => Err(Error::Malformed(format!("{} is of no add-in", kind.as_str_name()))),
    }
}

/// What keeps an add-in from being installed in an environment now; nothing: it can be.
pub(crate) async fn unmet(
    executor: impl PgExecutor<'_>,
    deps: &Deps,
    add_in: &AddIn,
    environment: &store::Environment,
    capacity: Option<Unmet>,
) -> Result<Vec<Unmet>, sqlx::Error> {
    let name = &add_in.file.name;
    let surroundings = requirements_of(executor, deps, environment.id, name, capacity).await?;
    Ok(requirements::unmet(add_in, environment, &surroundings))
}

/// Why there is no room for an add-in; `None`: there is.
pub(crate) async fn lacking_capacity(deps: &Deps) -> Result<Option<Unmet>, Error> {
    let need = Need::new(CapacityOperation::InstallAddIn, String::new());
    match capacity::check(&deps.clients.capacity, &need).await {
        Ok(()) => Ok(None),
        Err(Error::CapacityOverage(sentence)) => {
            Ok(Some(Unmet { reason: ErrorReason::CapacityOverage, sentence }))
        }
        Err(Error::CapacityInsufficient(sentence)) => {
            Ok(Some(Unmet { reason: ErrorReason::CapacityInsufficient, sentence }))
        }
        Err(error) => Err(error),
    }
}

async fn requirements_of(
    executor: impl PgExecutor<'_>,
    deps: &Deps,
    environment: Uuid,
    add_in: &str,
    capacity: Option<Unmet>,
) -> Result<Surroundings, sqlx::Error> {
    let all = store::all_of(executor, environment).await?;
    let works =
        |it: &store::Installation| matches!(it.state, State::Installed | State::Configuring);
    let installed = all.into_iter().filter(works).map(|it| it.add_in).collect();
    Ok(Surroundings { capacity, runtime: deps.clients.add_ins.contains_key(add_in), installed })
}
