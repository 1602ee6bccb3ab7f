//! `security.toml` of the model.

use std::path::Path;

use model::{EntityGrant, EntityOperation, LoadError, Security};

use crate::content::{Duty, Grant, Operation, Privilege, Role, Source};
use crate::import::Import;

pub(super) fn load(dir: &Path) -> Result<Import, LoadError> {
    let security = Security::load(dir, &model::load(dir)?)?;
    let source = Source::Model;
    let roles = security.roles.into_iter().map(|it| Role {
        name: it.name,
        display_name: it.label,
        duties: it.duties,
        privileges: it.privileges,
        source,
    });
    let duties = security.duties.into_iter().map(|it| Duty {
        name: it.name,
        display_name: it.label,
        privileges: it.privileges,
        source,
    });
    let privileges = security.privileges.into_iter().map(|it| Privilege {
        name: it.name,
        display_name: it.label,
        grants: it.grants.into_iter().map(grant).collect(),
        source,
    });
    Ok(Import {
        source,
        roles: roles.collect(),
        duties: duties.collect(),
        privileges: privileges.collect(),
        ..Import::default()
    })
}

fn grant(grant: EntityGrant) -> Grant {
    Grant {
        entities: grant.entities,
        tables: grant.tables,
        operations: grant.operations.into_iter().map(operation).collect(),
        hidden_fields: grant.hidden_fields,
        read_only_fields: grant.read_only_fields,
    }
}

fn operation(operation: EntityOperation) -> Operation {
    match operation {
        EntityOperation::Read => Operation::Read,
        EntityOperation::Create => Operation::Create,
        EntityOperation::Update => Operation::Update,
        EntityOperation::Delete => Operation::Delete,
        EntityOperation::Invoke => Operation::Invoke,
    }
}
