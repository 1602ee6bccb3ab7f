//! Directories of environments: the one that runs here, and others on the same server, each opened for one
//! call and closed before its answer.

use std::sync::Arc;

use schema::{OpenError, Place};
use uuid::Uuid;

use crate::changes::Changes;
use crate::content::{Content, Entry as _, User};
use crate::error::Error;
use crate::limits::Actor;
use crate::store::Store;

/// A table that is not there.
const UNDEFINED_TABLE: &str = "42P01";

/// Finds the directory that a database holds.
#[derive(Debug)]
pub(crate) struct Environments {
    url: String,
    /// The database whose directory runs here.
    own: String,
    changes: Arc<Changes>,
}

impl Environments {
    pub(crate) fn new(url: String, changes: Arc<Changes>) -> Result<Self, sqlx::Error> {
        Ok(Self { own: schema::database_of(&url)?, url, changes })
    }

    /// Changes a directory, after bringing it up to date. `edit` finds in it what always exists.
    pub(crate) async fn change<T>(
        &self,
        database: &str,
        role: &str,
        edit: impl FnOnce(&mut Content) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if database == self.own {
            return self.changes.change(Actor::Environment, edit).await;
        }
        let place = Place::new(database, role)?;
        let store = Store::open_in(&self.url, &place).await;
        let store = store.map_err(|it| not_opened(database, it))?;
        let founded = |content: &mut Content| {
            content.found();
            edit(content)
        };
        let settings = self.changes.settings();
        let changed = settings.change(&store, Actor::Environment, founded).await;
        store.close().await;
        Ok(changed?.0)
    }

    /// A user by its resource's name (`users/alice`), its sign-in name or its row on the platform. Of no
    /// database: in the directory that runs here.
    pub(crate) async fn user(
        &self,
        named: &str,
        database: &str,
        role: &str,
    ) -> Result<Arc<User>, Error> {
        let is_own = database == self.own || (database.is_empty() && role.is_empty());
        let user = if is_own {
            find(&self.changes.directory().content, named)
        } else {
            find(&self.read(database, role).await?, named)
        };
        user.ok_or_else(|| Error::NoUser(named.to_owned()))
    }

    async fn read(&self, database: &str, role: &str) -> Result<Content, Error> {
        let place = Place::new(database, role)?;
        let store = Store::visit(&self.url, &place).await;
        let store = store.map_err(|it| not_opened(database, it))?;
        let state = store.state().await;
        store.close().await;
        state.map(|it| it.content).map_err(|error| {
            let code = error.as_database_error().and_then(|it| it.code());
            match code.as_deref() {
                Some(UNDEFINED_TABLE) => Error::NoDatabase(database.to_owned()),
                _ => error.into(),
            }
        })
    }
}

fn find(content: &Content, named: &str) -> Option<Arc<User>> {
    let resource = named.strip_prefix(User::COLLECTION).and_then(|it| it.strip_prefix('/'));
    let by_name = || content.get::<User>(resource.unwrap_or(named)).cloned();
    let by_id = || {
        let id = Uuid::parse_str(resource.unwrap_or(named)).ok()?;
        content.users.values().find(|it| it.system_user_id == id).cloned()
    };
    // Somebody may be named as another's row is.
    match resource {
        Some(_) => by_name().or_else(by_id),
        None => by_id().or_else(by_name),
    }
}

fn not_opened(database: &str, error: OpenError) -> Error {
    match error.is_missing() {
        true => Error::NoDatabase(database.to_owned()),
        false => error.into_cause().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_whatever_they_are_called() {
        let mut content = Content::default();
        let alice = User::named("alice");
        // Named as the row of another is.
        let posing = User::named(&alice.system_user_id.to_string());
        content.put(alice.clone());
        content.put(posing.clone());
        let found = |named: &str| find(&content, named).map(|it| it.name.clone());
        assert_eq!(found("users/ALICE").as_deref(), Some("alice"));
        assert_eq!(found("Alice").as_deref(), Some("alice"));
        assert_eq!(found(&alice.system_user_id.to_string()).as_deref(), Some("alice"));
        assert_eq!(found(&format!("users/{}", posing.name)), Some(posing.name.clone()));
        assert_eq!(found(&posing.system_user_id.to_string()), Some(posing.name));
        for nobody in ["", "users/", "bob", "users/users/alice", "roles/alice"] {
            assert_eq!(found(nobody), None, "{nobody}");
        }
    }
}
