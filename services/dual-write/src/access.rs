//! Who may do what (spec DW-56, A22).
//!
//! System administrators, who are so on both sides, may do everything. Makers define maps: what a map is, not
//! what happens to rows. So whatever starts, stops or repairs something, names companies or tells what rows hold
//! is not for them: it reads and writes all rows of both sides, and asks nobody's rights.

use std::sync::Arc;

use prost::Message;
use proto::dual_write::v1::TableMap;
use rpc::audit::{self, Entry};
use rpc::{CallContext, Caller, Companies, EntityRights, Privileges, role};
use tonic::{Request, Status};

use crate::error::Error;
use crate::names;
use crate::store::Once;

/// Stands for every data entity in grants.
const EVERY_ENTITY: &str = "*";
/// What the audit calls a call that only reads, and what it is about.
const READ: (&str, &str) = ("read", "dual-write");

/// Somebody who may make the call.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) caller: Arc<Caller>,
    pub(crate) context: CallContext,
}

/// What a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needed {
    /// To be System administrator.
    Administrator,
    /// That, or to be a maker: System customizer on the platform, and in the ERP somebody who may do everything.
    Maker,
}

// === impl Actor ===

impl Actor {
    /// Of an administrator's call that only reads.
    pub(crate) fn reading<T>(request: &Request<T>) -> Result<Self, Status> {
        Self::of(request, Needed::Administrator, READ)
    }

    /// Of a call that reads what maps are.
    pub(crate) fn reading_maps<T>(request: &Request<T>) -> Result<Self, Status> {
        Self::of(request, Needed::Maker, READ)
    }

    /// Of an administrator's call that changes `resource`.
    pub(crate) fn writing<T>(
        request: &Request<T>,
        operation: &str,
        resource: &str,
    ) -> Result<Self, Status> {
        Self::of(request, Needed::Administrator, (operation, resource))
    }

    /// Of a call that changes what maps are.
    pub(crate) fn defining<T>(
        request: &Request<T>,
        operation: &str,
        resource: &str,
    ) -> Result<Self, Status> {
        Self::of(request, Needed::Maker, (operation, resource))
    }

    /// Who may not is in the audit.
    fn of<T>(
        request: &Request<T>,
        needed: Needed,
        (operation, resource): (&str, &str),
    ) -> Result<Self, Status> {
        let context = CallContext::of(request)?;
        let actor = Self { caller: Arc::clone(&context.caller), context };
        if actor.is_administrator() || needed == Needed::Maker && is_maker(&actor.caller) {
            return Ok(actor);
        }
        let denied = Error::Denied(needed);
        actor.record(operation, resource, Err(&denied));
        Err(denied.into())
    }

    pub(crate) fn is_administrator(&self) -> bool {
        self.caller.rights.administrator
    }

    /// A map as the actor sees it: what failed tells of rows.
    pub(crate) fn shown(&self, map: TableMap) -> TableMap {
        match self.is_administrator() {
            true => map,
            false => TableMap { last_error: None, ..map },
        }
    }

    /// `users/…`.
    pub(crate) fn name(&self) -> String {
        format!("users/{}", self.caller.user.name)
    }

    /// What makes a repetition of the request known.
    pub(crate) fn once(
        &self,
        operation: &str,
        key: &str,
        request: &impl Message,
    ) -> Result<Option<Once>, Error> {
        // Whoever acts as somebody else is not told what that user was answered.
        let ids: Vec<_> =
            self.caller.principals().map(|it| it.system_user_id.to_string()).collect();
        Once::of(&ids.join("/"), operation, key, request)
    }

    /// Leaves in the audit what became of a write.
    pub(crate) fn record(&self, operation: &str, resource: &str, outcome: Result<(), &Error>) {
        let resource = names::shown(resource);
        let entity = resource.split('/').next().unwrap_or_default();
        let (decision, reason) = match outcome {
            Ok(()) => (audit::Decision::Allowed, ""),
            Err(error) => (error.decision(), error.reason()),
        };
        let caller = Some(&*self.caller);
        audit::record(&Entry { caller, operation, entity, record: &resource, decision, reason });
    }
}

// === impl Needed ===

impl Needed {
    /// Which roles somebody lacks.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Administrator => {
                "this takes the role System administrator, which administers both sides"
            }
            Self::Maker => {
                "this takes the role System administrator; or the role System customizer on the platform \
                 and, in the ERP, roles that let one do everything with every data entity of every company"
            }
        }
    }

    /// What of dual-write one may not.
    pub(crate) fn privilege(self) -> &'static str {
        match self {
            Self::Administrator => "administer",
            Self::Maker => "define",
        }
    }
}

