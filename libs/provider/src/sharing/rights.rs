//! What dual-write may do: everything, whoever it follows.

use std::sync::{Arc, OnceLock};

use proto::query::v1 as pb;
use rpc::{Caller, Companies, Identity, Principal, RoleDefinitions, role};
use uuid::Uuid;

use crate::authority::{Authority, Privilege};
use crate::binding::Binding;
use crate::error::Error;
use crate::grant::{Grant, Grants, Refused};

/// The service, as errors and trails name it.
pub(crate) const DUAL_WRITE: &str = "dual-write";

/// Leave to touch every row of the entities that an authority knows, and to write what users only read.
#[derive(Debug)]
pub(crate) struct Unrestricted<'a>(pub(crate) &'a dyn Authority);

// === impl Unrestricted ===

impl Unrestricted<'_> {
    pub(crate) fn binding(&self, entity: &str) -> Result<Arc<Binding>, Error> {
        let grant = self.leave(entity).map_err(|refused| refused.into_error(entity))?;
        Ok(grant.shared_binding())
    }

    /// To read from the entity on, wherever it leads.
    pub(crate) fn grants(&self, binding: &Arc<Binding>) -> Grants<'_> {
        Grants::new(Grant::unrestricted(Arc::clone(binding)), |it| self.leave(it))
    }

    fn leave(&self, entity: &str) -> Result<Grant, Refused> {
        let known = self.0.grant(administrator(), entity, Privilege::Read)?;
        Ok(Grant::unrestricted(known.shared_binding()).for_service())
    }
}

impl Authority for Unrestricted<'_> {
    fn grant(&self, _: &Caller, entity: &str, _: Privilege) -> Result<Grant, Refused> {
        self.leave(entity)
    }

    fn lookup(&self, entity: &str, column: &str) -> Option<String> {
        self.0.lookup(entity, column)
    }
}

/// Whoever sees everything.
fn administrator() -> &'static Caller {
    static CALLER: OnceLock<Caller> = OnceLock::new();
    CALLER.get_or_init(|| {
        let principal = Principal {
            system_user_id: Uuid::nil(),
            name: DUAL_WRITE.to_owned(),
            erp_user: DUAL_WRITE.to_owned(),
            roles: vec![role::SYSTEM_ADMINISTRATOR.to_owned()],
            companies: Companies::All,
            contact: None,
        };
        Identity::of(principal).into_caller(&RoleDefinitions::default())
    })
}

/// A value that is none.
pub(crate) fn is_null(value: &pb::Value) -> bool {
    matches!(value.kind, None | Some(pb::value::Kind::NullValue(_)))
}
