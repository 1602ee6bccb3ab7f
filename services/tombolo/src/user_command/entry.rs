//! What users, roles, duties and privileges have in common, and how each is shown.

use proto::user_context::v1 as pb;
use serde_json::{Value, json};

use super::operation;
use crate::cli::{DutyFields, PrivilegeFields, RoleFields};

/// An entry of the directory.
pub(super) trait Entry {
    /// Of a table.
    const HEAD: &'static [&'static str];

    fn cells(&self) -> Vec<String>;
    fn json(&self) -> Value;
}

pub(super) fn resource(collection: &str, name: &str) -> String {
    format!("{collection}/{name}")
}

/// The name without its collection.
fn plain(name: &str) -> &str {
    name.split_once('/').map_or(name, |it| it.1)
}

impl Entry for pb::User {
    const HEAD: &'static [&'static str] =
        &["USER", "NAME", "ERP USER", "COMPANIES", "ROLES", "SOURCE", "STATE"];

    fn cells(&self) -> Vec<String> {
        let state = if self.disabled { "disabled" } else { "" };
        vec![
            plain(&self.name).to_owned(),
            self.display_name.clone(),
            self.erp_user.clone(),
            self.companies.join(", "),
            self.roles.join(", "),
            self.source.clone(),
            state.to_owned(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "name": plain(&self.name),
            "display_name": self.display_name,
            "system_user_id": self.system_user_id,
            "object_id": self.object_id,
            "erp_user": self.erp_user,
            "roles": self.roles,
            "companies": self.companies,
            "application_id": self.application_id,
            "disabled": self.disabled,
            "acts_on_behalf": self.acts_on_behalf,
            "serves_portal": self.serves_portal,
            "time_zone": self.time_zone,
            "language": self.language,
            "source": self.source,
        })
    }
}

impl Entry for pb::Role {
    const HEAD: &'static [&'static str] = &["ROLE", "DUTIES", "PRIVILEGES", "SOURCE"];

    fn cells(&self) -> Vec<String> {
        let source = if self.built_in { "built in" } else { &self.source };
        vec![
            plain(&self.name).to_owned(),
            self.duties.join(", "),
            self.privileges.join(", "),
            source.to_owned(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "name": plain(&self.name),
            "display_name": self.display_name,
            "duties": self.duties,
            "privileges": self.privileges,
            "source": self.source,
            "built_in": self.built_in,
        })
    }
}

impl Entry for pb::Duty {
    const HEAD: &'static [&'static str] = &["DUTY", "PRIVILEGES", "SOURCE"];

    fn cells(&self) -> Vec<String> {
        vec![plain(&self.name).to_owned(), self.privileges.join(", "), self.source.clone()]
    }

    fn json(&self) -> Value {
        json!({
            "name": plain(&self.name),
            "display_name": self.display_name,
            "privileges": self.privileges,
            "source": self.source,
        })
    }
}

impl Entry for pb::Privilege {
    const HEAD: &'static [&'static str] = &["PRIVILEGE", "GRANTS", "SOURCE"];

    fn cells(&self) -> Vec<String> {
        let grants = self.grants.iter().map(|it| {
            let names = [it.entities.as_slice(), it.tables.as_slice()].concat();
            format!("{}: {}", operations(it).join(" "), names.join(", "))
        });
        let grants = grants.collect::<Vec<_>>().join("; ");
        vec![plain(&self.name).to_owned(), grants, self.source.clone()]
    }

    fn json(&self) -> Value {
        let grant = |it: &pb::EntityGrant| {
            json!({
                "entities": it.entities,
                "tables": it.tables,
                "operations": operations(it),
                "hidden_fields": it.hidden_fields,
                "read_only_fields": it.read_only_fields,
            })
        };
        json!({
            "name": plain(&self.name),
            "display_name": self.display_name,
            "grants": self.grants.iter().map(grant).collect::<Vec<_>>(),
            "source": self.source,
        })
    }
}

fn operations(grant: &pb::EntityGrant) -> Vec<&'static str> {
    grant.operations().map(operation::name).collect()
}

impl From<RoleFields> for pb::Role {
    fn from(it: RoleFields) -> Self {
        Self {
            name: resource("roles", &it.name),
            display_name: it.label.unwrap_or(it.name),
            duties: it.duties,
            privileges: it.privileges,
            ..Self::default()
        }
    }
}

impl From<DutyFields> for pb::Duty {
    fn from(it: DutyFields) -> Self {
        Self {
            name: resource("duties", &it.name),
            display_name: it.label.unwrap_or(it.name),
            privileges: it.privileges,
            ..Self::default()
        }
    }
}

impl From<PrivilegeFields> for pb::Privilege {
    fn from(it: PrivilegeFields) -> Self {
        let grant = pb::EntityGrant {
            entities: it.entities,
            tables: it.tables,
            operations: it
                .operations
                .into_iter()
                .map(|it| pb::Operation::from(it).into())
                .collect(),
            hidden_fields: it.hidden_fields,
            read_only_fields: it.read_only_fields,
        };
        Self {
            name: resource("privileges", &it.name),
            display_name: it.label.unwrap_or(it.name),
            grants: vec![grant],
            ..Self::default()
        }
    }
}
