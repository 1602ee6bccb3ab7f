//! What a user may see and do: the union of what the user's roles grant.
//!
//! Assertions name roles; what those mean is pushed to every service ([`RoleDefinitions`]), so that a
//! role that changes changes for everybody at once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use proto::user_context::v1 as pb;
use serde::{Deserialize, Serialize};

use crate::caller::Principal;
use crate::role;

/// Stands for every entity, or every table.
const EVERY: &str = "*";

/// What a caller may see and do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// System administrator: every entity, every company, every field.
    pub administrator: bool,
    /// May manage users, roles and portal mappings.
    pub security_administrator: bool,
    /// May call the adapter and read the catalog's list.
    pub virtual_entity_application: bool,
    /// Legal entities whose rows the user may touch; of an administrator, all.
    pub companies: Companies,
    /// By name of the data entity. An ERP has thousands, and as many callers share them.
    entities: Arc<Grants>,
    /// By logical name of the platform's table.
    tables: Arc<Grants>,
}

/// A set of legal entities; compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Companies {
    /// Every one.
    All,
    /// These codes.
    Only(Vec<String>),
}

/// What may be done with one entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityRights {
    /// With its rows.
    pub privileges: Privileges,
    /// Fields that cannot be seen.
    pub hidden: BTreeSet<String>,
    /// Fields that cannot be written.
    pub read_only: BTreeSet<String>,
}

/// A set of things that can be done with an entity's rows.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Privileges(u8);

/// What each role grants. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RoleDefinitions(Arc<Definitions>);

type Grants = BTreeMap<String, EntityRights>;

#[derive(Debug)]
struct Definitions {
    /// By name in lower case.
    roles: HashMap<String, RoleRights>,
    /// What sets of roles grant together, by their sorted names in lower case.
    united: Mutex<HashMap<Vec<String>, RoleRights>>,
}

#[derive(Clone, Debug, Default)]
struct RoleRights {
    entities: Arc<Grants>,
    tables: Arc<Grants>,
}

/// Sets of roles whose union is remembered.
const MOST_UNITED: usize = 1_000;

static NOTHING: EntityRights = EntityRights::of(Privileges::NONE);
static EVERYTHING: EntityRights = EntityRights::of(Privileges::ALL);
static LOOKS: EntityRights = EntityRights::of(Privileges::READ);
/// What every user of dual-write reads: companies and currencies.
const SHARED_BASICS: [&str; 2] = ["cdm_company", "transactioncurrency"];

// === impl Rights ===

impl Rights {
    /// What a principal's roles grant together. A role that nobody defined grants nothing.
    #[must_use]
    pub fn of(principal: &Principal, definitions: &RoleDefinitions) -> Self {
        let mut rights = Self {
            administrator: principal.is_administrator(),
            security_administrator: principal.is_security_administrator(),
            virtual_entity_application: principal.holds(role::VIRTUAL_ENTITY_APPLICATION),
            companies: principal.companies.clone(),
            ..Self::default()
        };
        if rights.administrator {
            rights.companies = Companies::All;
            return rights;
        }
        let granted = definitions.united(&principal.roles);
        (rights.entities, rights.tables) = (granted.entities, granted.tables);
        rights
    }

