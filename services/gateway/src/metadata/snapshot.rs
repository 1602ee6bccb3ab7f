//! All tables at one moment.

use std::collections::HashMap;
use std::sync::Arc;

use proto::query::v1 as pb;

use super::table::{Options, Table};

/// Immutable; requests keep the one they began with.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// By entity set name.
    pub(crate) tables: Vec<Arc<Table>>,
    /// Changes with every change of any table.
    pub(crate) version: String,
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
        let mut tables: Vec<Arc<Table>> = parts
            .iter()
            .flat_map(|it| &it.tables)
            .filter_map(|it| Table::new(it.clone(), &option_sets).map(Arc::new))
            .collect();
        tables.sort_by(|a, b| a.set_name.cmp(&b.set_name));
        let index = |name: fn(&Table) -> &String| {
            tables.iter().map(|it| (name(it).clone(), Arc::clone(it))).collect()
        };
        let revision = parts.iter().fold(0_i64, |sum, it| sum.saturating_add(it.revision));
        Self {
            by_set: index(|it| &it.set_name),
            by_name: index(|it| &it.logical_name),
            tables,
            version: revision.to_string(),
        }
    }

    pub(crate) fn by_set(&self, set_name: &str) -> Option<&Arc<Table>> {
        self.by_set.get(set_name)
    }

    pub(crate) fn by_name(&self, logical_name: &str) -> Option<&Arc<Table>> {
        self.by_name.get(logical_name)
    }
}

fn options(set: &pb::OptionSet) -> Options {
    Options(set.options.iter().map(|it| (it.value, it.external_name.clone())).collect())
}
