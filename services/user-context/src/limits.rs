//! Who may change what, judged by what the directory says before and after the change.
//!
//! A Security administrator manages everybody but System administrators, holders of a tenant's role
//! ([`TENANT_ROLES`]) and itself: neither its own user nor what its own roles grant. Nor does it make anybody
//! in the ERP who is a System administrator's user there. A tenant's roles are given and taken by those who
//! administer the tenant, which by itself lets them change nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use rpc::{Caller, Principal, role};
use uuid::Uuid;

use crate::content::{ADMIN, Content, Entry, Role, Table, User, is_built_in, key};
use crate::error::Error;

/// Who makes a change.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Actor<'a> {
    /// The environment itself: its files, its portal mappings.
    Environment,
    /// A user, through the API.
    Caller(&'a Caller),
}

/// Roles over environments, and no rights over what is in them.
const TENANT_ROLES: [&str; 5] = [
    role::POWER_PLATFORM_ADMINISTRATOR,
    role::DYNAMICS_365_ADMINISTRATOR,
    role::GLOBAL_ADMINISTRATOR,
    role::ENVIRONMENT_MANAGER,
    role::PROJECT_OWNER,
];

/// What somebody may change.
#[derive(Clone, Copy)]
struct Powers {
    /// Everything.
    system: bool,
    /// Who holds a tenant's roles.
    tenant: bool,
    /// What is neither above nor its own.
    security: bool,
}

/// Whether the actor may change anything at all.
pub(crate) fn check_actor(actor: Actor<'_>, content: &Content) -> Result<(), Error> {
    match actor {
        Actor::Environment => Ok(()),
        Actor::Caller(caller) => powers(caller, content).map(drop).ok_or(Error::NotAdministrator),
    }
}

/// Whether the actor may turn `before` into `after`.
pub(crate) fn check(actor: Actor<'_>, before: &Content, after: &Content) -> Result<(), Error> {
    check_what_always_exists(before, after)?;
    let caller = match actor {
        Actor::Environment => return Ok(()),
        Actor::Caller(caller) => caller,
    };
    let powers = powers(caller, before).ok_or(Error::NotAdministrator)?;
    if powers.system {
        return Ok(());
    }
    check_users(caller, powers, before, after)?;
    check_rights(caller, powers, before, after)
}

/// Whether the caller may see the directory.
pub(crate) fn check_reader(caller: &Caller) -> Result<(), Error> {
    let rights = &caller.rights;
    let is_tenant = |it: &Principal| it.is_tenant_administrator() && it.contact.is_none();
    let tenant = caller.principals().all(is_tenant);
    let may = rights.administrator || rights.security_administrator || tenant;
    if may { Ok(()) } else { Err(Error::NotAdministrator) }
}

/// Users whose assertions do not say any more what they said before: they are not to be believed.
/// `anonymous` is the ERP user of visitors who did not sign in to a portal.
pub(crate) fn revoked(
    before: &Content,
    after: &Content,
    anonymous: Option<&str>,
) -> BTreeSet<Uuid> {
    let (mut revoked, mut is_portal) = (BTreeSet::new(), false);
    // Who stands behind a visitor is judged by all users of its ERP user.
    let mut judged_anew = BTreeSet::new();
    for (old, new) in changed(&before.users, &after.users) {
        if let (Some(old), Some(new)) = (old, new)
            && !old.loses_assertions_to(new)
        {
            continue;
        }
        if let Some(old) = old {
            revoked.insert(old.system_user_id);
            is_portal |= old.serves_portal;
        }
        judged_anew.extend(new.map(|it| it.erp_user.as_str()));
    }
    // Portal visitors' assertions name the users that stand behind them, not who sent them.
    let is_behind =
        |it: &&Arc<User>| holds_portal_role(it) || anonymous == Some(it.erp_user.as_str());
    let behind = before.users.values().filter(is_behind);
    let behind = behind.filter(|it| is_portal || judged_anew.contains(it.erp_user.as_str()));
    revoked.extend(behind.map(|it| it.system_user_id));
    revoked
}

/// Whether the user may stand behind portal contacts, as far as its roles go.
pub(crate) fn holds_portal_role(user: &User) -> bool {
    user.holds(role::PORTAL_USER) || user.holds(role::PORTAL_USER_ALIAS)
}

/// By name, entries as they were and as they are, where these differ.
pub(crate) fn changed<'c, T: Entry + PartialEq>(
    before: &'c Table<T>,
    after: &'c Table<T>,
) -> impl Iterator<Item = (Option<&'c Arc<T>>, Option<&'c Arc<T>>)> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    names.into_iter().map(|it| (before.get(it), after.get(it))).filter(|(old, new)| old != new)
}

