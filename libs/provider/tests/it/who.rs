//! Callers, as their roles make them.

use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use proto::user_context::v1::Operation;
use proto::user_context::v1::{EntityGrant, RoleGrants};
use rpc::{CallContext, Caller, Companies, Identity, Principal, RoleDefinitions, role};
use uuid::Uuid;

pub(crate) const READ: &[Operation] = &[Operation::Read];
pub(crate) const ALL: &[Operation] =
    &[Operation::Read, Operation::Create, Operation::Update, Operation::Delete, Operation::Invoke];

/// Everything that the tests' roles are granted together.
const ROLE: &str = "Clerk";

pub(crate) fn principal(user: &str, roles: &[&str], companies: Companies) -> Principal {
    Principal {
        system_user_id: Uuid::nil(),
        name: user.into(),
        erp_user: user.into(),
        roles: roles.iter().map(|it| (*it).to_owned()).collect(),
        companies,
        contact: None,
    }
}

pub(crate) fn administrator() -> Caller {
    let admin = principal("admin", &[role::SYSTEM_ADMINISTRATOR], Companies::All);
    Identity::of(admin).into_caller(&RoleDefinitions::default())
}

pub(crate) fn grant(entities: &[&str], operations: &[Operation]) -> EntityGrant {
    EntityGrant {
        entities: entities.iter().map(|it| (*it).to_owned()).collect(),
        operations: operations.iter().map(|it| i32::from(*it)).collect(),
        ..Default::default()
    }
}

/// Who holds one role, of these grants.
pub(crate) fn clerk(user: &str, companies: Companies, grants: Vec<EntityGrant>) -> Caller {
    caller(Identity::of(principal(user, &[ROLE], companies)), grants)
}

/// Who holds whatever roles; [`ROLE`] is of these grants.
pub(crate) fn caller(identity: Identity, grants: Vec<EntityGrant>) -> Caller {
    identity.into_caller(&RoleDefinitions::new(&[RoleGrants { role: ROLE.into(), grants }]))
}

pub(crate) fn only(companies: &[&str]) -> Companies {
    Companies::Only(companies.iter().map(|it| (*it).to_owned()).collect())
}

pub(crate) fn context(caller: Caller) -> CallContext {
    CallContext { caller: Arc::new(caller), deadline: Instant::now() + Duration::from_secs(30) }
}
