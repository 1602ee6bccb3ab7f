//! Messages as this service's terms, and back.

use proto::user_context::v1 as pb;
use rpc::{Companies, DEFAULT_LANGUAGE, DEFAULT_TIME_ZONE};

use crate::content::{
    Duty, Entry, Grant, Operation, Privilege, Role, Source, User, Violation, is_built_in,
};
use crate::error::Error;

/// A message of one of the directory's kinds.
pub(super) trait Message: Sized {
    type Entry: Entry;

    fn of(entry: &Self::Entry) -> Self;
    fn into_entry(self, source: Source) -> Result<Self::Entry, Error>;
}

impl Message for pb::User {
    type Entry = User;

    fn of(user: &User) -> Self {
        user_message(user)
    }

    fn into_entry(self, source: Source) -> Result<User, Error> {
        let base = User::named(name_in::<User>(&self.name)?);
        let text = |given: String, default: &str| match given.is_empty() {
            true => default.to_owned(),
            false => given,
        };
        let object_id = match self.object_id.as_str() {
            "" => base.object_id,
            id => id.parse().map_err(|_| {
                let reason = "is no GUID".to_owned();
                Error::Invalid(vec![violation(&self.name, "object_id", reason)])
            })?,
        };
        Ok(User {
            display_name: text(self.display_name, &base.name),
            object_id,
            erp_user: text(self.erp_user, &base.name),
            roles: self.roles,
            companies: match self.companies.iter().any(|it| it == "*") {
                true => Companies::All,
                false => Companies::Only(self.companies),
            },
            application_id: Some(self.application_id).filter(|it| !it.is_empty()),
            disabled: self.disabled,
            locked: self.disabled && source == Source::Administrator,
            acts_on_behalf: self.acts_on_behalf,
            serves_portal: self.serves_portal,
            time_zone: text(self.time_zone, DEFAULT_TIME_ZONE),
            language: if self.language == 0 { DEFAULT_LANGUAGE } else { self.language },
            source,
            ..base
        })
    }
}

impl Message for pb::Role {
    type Entry = Role;

    fn of(role: &Role) -> Self {
        Self {
            name: resource(role),
            display_name: role.display_name.clone(),
            duties: role.duties.clone(),
            privileges: role.privileges.clone(),
            source: role.source.name().to_owned(),
            built_in: is_built_in(&role.name),
        }
    }

    fn into_entry(self, source: Source) -> Result<Role, Error> {
        let name = name_in::<Role>(&self.name)?.to_owned();
        let display_name = label(self.display_name, &name);
        Ok(Role { name, display_name, duties: self.duties, privileges: self.privileges, source })
    }
}

impl Message for pb::Duty {
    type Entry = Duty;

    fn of(duty: &Duty) -> Self {
        Self {
            name: resource(duty),
            display_name: duty.display_name.clone(),
            privileges: duty.privileges.clone(),
            source: duty.source.name().to_owned(),
        }
    }

    fn into_entry(self, source: Source) -> Result<Duty, Error> {
        let name = name_in::<Duty>(&self.name)?.to_owned();
        let display_name = label(self.display_name, &name);
        Ok(Duty { name, display_name, privileges: self.privileges, source })
    }
}

impl Message for pb::Privilege {
    type Entry = Privilege;

    fn of(privilege: &Privilege) -> Self {
        Self {
            name: resource(privilege),
            display_name: privilege.display_name.clone(),
            grants: privilege.grants.iter().map(grant_message).collect(),
            source: privilege.source.name().to_owned(),
        }
    }

    fn into_entry(self, source: Source) -> Result<Privilege, Error> {
        let name = name_in::<Privilege>(&self.name)?.to_owned();
        let display_name = label(self.display_name, &name);
        let grants = self.grants.into_iter().map(|it| grant(it, &self.name));
        let grants = grants.collect::<Result<_, _>>()?;
        Ok(Privilege { name, display_name, grants, source })
    }
}

pub(super) fn user_message(user: &User) -> pb::User {
    pb::User {
        name: resource(user),
        display_name: user.display_name.clone(),
        system_user_id: user.system_user_id.to_string(),
        object_id: user.object_id.to_string(),
        erp_user: user.erp_user.clone(),
        roles: user.roles.clone(),
        companies: match &user.companies {
            Companies::All => vec!["*".into()],
            Companies::Only(codes) => codes.clone(),
        },
        application_id: user.application_id.clone().unwrap_or_default(),
        disabled: user.disabled,
        acts_on_behalf: user.acts_on_behalf,
        serves_portal: user.serves_portal,
        time_zone: user.time_zone.clone(),
        language: user.language,
        source: user.source.name().to_owned(),
    }
}

/// What a grant allows, as those hear it who enforce it.
pub(crate) fn grant_message(grant: &Grant) -> pb::EntityGrant {
    let operation = |it: &Operation| match it {
        Operation::Read => pb::Operation::Read,
        Operation::Create => pb::Operation::Create,
        Operation::Update => pb::Operation::Update,
        Operation::Delete => pb::Operation::Delete,
        Operation::Invoke => pb::Operation::Invoke,
    };
    pb::EntityGrant {
        entities: grant.entities.clone(),
        tables: grant.tables.clone(),
        operations: grant.operations.iter().map(|it| operation(it).into()).collect(),
        hidden_fields: grant.hidden_fields.clone(),
        read_only_fields: grant.read_only_fields.clone(),
    }
}

/// `NAME` of `users/NAME`, `roles/NAME` and so on.
pub(super) fn name_in<T: Entry>(resource: &str) -> Result<&str, Error> {
    let name = resource.strip_prefix(T::COLLECTION).and_then(|it| it.strip_prefix('/'));
    name.filter(|it| !it.is_empty()).ok_or_else(|| {
        let reason = format!("is no `{}/NAME`", T::COLLECTION);
        Error::Invalid(vec![violation(resource, "name", reason)])
    })
}

pub(super) fn violation(resource: &str, field: &'static str, reason: String) -> Violation {
    Violation { resource: resource.to_owned(), field, reason }
}

fn resource<T: Entry>(entry: &T) -> String {
    format!("{}/{}", T::COLLECTION, entry.name())
}

fn label(given: String, name: &str) -> String {
    if given.is_empty() { name.to_owned() } else { given }
}

fn grant(grant: pb::EntityGrant, resource: &str) -> Result<Grant, Error> {
    let operation = |it: i32| match pb::Operation::try_from(it) {
        Ok(pb::Operation::Read) => Ok(Operation::Read),
        Ok(pb::Operation::Create) => Ok(Operation::Create),
        Ok(pb::Operation::Update) => Ok(Operation::Update),
        Ok(pb::Operation::Delete) => Ok(Operation::Delete),
        Ok(pb::Operation::Invoke) => Ok(Operation::Invoke),
        Ok(pb::Operation::Unspecified) | Err(_) => {
            let reason = format!("{it} is no operation");
            Err(Error::Invalid(vec![violation(resource, "grants", reason)]))
        }
    };
    Ok(Grant {
        operations: grant.operations.into_iter().map(operation).collect::<Result<_, _>>()?,
        entities: grant.entities,
        tables: grant.tables,
        hidden_fields: grant.hidden_fields,
        read_only_fields: grant.read_only_fields,
    })
}
