//! Who may do what with environments.

use std::sync::Arc;

use rpc::audit::{self, Decision, Entry};
use rpc::{CallContext, Caller, role};
use tonic::{Request, Status};

use crate::error::Error;
use crate::resource::{self, USERS};

/// Who calls, and what it may do by its roles.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) caller: Arc<Caller>,
    level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// Only what it is the environment administrator of.
    Own,
    /// Of the ERP's project: reads everything, runs setups and add-ins.
    Project,
    /// Of the tenant: everything.
    Tenant,
}

const TENANT: &str = "an administrator of the tenant";
const PROJECT: &str = "an Environment Manager, a Project Owner or an administrator of the tenant";

impl Actor {
    /// Of a call that has a user.
    pub(crate) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = CallContext::of(request)?.caller;
        // What restricts one of them restricts the call.
        let level = caller.principals().map(level).min().unwrap_or(Level::Own);
        Ok(Self { caller, level })
    }

    /// `users/…`.
    pub(crate) fn name(&self) -> String {
        resource::name(USERS, &self.caller.user.name)
    }

    /// Everything that there is to be read, or only what the caller administers.
    pub(crate) fn reads_all(&self) -> bool {
        self.level >= Level::Project
    }

    /// Reading what is no single environment's.
    pub(crate) fn may_read(&self) -> Result<(), Error> {
        self.at_least(Level::Project, PROJECT)
    }

    /// Reading an environment, running its setup and its add-ins; `administrator` is its own (`users/…`),
    /// empty for what has none.
    pub(crate) fn may_set_up(&self, administrator: &str) -> Result<(), Error> {
        let own = !administrator.is_empty() && administrator.eq_ignore_ascii_case(&self.name());
        // Whoever calls as somebody else needs the right itself.
        match own && self.caller.sender.is_none() {
            true => Ok(()),
            false => self.at_least(Level::Project, PROJECT),
        }
    }

    /// Whatever else changes something.
    pub(crate) fn may_administer(&self) -> Result<(), Error> {
        self.at_least(Level::Tenant, TENANT)
    }

    /// Writes down how a write ended.
    pub(crate) fn audit<T>(&self, operation: &str, name: &str, result: &Result<T, Error>) {
        let (entity, record) = name.split_once('/').unwrap_or((name, ""));
        let (decision, reason) = match result {
            Ok(_) => (Decision::Allowed, ""),
            Err(error @ (Error::Denied { .. } | Error::Governance(_))) => {
                (Decision::Denied, error.audit_reason())
            }
            Err(error) => (Decision::Failed, error.audit_reason()),
        };
        let caller = Some(self.caller.as_ref());
        audit::record(&Entry { caller, operation, entity, record, decision, reason });
    }

    fn at_least(&self, level: Level, needed: &'static str) -> Result<(), Error> {
        match self.level >= level {
            true => Ok(()),
            false => Err(Error::Denied { user: self.caller.user.name.clone(), needed }),
        }
    }
}

fn level(principal: &rpc::Principal) -> Level {
    let project = [role::ENVIRONMENT_MANAGER, role::PROJECT_OWNER];
    if principal.is_tenant_administrator() {
        Level::Tenant
    } else if project.iter().any(|it| principal.holds(it)) {
        Level::Project
    } else {
        Level::Own
    }
}
