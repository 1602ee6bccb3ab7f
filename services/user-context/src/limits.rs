//! Who may change what, judged by what the directory says before and after the change.
//!
//! A Security administrator manages everybody but System administrators and itself: neither its own
//! user nor what its own roles grant. Nor does it make anybody in the ERP who is a System administrator's
//! user there.

use std::collections::BTreeSet;
use std::sync::Arc;

use rpc::{Caller, role};
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

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Security,
    System,
}

/// Whether the actor may change anything at all.
pub(crate) fn check_actor(actor: Actor<'_>, content: &Content) -> Result<(), Error> {
    match actor {
        Actor::Environment => Ok(()),
        Actor::Caller(caller) => rank(caller, content).map(drop).ok_or(Error::NotAdministrator),
    }
}

/// Whether the actor may turn `before` into `after`.
pub(crate) fn check(actor: Actor<'_>, before: &Content, after: &Content) -> Result<(), Error> {
    check_what_always_exists(before, after)?;
    let caller = match actor {
        Actor::Environment => return Ok(()),
        Actor::Caller(caller) => caller,
    };
    match rank(caller, before).ok_or(Error::NotAdministrator)? {
        Rank::System => Ok(()),
        Rank::Security => check_security_administrator(caller, before, after),
    }
}

/// Whether the caller may see the directory.
pub(crate) fn check_reader(caller: &Caller) -> Result<(), Error> {
    let rights = &caller.rights;
    let may = rights.administrator || rights.security_administrator;
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

/// What the directory says now, not what it said when the caller's assertion was made. Who acts as
/// another is no more than both are.
fn rank(caller: &Caller, content: &Content) -> Option<Rank> {
    let ranks = caller.principals().map(|principal| {
        let user = content.users.get(&key(&principal.name))?;
        let same = user.system_user_id == principal.system_user_id && principal.contact.is_none();
        if user.disabled || !same {
            None
        } else if user.is_administrator() {
            Some(Rank::System)
        } else {
            user.is_security_administrator().then_some(Rank::Security)
        }
    });
    ranks.min().flatten()
}

/// To the ERP, its user is whoever has its name, and spelling may not matter to it.
fn is_of_administrator(erp_user: &str, content: &Content) -> bool {
    let mut administrators = content.users.values().filter(|it| it.is_administrator());
    administrators.any(|it| it.erp_user.eq_ignore_ascii_case(erp_user))
}

fn check_security_administrator(
    caller: &Caller,
    before: &Content,
    after: &Content,
) -> Result<(), Error> {
    let own = |it: &User| caller.principals().any(|own| own.system_user_id == it.system_user_id);
    for (old, new) in changed(&before.users, &after.users) {
        for user in old.into_iter().chain(new) {
            if user.is_administrator() {
                return Err(Error::AboveSecurityAdministrator);
            }
            if own(user) {
                return Err(Error::OwnRights);
            }
        }
        if let Some(new) = new
            && old.is_none_or(|old| old.erp_user != new.erp_user)
            && is_of_administrator(&new.erp_user, before)
        {
            return Err(Error::AboveSecurityAdministrator);
        }
    }
    let roles = before.users.values().filter(|it| own(it)).flat_map(|it| &it.roles);
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
