//! Environments of both halves: how they come into being, are overwritten, saved and deleted (spec §1.5, §1.6).
//!
//! [`rules`] says what may be done with which environment; [`begin`] decides a request by them and begins the
//! operation; the other modules are the workflows. Data is never changed in place: see [`replace`].

pub(crate) mod backups;
pub(crate) mod begin;
pub(crate) mod capacity;
mod create_platform;
mod delete_erp;
mod deploy;
mod licences;
pub(crate) mod locations;
mod order;
mod platform_changes;
pub(crate) mod provisioning;
mod replace;
mod rules;
mod stages;
mod sweeper;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use sweeper::sweep;

use crate::Deps;
use crate::engine::Workflow;
use crate::error::Error;
use backups::BackUp;
use create_platform::CreatePlatform;
use delete_erp::DeleteErp;
use deploy::Deploy;
use order::Order;
use platform_changes::Change;
use replace::Replace;

/// The workflow of an operation on an environment.
pub(crate) fn workflow(request: &Value, deps: &Arc<Deps>) -> Result<Box<dyn Workflow>, Error> {
    let deps = Arc::clone(deps);
    let change = |deps, id, kind| Box::new(Change { deps, id, kind });
    Ok(match Order::of_value(request)? {
        Order::DeployErp { environment_id, initial, setup } => {
            let kind = deploy::Kind::Deployed { initial, setup };
            Box::new(Deploy { deps, environment_id, kind })
        }
        Order::InstallErp { environment_id, platform } => {
            Box::new(Deploy { deps, environment_id, kind: deploy::Kind::Installed { platform } })
        }
        Order::CreatePlatform { id, takes_capacity } => {
            Box::new(CreatePlatform { deps, id, existing: false, takes_capacity })
        }
        Order::AddDatabase { id, takes_capacity } => {
            Box::new(CreatePlatform { deps, id, existing: true, takes_capacity })
        }
        Order::DeleteErp { environment_id } => Box::new(DeleteErp { deps, environment_id }),
        Order::Replace { half, target, origin, takes_capacity } => {
            Box::new(Replace { deps, half, target, origin, takes_capacity })
        }
        Order::BackUp { half, environment, backup, label } => {
            Box::new(BackUp { deps, half, environment, backup, label })
        }
        Order::DeletePlatform { id } => change(deps, id, platform_changes::Kind::Delete),
        Order::Recover { id, takes_capacity } => {
            change(deps, id, platform_changes::Kind::Recover { takes_capacity })
        }
        Order::Convert { id, target_type, takes_capacity } => {
            let to = order::kind_of(&target_type)?;
            change(deps, id, platform_changes::Kind::Convert { to, takes_capacity })
        }
    })
}
