//! Columns of a table. The table's own columns are added first and keep their names; a field that
//! would have one of those gets a number, and never a name that is another field's.

use std::collections::{HashMap, HashSet};

use model::{DataType, Entity, Field, FieldSource, Relation};
use proto::query::v1 as pb;
use proto::query::v1::{AttributeType, RequiredLevel, SystemColumn};

/// Attribute metadata of the primary field (spec §3.4).
const PRIMARY_FIELD_LENGTH: i32 = 256;

/// Collects a table's columns.
pub(crate) struct Columns {
    prefix: &'static str,
    columns: Vec<pb::ColumnDefinition>,
    taken: HashSet<String>,
    /// What the fields are called where nothing is in the way.
    natural: HashSet<String>,
    /// Logical name by field name.
    by_field: HashMap<String, String>,
}

impl Columns {
    pub(crate) fn new(prefix: &'static str, fields: &[Field]) -> Self {
        Self {
            prefix,
            columns: Vec::new(),
            taken: HashSet::new(),
            natural: fields.iter().map(|it| natural_name(prefix, it)).collect(),
            by_field: HashMap::new(),
        }
    }

    pub(crate) fn record_id(&mut self, name: &str) -> String {
        self.system(name, SystemColumn::RecordId, |it| {
            it.set_type(AttributeType::Uniqueidentifier);
            it.set_required_level(RequiredLevel::SystemRequired);
            it.filterable = true;
        })
    }

    pub(crate) fn primary_field(&mut self, name: &str, filterable: bool) -> String {
        self.system(name, SystemColumn::PrimaryField, |it| {
            it.set_type(AttributeType::String);
            it.display_name = "Primary field".to_owned();
            it.max_length = PRIMARY_FIELD_LENGTH;
            it.filterable = filterable;
        })
    }

    pub(crate) fn field(&mut self, field: &Field, is_company: bool) {
        let natural = natural_name(self.prefix, field);
        let logical_name = self.name(&natural);
        self.by_field.insert(field.name.clone(), logical_name.clone());
        let number = logical_name.strip_prefix(&natural).unwrap_or_default();
        let mut column = pb::ColumnDefinition {
            schema_name: format!("{}{}{number}", self.prefix, field.name),
            external: external(pb::column_ref::Column::Field(field.name.clone())),
            display_name: field.label.clone(),
            description: field.description.clone(),
            valid_for_create: field.allow_edit_on_create,
            valid_for_update: field.allow_edit,
            filterable: true,
            logical_name,
            ..pb::ColumnDefinition::default()
        };
        column.set_required_level(match (is_company, field.mandatory) {
            (true, _) => RequiredLevel::Recommended,
            (false, true) => RequiredLevel::ApplicationRequired,
            (false, false) => RequiredLevel::None,
        });
        self.set_type(&mut column, field);
        let company = column.logical_name.clone();
        self.columns.push(column);
        if is_company {
            self.company_lookup(&company, field);
        }
    }

    /// The second column over the company's field (spec VE-053).
    fn company_lookup(&mut self, company: &str, field: &Field) {
        let prefix = self.prefix;
        self.system(&format!("{company}_id"), SystemColumn::CompanyId, |it| {
            it.set_type(AttributeType::Lookup);
            it.set_required_level(RequiredLevel::Recommended);
            it.display_name = "Company".to_owned();
            it.target = "cdm_company".to_owned();
            it.navigation_property = format!("{prefix}{}_id", field.name);
            it.filterable = true;
        });
    }

    /// Name and navigation property of the company's lookup, if there is one.
    pub(crate) fn company_lookup_name(&self) -> Option<(String, String)> {
        let company = external(pb::column_ref::Column::System(SystemColumn::CompanyId.into()));
        let column = self.columns.iter().find(|it| it.external == company)?;
        Some((column.logical_name.clone(), column.navigation_property.clone()))
    }

