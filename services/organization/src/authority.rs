//! Who may do what with native rows.
//!
//! Every known user may read all of them but other users' own views, and may write those of business
//! tables such as accounts and contacts: native tables have no security roles of their own yet. The
//! tables that say who users are, and what the organization and its companies are, and the views that
//! everybody has, are written by administrators only.

use std::sync::Arc;

use provider::{Authority, Denied, Grant, Privilege, Refused};
use rpc::Caller;

use crate::native::NativeTables;

/// Written by administrators only.
const SYSTEM_TABLES: [&str; 5] =
    ["organization", "businessunit", "systemuser", "cdm_company", "savedquery"];
/// Its rows are their owners' only.
const OWNED_TABLE: &str = "userquery";

/// The platform's own rights.
#[derive(Debug)]
pub(crate) struct PlatformRights {
    tables: Arc<NativeTables>,
}

impl PlatformRights {
    pub(crate) fn new(tables: Arc<NativeTables>) -> Self {
        Self { tables }
    }
}

impl Authority for PlatformRights {
    fn grant(&self, caller: &Caller, entity: &str, privilege: Privilege) -> Result<Grant, Refused> {
        let binding = self.tables.binding(entity).ok_or(Refused::Unknown)?;
        let reserved = privilege != Privilege::Read && SYSTEM_TABLES.contains(&entity);
        if reserved && !caller.rights.administrator {
            return Err(Refused::Denied(Denied::new(caller, entity, privilege)));
        }
        if entity == OWNED_TABLE && !caller.rights.administrator {
            let owner = vec![caller.system_user_id.to_string()];
            return Grant::restricted(binding, "ownerid", owner);
        }
        Ok(Grant::unrestricted(binding))
    }
}
