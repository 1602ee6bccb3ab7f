//! What a source says of the directory, in place of what it said before: all of it, or nothing.

use std::sync::Arc;

use crate::content::{
    ADMIN, Content, Duty, Entry, Privilege, Role, Source, Table, User, Violation, check_duty,
    check_privilege, check_role, check_user, is_built_in, key,
};
use crate::error::Error;

/// All that a source says. The entries are those of the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Import {
    pub(crate) source: Source,
    pub(crate) users: Vec<User>,
    pub(crate) roles: Vec<Role>,
    pub(crate) duties: Vec<Duty>,
    pub(crate) privileges: Vec<Privilege>,
    /// Roles that users are given, and that are made without rights where nobody says what they grant.
    pub(crate) implied_roles: Vec<String>,
}

/// How many entries of a source changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) deleted: i64,
}

impl Import {
    /// Makes the content say this.
    ///
    /// # Errors
    ///
    /// With everything that is wrong.
    pub(crate) fn apply(&self, content: &mut Content) -> Result<Counts, Error> {
        let before = content.clone();
        let mut found = Vec::new();
        replace(content, self.source, &self.privileges, &mut found);
        replace(content, self.source, &self.duties, &mut found);
        replace(content, self.source, &self.roles, &mut found);
        replace(content, self.source, &self.users, &mut found);
        self.keep_locks(&before, content);
        for name in &self.implied_roles {
            if content.get::<Role>(name).is_none() {
                let (name, display_name) = (name.clone(), name.clone());
                let source = self.source;
                content.put(Role { name, display_name, source, ..Role::default() });
            }
        }
        self.privileges.iter().for_each(|it| check_privilege(it, &mut found));
        self.duties.iter().for_each(|it| check_duty(it, content, &mut found));
        self.roles.iter().for_each(|it| check_role(it, content, &mut found));
        self.users.iter().for_each(|it| check_user(it, content, &mut found));
        if !found.is_empty() {
            return Err(Error::Invalid(found));
        }
        content.settle();
        let mut counts = Counts::default();
        counts.add(self.source, &before.privileges, &content.privileges);
        counts.add(self.source, &before.duties, &content.duties);
        counts.add(self.source, &before.roles, &content.roles);
        counts.add(self.source, &before.users, &content.users);
        Ok(counts)
    }
}

impl Import {
    /// Whom an administrator disabled, an administrator enables.
    fn keep_locks(&self, before: &Content, content: &mut Content) {
        for user in &self.users {
            let is_locked = before.get::<User>(&user.name).is_some_and(|it| it.locked);
            if is_locked && content.get::<User>(&user.name).is_some() {
                content.put(User { disabled: true, locked: true, ..user.clone() });
            }
        }
    }
}

impl Counts {
    fn add<T: Entry + PartialEq>(&mut self, source: Source, before: &Table<T>, after: &Table<T>) {
        for (key, entry) in after.iter().filter(|(_, it)| it.source() == source) {
            match before.get(key) {
                None => self.created += 1,
                Some(old) if old != entry => self.updated += 1,
                Some(_) => {}
            }
        }
        let gone =
            |(key, it): &(&String, &Arc<T>)| it.source() == source && !after.contains_key(*key);
        self.deleted += i64::try_from(before.iter().filter(gone).count()).unwrap_or(i64::MAX);
    }
}

/// Puts entries in the place of those that the source said before.
fn replace<T: Entry + Clone>(
    content: &mut Content,
    source: Source,
    entries: &[T],
    found: &mut Vec<Violation>,
) {
    T::table_mut(content).retain(|key, it| it.source() != source || always_exists::<T>(key));
    for entry in entries {
        let reason = match content.get::<T>(entry.name()) {
            Some(_) if always_exists::<T>(entry.name()) => {
                "always exists and is not imported".into()
            }
            Some(it) if it.source() == source => "is named twice".into(),
            Some(it) if it.source() == Source::Administrator => {
                "was made by an administrator; delete that one or choose another name".into()
            }
            Some(it) => format!("comes from the source `{}` already", it.source().name()),
            None => {
                content.put(entry.clone());
                continue;
            }
        };
        let resource = format!("{}/{}", T::COLLECTION, entry.name());
        found.push(Violation { resource, field: "name", reason });
    }
}

/// Whether the entry of a kind is one of those that always exist.
pub(crate) fn always_exists<T: Entry>(name: &str) -> bool {
    match T::COLLECTION {
        Role::COLLECTION => is_built_in(name),
        User::COLLECTION => key(name) == ADMIN,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Content {
        let mut content = Content::default();
        content.found();
        content
    }

    fn user(name: &str, roles: &[&str]) -> User {
        let roles = roles.iter().map(|it| (*it).to_owned()).collect();
        User { roles, source: Source::Model, ..User::named(name) }
    }

    fn role(name: &str, source: Source) -> Role {
        Role { name: name.into(), display_name: name.into(), source, ..Role::default() }
    }

    fn model(users: Vec<User>, roles: Vec<Role>) -> Import {
        Import { source: Source::Model, users, roles, ..Import::default() }
    }

    #[test]
    fn a_source_takes_back_what_it_no_longer_says_and_nothing_else() {
        let mut content = content();
        content.put(role("Ours", Source::Administrator));
        let first = model(
            vec![user("a", &["clerk", "OURS"]), user("b", &["Clerk"])],
            vec![role("Clerk", Source::Model)],
        );
        let counts = first.apply(&mut content).unwrap();
        assert_eq!(counts, Counts { created: 3, updated: 0, deleted: 0 });
        assert_eq!(content.get::<User>("A").unwrap().roles, ["Clerk", "Ours"]);
        assert_eq!(first.apply(&mut content).unwrap(), Counts::default());

        let second = model(vec![user("a", &["ours"])], vec![]);
        let counts = second.apply(&mut content).unwrap();
        assert_eq!(counts, Counts { created: 0, updated: 1, deleted: 2 });
        assert!(content.get::<User>("b").is_none());
        assert!(content.get::<Role>("Ours").is_some());
        assert!(content.get::<User>(ADMIN).is_some());
    }

    #[test]
    fn what_others_say_is_a_conflict_and_every_mistake_is_told() {
        let mut content = content();
        content.put(role("Ours", Source::Administrator));
        let import = model(
            vec![user("a", &["nobody"]), user("A", &[]), user("Admin", &[])],
            vec![role("ours", Source::Model), role("System Administrator", Source::Model)],
        );
        let Err(Error::Invalid(found)) = import.apply(&mut content) else { panic!("accepted") };
        let found: Vec<_> = found.iter().map(|it| (it.resource.as_str(), it.field)).collect();
        for expected in [
            ("roles/ours", "name"),
            ("roles/System Administrator", "name"),
            ("users/A", "name"),
            ("users/Admin", "name"),
            ("users/a", "roles"),
        ] {
            assert!(found.contains(&expected), "{expected:?} in {found:?}");
        }
    }

    #[test]
    fn implied_roles_are_made_where_nobody_made_them() {
        let mut content = content();
        content.put(role("Ours", Source::Administrator));
        let implied_roles = vec!["ours".into(), "New".into()];
        let import = Import { implied_roles, ..model(vec![user("a", &["new", "ours"])], vec![]) };
        import.apply(&mut content).unwrap();
        assert_eq!(content.get::<User>("a").unwrap().roles, ["New", "Ours"]);
        assert_eq!(content.get::<Role>("ours").unwrap().source, Source::Administrator);
    }
}
