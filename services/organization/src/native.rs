//! The native tables: what they look like, and where their rows are.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Entity, Enum, Member};
use proto::query::v1::{TableDefinition, WatchTablesResponse};
use provider::Binding;

use crate::error::StartError;

const MODEL: &str = include_str!("../model/model.toml");
/// Each table, and the column that names its rows for people.
const TABLES: [(&str, &str, &str); 4] = [
    ("organization.toml", include_str!("../model/organization.toml"), "name"),
    ("businessunit.toml", include_str!("../model/businessunit.toml"), "name"),
    ("systemuser.toml", include_str!("../model/systemuser.toml"), "fullname"),
    ("cdm_company.toml", include_str!("../model/cdm_company.toml"), "cdm_companycode"),
];
/// They change with the program only.
const REVISION: i64 = 1;

/// Every native table.
#[derive(Debug)]
pub(crate) struct NativeTables {
    bindings: HashMap<String, Arc<Binding>>,
    definitions: Vec<TableDefinition>,
}

impl NativeTables {
    pub(crate) fn new() -> Result<Self, StartError> {
        let files = TABLES.map(|(name, text, _)| (name, text));
        let model = model::parse_entities("organization", MODEL, &files)?;
        let no_options = |_: &Enum, _: &Member| 0;
        let mut bindings = HashMap::new();
        for entity in &model.entities {
            let definition = provider::data_entity(&model, entity, 0, no_options);
            bindings.insert(entity.name.clone(), Arc::new(Binding::try_from(definition)?));
        }
        let definition = |it: &Entity| tables::native_table(it, primary_name(&it.name));
        Ok(Self { bindings, definitions: model.entities.iter().map(definition).collect() })
    }

    pub(crate) fn binding(&self, name: &str) -> Option<Arc<Binding>> {
        self.bindings.get(name).cloned()
    }

    pub(crate) fn published(&self) -> WatchTablesResponse {
        WatchTablesResponse {
            revision: REVISION,
            tables: self.definitions.clone(),
            option_sets: Vec::new(),
        }
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
}
