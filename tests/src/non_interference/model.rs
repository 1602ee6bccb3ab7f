//! The model that the importer writes, with legal entities, row policies and roles.

use std::path::Path;

use anyhow::{Context as _, Result};
use toml::{Table as Toml, Value};

use super::twins::{Protection, Twins};
use super::viewer::{Role, VIEWERS};
use crate::differential::schema::{Schema, Table};

/// Adds to the model in `folder`, which was imported.
pub(super) fn protect(folder: &Path, twins: &Twins) -> Result<()> {
    let mut fields = vec![Vec::new(); twins.protections.len()];
    for file in std::fs::read_dir(folder.join("entities"))? {
        let path = file?.path();
        let mut entity: Toml = std::fs::read_to_string(&path)?.parse()?;
        let name = entity["name"].as_str().context("no name")?;
        let schema = &twins.sides[0];
        let at = schema.tables.iter().position(|it| it.entity() == name);
        let at = at.with_context(|| format!("no table of {name}"))?;
        fields[at] = names(&entity, &schema.tables[at])?;
        protect_entity(&mut entity, schema, at, &twins.protections[at])?;
        std::fs::write(&path, toml::to_string(&entity)?)?;
    }
    std::fs::write(folder.join("security.toml"), security(twins, &fields))?;
    Ok(std::fs::write(folder.join("users.toml"), users())?)
}

/// Names of the fields by position of their columns.
fn names(entity: &Toml, table: &Table) -> Result<Vec<String>> {
    let fields = entity["fields"].as_array().context("no fields")?;
    let column = |field: &Value| {
        let column = field.get("column").and_then(Value::as_str)?;
        Some(column.split_once('.')?.1.to_owned())
    };
    let name = |wanted: &str| {
        let found = fields.iter().find(|it| column(it).as_deref() == Some(wanted));
        found.and_then(|it| it.get("name")?.as_str()).map(str::to_owned)
    };
    let names = table.columns.iter().map(|it| {
        name(&it.name).with_context(|| format!("{}: no field of {}", table.name, it.name))
    });
    names.collect()
}

fn protect_entity(
    entity: &mut Toml,
    schema: &Schema,
    at: usize,
    protection: &Protection,
) -> Result<()> {
    let alias = entity["sources"][0]["alias"].as_str().context("no alias")?.to_owned();
    entity.insert("change_tracking".into(), true.into());
    if protection.company {
        // The legal entity is a field of its own.
        let fields = entity["fields"].as_array_mut().context("no fields")?;
        let column = format!("{alias}.dataareaid");
        fields.retain(|it| it.get("column").and_then(Value::as_str) != Some(&column));
        entity.insert("company".into(), column.into());
    }
    let table = &schema.tables[at];
    let mut policies = Vec::new();
    let mut policy = |name: &str, roles: &[Role], predicate: String| {
        let mut policy = Toml::new();
        policy.insert("name".into(), name.into());
        if !roles.is_empty() {
            let roles: Vec<_> = roles.iter().map(|it| Value::from(it.name())).collect();
            policy.insert("roles".into(), roles.into());
        }
        policy.insert("predicate".into(), predicate.into());
        policies.push(Value::Table(policy));
    };
    if let Some(roles) = &protection.holder {
        policy("Holder", roles, format!("{alias}.holder IN (:user, 'all')"));
    }
    if let Some(key) = protection.via {
        let foreign_key = &table.foreign_keys[key];
        let target = &schema.tables[foreign_key.target];
        let columns = foreign_key.columns.iter().zip(&target.columns);
        let columns = columns
            .map(|(own, key)| format!("v.{} = {alias}.{}", key.name, table.columns[*own].name));
        let columns = columns.collect::<Vec<_>>().join(" AND ");
        let predicate = format!(
            "EXISTS (SELECT 1 FROM public.{} v WHERE {columns} AND v.holder = ANY (ARRAY[:user, 'all']))",
            target.name
        );
        policy("HolderOfTarget", &[], predicate);
    }
    if !policies.is_empty() {
        entity.insert("policies".into(), policies.into());
    }
    Ok(())
}

/// One privilege for each role and table.
fn security(twins: &Twins, fields: &[Vec<String>]) -> String {
    let mut text = String::new();
    for role in Role::ALL {
        let mut privileges = Vec::new();
        for (at, protection) in twins.protections.iter().enumerate() {
            let operations = protection.operations(role);
            if operations.is_empty() {
                continue;
            }
            let entity = twins.sides[0].tables[at].entity();
            let named = |columns: &std::collections::BTreeSet<usize>| {
                columns.iter().map(|it| fields[at][*it].as_str()).collect::<Vec<_>>()
            };
            let name = format!("{} {entity}", role.name());
            text.push_str(&format!(
                "[[privileges]]\nname = \"{name}\"\n[[privileges.grants]]\nentities = [\"{entity}\"]\n\
                 operations = {operations:?}\nhidden_fields = {:?}\nread_only_fields = {:?}\n",
                named(&protection.hidden),
                named(&protection.read_only),
            ));
            privileges.push(name);
        }
        let role = role.name();
        text.push_str(&format!("[[roles]]\nname = \"{role}\"\nprivileges = {privileges:?}\n"));
    }
    text
}

fn users() -> String {
    let mut text = String::new();
    for viewer in VIEWERS.iter().filter(|it| it.acts_as.is_none()) {
        let user = viewer.sender;
        let acts = VIEWERS.iter().any(|it| it.acts_as.is_some() && it.sender == user);
        text.push_str(&format!(
            "[[users]]\nname = \"{0}\"\nerp_user = \"{0}\"\nroles = [\"{1}\"]\ncompanies = {2:?}\n\
             acts_on_behalf = {acts}\n",
            user.name,
            user.role.name(),
            user.areas,
        ));
    }
    text
}

impl Protection {
    /// What a role lets do.
    #[must_use]
    pub fn operations(&self, role: Role) -> &'static [&'static str] {
        match role {
            Role::Partial if self.withheld => &[],
            Role::Clerk if !self.unwritable => &["read", "create", "update", "delete", "invoke"],
            Role::Clerk | Role::Reader | Role::Partial => &["read"],
        }
    }
}