fn check_what_always_exists(before: &Content, after: &Content) -> Result<(), Error> {
    let admin = after
        .get::<User>(ADMIN)
        .filter(|it| it.is_administrator() && !it.disabled && it.application_id.is_none());
    if admin.is_none() {
        return Err(Error::AlwaysExists(format!("{}/{ADMIN}", User::COLLECTION)));
    }
    let mut roles = changed(&before.roles, &after.roles).filter_map(|(old, _)| old);
    match roles.find(|it| is_built_in(&it.name)) {
        Some(role) => Err(Error::AlwaysExists(format!("{}/{}", Role::COLLECTION, role.name))),
        None => Ok(()),
    }
}

/// What the directory says now, not what it said when the caller's assertion was made; `None` of who may
/// change nothing. Who acts as another may no more than both may.
fn powers(caller: &Caller, content: &Content) -> Option<Powers> {
    let all = caller.principals().map(|principal| {
        let user = content.users.get(&key(&principal.name))?;
        let same = user.system_user_id == principal.system_user_id && principal.contact.is_none();
        (same && !user.disabled).then(|| Powers::of(user))
    });
    let both = all.reduce(|one, other| Some(one?.intersect(other?)));
    both.flatten().filter(|it| it.system || it.tenant || it.security)
}

/// To the ERP, its user is whoever has its name, and spelling may not matter to it.
fn is_of_administrator(erp_user: &str, content: &Content) -> bool {
    let mut administrators = content.users.values().filter(|it| it.is_administrator());
    administrators.any(|it| it.erp_user.eq_ignore_ascii_case(erp_user))
}

fn check_users(
    caller: &Caller,
    powers: Powers,
    before: &Content,
    after: &Content,
) -> Result<(), Error> {
    for (old, new) in changed(&before.users, &after.users) {
        let both = || old.into_iter().chain(new);
        if both().any(|it| it.is_administrator()) {
            return Err(Error::AboveSecurityAdministrator);
        }
        if !powers.tenant && both().any(|it| holds_tenant_role(it)) {
            return Err(Error::TenantRoles);
        }
        let rest = |it: Option<&Arc<User>>| it.map(|it| without_tenant_roles(it));
        if rest(old) == rest(new) {
            continue;
        }
        if !powers.security {
            return Err(Error::TenantRolesOnly);
        }
        if both().any(|it| is_own(caller, it)) {
            return Err(Error::OwnRights);
        }
        if let Some(new) = new
            && old.is_none_or(|old| old.erp_user != new.erp_user)
            && is_of_administrator(&new.erp_user, before)
        {
            return Err(Error::AboveSecurityAdministrator);
        }
    }
    Ok(())
}

/// What roles grant.
fn check_rights(
    caller: &Caller,
    powers: Powers,
    before: &Content,
    after: &Content,
) -> Result<(), Error> {
    let is_changed = before.roles != after.roles
        || before.duties != after.duties
        || before.privileges != after.privileges;
    if is_changed && !powers.security {
        return Err(Error::TenantRolesOnly);
    }
    let roles = before.users.values().filter(|it| is_own(caller, it)).flat_map(|it| &it.roles);
    for name in roles {
        let grants = |content: &Content| -> Option<Vec<_>> {
            let role = content.get::<Role>(name)?;
            Some(content.grants_of(role).cloned().collect())
        };
        if grants(before) != grants(after) {
            return Err(Error::OwnRights);
        }
    }
    Ok(())
}

fn is_own(caller: &Caller, user: &User) -> bool {
    caller.principals().any(|own| own.system_user_id == user.system_user_id)
}

fn is_tenant_role(role: &str) -> bool {
    TENANT_ROLES.iter().any(|it| it.eq_ignore_ascii_case(role))
}

fn holds_tenant_role(user: &User) -> bool {
    user.roles.iter().any(|it| is_tenant_role(it))
}

fn without_tenant_roles(user: &User) -> User {
    let roles = user.roles.iter().filter(|it| !is_tenant_role(it)).cloned().collect();
    User { roles, ..user.clone() }
}

// === impl Powers ===

impl Powers {
    fn of(user: &User) -> Self {
        let system = user.is_administrator();
        Self {
            system,
            tenant: system || user.is_tenant_administrator(),
            security: system || user.is_security_administrator(),
        }
    }

    fn intersect(self, other: Self) -> Self {
        Self {
            system: self.system && other.system,
            tenant: self.tenant && other.tenant,
            security: self.security && other.security,
        }
    }
}
