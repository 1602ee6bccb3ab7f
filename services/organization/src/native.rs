//! The native tables: what they look like, and where their rows are.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Entity, Enum, Member, Stored};
use proto::query::v1 as pb;
use proto::query::v1::{AttributeType, DateTimeBehavior, TableDefinition, WatchTablesResponse};
use provider::Binding;

use crate::error::StartError;

const MODEL: &str = include_str!("../model/model.toml");
/// Each table, and the column that names its rows for people.
const TABLES: [(&str, &str, &str); 9] = [
    ("organization.toml", include_str!("../model/organization.toml"), "name"),
    ("businessunit.toml", include_str!("../model/businessunit.toml"), "name"),
    ("systemuser.toml", include_str!("../model/systemuser.toml"), "fullname"),
    ("cdm_company.toml", include_str!("../model/cdm_company.toml"), "cdm_companycode"),
    ("account.toml", include_str!("../model/account.toml"), "name"),
    ("contact.toml", include_str!("../model/contact.toml"), "fullname"),
    ("savedquery.toml", include_str!("../model/savedquery.toml"), "name"),
    ("userquery.toml", include_str!("../model/userquery.toml"), "name"),
    (
        "msdyn_externalportalusermapping.toml",
        include_str!("../model/msdyn_externalportalusermapping.toml"),
        "msdyn_name",
    ),
];
/// Each lookup: its table and column, its navigation property, the table it leads to, and the
/// relationship's name, which is also that of the target's collection.
#[rustfmt::skip]
const LOOKUPS: [(&str, &str, &str, &str, &str); 8] = [
    ("systemuser", "businessunitid", "businessunitid", "businessunit", "business_unit_system_users"),
    ("account", "parentaccountid", "parentaccountid", "account", "account_parent_account"),
    ("account", "primarycontactid", "primarycontactid", "contact", "account_primary_contact"),
    ("account", "ownerid", "ownerid", "systemuser", "owner_accounts"),
    // It may lead to another contact one day.
    ("contact", "parentcustomerid", "parentcustomerid_account", "account", "contact_customer_accounts"),
    ("contact", "ownerid", "ownerid", "systemuser", "owner_contacts"),
    ("userquery", "ownerid", "ownerid", "systemuser", "owner_userqueries"),
    ("msdyn_externalportalusermapping", "msdyn_contactid", "msdyn_contactid", "contact", "contact_msdyn_externalportalusermappings"),
];
/// They change with the program only.
const REVISION: i64 = 1;

/// Every native table.
#[derive(Debug)]
pub(crate) struct NativeTables {
    bindings: HashMap<String, Arc<Binding>>,
    definitions: Vec<TableDefinition>,
    option_sets: Vec<pb::OptionSet>,
}

impl NativeTables {
    pub(crate) fn new() -> Result<Self, StartError> {
        let files = TABLES.map(|(name, text, _)| (name, text));
        let model = model::parse_entities("organization", MODEL, &files)?;
        let mut bindings = HashMap::new();
        for entity in &model.entities {
            let definition = provider::data_entity(&model, entity, 0, option_value);
            bindings.insert(entity.name.clone(), Arc::new(Binding::try_from(definition)?));
        }
        Ok(Self {
            bindings,
            definitions: model.entities.iter().map(definition).collect(),
            option_sets: model.enums.iter().map(option_set).collect(),
        })
    }

    pub(crate) fn binding(&self, name: &str) -> Option<Arc<Binding>> {
        self.bindings.get(name).cloned()
    }

    pub(crate) fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.values().map(AsRef::as_ref)
    }

    pub(crate) fn published(&self) -> WatchTablesResponse {
        WatchTablesResponse {
            revision: REVISION,
            tables: self.definitions.clone(),
            option_sets: self.option_sets.clone(),
            ..WatchTablesResponse::default()
        }
    }
}

