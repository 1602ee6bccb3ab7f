//! Platform integration: prerequisites, and the workflows that end in a link, and in dual-write.
//!
//! [`prerequisites`] judges facts that [`facts`] gathers; [`start`] decides whether a setup may begin;
//! [`workflow`] does it, stage by stage, and [`linking`] its last one.

pub(crate) mod defaults;
pub(crate) mod dual_write;
pub(crate) mod facts;
mod linking;
pub(crate) mod prerequisites;
mod services;
pub(crate) mod start;
pub(crate) mod template;
mod workflow;

use std::sync::Arc;

use proto::lifecycle::v1::{Prerequisite, PrerequisiteCheck};
use rpc::ErrorReason;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::Deps;
use crate::engine::Workflow;
use crate::error::Error;

pub(crate) use start::{begin_at_deployment, check_deployment};
pub(crate) use workflow::web_api_url;

/// What a setup was asked for, as its operation's row keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) finance_and_operations: Uuid,
    pub(crate) platform: Uuid,
    /// The platform environment has its database already.
    pub(crate) existing: bool,
    /// Id of the template.
    pub(crate) template: String,
}

impl Order {
    fn to_value(&self) -> Result<Value, Error> {
        serde_json::to_value(self).map_err(|error| Error::Malformed(error.to_string()))
    }
}

/// How a setup is done.
pub(crate) fn workflow(request: &Value, deps: &Arc<Deps>) -> Result<Box<dyn Workflow>, Error> {
    let order: Order =
        Order::deserialize(request).map_err(|error| Error::Malformed(error.to_string()))?;
    let template = template::find(&order.template)
        .ok_or_else(|| Error::Malformed(format!("there is no template `{}`", order.template)))?;
    Ok(Box::new(workflow::Setup { deps: Arc::clone(deps), order, template }))
}

/// With which reason failing prerequisites refuse a request.
pub(crate) fn reason_of_refusal(checks: &[PrerequisiteCheck]) -> ErrorReason {
    match checks.first().map(PrerequisiteCheck::prerequisite) {
        Some(Prerequisite::SameGeography) => ErrorReason::RegionUnsuitable,
        _ => ErrorReason::RequirementUnmet,
    }
}
