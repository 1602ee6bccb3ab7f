//! Which rows a `fetch` finds: every combination of rows that its links join and its filters keep.

use super::{LinkType, Query};
use crate::differential::World;
use crate::differential::filter::Scope;

impl Query {
    /// Rows of the links of `parent` beside one of its rows: one combination after the other.
    fn combinations(&self, world: &World, parent: usize, row: Option<usize>) -> Vec<Scope> {
        let mut all = vec![Scope::new()];
        for (at, link) in self.links.iter().enumerate().filter(|(_, it)| it.parent == parent) {
            let table = link.join.table;
            let mut found: Vec<Scope> = Vec::new();
            let parent_table = self.table_of(parent);
            let joined = row.map(|it| world.schema.joined(link.join, parent_table, it));
            for joined in joined.into_iter().flatten() {
                let own = vec![(table, Some(joined))];
                let matches = link.criteria.as_ref();
                if matches.is_none_or(|it| it.decide(&world.schema, &own, false)) {
                    found.extend(self.placed(world, at + 1, Some(joined)));
                }
            }
            match link.kind {
                LinkType::Inner => {}
                LinkType::Outer if !found.is_empty() => {}
                LinkType::Outer => found = self.placed_none(at + 1),
                LinkType::MatchFirst => found = self.placed_none(at + 1),
                LinkType::Exists | LinkType::In if found.is_empty() => {}
                LinkType::Exists | LinkType::In => found = self.placed_none(at + 1),
            }
            all = all
                .iter()
                .flat_map(|left| {
                    found.iter().map(|right| left.iter().chain(right).copied().collect::<Scope>())
                })
                .collect();
        }
        all
    }

    /// A link's row and the rows below it. Entries are (number of the link, row).
    fn placed(&self, world: &World, number: usize, row: Option<usize>) -> Vec<Scope> {
        let below = self.combinations(world, number, row);
        below
            .into_iter()
            .map(|mut it| {
                it.insert(0, (number, row));
                it
            })
            .collect()
    }

    fn placed_none(&self, number: usize) -> Vec<Scope> {
        let mut scope = vec![(number, None)];
        let mut at = 0;
        while let Some((parent, _)) = scope.get(at).copied() {
            let below = self.links.iter().enumerate().filter(|(_, it)| it.parent == parent);
            scope.extend(below.map(|(at, _)| (at + 1, None)));
            at += 1;
        }
        vec![scope]
    }

    /// What is joined and matches: a row of each table, the root first.
    pub(super) fn expected(&self, world: &World) -> Vec<Scope> {
        let tables = self.tables();
        let mut all = Vec::new();
        for row in 0..world.schema.tables[self.table].rows.len() {
            for combination in self.combinations(world, 0, Some(row)) {
                let mut scope: Scope = tables.iter().map(|it| (*it, None)).collect();
                scope[0].1 = Some(row);
                for (number, row) in combination {
                    scope[number].1 = row;
                }
                let filter = self.filter.as_ref();
                if filter.is_none_or(|it| it.decide(&world.schema, &scope, false)) {
                    all.push(scope);
                }
            }
        }
        let table = &world.schema.tables[self.table];
        all.sort_by(|left, right| match (left[0].1, right[0].1) {
            (Some(left), Some(right)) => {
                table.compare(world.schema.rules, &self.orders, left, right)
            }
            _ => std::cmp::Ordering::Equal,
        });
        all
    }
}
