//! Which rows are reached from a row: along foreign keys, in either direction, and by joins.

use super::filter::{Join, On, Path, Scope};
use super::schema::Schema;
use crate::tables::Cell;

impl Schema {
    /// The row that foreign keys lead to from a base, and its table.
    pub(super) fn follow(
        &self,
        scope: &Scope,
        base: usize,
        through: &[usize],
    ) -> (usize, Option<usize>) {
        let (mut table, mut row) = scope[base];
        for at in through {
            row = row.and_then(|it| self.tables[table].links[it][*at]);
            table = self.tables[table].foreign_keys[*at].target;
        }
        (table, row)
    }

    /// The value at a path.
    #[must_use]
    pub fn cell(&self, scope: &Scope, path: &Path) -> Cell {
        let (table, row) = self.follow(scope, path.base, &path.through);
        row.map_or(Cell::Null, |it| self.tables[table].rows[it][path.column].clone())
    }

    /// Rows of a table whose foreign key leads to this row.
    pub fn referring(
        &self,
        table: usize,
        foreign_key: usize,
        row: usize,
    ) -> impl Iterator<Item = usize> {
        let links = self.tables[table].links.iter().enumerate();
        links.filter(move |(_, it)| it[foreign_key] == Some(row)).map(|(at, _)| at)
    }

    /// Rows that a join finds for a row.
    #[must_use]
    pub fn joined(&self, join: Join, table: usize, row: usize) -> Vec<usize> {
        let (other, joined) = (&self.tables[table], &self.tables[join.table]);
        match join.on {
            On::Id(at) => other.links[row][at].into_iter().collect(),
            On::Lookup(at) => self.referring(join.table, at, row).collect(),
            On::Columns(from, to) => {
                let wanted = &other.rows[row][to];
                let equal = |it: &Vec<Cell>| {
                    it[from] != Cell::Null
                        && *wanted != Cell::Null
                        && self.rules.order(&it[from], wanted).is_eq()
                };
                (0..joined.rows.len()).filter(|it| equal(&joined.rows[*it])).collect()
            }
        }
    }
}
