//! What the directory says, as plain values: users, and the roles, duties and privileges that say what
//! they may do. Names are told apart without regard to the case of ASCII letters.

mod check;

use std::collections::BTreeMap;
use std::sync::Arc;

use rpc::{Companies, DEFAULT_LANGUAGE, DEFAULT_TIME_ZONE, role, system_user_id};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use check::{
    Violation, check_duty, check_privilege, check_role, check_user, wrong_language,
    wrong_time_zone, wrong_user_name,
};

/// The user that always exists.
pub const ADMIN: &str = "admin";

/// Derived from names, as [`rpc::system_user_id`] is.
const DIRECTORY_OBJECTS: Uuid = Uuid::from_u128(0xb8e3_17d4_2a6c_4d09_9f53_e1c7_608b_d42a);

/// A user of the environment, or an application that calls as itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Sign-in name.
    pub name: String,
    /// For people.
    pub display_name: String,
    /// Row id on the platform.
    pub system_user_id: Uuid,
    /// Object id in the directory that issues the user's tokens (`oid`).
    pub object_id: Uuid,
    /// The ERP's own user id.
    pub erp_user: String,
    /// Names of roles, in order.
    pub roles: Vec<String>,
    /// Legal entities whose rows the user may touch.
    pub companies: Companies,
    /// The application that the user stands for; of a person, none.
    pub application_id: Option<String>,
    /// May not call at all.
    pub disabled: bool,
    /// An administrator said so, and no import undoes it.
    pub locked: bool,
    /// May act as other users, with no right that not both have (prvActOnBehalfOfAnotherUser).
    pub acts_on_behalf: bool,
    /// An application that may act as portal contacts (spec VE-092).
    pub serves_portal: bool,
    /// IANA name of the user's time zone.
    pub time_zone: String,
    /// LCID of the user's language.
    pub language: i32,
    /// Who says all this.
    pub source: Source,
}

/// Who says what stands in the directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// An administrator of the environment.
    #[default]
    #[serde(rename = "")]
    Administrator,
    /// The model and its users file.
    #[serde(rename = "model")]
    Model,
    /// The ERP's own tables.
    #[serde(rename = "erp")]
    Erp,
}

/// What a user is in the organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) duties: Vec<String>,
    pub(crate) privileges: Vec<String>,
    pub(crate) source: Source,
}

/// A part of a business process: a set of privileges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Duty {
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) privileges: Vec<String>,
    pub(crate) source: Source,
}

/// What it takes to do one job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Privilege {
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) grants: Vec<Grant>,
    pub(crate) source: Source,
}

/// What may be done with some entities and tables. Whether those exist is the catalog's to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) entities: Vec<String>,
    pub(crate) tables: Vec<String>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) hidden_fields: Vec<String>,
    pub(crate) read_only_fields: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    Read,
    Create,
    Update,
    Delete,
    Invoke,
}

/// Entries of one kind, by key.
pub(crate) type Table<T> = BTreeMap<String, Arc<T>>;

/// Everything that the directory says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) users: Table<User>,
    pub(crate) roles: Table<Role>,
    pub(crate) duties: Table<Duty>,
    pub(crate) privileges: Table<Privilege>,
}

/// What is common to the four kinds.
pub(crate) trait Entry: Sized {
    /// The collection in resource names.
    const COLLECTION: &'static str;

    fn name(&self) -> &str;
    fn source(&self) -> Source;
    fn table(content: &Content) -> &Table<Self>;
    fn table_mut(content: &mut Content) -> &mut Table<Self>;
}

macro_rules! entry {
    ($type:ty, $table:ident) => {
        impl Entry for $type {
            const COLLECTION: &'static str = stringify!($table);

            fn name(&self) -> &str {
                &self.name
            }

            fn source(&self) -> Source {
                self.source
            }

            fn table(content: &Content) -> &Table<Self> {
                &content.$table
            }

            fn table_mut(content: &mut Content) -> &mut Table<Self> {
                &mut content.$table
            }
        }
    };
}

entry!(User, users);
entry!(Role, roles);
entry!(Duty, duties);
entry!(Privilege, privileges);

// === impl User ===

impl User {
    /// A person of this name who may do nothing yet.
    #[must_use]
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            display_name: name.to_owned(),
            system_user_id: system_user_id(name),
            object_id: object_id(name),
            erp_user: name.to_owned(),
            roles: Vec::new(),
            companies: Companies::Only(Vec::new()),
            application_id: None,
            disabled: false,
            locked: false,
            acts_on_behalf: false,
            serves_portal: false,
            time_zone: DEFAULT_TIME_ZONE.into(),
            language: DEFAULT_LANGUAGE,
            source: Source::Administrator,
        }
    }

    pub(crate) fn admin() -> Self {
        Self {
            display_name: "System administrator".into(),
            roles: vec![
                role::SYSTEM_ADMINISTRATOR.into(),
                role::POWER_PLATFORM_ADMINISTRATOR.into(),
                role::PROJECT_OWNER.into(),
            ],
            companies: Companies::All,
            acts_on_behalf: true,
            ..Self::named(ADMIN)
        }
    }

    /// Whether the user is given a role of this name.
    #[must_use]
    pub fn holds(&self, role: &str) -> bool {
        self.roles.iter().any(|it| it.eq_ignore_ascii_case(role))
    }

    pub(crate) fn is_administrator(&self) -> bool {
        self.holds(role::SYSTEM_ADMINISTRATOR)
    }

    pub(crate) fn is_security_administrator(&self) -> bool {
        self.holds(role::SECURITY_ADMINISTRATOR)
    }

    /// Whether it administers the tenant without being a System administrator.
    pub(crate) fn is_tenant_administrator(&self) -> bool {
        role::TENANT_ADMINISTRATORS.iter().any(|it| self.holds(it))
    }

    /// Whether an assertion that was made of `self` would not be made of `other`.
    pub(crate) fn loses_assertions_to(&self, other: &Self) -> bool {
        let words = |it: &Self| Self {
            display_name: String::new(),
            time_zone: String::new(),
            language: 0,
            source: Source::Administrator,
            ..it.clone()
        };
        words(self) != words(other)
    }
}