/// Whether the caller, and whoever acts as it, defines maps.
fn is_maker(caller: &Caller) -> bool {
    let customizes = |it: &rpc::Principal| {
        it.contact.is_none() && (it.holds(role::SYSTEM_CUSTOMIZER) || it.is_administrator())
    };
    let rights = &caller.rights;
    caller.principals().all(customizes)
        && rights.companies == Companies::All
        && *rights.entity(EVERY_ENTITY) == EntityRights::of(Privileges::ALL)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use proto::user_context::v1::{EntityGrant, Operation, RoleGrants};
    use rpc::{Identity, Principal, RoleDefinitions};
    use uuid::Uuid;

    use super::*;

    const EVERYTHING: [Operation; 5] = [
        Operation::Read,
        Operation::Create,
        Operation::Update,
        Operation::Delete,
        Operation::Invoke,
    ];

    fn role(name: &str, entity: &str, operations: &[Operation], hidden: &[&str]) -> RoleGrants {
        let grant = EntityGrant {
            entities: vec![entity.to_owned()],
            operations: operations.iter().map(|it| (*it).into()).collect(),
            hidden_fields: hidden.iter().map(|it| (*it).to_owned()).collect(),
            ..EntityGrant::default()
        };
        RoleGrants { role: name.to_owned(), grants: vec![grant] }
    }

    fn principal(roles: &[&str], companies: Companies) -> Principal {
        Principal {
            system_user_id: Uuid::from_u128(1),
            name: "max".into(),
            erp_user: "max".into(),
            roles: roles.iter().map(|it| (*it).to_owned()).collect(),
            companies,
            contact: None,
        }
    }

    fn caller(user: Principal, sender: Option<Principal>) -> Caller {
        let roles = RoleDefinitions::new(&[
            role("Everything", EVERY_ENTITY, &EVERYTHING, &[]),
            role("Reads", EVERY_ENTITY, &EVERYTHING[..1], &[]),
            role("Blind", EVERY_ENTITY, &EVERYTHING, &["CreditLimit"]),
            role("Customers", "CustCustomerV3Entity", &EVERYTHING, &[]),
        ]);
        Identity { sender, ..Identity::of(user) }.into_caller(&roles)
    }

    fn defines(user: Principal, sender: Option<Principal>) -> bool {
        is_maker(&caller(user, sender))
    }

    /// A log that can be read.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_may_not_is_told_what_it_takes_and_is_in_the_audit() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false);
        let subscriber = subscriber.with_writer(move || writer.clone()).finish();
        let _log = tracing::subscriber::set_default(subscriber);
        let request = |roles: &[&str]| {
            let mut request = Request::new(());
            let caller = caller(principal(roles, Companies::All), None);
            request.extensions_mut().insert(Arc::new(caller));
            request
        };
        let maker = [role::SYSTEM_CUSTOMIZER, "Everything"];
        let map = "maps/customers";
        assert!(Actor::defining(&request(&maker), "UpdateMap", map).is_ok());
        assert!(Actor::reading_maps(&request(&maker)).is_ok());
        let entries = || String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
        assert_eq!(entries(), "", "nothing was denied");
        let check = |denied: Result<Actor, Status>, roles: &[&str], written: &[&str]| {
            let denied = denied.unwrap_err();
            assert_eq!(rpc::reason(&denied), Some(rpc::ErrorReason::PrivilegeDenied));
            for role in roles {
                assert!(denied.message().contains(role), "{denied:?}");
            }
            let entries = entries();
            assert_eq!(entries.lines().count(), 1, "{entries}");
            for part in written.iter().chain(&[" audit: ", "decision=denied", "PRIVILEGE_DENIED"]) {
                assert!(entries.contains(part), "{part}: {entries}");
            }
        };
        let clerk = request(&["Customers", role::SYSTEM_CUSTOMIZER]);
        let both = [role::SYSTEM_ADMINISTRATOR, role::SYSTEM_CUSTOMIZER, "every data entity"];
        check(Actor::defining(&clerk, "UpdateMap", map), &both, &["UpdateMap", map]);
        check(Actor::reading_maps(&clerk), &both, &["\"read\"", "dual-write"]);
        let one = [role::SYSTEM_ADMINISTRATOR];
        check(Actor::writing(&request(&maker), "StartMaps", map), &one, &["StartMaps", map]);
        check(Actor::reading(&request(&maker)), &one, &["\"read\"", "dual-write"]);
    }

    #[test]
    fn a_maker_customizes_the_platform_and_may_do_everything_in_the_erp() {
        let maker = || principal(&["system customizer", "Everything"], Companies::All);
        assert!(defines(maker(), None));
        for (roles, companies) in [
            (&["System customizer"][..], Companies::All),
            (&["Everything"], Companies::All),
            (&["System customizer", "Reads"], Companies::All),
            (&["System customizer", "Blind"], Companies::All),
            (&["System customizer", "Customers"], Companies::All),
            (&["System customizer", "Everything"], Companies::Only(vec!["USMF".into()])),
        ] {
            assert!(!defines(principal(roles, companies.clone()), None), "{roles:?} {companies:?}");
        }
        assert!(!defines(Principal { contact: Some(Uuid::nil()), ..maker() }, None));
        // Who acts as a maker has to be one, or to administer.
        let administrator = || principal(&[role::SYSTEM_ADMINISTRATOR], Companies::All);
        assert!(defines(maker(), Some(administrator())));
        assert!(!defines(maker(), Some(principal(&["Everything"], Companies::All))));
        assert!(!defines(principal(&["Reads"], Companies::All), Some(administrator())));
    }
}