    /// The lookup of a relation: its logical name and its navigation property.
    pub(crate) fn relation(
        &mut self,
        relation: &Relation,
        entity: &Entity,
        target: &str,
    ) -> (String, String) {
        let schema_name = format!("{}FK_{}_id", self.prefix, relation.name);
        let natural = schema_name.to_lowercase();
        let logical_name = self.name(&natural);
        let number = logical_name.strip_prefix(&natural).unwrap_or_default();
        let schema_name = format!("{schema_name}{number}");
        // What sets the lookup sets the fields behind it.
        let own = || relation.fields.iter().filter_map(|it| entity.field(&it.field));
        let is_column = |it: &Field| matches!(it.source, FieldSource::Column(_));
        let mut column = pb::ColumnDefinition {
            logical_name: logical_name.clone(),
            schema_name: schema_name.clone(),
            external: external(pb::column_ref::Column::Relation(relation.name.clone())),
            display_name: relation.name.clone(),
            target: target.to_owned(),
            navigation_property: schema_name.clone(),
            valid_for_create: own().all(|it| it.allow_edit_on_create && is_column(it)),
            valid_for_update: own().all(|it| it.allow_edit && is_column(it)),
            filterable: true,
            ..pb::ColumnDefinition::default()
        };
        column.set_type(AttributeType::Lookup);
        column.set_required_level(RequiredLevel::None);
        self.columns.push(column);
        (logical_name, schema_name)
    }

    fn system(
        &mut self,
        name: &str,
        system: SystemColumn,
        describe: impl FnOnce(&mut pb::ColumnDefinition),
    ) -> String {
        let logical_name = self.name(name);
        let mut column = pb::ColumnDefinition {
            schema_name: logical_name.clone(),
            display_name: logical_name.clone(),
            logical_name: logical_name.clone(),
            external: external(pb::column_ref::Column::System(system.into())),
            ..pb::ColumnDefinition::default()
        };
        column.set_required_level(RequiredLevel::None);
        describe(&mut column);
        self.columns.push(column);
        logical_name
    }

    /// The name, or the first of its kind that no column has and no field has a right to.
    fn name(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 1;
        while self.taken.contains(&name) || (number > 1 && self.natural.contains(&name)) {
            number += 1;
            name = format!("{wanted}{number}");
        }
        self.taken.insert(name.clone());
        name
    }

    fn set_type(&self, column: &mut pb::ColumnDefinition, field: &Field) {
        let is_virtual = !self.prefix.is_empty();
        let r#type = match &field.data_type {
            DataType::String { max_length } => {
                column.max_length = i32::try_from(*max_length).unwrap_or(i32::MAX);
                AttributeType::String
            }
            DataType::Memo => AttributeType::Memo,
            DataType::Integer => AttributeType::Integer,
            // 64-bit integers are decimals without a fraction on virtual tables (spec §3.1).
            DataType::Long if is_virtual => AttributeType::Decimal,
            DataType::Long => AttributeType::BigInt,
            DataType::Decimal { scale } => {
                column.scale = i32::from(*scale);
                AttributeType::Decimal
            }
            DataType::Enum(name) => {
                column.option_set = format!("{}{name}", self.prefix);
                AttributeType::Picklist
            }
            DataType::Boolean => AttributeType::Boolean,
            DataType::Date => AttributeType::Date,
            DataType::DateTime => AttributeType::DateTime,
            DataType::Guid => AttributeType::Uniqueidentifier,
        };
        column.set_type(r#type);
        if matches!(field.source, FieldSource::Expression(_)) {
            column.valid_for_create = false;
            column.valid_for_update = false;
        }
    }

    /// The entity key as an alternate key, if there is one.
    pub(crate) fn key(&self, entity: &Entity, name: &str) -> Vec<pb::AlternateKey> {
        let columns = entity.key.iter().map(|it| self.by_field.get(it).cloned());
        match columns.collect::<Option<Vec<_>>>() {
            Some(columns) if !columns.is_empty() => {
                vec![pb::AlternateKey { name: name.to_owned(), columns }]
            }
            _ => Vec::new(),
        }
    }

    pub(crate) fn finish(self) -> Vec<pb::ColumnDefinition> {
        self.columns
    }
}

fn external(column: pb::column_ref::Column) -> Option<pb::ColumnRef> {
    Some(pb::ColumnRef { column: Some(column), ..pb::ColumnRef::default() })
}

fn natural_name(prefix: &str, field: &Field) -> String {
    format!("{prefix}{}", field.name.to_lowercase())
}
