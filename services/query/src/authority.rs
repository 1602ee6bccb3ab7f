//! Who may do what with the ERP's rows: what the ERP grants its user, entity by entity.

use std::sync::Arc;

use provider::{Authority, Grant, Privilege, Refused};
use rpc::Caller;

use crate::definitions::Definitions;

/// The caller's ERP rights, over the entities that the catalog has published.
#[derive(Debug)]
pub(crate) struct ErpRights {
    definitions: Arc<Definitions>,
}

impl ErpRights {
    pub(crate) fn new(definitions: Arc<Definitions>) -> Self {
        Self { definitions }
    }
}

impl Authority for ErpRights {
    fn grant(&self, caller: &Caller, entity: &str, privilege: Privilege) -> Result<Grant, Refused> {
        let binding = self.definitions.find(entity).ok_or(Refused::Unknown)?;
        Grant::of(caller, binding, privilege).map_err(Refused::Denied)
    }

    fn is_ready(&self) -> bool {
        self.definitions.is_ready()
    }
}
