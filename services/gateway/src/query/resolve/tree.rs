//! Finds conditions in a tree, each with the table of its column. What names no table is left to the
//! translation, which says so.

use std::collections::HashMap;
use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::ConditionOperator as Operator;
use proto::query::v1::link_entity::Target;

use super::super::{Expand, Read};
use crate::metadata::{Snapshot, Table};

/// A condition and the table of its column.
pub(super) type Found<'t> = (&'t mut pb::ConditionExpression, Arc<Table>);

/// The conditions whose operators are wanted, wherever they stand.
pub(super) fn find<'t>(
    snapshot: &Snapshot,
    read: &'t mut Read,
    wanted: fn(Operator) -> bool,
) -> Vec<Found<'t>> {
    let mut found = Vec::new();
    in_tree(snapshot, &mut read.tree, wanted, &mut found);
    in_expands(snapshot, &mut read.expands, wanted, &mut found);
    found
}

/// A tree's tables, by the names that its links go by.
struct Aliases<'s> {
    snapshot: &'s Snapshot,
    wanted: fn(Operator) -> bool,
    root: Arc<Table>,
    by_name: HashMap<String, Arc<Table>>,
}

fn in_expands<'t>(
    snapshot: &Snapshot,
    expands: &'t mut [Expand],
    wanted: fn(Operator) -> bool,
    found: &mut Vec<Found<'t>>,
) {
    for expand in expands {
        in_tree(snapshot, &mut expand.tree, wanted, found);
        in_expands(snapshot, &mut expand.expands, wanted, found);
    }
}

fn in_tree<'t>(
    snapshot: &Snapshot,
    tree: &'t mut pb::QueryExpression,
    wanted: fn(Operator) -> bool,
    found: &mut Vec<Found<'t>>,
) {
    let Some(root) = snapshot.by_name(&tree.entity_name).cloned() else { return };
    let by_name = HashMap::new();
    let mut aliases = Aliases { snapshot, wanted, root: Arc::clone(&root), by_name };
    aliases.add_links(&tree.links, &root);
    aliases.add_filter(tree.criteria.as_ref(), &root);
    aliases.in_filter(tree.criteria.as_mut(), &root, found);
    aliases.in_links(&mut tree.links, &root, found);
}

impl Aliases<'_> {
    fn add_links(&mut self, links: &[pb::LinkEntity], parent: &Table) {
        for link in links {
            let Some(table) = self.target(link, parent) else { continue };
            if !link.alias.is_empty() {
                self.by_name.insert(link.alias.clone(), Arc::clone(&table));
            }
            self.add_filter(link.criteria.as_ref(), &table);
            self.add_links(&link.links, &table);
        }
    }

    fn add_filter(&mut self, filter: Option<&pb::FilterExpression>, here: &Table) {
        let Some(filter) = filter else { return };
        self.add_links(&filter.links, here);
        for it in &filter.filters {
            self.add_filter(Some(it), here);
        }
    }

    fn target(&self, link: &pb::LinkEntity, parent: &Table) -> Option<Arc<Table>> {
        let name = match (&link.target, link.navigation.as_str()) {
            (Some(Target::EntityName(name)), "") => name,
            (_, navigation) => &parent.navigation(navigation)?.target,
        };
        self.snapshot.by_name(name).cloned()
    }

    fn of(&self, link: &str, here: &Arc<Table>) -> Option<Arc<Table>> {
        match link {
            "" => Some(Arc::clone(here)),
            "$it" => Some(Arc::clone(&self.root)),
            alias => self.by_name.get(alias).cloned(),
        }
    }

    fn in_links<'t>(
        &self,
        links: &'t mut [pb::LinkEntity],
        parent: &Arc<Table>,
        found: &mut Vec<Found<'t>>,
    ) {
        for link in links {
            let Some(table) = self.target(link, parent) else { continue };
            self.in_filter(link.criteria.as_mut(), &table, found);
            self.in_links(&mut link.links, &table, found);
        }
    }

    fn in_filter<'t>(
        &self,
        filter: Option<&'t mut pb::FilterExpression>,
        here: &Arc<Table>,
        found: &mut Vec<Found<'t>>,
    ) {
        let Some(filter) = filter else { return };
        for condition in &mut filter.conditions {
            let link = condition.column.as_ref().map_or("", |it| it.link.as_str());
            if (self.wanted)(condition.operator())
                && let Some(table) = self.of(link, here)
            {
                found.push((condition, table));
            }
        }
        for it in &mut filter.filters {
            self.in_filter(Some(it), here, found);
        }
        self.in_links(&mut filter.links, here, found);
    }
}
