//! Pages of the directory, and its changes, whatever the kind of entry.

use proto::user_context::v1 as pb;
use rpc::Caller;

use super::Directory;
use crate::content::{
    Content, Duty, Entry, Privilege, Role, Source, User, Violation, check_user, key,
};
use crate::error::Error;
use crate::grpc::convert::{Message, name_in, violation};
use crate::import::{Import, always_exists};
use crate::limits::Actor;
use crate::page_token;

const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// What an entry keeps, whatever is put in its place.
pub(super) trait Sourced: Entry {
    fn keep(&mut self, old: &Self);
}

macro_rules! sourced {
    ($($type:ty),*) => {
        $(impl Sourced for $type {
            fn keep(&mut self, old: &Self) {
                self.source = old.source;
                self.name.clone_from(&old.name);
            }
        })*
    };
}

sourced!(User, Role, Duty, Privilege);

impl Directory {
    /// A page of entries in the order of their names, and the token of the next.
    pub(super) fn page<M: Message>(
        &self,
        size: i32,
        token: &str,
    ) -> Result<(Vec<M>, String), Error> {
        let size = match usize::try_from(size) {
            Ok(0) => DEFAULT_PAGE,
            Ok(given) => given.min(LARGEST_PAGE),
            Err(_) => return Err(Error::PageSize(size)),
        };
        let after = key(&page_token::read(token)?);
        let directory = self.changes.directory();
        let entries = M::Entry::table(&directory.content);
        let mut entries = entries.iter().filter(|(key, _)| **key > after).map(|(_, it)| it);
        let page: Vec<_> = entries.by_ref().take(size).collect();
        let last = page.last().filter(|_| entries.next().is_some());
        let next = last.map(|it| page_token::issue(it.name())).unwrap_or_default();
        Ok((page.into_iter().map(|it| M::of(it)).collect(), next))
    }

    /// Puts an entry in the place of the one of its name, which stays what its source says.
    pub(super) async fn put<M: Message>(
        &self,
        caller: &Caller,
        message: Option<M>,
        allow_missing: bool,
        check: impl Fn(&M::Entry, &Content, &mut Vec<Violation>),
    ) -> Result<M, Error>
    where
        M::Entry: Clone + Sourced,
    {
        let message = message.ok_or_else(missing::<M::Entry>)?;
        let given = message.into_entry(Source::Administrator)?;
        self.edit(caller, given, allow_missing, check, |given, _| Ok(given)).await
    }

    async fn edit<M: Message>(
        &self,
        caller: &Caller,
        given: M::Entry,
        allow_missing: bool,
        check: impl Fn(&M::Entry, &Content, &mut Vec<Violation>),
        merge: impl FnOnce(M::Entry, Option<&M::Entry>) -> Result<M::Entry, Error>,
    ) -> Result<M, Error>
    where
        M::Entry: Clone + Sourced,
    {
        let name = given.name().to_owned();
        let edit = |content: &mut Content| {
            let old = content.get::<M::Entry>(&name).cloned();
            if old.is_none() && !allow_missing {
                return Err(Error::NotFound(format!("{}/{name}", M::Entry::COLLECTION)));
            }
            let mut entry = merge(given, old.as_deref())?;
            if let Some(old) = &old {
                entry.keep(old);
            }
            content.put(entry.clone());
            let mut found = Vec::new();
            check(&entry, content, &mut found);
            if !found.is_empty() {
                return Err(Error::Invalid(found));
            }
            content.settle();
            let put = content.get::<M::Entry>(&name).map(|it| M::of(it));
            put.ok_or(Error::NotFound(name))
        };
        self.changes.change(Actor::Caller(caller), edit).await
    }

    pub(super) async fn delete<T: Entry>(
        &self,
        caller: &Caller,
        resource: &str,
        allow_missing: bool,
    ) -> Result<(), Error> {
        let name = name_in::<T>(resource)?;
        let edit = |content: &mut Content| {
            if always_exists::<T>(name) {
                return Err(Error::AlwaysExists(resource.to_owned()));
            }
            match content.remove::<T>(name) || allow_missing {
                true => Ok(()),
                false => Err(Error::NotFound(resource.to_owned())),
            }
        };
        self.changes.change(Actor::Caller(caller), edit).await
    }

    pub(super) async fn put_user(
        &self,
        caller: &Caller,
        request: pb::UpdateUserRequest,
    ) -> Result<pb::User, Error> {
        let message = request.user.ok_or_else(missing::<User>)?;
        let mask = request.update_mask.map(|it| it.paths).unwrap_or_default();
        let given = message.into_entry(Source::Administrator)?;
        let merge = |given: User, old: Option<&User>| match old {
            Some(old) if !mask.is_empty() => masked(old, &given, &mask),
            Some(_) | None => Ok(given),
        };
        self.edit(caller, given, request.allow_missing, check_user, merge).await
    }

    pub(super) async fn import(
        &self,
        caller: &Caller,
        request: pb::ImportDirectoryRequest,
    ) -> Result<pb::ImportDirectoryResponse, Error> {
        let source = Source::of_name(&request.source).filter(|it| *it != Source::Administrator);
        let source = source.ok_or_else(|| {
            let reason = "is `model` or `erp`".to_owned();
            Error::Invalid(vec![violation("directory", "source", reason)])
        })?;
        let import = Import {
            source,
            users: entries(request.users, source)?,
            roles: entries(request.roles, source)?,
            duties: entries(request.duties, source)?,
            privileges: entries(request.privileges, source)?,
            implied_roles: Vec::new(),
        };
        let counts = self.changes.import(Actor::Caller(caller), &import).await?;
        Ok(pb::ImportDirectoryResponse {
            created_count: counts.created,
            updated_count: counts.updated,
            deleted_count: counts.deleted,
        })
    }
}

fn missing<T: Entry>() -> Error {
    Error::Invalid(vec![violation(T::COLLECTION, "name", "is missing".to_owned())])
}

fn entries<M: Message>(messages: Vec<M>, source: Source) -> Result<Vec<M::Entry>, Error> {
    messages.into_iter().map(|it| it.into_entry(source)).collect()
}

/// The fields of the mask as they are given, all others as they were.
fn masked(old: &User, given: &User, mask: &[String]) -> Result<User, Error> {
    let mut user = old.clone();
    for path in mask {
        match path.as_str() {
            "*" => user = given.clone(),
            "display_name" => user.display_name.clone_from(&given.display_name),
            "object_id" => user.object_id = given.object_id,
            "erp_user" => user.erp_user.clone_from(&given.erp_user),
            "roles" => user.roles.clone_from(&given.roles),
            "companies" => user.companies.clone_from(&given.companies),
            "application_id" => user.application_id.clone_from(&given.application_id),
            "disabled" => (user.disabled, user.locked) = (given.disabled, given.locked),
            "acts_on_behalf" => user.acts_on_behalf = given.acts_on_behalf,
            "serves_portal" => user.serves_portal = given.serves_portal,
            "time_zone" => user.time_zone.clone_from(&given.time_zone),
            "language" => user.language = given.language,
            unknown => {
                let reason = format!("`{unknown}` is no field that can be changed");
                return Err(Error::Invalid(vec![violation("users", "update_mask", reason)]));
            }
        }
    }
    Ok(user)
}
