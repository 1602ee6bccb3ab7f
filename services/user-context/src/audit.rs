//! What this service decided, for the audit.

use rpc::audit::{self, Decision, Entry};
use rpc::{Caller, Identity, RoleDefinitions, system_user_id};

use crate::content::{Content, Entry as Named, Table, User};
use crate::error::Error;
use crate::limits::{self, Actor};

/// As much of a name as is written down, whatever somebody sends.
const LONGEST_NAME: usize = 200;

/// What a change made of an entry.
pub(crate) struct Difference {
    operation: &'static str,
    collection: &'static str,
    name: String,
}

/// Every entry that differs.
pub(crate) fn differences<'c>(
    before: &'c Content,
    after: &'c Content,
) -> impl Iterator<Item = Difference> + 'c {
    of_table(&before.users, &after.users)
        .chain(of_table(&before.roles, &after.roles))
        .chain(of_table(&before.duties, &after.duties))
        .chain(of_table(&before.privileges, &after.privileges))
}

/// The directory was changed.
pub(crate) fn changed(actor: Actor<'_>, before: &Content, after: &Content) {
    let caller = caller_of(actor);
    for it in differences(before, after) {
        // Names of users are not for the log; their rows' ids are.
        let user = after.users.get(&it.name).or_else(|| before.users.get(&it.name));
        let user = user
            .filter(|_| it.collection == User::COLLECTION)
            .map(|it| it.system_user_id.to_string());
        audit::record(&Entry {
            caller,
            operation: it.operation,
            entity: it.collection,
            record: user.as_ref().unwrap_or(&it.name),
            decision: Decision::Allowed,
            reason: "",
        });
    }
}

/// A change of the directory was refused, or could not be made.
pub(crate) fn refused(caller: &Caller, operation: &str, resource: &str, error: &Error) {
    let (entity, name) = resource.split_once('/').unwrap_or(("directory", resource));
    let name: String = name.chars().take(LONGEST_NAME).collect();
    let user = (entity == User::COLLECTION).then(|| system_user_id(&name).to_string());
    audit::record(&Entry {
        caller: Some(caller),
        operation,
        entity,
        record: &user.unwrap_or(name),
        decision: error.decision(),
        reason: error.reason(),
    });
}

/// A caller was resolved, or not; `record` is as whom it wants to act.
pub(crate) fn resolved(who: Option<Identity>, record: &str, decision: Decision, reason: &str) {
    let caller = who.map(|it| it.into_caller(&RoleDefinitions::default()));
    audit::record(&Entry {
        caller: caller.as_ref(),
        operation: "ResolveCaller",
        entity: "systemuser",
        record,
        decision,
        reason,
    });
}

fn caller_of(actor: Actor<'_>) -> Option<&Caller> {
    match actor {
        Actor::Environment => None,
        Actor::Caller(caller) => Some(caller),
    }
}

fn of_table<'c, T: Named + PartialEq>(
    before: &'c Table<T>,
    after: &'c Table<T>,
) -> impl Iterator<Item = Difference> + 'c {
    limits::changed(before, after).filter_map(|(old, new)| {
        let operation = match (old, new) {
            (None, _) => "create",
            (_, None) => "delete",
            (Some(_), Some(_)) => "update",
        };
        let name = crate::content::key(new.or(old)?.name());
        Some(Difference { operation, collection: T::COLLECTION, name })
    })
}