/// The number that is stored.
fn option_value(_: &Enum, member: &Member) -> i32 {
    match member.stored {
        Stored::Int(number) => i32::try_from(number).unwrap_or_default(),
        Stored::Text(_) | Stored::Bool(_) => 0,
    }
}

/// Under the enum's own name, as native columns refer to it.
fn option_set(it: &Enum) -> pb::OptionSet {
    pb::OptionSet { name: it.name.clone(), ..tables::option_set(it, option_value) }
}

fn definition(entity: &Entity) -> TableDefinition {
    let mut table = tables::native_table(entity, primary_name(&entity.name));
    for column in &mut table.columns {
        if column.r#type() == AttributeType::DateTime {
            column.set_date_time_behavior(DateTimeBehavior::UserLocal);
        }
    }
    for it in LOOKUPS.iter().filter(|it| it.0 == entity.name) {
        table.relationships.push(lookup(&mut table.columns, it));
    }
    table
}

/// Makes a lookup of a GUID column: the provider compares it with the target's row id.
fn lookup(
    columns: &mut [pb::ColumnDefinition],
    (_, column, navigation, target, name): &(&str, &str, &str, &str, &str),
) -> pb::Relationship {
    let mut external = None;
    for it in columns.iter_mut().filter(|it| it.logical_name == *column) {
        it.set_type(AttributeType::Lookup);
        it.target = (*target).to_owned();
        it.navigation_property = (*navigation).to_owned();
        external.clone_from(&it.external);
    }
    let record_id = pb::column_ref::Column::System(pb::SystemColumn::RecordId.into());
    let target_column = pb::ColumnRef { column: Some(record_id), ..pb::ColumnRef::default() };
    pb::Relationship {
        schema_name: (*name).to_owned(),
        column: (*column).to_owned(),
        target: (*target).to_owned(),
        navigation_property: (*navigation).to_owned(),
        collection_navigation_property: (*name).to_owned(),
        pairs: vec![pb::RelationshipPair { column: external, target: Some(target_column) }],
        exact: true,
        origin: pb::RelationshipOrigin::Model.into(),
    }
}

fn primary_name(table: &str) -> &'static str {
    let row = TABLES.iter().find(|it| it.0.strip_suffix(".toml") == Some(table));
    row.map_or("", |it| it.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_an_id_and_a_name() {
        let tables = NativeTables::new().unwrap();
        for table in tables.published().tables {
            let has = |name: &str| table.columns.iter().any(|it| it.logical_name == name);
            assert!(has(&table.primary_id_column), "{}", table.logical_name);
            assert!(has(&table.primary_name_column), "{}", table.logical_name);
            assert!(tables.binding(&table.external_name).is_some());
        }
    }

    #[test]
    fn every_lookup_leads_from_a_column_to_a_table() {
        let published = NativeTables::new().unwrap().published();
        let table =
            |name: &str| published.tables.iter().find(|it| it.logical_name == name).unwrap();
        for (from, column, _, target, name) in LOOKUPS {
            let from = table(from);
            let column = from.columns.iter().find(|it| it.logical_name == column).unwrap();
            assert_eq!(column.r#type(), AttributeType::Lookup);
            assert_eq!(column.target, table(target).logical_name);
            let relationship = from.relationships.iter().find(|it| it.schema_name == name).unwrap();
            assert_eq!(relationship.pairs[0].column, column.external);
        }
    }

    #[test]
    fn every_choice_has_its_options_by_their_stored_numbers() {
        let published = NativeTables::new().unwrap().published();
        let columns = published.tables.iter().flat_map(|it| &it.columns);
        for column in columns.filter(|it| it.r#type() == AttributeType::Picklist) {
            let set = published.option_sets.iter().find(|it| it.name == column.option_set).unwrap();
            let mut values: Vec<i32> = set.options.iter().map(|it| it.value).collect();
            values.dedup();
            assert_eq!(values.len(), set.options.len(), "{}", set.name);
        }
    }
}
