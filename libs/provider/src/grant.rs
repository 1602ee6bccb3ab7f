//! Authorization as a value: nothing runs without a [`Grant`], and each names the rows it covers.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use rpc::{Caller, Companies, EntityRights, ErrorReason, status};
use tonic::{Code, Status};

use crate::authority::Privilege;
use crate::binding::{Binding, Field};
use crate::error::Error;
use crate::policy::Policies;

/// Leave to touch rows of one entity: all of them, or those of which one field holds what it may, such
/// as those of some legal entities, and which meet the row policies that bind the caller. Some fields
/// may be out of reach.
#[derive(Clone, Debug)]
pub struct Grant {
    binding: Arc<Binding>,
    restriction: Option<Restriction>,
    policies: Option<Arc<Policies>>,
    columns: Option<Arc<Columns>>,
    /// Writes may give what the model lets no user give.
    is_of_service: bool,
}

/// Fields out of reach, by their numbers in the binding.
#[derive(Debug)]
struct Columns {
    hidden: Vec<usize>,
    read_only: Vec<usize>,
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
        Self { binding, restriction: None, policies: None, columns: None, is_of_service: false }
    }

    /// The same, to write also what the model lets no user write: another side says what it is.
    pub(crate) fn for_service(self) -> Self {
        Self { is_of_service: true, ..self }
    }

    /// Whether the model's leave to give fields does not count.
    pub(crate) fn is_of_service(&self) -> bool {
        self.is_of_service
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
        let restriction = Some(Restriction { field, allowed });
        Ok(Self { restriction, ..Self::unrestricted(binding) })
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
        if caller.rights.administrator {
            return Ok(Self::unrestricted(binding));
        }
        let rights = caller.rights.entity(binding.name());
        let restriction = match (&caller.rights.companies, binding.company) {
            (Companies::All, _) | (_, None) => None,
            (Companies::Only(codes), Some(field)) => {
                Some(Restriction { field, allowed: codes.clone() })
            }
        };
        let policies = Policies::of(caller, &binding);
        let grant = Self { restriction, policies, ..Self::unrestricted(binding) };
        grant.limited_to(caller, &rights, privilege)
    }

    /// The same rows, as far as rights reach: without the fields that they hide, and without writes of
    /// those that they let be read only.
    ///
    /// # Errors
    ///
    /// When they lack the privilege, or hide what tells rows apart: then there is nothing left to see.
    pub fn limited_to(
        self,
        caller: &Caller,
        rights: &EntityRights,
        privilege: Privilege,
    ) -> Result<Self, Denied> {
        let denied = |grant: &Self| Denied::new(caller, grant.binding.name(), privilege);
        if !rights.privileges.contains(privilege.needed()) {
            return Err(denied(&self));
        }
        if rights.hidden.is_empty() && rights.read_only.is_empty() {
            return Ok(self);
        }
        let numbers = |names: &BTreeSet<String>| -> Vec<usize> {
            let fields = self.binding.fields.iter().enumerate();
            let named = fields.filter(|(_, field)| {
                names.contains(&field.name)
                    || names.iter().any(|it| it.eq_ignore_ascii_case(&field.name))
            });
            named.map(|it| it.0).collect()
        };
        let (hidden, read_only) = (numbers(&rights.hidden), numbers(&rights.read_only));
        if hidden.iter().any(|it| self.binding.identifies(*it)) {
            return Err(denied(&self));
        }
        Ok(Self { columns: Some(Arc::new(Columns { hidden, read_only })), ..self })
    }

    /// The policies that rows must meet besides.
    pub(crate) fn policies(&self) -> Option<&Policies> {
        self.policies.as_deref()
    }

    /// Whether the caller may touch some rows only.
    pub(crate) fn is_restricted(&self) -> bool {
        self.restriction.is_some() || self.policies.is_some()
    }

    /// Whether the caller may see every row that a relation of `own` by these pairs leads to. Rows that
    /// refer to rows of their own company lead to those of which the caller may see all; another field
    /// may name any company.
    pub(crate) fn sees_all_by(&self, own: &Binding, pairs: &[(String, String)]) -> bool {
        match self.restricted_by() {
            _ if self.policies.is_some() => false,
            None => true,
            by if by == self.binding.company => {
                let (here, there) = (own.company_field(), self.binding.company_field());
                let is =
                    |field: Option<&Field>, name: &str| field.is_some_and(|it| it.name == name);
                pairs.iter().any(|(mine, theirs)| is(here, mine) && is(there, theirs))
            }
            Some(_) => false,
        }
    }

    /// Whether a field cannot be seen, nor written.
    pub(crate) fn hides(&self, field: usize) -> bool {
        self.columns.as_ref().is_some_and(|it| it.hidden.contains(&field))
    }

    /// Whether a field can be written as far as the caller's rights go.
    pub(crate) fn writes(&self, field: usize) -> bool {
        let is_kept = |it: &Arc<Columns>| it.read_only.contains(&field);
        !self.hides(field) && !self.columns.as_ref().is_some_and(is_kept)
    }

    /// The refusal of a field.
    pub(crate) fn column_denied(&self, column: &str, privilege: Privilege) -> Error {
        let (entity, column) = (self.binding.name().to_owned(), column.to_owned());
        Error::ColumnDenied { entity, column, privilege: privilege.name() }
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
        let user = caller.user.name.clone();
        Self { user, entity: entity.to_owned(), privilege: privilege.name() }
    }

    /// Only administrators may see how an entity's rows are read.
    pub(crate) fn explain(caller: &Caller, entity: &str) -> Self {
        Self { user: caller.user.name.clone(), entity: entity.to_owned(), privilege: "explain" }
    }

    /// As a status of the service `domain`.
    #[must_use]
    pub fn into_status(self, domain: &str) -> Status {
        let metadata = [("entity", self.entity.as_str()), ("privilege", self.privilege)];
        let reason = ErrorReason::PrivilegeDenied;
        status(Code::PermissionDenied, domain, reason, self.to_string(), metadata)
    }
}
