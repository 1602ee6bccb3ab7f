//! What this service decided, for the audit.

use rpc::Caller;
use rpc::audit::{self, Decision, Entry};

use crate::error::Error;
use crate::names;

/// A write was done, or refused, or could not be done. Who has no user is a service.
pub(crate) fn wrote(
    caller: Option<&Caller>,
    operation: &str,
    resource: &str,
    outcome: Result<(), &Error>,
) {
    let resource = names::shown(resource);
    let entity = resource.split('/').next().unwrap_or_default();
    let (decision, reason) = match outcome {
        Ok(()) => (Decision::Allowed, ""),
        Err(error) => (error.decision(), error.reason()),
    };
    audit::record(&Entry { caller, operation, entity, record: &resource, decision, reason });
}
