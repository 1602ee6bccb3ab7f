//! The native tables: what they look like, where their rows are, and which of them there are in this
//! organization: a package brings its tables when it is installed.

mod listed;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use model::{Entity, Enum, Member, Stored};
use proto::query::v1 as pb;
use proto::query::v1::{AttributeType, DateTimeBehavior, TableDefinition, WatchTablesResponse};
use provider::Binding;
use tokio::sync::watch;

use self::listed::{LOOKUPS, MODEL, TABLES};
use crate::error::StartError;
use crate::packages::Packages;

/// Rows of installed add-ins.
pub(crate) const ADD_INS: &str = "tombolo_addin";
/// Where no package is installed.
const FIRST_REVISION: i64 = 1;

/// Every native table, and which of them there are.
#[derive(Debug)]
pub(crate) struct NativeTables {
    bindings: HashMap<String, Arc<Binding>>,
    definitions: Vec<TableDefinition>,
    option_sets: Vec<pb::OptionSet>,
    packages: Packages,
    shown: watch::Sender<Shown>,
}

/// What installed packages show.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Grows with each, and where others are shown instead.
    revision: i64,
    hidden: Arc<BTreeSet<String>>,
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
        let packages = Packages::load()?;
        let (shown, _) = watch::channel(Shown::of(&packages, &[]));
        Ok(Self {
            bindings,
            definitions: model.entities.iter().map(definition).collect(),
            option_sets: model.enums.iter().map(option_set).collect(),
            packages,
            shown,
        })
    }

    pub(crate) fn packages(&self) -> &Packages {
        &self.packages
    }

    /// Shows what these packages bring. Calls must not overlap, from the look at what is installed.
    pub(crate) fn show(&self, installed: &[String]) {
        let mut next = Shown::of(&self.packages, installed);
        self.shown.send_if_modified(|now| {
            let is_news = next.revision > now.revision || next.hidden != now.hidden;
            if is_news {
                // Packages stay where they are, but the database may be another one, which has fewer.
                next.revision = next.revision.max(now.revision + 1);
                *now = next;
            }
            is_news
        });
    }

    /// What is shown now, and each time that there is more.
    pub(crate) fn watch(&self) -> watch::Receiver<Shown> {
        let mut receiver = self.shown.subscribe();
        receiver.mark_changed();
        receiver
    }

    /// Of a table that there is.
    pub(crate) fn binding(&self, name: &str) -> Option<Arc<Binding>> {
        let binding = self.bindings.get(name)?;
        let is_shown = !self.shown.borrow().hidden.contains(name);
        is_shown.then(|| Arc::clone(binding))
    }

    /// The table that a lookup leads to.
    pub(crate) fn lookup(&self, table: &str, column: &str) -> Option<String> {
        let lookup = LOOKUPS.iter().find(|it| it.0 == table && it.1 == column)?;
        Some(lookup.3.to_owned())
    }

    /// Of every table that there can be.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.values().map(AsRef::as_ref)
    }

    pub(crate) fn published(&self, shown: &Shown) -> WatchTablesResponse {
        let tables = self.definitions.iter();
        let tables = tables.filter(|it| !shown.hidden.contains(&it.logical_name));
        WatchTablesResponse {
            revision: shown.revision,
            tables: tables.map(|it| shown.part_of(it)).collect(),
            option_sets: self.option_sets.clone(),
            ..WatchTablesResponse::default()
        }
    }
}

impl Shown {
    fn of(packages: &Packages, installed: &[String]) -> Self {
        let count = i64::try_from(installed.len()).unwrap_or(i64::MAX);
        Self {
            revision: FIRST_REVISION.saturating_add(count),
            hidden: Arc::new(packages.hidden_tables(installed)),
        }
    }

    /// A table without what leads to tables that are not shown: that comes with them.
    fn part_of(&self, table: &TableDefinition) -> TableDefinition {
        let is_shown = |target: &str| target.is_empty() || !self.hidden.contains(target);
        let mut table = table.clone();
        table.columns.retain(|it| is_shown(&it.target));
        table.relationships.retain(|it| is_shown(&it.target));
        table
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

    fn everything() -> (NativeTables, WatchTablesResponse) {
        let tables = NativeTables::new().unwrap();
        let all = Shown { revision: 1, hidden: Arc::default() };
        let published = tables.published(&all);
        (tables, published)
    }

    #[test]
    fn every_table_has_an_id_and_a_name() {
        let (tables, published) = everything();
        for table in published.tables {
            let has = |name: &str| table.columns.iter().any(|it| it.logical_name == name);
            assert!(has(&table.primary_id_column), "{}", table.logical_name);
            assert!(has(&table.primary_name_column), "{}", table.logical_name);
            assert!(tables.bindings.contains_key(&table.external_name));
        }
    }

    #[test]
    fn every_lookup_leads_from_a_column_to_a_table() {
        let (_, published) = everything();
        let names: BTreeSet<_> = LOOKUPS.iter().map(|it| it.4).collect();
        assert_eq!(names.len(), LOOKUPS.len());
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
        let (_, published) = everything();
        let columns = published.tables.iter().flat_map(|it| &it.columns);
        for column in columns.filter(|it| it.r#type() == AttributeType::Picklist) {
            let set = published.option_sets.iter().find(|it| it.name == column.option_set).unwrap();
            let mut values: Vec<i32> = set.options.iter().map(|it| it.value).collect();
            values.dedup();
            assert_eq!(values.len(), set.options.len(), "{}", set.name);
        }
    }

    #[test]
    fn a_package_brings_its_tables_for_as_long_as_it_is_there() {
        let (tables, everything) = everything();
        let named = |it: &WatchTablesResponse| -> BTreeSet<String> {
            it.tables.iter().map(|it| it.logical_name.clone()).collect()
        };
        let hidden = tables.packages().hidden_tables(&[]);
        assert!(hidden.is_subset(&named(&everything)), "{hidden:?}");
        let mut shown = tables.watch();
        let first = tables.published(&shown.borrow_and_update());
        assert!(hidden.is_disjoint(&named(&first)));
        assert!(hidden.iter().all(|it| tables.binding(it).is_none()));

        let installed = [String::from("DualWriteCoreAnchor")];
        tables.show(&installed);
        let second = tables.published(&shown.borrow_and_update());
        assert!(second.revision > first.revision);
        assert!(named(&second).contains("msdyn_dualwriteentitymap"));
        assert!(tables.binding("msdyn_dualwriteentitymap").is_some());
        tables.show(&installed);
        assert!(!shown.has_changed().unwrap());
        // In another database.
        tables.show(&[]);
        let third = tables.published(&shown.borrow_and_update());
        assert!(third.revision > second.revision);
        assert!(hidden.is_disjoint(&named(&third)));
    }

    #[test]
    fn views_of_packages_name_columns_that_there_are() {
        let (tables, published) = everything();
        let views: Vec<_> = tables.packages().views().collect();
        assert!(!views.is_empty());
        for view in views {
            let table = published.tables.iter().find(|it| it.logical_name == view.table).unwrap();
            let named =
                view.fetchxml.split("attribute ").skip(1).flat_map(|it| it.split('"').nth(1));
            let used =
                view.fetchxml.split("attribute=").skip(1).flat_map(|it| it.split('"').nth(1));
            for name in named.chain(used) {
                let is_column = table.columns.iter().any(|it| it.logical_name == name);
                assert!(is_column, "{}: {name}", view.name);
            }
        }
    }
}
