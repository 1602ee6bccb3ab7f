//! Who did what to which record as whom, with the decision and its reason.
//!
//! Entries are events of the target `audit`, which logs and collectors can tell from all others
//! (`TOMBOLO_AUDIT_FILE`, docs/configuration.md). They name users and records by id: no name, no value and no
//! secret is in them.

use std::fmt;

use crate::caller::{Caller, Principal};

/// The events' target.
pub const TARGET: &str = "audit";

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It was done.
    Allowed,
    /// It was not, because the caller may not.
    Denied,
    /// The caller may, and it could not be done.
    Failed,
}

/// One entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// On whose behalf; `None` for who could not be recognised.
    pub caller: Option<&'a Caller>,
    /// `read`, `create`, `update`, `delete`, `invoke`, or the method's name.
    pub operation: &'a str,
    /// Name of the entity, table or kind of resource.
    pub entity: &'a str,
    /// Id of the record; empty where it is not about one.
    pub record: &'a str,
    /// What was decided.
    pub decision: Decision,
    /// Why: a reason's name, such as `PRIVILEGE_DENIED`; empty where it was allowed.
    pub reason: &'a str,
}

/// Writes an entry: at WARN where something was denied, at INFO otherwise.
pub fn record(entry: &Entry<'_>) {
    macro_rules! write {
        ($level:expr) => {
            tracing::event!(
                target: TARGET,
                $level,
                user = entry.sender().map(id),
                acting_as = entry.user().map(id),
                contact = entry.user().and_then(|it| it.contact).map(tracing::field::display),
                operation = entry.operation,
                entity = entry.entity,
                record = entry.record,
                decision = %entry.decision,
                reason = entry.reason,
            )
        };
    }
    match entry.decision {
        Decision::Denied => write!(tracing::Level::WARN),
        Decision::Allowed | Decision::Failed => write!(tracing::Level::INFO),
    }
}

impl<'a> Entry<'a> {
    fn user(&self) -> Option<&'a Principal> {
        self.caller.map(|it| &it.user)
    }

    /// Who really calls.
    fn sender(&self) -> Option<&'a Principal> {
        self.caller.map(|it| it.sender.as_ref().unwrap_or(&it.user))
    }
}

fn id(principal: &Principal) -> tracing::field::DisplayValue<uuid::Uuid> {
    tracing::field::display(principal.system_user_id)
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Failed => "failed",
        })
    }
}
