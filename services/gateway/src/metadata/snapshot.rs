//! All tables at one moment.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use proto::query::v1 as pb;

use super::declared::{InvalidDeclaration, resolve};
use super::history::History;
use super::navigation::sides;
use super::table::{Options, Source, Table};
use crate::schema::Documents;

/// Immutable; requests keep the one they began with.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// By entity set name.
    pub(crate) tables: Vec<Arc<Table>>,
    /// Changes with every change of any table.
    pub(crate) version: String,
    /// By name.
    pub(crate) option_sets: Vec<pb::OptionSet>,
    /// Names of the option sets that belong to native columns, each to one.
    pub(crate) local_option_sets: HashSet<String>,
    pub(crate) documents: Documents,
    pub(crate) history: History,
    by_set: HashMap<String, Arc<Table>>,
    by_name: HashMap<String, Arc<Table>>,
}

impl Snapshot {
    pub(crate) fn new(parts: &[Option<pb::WatchTablesResponse>]) -> Self {
        let parts: Vec<_> = parts.iter().flatten().collect();
        let option_sets: HashMap<String, Arc<Options>> = parts
            .iter()
            .flat_map(|it| &it.option_sets)
            .map(|it| (it.name.clone(), Arc::new(options(it))))
            .collect();
        let mut all_sets: Vec<_> = parts.iter().flat_map(|it| it.option_sets.clone()).collect();
        all_sets.sort_by(|a, b| a.name.cmp(&b.name));
        let mut definitions: Vec<_> = parts.iter().flat_map(|it| it.tables.clone()).collect();
        for it in parts.iter().flat_map(|it| &it.declared_relationships) {
            declare(&mut definitions, it);
        }
        let mut tables: Vec<Table> =
            definitions.into_iter().filter_map(|it| Table::new(it, &option_sets)).collect();
        tables.sort_by(|a, b| a.set_name.cmp(&b.set_name));
        relate(&mut tables);
        let native = tables.iter().filter(|it| it.source == Source::Organization);
        let local_option_sets = native
            .flat_map(|it| &it.definition.columns)
            .filter(|it| !it.option_set.is_empty())
            .map(|it| it.option_set.clone())
            .collect();
        let tables: Vec<Arc<Table>> = tables.into_iter().map(Arc::new).collect();
        let index = |name: fn(&Table) -> &String| {
            tables.iter().map(|it| (name(it).clone(), Arc::clone(it))).collect()
        };
        let revision = parts.iter().fold(0_i64, |sum, it| sum.saturating_add(it.revision));
        Self {
            by_set: index(|it| &it.set_name),
            by_name: index(|it| &it.logical_name),
            tables,
            option_sets: all_sets,
            local_option_sets,
            documents: Documents::default(),
            history: History::default(),
            version: revision.to_string(),
        }
    }

    /// The same, as what follows another.
    pub(super) fn after(mut self, before: &Self) -> Self {
        self.history = before.history.followed(before, &self);
        self
    }

    pub(crate) fn by_set(&self, set_name: &str) -> Option<&Arc<Table>> {
        self.by_set.get(set_name)
    }

    /// What would be wrong with a declaration.
    pub(crate) fn check_declaration(
        &self,
        declared: &pb::DeclaredRelationship,
    ) -> Result<(), InvalidDeclaration> {
        let table = |name: &str| {
            self.by_name(name).ok_or_else(|| InvalidDeclaration::NoTable(name.to_owned()))
        };
        let (source, target) = (table(&declared.source)?, table(&declared.target)?);
        resolve(declared, &source.definition, &target.definition)?;
        match target.navigation(&declared.schema_name) {
            Some(_) => Err(InvalidDeclaration::Taken(declared.schema_name.clone())),
            None => Ok(()),
        }
    }

    pub(crate) fn by_name(&self, logical_name: &str) -> Option<&Arc<Table>> {
        self.by_name.get(logical_name)
    }
}

/// Adds a declared relationship to its source, if everything that it names is there.
fn declare(definitions: &mut [pb::TableDefinition], declared: &pb::DeclaredRelationship) {
    let named = |name: &str| definitions.iter().position(|it| it.logical_name == name);
    let (Some(source), Some(target)) = (named(&declared.source), named(&declared.target)) else {
        return;
    };
    let (Some(from), Some(to)) = (definitions.get(source), definitions.get(target)) else { return };
    match resolve(declared, from, to) {
        Ok((column, relationship)) => {
            if let Some(table) = definitions.get_mut(source) {
                table.columns.push(column);
                table.relationships.push(relationship);
            }
        }
        Err(error) => {
            let relationship = declared.schema_name.as_str();
            tracing::warn!(relationship, %error, "a declared relationship has no effect");
        }
    }
}

/// Gives both sides of each relationship its navigation property. Relationships to tables that are not
/// there are left out, and so is one whose name another has already.
fn relate(tables: &mut [Table]) {
    let places: HashMap<String, usize> =
        tables.iter().enumerate().map(|(at, it)| (it.logical_name.clone(), at)).collect();
    let all = tables.iter().enumerate().flat_map(|(at, table)| {
        let own = table.definition.relationships.iter();
        own.filter_map(move |it| sides(&table.logical_name, it).map(|sides| (at, sides)))
    });
    let all: Vec<_> = all.collect();
    for (source, (single, collection)) in all {
        let Some(&target) = places.get(&single.target) else { continue };
        let has = |at: usize, name: &str| {
            tables.get(at).is_none_or(|table: &Table| table.navigations.has(name))
        };
        if has(source, &single.name) || has(target, &collection.name) {
            tracing::warn!(relationship = single.schema_name, "another one has its names");
            continue;
        }
        if let Some(table) = tables.get_mut(source) {
            table.navigations.add(single);
        }
        if let Some(table) = tables.get_mut(target) {
            table.navigations.add(collection);
        }
    }
}

fn options(set: &pb::OptionSet) -> Options {
    Options(set.options.iter().map(|it| (it.value, it.external_name.clone())).collect())
}
