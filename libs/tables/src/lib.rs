//! What a data entity looks like as a platform table: names, column types, keys, option sets.
//!
//! [`virtual_table`] follows the naming and type rules of virtual entities (spec virtual-entities
//! §2.3, §3); [`native_table`] takes a model's names as they are. Both are pure.

mod actions;
mod columns;
mod names;
mod relationships;

use model::{DataType, Entity, Enum, Member};
use proto::query::v1 as pb;

use columns::Columns;
pub use names::{DeclaredNames, entity_set_name, virtual_name};

/// First option value that virtual tables use (spec VE-044).
pub const FIRST_OPTION: i32 = 200_000_000;

/// The virtual table of a data entity. `published` gives the entities that are published too, this one
/// among them: relations to others are left out until they are (spec VE-055).
#[must_use]
pub fn virtual_table<'m>(
    entity: &'m Entity,
    entity_id: u32,
    published: impl Fn(&str) -> Option<&'m Entity>,
) -> pb::TableDefinition {
    let logical_name = virtual_name(&entity.name);
    let mut columns = Columns::new("mserp_", &entity.fields);
    let primary_id = columns.record_id(&format!("{logical_name}id"));
    let primary_name = columns.primary_field("mserp_primaryfield", has_text_key(entity));
    for field in &entity.fields {
        columns.field(field, field.name == model::COMPANY_FIELD && entity.company.is_some());
    }
    let relationships = relationships::add(&mut columns, entity, published);
    pb::TableDefinition {
        schema_name: format!("mserp_{}", entity.name),
        entity_set_name: entity_set_name(&logical_name),
        logical_name,
        external_name: entity.name.clone(),
        source: pb::TableSource::Erp.into(),
        display_name: entity.label.clone(),
        display_collection_name: entity.collection_label.clone(),
        description: entity.description.clone(),
        primary_id_column: primary_id,
        primary_name_column: primary_name,
        alternate_keys: columns.key(entity, "mserp_entitykey"),
        columns: columns.finish(),
        entity_id,
        relationships,
        actions: actions::definitions(entity, "mserp_"),
        change_tracking_enabled: entity.change_tracking,
    }
}

/// A native table. Its row id is the column `<name>id`; `primary_name` is the field that names a
/// row for people.
#[must_use]
pub fn native_table(entity: &Entity, primary_name: &str) -> pb::TableDefinition {
    let logical_name = entity.name.to_lowercase();
    let mut columns = Columns::new("", &entity.fields);
    let primary_id = columns.record_id(&format!("{logical_name}id"));
    for field in &entity.fields {
        columns.field(field, false);
    }
    pb::TableDefinition {
        schema_name: entity.name.clone(),
        entity_set_name: entity_set_name(&logical_name),
        logical_name,
        external_name: entity.name.clone(),
        source: pb::TableSource::Organization.into(),
        display_name: entity.label.clone(),
        display_collection_name: entity.collection_label.clone(),
        description: entity.description.clone(),
        primary_id_column: primary_id,
        primary_name_column: primary_name.to_lowercase(),
        alternate_keys: columns.key(entity, "entitykey"),
        columns: columns.finish(),
        entity_id: 0,
        relationships: Vec::new(),
        actions: actions::definitions(entity, ""),
        change_tracking_enabled: entity.change_tracking,
    }
}

/// The global option set of an enum; `value` gives each member's number.
#[must_use]
pub fn option_set(it: &Enum, value: impl Fn(&Enum, &Member) -> i32) -> pb::OptionSet {
    let option = |member: &Member| pb::Option {
        value: value(it, member),
        external_name: member.symbol.clone(),
        label: member.label.clone(),
    };
    pb::OptionSet {
        name: format!("mserp_{}", it.name),
        display_name: it.label.clone(),
        options: it.members.iter().map(option).collect(),
    }
}

/// Only then may the primary field be filtered (spec VE-047).
fn has_text_key(entity: &Entity) -> bool {
    let [name] = entity.key.as_slice() else { return false };
    let field = entity.field(name);
    field.is_some_and(|it| matches!(it.data_type, DataType::String { .. } | DataType::Memo))
}

#[cfg(test)]
mod tests;
