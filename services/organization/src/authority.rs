//! Who may do what with native rows.
//!
//! Every known user may read all of them, and may write those of business tables such as accounts and
//! contacts: native tables have no security roles of their own yet. The tables that say who
//! users are, and what the organization and its companies are, are written by administrators only.

use std::sync::Arc;

use provider::{Authority, Denied, Grant, Privilege, Refused};
use rpc::Caller;

use crate::native::NativeTables;

/// Written by administrators only.
const SYSTEM_TABLES: [&str; 4] = ["organization", "businessunit", "systemuser", "cdm_company"];

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
        Ok(Grant::unrestricted(binding))
    }
}
