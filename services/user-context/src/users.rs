//! The users of the environment. A snapshot never changes; a reload makes another one.

mod file;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rpc::{Caller, Companies, DEFAULT_LANGUAGE, DEFAULT_TIME_ZONE, Rights};
use uuid::Uuid;

pub use file::{Mistake, UsersError};

/// The user that always exists.
pub const ADMIN: &str = "admin";

/// Ids are derived from names, so that a user keeps them wherever and whenever its name is read.
const SYSTEM_USERS: Uuid = Uuid::from_u128(0x4d0c_5a1e_93b7_4f62_8c1d_7be0_a2f4_6195);
const DIRECTORY_OBJECTS: Uuid = Uuid::from_u128(0xb8e3_17d4_2a6c_4d09_9f53_e1c7_608b_d42a);

/// A user of the environment.
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
    /// Names of roles.
    pub roles: Vec<String>,
    /// What the user may see and do.
    pub rights: Rights,
    /// May act as other users, with no right that not both have (prvActOnBehalfOfAnotherUser).
    pub acts_on_behalf: bool,
    /// IANA name of the user's time zone.
    pub time_zone: String,
    /// LCID of the user's language.
    pub language: i32,
}

/// All users at one moment.
#[derive(Debug)]
pub struct Users {
    by_name: Vec<Arc<User>>,
    by_object_id: HashMap<Uuid, Arc<User>>,
    by_system_user_id: HashMap<Uuid, Arc<User>>,
}

/// A user as whom somebody else acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherUser {
    ObjectId(Uuid),
    SystemUserId(Uuid),
}

// === impl User ===

impl User {
    pub(crate) fn as_caller(&self) -> Caller {
        Caller {
            system_user_id: self.system_user_id,
            name: self.name.clone(),
            erp_user: self.erp_user.clone(),
            rights: self.rights.clone(),
            time_zone: self.time_zone.clone(),
            language: self.language,
        }
    }

    /// As whom others see a user who acts for this one.
    pub(crate) fn as_caller_for(&self, actor: &Self) -> Caller {
        Caller { rights: self.rights.intersect(&actor.rights), ..self.as_caller() }
    }

    fn admin() -> Self {
        Self {
            name: ADMIN.into(),
            display_name: "System administrator".into(),
            system_user_id: system_user_id(ADMIN),
            object_id: object_id(ADMIN),
            erp_user: ADMIN.into(),
            roles: vec!["System administrator".into()],
            rights: Rights {
                administrator: true,
                companies: Companies::All,
                entities: Default::default(),
            },
            acts_on_behalf: true,
            time_zone: DEFAULT_TIME_ZONE.into(),
            language: DEFAULT_LANGUAGE,
        }
    }
}

// === impl Users ===

impl Users {
    /// Those of a `users.toml`, and `admin`; without a file, `admin` alone.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is wrong: then with every mistake in it.
    pub fn load(file: Option<&Path>) -> Result<Self, UsersError> {
        Ok(Self::new(file.map(file::read).transpose()?.unwrap_or_default()))
    }

    /// These users, whose names and ids the caller has found to be unique, and `admin`.
    fn new(users: Vec<User>) -> Self {
        let mut by_name: Vec<_> = users.into_iter().map(Arc::new).collect();
        by_name.push(Arc::new(User::admin()));
        by_name.sort_by_cached_key(|it| sort_key(&it.name));
        let by_object_id = by_name.iter().map(|it| (it.object_id, Arc::clone(it))).collect();
        let by_system_user_id =
            by_name.iter().map(|it| (it.system_user_id, Arc::clone(it))).collect();
        Self { by_name, by_object_id, by_system_user_id }
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<User>> {
        self.by_name.iter()
    }

    /// The user of this name, without regard to case.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Arc<User>> {
        let key = sort_key(name);
        let found = self.by_name.binary_search_by_key(&key, |it| sort_key(&it.name)).ok()?;
        self.by_name.get(found)
    }

    /// The user of this directory object id.
    #[must_use]
    pub fn by_object_id(&self, id: Uuid) -> Option<&Arc<User>> {
        self.by_object_id.get(&id)
    }

    /// The user of this platform row id.
    #[must_use]
    pub fn by_system_user_id(&self, id: Uuid) -> Option<&Arc<User>> {
        self.by_system_user_id.get(&id)
    }

    pub(crate) fn find(&self, user: OtherUser) -> Option<&Arc<User>> {
        match user {
            OtherUser::ObjectId(id) => self.by_object_id(id),
            OtherUser::SystemUserId(id) => self.by_system_user_id(id),
        }
    }

    /// Up to `size` users whose names come after `name`, and whether more follow.
    pub(crate) fn page_after(&self, name: &str, size: usize) -> (&[Arc<User>], bool) {
        let key = sort_key(name);
        let start = self.by_name.partition_point(|it| sort_key(&it.name) <= key);
        let rest = self.by_name.get(start..).unwrap_or_default();
        rest.split_at_checked(size).map_or((rest, false), |(page, more)| (page, !more.is_empty()))
    }
}

/// Names differ by more than case, and are ordered without regard to it.
fn sort_key(name: &str) -> String {
    name.to_lowercase()
}

fn system_user_id(name: &str) -> Uuid {
    Uuid::new_v5(&SYSTEM_USERS, sort_key(name).as_bytes())
}

fn object_id(name: &str) -> Uuid {
    Uuid::new_v5(&DIRECTORY_OBJECTS, sort_key(name).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_administrator_always_exists_with_the_same_ids() {
        let users = Users::load(None).unwrap();
        let admin = users.by_name("Admin").unwrap();
        assert!(admin.rights.administrator);
        assert_eq!(admin.rights.companies, Companies::All);
        assert_eq!(admin.system_user_id.to_string(), "7860d0b5-6886-59a4-ab2f-18782ab60d6a");
        assert_eq!(admin.object_id.to_string(), "7ae6aa4f-31f7-5073-92e1-d75ebea7d93b");
        assert_eq!(users.by_object_id(admin.object_id), Some(admin));
        assert_eq!(users.by_system_user_id(admin.system_user_id), Some(admin));
    }

    #[test]
    fn pages_follow_each_other_by_name() {
        let named = |name: &str| User {
            name: name.into(),
            system_user_id: system_user_id(name),
            object_id: object_id(name),
            ..User::admin()
        };
        let users = Users::new(vec![named("zoe"), named("Bob"), named("alice")]);
        let check = |after: &str, size, expected: &[&str], more| {
            let (page, follows) = users.page_after(after, size);
            let names: Vec<_> = page.iter().map(|it| it.name.as_str()).collect();
            assert_eq!((names.as_slice(), follows), (expected, more), "after {after}");
        };
        check("", 2, &["admin", "alice"], true);
        check("alice", 2, &["Bob", "zoe"], false);
        check("alice", 3, &["Bob", "zoe"], false);
        check("bob", 1, &["zoe"], false);
        check("zoe", 5, &[], false);
    }
}