    /// What may be done with the ERP's data entity of this name.
    #[must_use]
    pub fn entity(&self, name: &str) -> Cow<'_, EntityRights> {
        self.find(&self.entities, name)
    }

    /// What may be done with the platform's table of this logical name.
    #[must_use]
    pub fn table(&self, logical_name: &str) -> Cow<'_, EntityRights> {
        self.find(&self.tables, logical_name)
    }

    /// What both may see and do: the rights of a user who acts as another (spec API-32).
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self {
            administrator: self.administrator && other.administrator,
            security_administrator: (self.administrator || self.security_administrator)
                && (other.administrator || other.security_administrator),
            virtual_entity_application: self.virtual_entity_application
                && other.virtual_entity_application,
            companies: self.companies.intersect(&other.companies),
            entities: self.common(other, |it| &it.entities, Self::entity),
            tables: self.common(other, |it| &it.tables, Self::table),
        }
    }

    fn common(
        &self,
        other: &Self,
        grants: impl Fn(&Self) -> &Grants,
        find: impl for<'r> Fn(&'r Self, &str) -> Cow<'r, EntityRights>,
    ) -> Arc<Grants> {
        let named = grants(self).keys().chain(grants(other).keys()).map(String::as_str);
        // Where one may do everything, what the other may do with all stays said of all.
        let names: BTreeSet<&str> = named.chain([EVERY]).collect();
        let both = names.into_iter().map(|name| {
            let both = find(self, name).intersect(&find(other, name));
            (name.to_owned(), both)
        });
        Arc::new(both.filter(|(_, it)| !it.privileges.is_empty()).collect())
    }

    fn find<'r>(&self, grants: &'r Grants, name: &str) -> Cow<'r, EntityRights> {
        if self.administrator {
            return Cow::Borrowed(&EVERYTHING);
        }
        match (grants.get(name), grants.get(EVERY)) {
            (Some(named), Some(every)) if name != EVERY => Cow::Owned(named.unite(every)),
            (Some(it), _) | (None, Some(it)) => Cow::Borrowed(it),
            (None, None) => Cow::Borrowed(&NOTHING),
        }
    }
}

// === impl Companies ===

impl Companies {
    /// Whether rows of the legal entity may be touched.
    #[must_use]
    pub fn contains(&self, code: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(codes) => codes.iter().any(|it| it.eq_ignore_ascii_case(code)),
        }
    }

    fn intersect(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, it) | (it, Self::All) => it.clone(),
            (Self::Only(ours), theirs) => {
                Self::Only(ours.iter().filter(|it| theirs.contains(it)).cloned().collect())
            }
        }
    }
}

impl Default for Companies {
    fn default() -> Self {
        Self::Only(Vec::new())
    }
}

// === impl EntityRights ===

impl EntityRights {
    /// These privileges, over every field.
    #[must_use]
    pub const fn of(privileges: Privileges) -> Self {
        Self { privileges, hidden: BTreeSet::new(), read_only: BTreeSet::new() }
    }

    /// What one of two grants allows. A field is hidden if it is so by each that lets rows be read, and
    /// read-only if it is so by each that lets them be written.
    #[must_use]
    pub fn unite(&self, other: &Self) -> Self {
        let fields = |of: fn(&Self) -> &BTreeSet<String>, needed| {
            let applies = |it: &Self| it.privileges.intersects(needed);
            match (applies(self), applies(other)) {
                (true, true) => of(self).intersection(of(other)).cloned().collect(),
                (true, false) => of(self).clone(),
                (false, true) => of(other).clone(),
                (false, false) => BTreeSet::new(),
            }
        };
        Self {
            privileges: self.privileges.union(other.privileges),
            hidden: fields(|it| &it.hidden, Privileges::READ),
            read_only: fields(|it| &it.read_only, Privileges::CREATE.union(Privileges::UPDATE)),
        }
    }

    /// What both of two grants allow.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self {
            privileges: self.privileges.intersection(other.privileges),
            hidden: self.hidden.union(&other.hidden).cloned().collect(),
            read_only: self.read_only.union(&other.read_only).cloned().collect(),
        }
    }
}

// === impl Privileges ===

impl Privileges {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// See rows.
    pub const READ: Self = Self(1);
    /// Make rows.
    pub const CREATE: Self = Self(2);
    /// Change rows.
    pub const UPDATE: Self = Self(4);
    /// Delete rows.
    pub const DELETE: Self = Self(8);
    /// Run actions.
    pub const INVOKE: Self = Self(16);
    /// Everything.
    pub const ALL: Self = Self(31);

    /// Whether all of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is among these.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Those of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn granted(operation: i32) -> Self {
        match pb::Operation::try_from(operation) {
            Ok(pb::Operation::Read) => Self::READ,
            Ok(pb::Operation::Create) => Self::CREATE,
            Ok(pb::Operation::Update) => Self::UPDATE,
            Ok(pb::Operation::Delete) => Self::DELETE,
            Ok(pb::Operation::Invoke) => Self::INVOKE,
            // What is not known here yet is not granted here.
            Ok(pb::Operation::Unspecified) | Err(_) => Self::NONE,
        }
    }
}