// === impl Source ===

impl Source {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Administrator => "",
            Self::Model => "model",
            Self::Erp => "erp",
        }
    }

    /// As [`Self::name`] writes it.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        [Self::Administrator, Self::Model, Self::Erp].into_iter().find(|it| it.name() == name)
    }
}

// === impl Operation ===

impl Operation {
    /// What `access = "write"` stands for.
    pub(crate) const ALL: [Self; 5] =
        [Self::Read, Self::Create, Self::Update, Self::Delete, Self::Invoke];
}

// === impl Content ===

impl Content {
    /// The entry of this name.
    pub(crate) fn get<T: Entry>(&self, name: &str) -> Option<&Arc<T>> {
        T::table(self).get(&key(name))
    }

    pub(crate) fn put<T: Entry>(&mut self, entry: T) {
        T::table_mut(self).insert(key(entry.name()), Arc::new(entry));
    }

    pub(crate) fn remove<T: Entry>(&mut self, name: &str) -> bool {
        T::table_mut(self).remove(&key(name)).is_some()
    }

    /// What always exists does. A role that a directory of before did not know yet is given to the user that
    /// always exists, if it should have it; what an administrator took from that one stays taken.
    pub(crate) fn found(&mut self) {
        let new: Vec<_> =
            role::BUILT_IN.into_iter().filter(|it| self.get::<Role>(it).is_none()).collect();
        for name in &new {
            let (name, display_name) = ((*name).to_owned(), (*name).to_owned());
            self.put(Role { name, display_name, ..Role::default() });
        }
        let mut admin = match self.get::<User>(ADMIN) {
            Some(admin) => User::clone(admin),
            None => return self.put(User::admin()),
        };
        let is_new = |it: &String| new.iter().any(|new| new.eq_ignore_ascii_case(it));
        let given: Vec<_> =
            User::admin().roles.into_iter().filter(|it| is_new(it) && !admin.holds(it)).collect();
        if !given.is_empty() {
            admin.roles.extend(given);
            self.put(admin);
        }
    }

    /// Names are spelled as those whom they name spell them, in order and once; names of nobody go.
    pub(crate) fn settle(&mut self) {
        let privileges = names(&self.privileges);
        let duties = names(&self.duties);
        let roles = names(&self.roles);
        each(&mut self.duties, |it| it.privileges = settled(&it.privileges, &privileges));
        each(&mut self.roles, |it| {
            it.privileges = settled(&it.privileges, &privileges);
            it.duties = settled(&it.duties, &duties);
        });
        each(&mut self.users, |it| it.roles = settled(&it.roles, &roles));
    }

    /// What the holders of a role may do: its privileges, and those of its duties.
    pub(crate) fn grants_of<'c>(&'c self, role: &'c Role) -> impl Iterator<Item = &'c Grant> {
        let by_duty = role.duties.iter().filter_map(|it| self.get::<Duty>(it));
        let names = role.privileges.iter().chain(by_duty.flat_map(|it| &it.privileges));
        names.filter_map(|it| self.get::<Privilege>(it)).flat_map(|it| &it.grants)
    }

    /// Users of the ERP's own user id.
    pub(crate) fn of_erp_user(&self, erp_user: &str) -> impl Iterator<Item = &Arc<User>> {
        self.users.values().filter(move |it| it.erp_user == erp_user)
    }
}

/// By what entries of a name are found.
pub(crate) fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Whether the role always exists and cannot be changed.
pub(crate) fn is_built_in(role: &str) -> bool {
    role::BUILT_IN.iter().any(|it| it.eq_ignore_ascii_case(role))
}

/// The directory object of a user whose own is not known.
pub(crate) fn object_id(name: &str) -> Uuid {
    Uuid::new_v5(&DIRECTORY_OBJECTS, key(name).as_bytes())
}

fn names<T: Entry>(table: &Table<T>) -> BTreeMap<String, String> {
    table.iter().map(|(key, it)| (key.clone(), it.name().to_owned())).collect()
}

fn settled(given: &[String], known: &BTreeMap<String, String>) -> Vec<String> {
    let found: BTreeMap<_, _> =
        given.iter().filter_map(|it| known.get_key_value(&key(it))).collect();
    found.into_values().cloned().collect()
}

/// Changes entries, and leaves those alone that come out as they were.
fn each<T: Clone + PartialEq>(table: &mut Table<T>, change: impl Fn(&mut T)) {
    for entry in table.values_mut() {
        let mut changed = T::clone(entry);
        change(&mut changed);
        if changed != **entry {
            *entry = Arc::new(changed);
        }
    }
}
