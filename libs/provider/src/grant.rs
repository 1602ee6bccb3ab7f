//! Authorization as a value: nothing runs without a [`Grant`], and each names the rows it covers.

use std::fmt;
use std::sync::Arc;

use rpc::{Access, Caller, Companies, ErrorReason, status};
use tonic::{Code, Status};

use crate::authority::Privilege;
use crate::binding::{Binding, Field};
use crate::error::Error;

/// Leave to touch rows of one entity: all of them, or those of which one field holds what it may, such
/// as those of some legal entities.
#[derive(Clone, Debug)]
pub struct Grant {
    binding: Arc<Binding>,
    restriction: Option<Restriction>,
}

#[derive(Clone, Debug)]
struct Restriction {
    /// Its number in the binding.
    field: usize,
    allowed: Vec<String>,
}

/// Leave to read every entity that a query names: its own, those of its links, and those that its
/// lookups lead to.
pub struct Grants<'a> {
    root: Grant,
    others: Box<FindGrant<'a>>,
}

type FindGrant<'a> = dyn Fn(&str) -> Result<Grant, Refused> + Send + Sync + 'a;

/// Why there is no leave to read an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such entity, or none that is visible.
    Unknown,
    /// The caller may not read it.
    Denied(Denied),
}

/// The caller may not touch the entity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("user `{user}` is missing the privilege to {privilege} `{entity}`")]
pub struct Denied {
    user: String,
    entity: String,
    privilege: &'static str,
}

impl Refused {
    pub(crate) fn into_error(self, entity: &str) -> Error {
        match self {
            Self::Unknown => Error::EntityNotFound(entity.to_owned()),
            Self::Denied(denied) => Error::Denied(denied),
        }
    }
}

impl Grant {
    /// Leave to read every row. For tables that every known user may read.
    #[must_use]
    pub fn unrestricted(binding: Arc<Binding>) -> Self {
        Self { binding, restriction: None }
    }

    /// Leave to touch the rows of which a field of text or of GUIDs holds one of these.
    ///
    /// # Errors
    ///
    /// When there is no such field.
    pub fn restricted(
        binding: Arc<Binding>,
        field: &str,
        allowed: Vec<String>,
    ) -> Result<Self, Refused> {
        let field = binding.fields.iter().position(|it| it.name == field);
        let field = field.ok_or(Refused::Unknown)?;
        Ok(Self { binding, restriction: Some(Restriction { field, allowed }) })
    }

    /// Leave to read what the caller's ERP rights cover.
    ///
    /// # Errors
    ///
    /// When they do not cover the entity at all.
    pub fn read(caller: &Caller, binding: Arc<Binding>) -> Result<Self, Denied> {
        Self::of(caller, binding, Privilege::Read)
    }

    /// Leave to do something with what the caller's ERP rights cover.
    ///
    /// # Errors
    ///
    /// When they do not cover that on the entity at all.
    pub fn of(
        caller: &Caller,
        binding: Arc<Binding>,
        privilege: Privilege,
    ) -> Result<Self, Denied> {
        let needed = match privilege {
            Privilege::Read => Access::Read,
            Privilege::Create | Privilege::Update | Privilege::Delete | Privilege::Invoke => {
                Access::Write
            }
        };
        if caller.rights.access(binding.name()) < Some(needed) {
            return Err(Denied::new(caller, binding.name(), privilege));
        }
        let companies = match &caller.rights.companies {
            _ if caller.rights.administrator => None,
            Companies::All => None,
            Companies::Only(codes) => Some(codes.clone()),
        };
        let restriction = companies.zip(binding.company);
        let restriction = restriction.map(|(allowed, field)| Restriction { field, allowed });
        Ok(Self { binding, restriction })
    }

    pub(crate) fn binding(&self) -> &Binding {
        &self.binding
    }

    pub(crate) fn shared_binding(&self) -> Arc<Binding> {
        Arc::clone(&self.binding)
    }

    /// The number of the field that must hold one of the [`Self::allowed`]; `None` for any row.
    pub(crate) fn restricted_by(&self) -> Option<usize> {
        self.restriction.as_ref().map(|it| it.field)
    }

    pub(crate) fn restricted_field(&self) -> Option<&Field> {
        self.restricted_by().and_then(|it| self.binding.fields.get(it))
    }

    /// What the field may hold.
    pub(crate) fn allowed(&self) -> &[String] {
        self.restriction.as_ref().map_or(&[], |it| &it.allowed)
    }
}

// === impl Grants ===

impl<'a> Grants<'a> {
    /// Leave to read `root`, and whatever `others` gives leave for, by external name.
    #[must_use]
    pub fn new(
        root: Grant,
        others: impl Fn(&str) -> Result<Grant, Refused> + Send + Sync + 'a,
    ) -> Self {
        Self { root, others: Box::new(others) }
    }

    /// Leave to read the entity that the query is about.
    #[must_use]
    pub fn root(&self) -> &Grant {
        &self.root
    }

    pub(crate) fn of(&self, entity: &str) -> Result<Grant, Refused> {
        if entity == self.root.binding.name() {
            Ok(self.root.clone())
        } else {
            (self.others)(entity)
        }
    }
}

impl From<Grant> for Grants<'_> {
    /// Leave to read one entity and no other.
    fn from(root: Grant) -> Self {
        Self::new(root, |_| Err(Refused::Unknown))
    }
}

impl fmt::Debug for Grants<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Denied {
    /// The caller lacks the privilege on the entity.
    #[must_use]
    pub fn new(caller: &Caller, entity: &str, privilege: Privilege) -> Self {
        let privilege = match privilege {
            Privilege::Read => "read",
            Privilege::Create => "create",
            Privilege::Update => "update",
            Privilege::Delete => "delete",
            Privilege::Invoke => "invoke",
        };
        Self { user: caller.name.clone(), entity: entity.to_owned(), privilege }
    }

    /// Only administrators may see how an entity's rows are read.
    pub(crate) fn explain(caller: &Caller, entity: &str) -> Self {
        Self { user: caller.name.clone(), entity: entity.to_owned(), privilege: "explain" }
    }

    /// As a status of the service `domain`.
    #[must_use]
    pub fn into_status(self, domain: &str) -> Status {
        let metadata = [("entity", self.entity.as_str()), ("privilege", self.privilege)];
        let reason = ErrorReason::PrivilegeDenied;
        status(Code::PermissionDenied, domain, reason, self.to_string(), metadata)
    }
}