impl std::fmt::Debug for Privileges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [
            (Self::READ, "read"),
            (Self::CREATE, "create"),
            (Self::UPDATE, "update"),
            (Self::DELETE, "delete"),
            (Self::INVOKE, "invoke"),
        ];
        f.debug_set().entries(names.iter().filter(|it| self.contains(it.0)).map(|it| it.1)).finish()
    }
}

// === impl RoleDefinitions ===

impl RoleDefinitions {
    /// These roles, and those that always exist. Of two with one name, both count.
    #[must_use]
    pub fn new(roles: &[pb::RoleGrants]) -> Self {
        let mut defined: HashMap<String, RoleRights> = HashMap::new();
        let basic = defined.entry(role::BASIC_USER.to_ascii_lowercase()).or_default();
        Arc::make_mut(&mut basic.tables).insert(EVERY.to_owned(), EVERYTHING.clone());
        let app_user = defined.entry(role::DUAL_WRITE_APP_USER.to_ascii_lowercase()).or_default();
        let basics = SHARED_BASICS.map(|it| (it.to_owned(), LOOKS.clone()));
        Arc::make_mut(&mut app_user.tables).extend(basics);
        for role in roles {
            let rights = defined.entry(role.role.to_ascii_lowercase()).or_default();
            for grant in &role.grants {
                rights.add(grant);
            }
        }
        Self(Arc::new(Definitions { roles: defined, united: Mutex::default() }))
    }

    /// What these roles grant together. A role that nobody defined grants nothing.
    fn united(&self, roles: &[String]) -> RoleRights {
        let Definitions { roles: defined, united } = &*self.0;
        let mut names: Vec<String> = roles.iter().map(|it| it.to_ascii_lowercase()).collect();
        names.retain(|it| defined.contains_key(it));
        names.sort_unstable();
        names.dedup();
        let mut united = united.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = united.get(&names) {
            return known.clone();
        }
        let mut all = RoleRights::default();
        names.iter().filter_map(|it| defined.get(it)).for_each(|it| all.unite(it));
        if united.len() >= MOST_UNITED {
            united.clear();
        }
        united.insert(names, all.clone());
        all
    }
}

impl Default for RoleDefinitions {
    /// Those that always exist.
    fn default() -> Self {
        Self::new(&[])
    }
}

// === impl RoleRights ===

impl RoleRights {
    fn add(&mut self, grant: &pb::EntityGrant) {
        let operations = grant.operations.iter().map(|it| Privileges::granted(*it));
        let granted = EntityRights {
            privileges: operations.fold(Privileges::NONE, Privileges::union),
            hidden: grant.hidden_fields.iter().cloned().collect(),
            read_only: grant.read_only_fields.iter().cloned().collect(),
        };
        let of = |names: &[String]| -> Grants {
            names.iter().map(|it| (it.clone(), granted.clone())).collect()
        };
        unite_all(Arc::make_mut(&mut self.entities), &of(&grant.entities));
        unite_all(Arc::make_mut(&mut self.tables), &of(&grant.tables));
    }

    fn unite(&mut self, other: &Self) {
        for (own, more) in
            [(&mut self.entities, &other.entities), (&mut self.tables, &other.tables)]
        {
            // Most users hold one role that says something, whose grants need no copy.
            if own.is_empty() {
                *own = Arc::clone(more);
            } else if !more.is_empty() {
                unite_all(Arc::make_mut(own), more);
            }
        }
    }
}

fn unite_all(into: &mut Grants, more: &Grants) {
    for (name, rights) in more {
        match into.get_mut(name) {
            Some(known) => *known = known.unite(rights),
            None => drop(into.insert(name.clone(), rights.clone())),
        }
    }
}

mod readers;
#[cfg(test)]
mod tests;
