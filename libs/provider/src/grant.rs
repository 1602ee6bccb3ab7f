//! Authorization as a value: nothing runs without a [`Grant`], and each names the rows it covers.

use std::sync::Arc;

use rpc::{Access, Caller, Companies, ErrorReason, status};
use tonic::{Code, Status};

use crate::binding::Binding;

/// Leave to read rows of one entity: all of them, or those of some legal entities.
#[derive(Clone, Debug)]
pub struct Grant {
    binding: Arc<Binding>,
    companies: Option<Vec<String>>,
}

/// The caller may not touch the entity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("user `{user}` is missing the privilege to {privilege} `{entity}`")]
pub struct Denied {
    user: String,
    entity: String,
    privilege: &'static str,
}

impl Grant {
    /// Leave to read every row. For tables that every known user may read.
    #[must_use]
    pub fn unrestricted(binding: Arc<Binding>) -> Self {
        Self { binding, companies: None }
    }

    /// Leave to read what the caller's ERP rights cover.
    ///
    /// # Errors
    ///
    /// When they do not cover the entity at all.
    pub fn read(caller: &Caller, binding: Arc<Binding>) -> Result<Self, Denied> {
        if caller.rights.access(binding.name()) < Some(Access::Read) {
            return Err(Denied {
                user: caller.name.clone(),
                entity: binding.name().to_owned(),
                privilege: "read",
            });
        }
        let companies = match &caller.rights.companies {
            _ if caller.rights.administrator => None,
            Companies::All => None,
            Companies::Only(codes) => Some(codes.clone()),
        };
        Ok(Self { binding, companies })
    }

    pub(crate) fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Legal entities that rows must belong to; `None` for any.
    pub(crate) fn companies(&self) -> Option<&[String]> {
        self.companies.as_deref()
    }
}

impl Denied {
    /// As a status of the service `domain`.
    #[must_use]
    pub fn into_status(self, domain: &str) -> Status {
        let metadata = [("entity", self.entity.as_str()), ("privilege", self.privilege)];
        let reason = ErrorReason::PrivilegeDenied;
        status(Code::PermissionDenied, domain, reason, self.to_string(), metadata)
    }
}
