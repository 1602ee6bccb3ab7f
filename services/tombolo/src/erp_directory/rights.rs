//! Grants of tables and columns become grants of entities and fields.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use model::{Entity, FieldSource, Model};
use proto::user_context::v1::{EntityGrant, Operation, Privilege};

use super::rows::{FieldGrantRow, GrantRow};

/// What roles may do.
pub(super) struct Rights<'a> {
    model: &'a Model,
    /// By role, then by entity.
    roles: BTreeMap<String, BTreeMap<&'a str, Granted>>,
    left_out: usize,
}

/// What a role may do with an entity. Ordered, to find those that are alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Granted {
    operations: BTreeSet<i32>,
    hidden: BTreeSet<String>,
    read_only: BTreeSet<String>,
}

/// The name of a role's only privilege.
pub(super) fn privilege_of(role: &str) -> String {
    format!("{role} (ERP)")
}

impl<'a> Rights<'a> {
    pub(super) fn new(model: &'a Model) -> Self {
        Self { model, roles: BTreeMap::new(), left_out: 0 }
    }

    pub(super) fn left_out(&self) -> usize {
        self.left_out
    }

    /// Lets a role do what the row says.
    pub(super) fn grant(&mut self, row: &GrantRow) -> Result<()> {
        let entities = self.entities("grants", row.entity.as_deref(), row.table.as_deref())?;
        let allowed = [
            (row.can_read, Operation::Read),
            (row.can_create, Operation::Create),
            (row.can_update, Operation::Update),
            (row.can_delete, Operation::Delete),
            (row.can_invoke, Operation::Invoke),
        ];
        let operations: BTreeSet<i32> =
            allowed.iter().filter(|it| it.0 == Some(true)).map(|it| it.1.into()).collect();
        if operations.is_empty() {
            return Ok(());
        }
        if entities.is_empty() {
            self.left_out += 1;
        }
        let role = self.roles.entry(row.role.clone()).or_default();
        for entity in entities {
            role.entry(&entity.name).or_default().operations.extend(&operations);
        }
        Ok(())
    }

    /// Takes a field from what a role was granted before.
    pub(super) fn restrict(&mut self, row: &FieldGrantRow) -> Result<()> {
        let query = "field_grants";
        let entities = self.entities(query, row.entity.as_deref(), row.table.as_deref())?;
        let Some(role) = self.roles.get_mut(&row.role) else { return Ok(()) };
        for entity in entities {
            let Some(granted) = role.get_mut(entity.name.as_str()) else { continue };
            for field in fields(entity, row)? {
                if row.can_read != Some(true) {
                    granted.hidden.insert(field.to_owned());
                }
                if row.can_update != Some(true) {
                    granted.read_only.insert(field.to_owned());
                }
            }
        }
        Ok(())
    }

    /// One for each role that may do something.
    pub(super) fn into_privileges(self) -> Vec<Privilege> {
        let privilege = |(role, granted): (String, BTreeMap<&str, Granted>)| {
            let mut alike: BTreeMap<Granted, Vec<String>> = BTreeMap::new();
            for (entity, granted) in granted {
                alike.entry(granted).or_default().push(entity.to_owned());
            }
            let grants: Vec<_> = alike
                .into_iter()
                .map(|(granted, entities)| EntityGrant {
                    entities,
                    tables: Vec::new(),
                    operations: granted.operations.into_iter().collect(),
                    hidden_fields: granted.hidden.into_iter().collect(),
                    read_only_fields: granted.read_only.into_iter().collect(),
                })
                .collect();
            (!grants.is_empty()).then(|| Privilege {
                name: format!("privileges/{}", privilege_of(&role)),
                display_name: role,
                grants,
                ..Privilege::default()
            })
        };
        self.roles.into_iter().filter_map(privilege).collect()
    }

    /// The one of this name, or those whose first source is this table; a table may have none.
    fn entities(
        &self,
        query: &str,
        entity: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<&'a Entity>> {
        let entities = &self.model.entities;
        match (entity, table) {
            (Some(name), None) => {
                let found = entities.iter().find(|it| it.name == name);
                let found = found.with_context(|| {
                    format!("the query `{query}` of [import]: the model has no entity `{name}`")
                })?;
                Ok(vec![found])
            }
            (None, Some(name)) => Ok(entities.iter().filter(|it| is_of(it, name)).collect()),
            _ => bail!("the query `{query}` of [import] must name an `entity` or a `table`"),
        }
    }
}

/// `table`, of whatever schema, or `schema.table`.
fn is_of(entity: &Entity, name: &str) -> bool {
    entity.sources.first().is_some_and(|source| {
        let table = &source.table;
        let qualified =
            name.strip_prefix(table.schema.as_str()).and_then(|it| it.strip_prefix('.'));
        table.name == name || qualified == Some(table.name.as_str())
    })
}

/// The field of this name, or those of this column; a column may have none.
fn fields<'a>(entity: &'a Entity, row: &FieldGrantRow) -> Result<Vec<&'a str>> {
    match (&row.field, &row.column) {
        (Some(name), None) => {
            let found = entity.field(name).with_context(|| {
                let entity = &entity.name;
                format!("the query `field_grants` of [import]: `{entity}` has no field `{name}`")
            })?;
            Ok(vec![&found.name])
        }
        (None, Some(column)) => {
            let alias = entity.sources.first().map(|it| it.alias.as_str());
            let is_of = |source: &FieldSource| match source {
                FieldSource::Column(it) => Some(it.alias.as_str()) == alias && it.column == *column,
                FieldSource::Expression(_) => false,
            };
            let fields = entity.fields.iter().filter(|it| is_of(&it.source));
            Ok(fields.map(|it| it.name.as_str()).collect())
        }
        _ => bail!("the query `field_grants` of [import] must name a `field` or a `column`"),
    }
}
