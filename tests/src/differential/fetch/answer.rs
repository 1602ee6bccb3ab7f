//! Whether an answer has the rows of a `fetch`, with their values and in their order.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Query;
use crate::assert_error;
use crate::differential::World;
use crate::differential::filter::Scope;
use crate::differential::groups;
use crate::differential::write::answered;
use crate::tables::Cell;

/// Rows where nobody asks for pages.
const PAGE: usize = 5_000;
/// More rows than these are not aggregated.
const MOST_AGGREGATED: usize = 50_000;

impl Query {
    /// Reads and compares. Returns how many rows there were.
    pub async fn check(&self, world: &World) -> Result<usize> {
        let expected = self.expected(world);
        if self.group.is_some() && expected.len() > MOST_AGGREGATED {
            let answer = world.web.get(&self.path(&world.sets, &world.schema, None)).await?;
            assert_error(&answer, 400, "0x8004e023", "")?;
            return Ok(expected.len());
        }
        let rows = self.read(world, expected.len()).await?;
        if let Some((at, group)) = &self.group {
            let table = &world.schema.tables[self.table_of(*at)];
            // Where an outer join found nothing, every column is null.
            let none = || vec![Cell::Null; table.columns.len()];
            let cells = |it: &Scope| it[*at].1.map_or_else(none, |it| table.rows[it].clone());
            let groups = group.expected(world.schema.rules, expected.iter().map(cells));
            groups::check(group, table, world.schema.rules, &rows, &groups)?;
            return Ok(rows.len());
        }
        let table = &world.schema.tables[self.table];
        if self.distinct {
            self.check_distinct(world, &rows, &expected)?;
            return Ok(rows.len());
        }
        let most = if self.page_size.is_some() { expected.len() } else { PAGE };
        let count = self.top.unwrap_or(most).min(expected.len());
        ensure!(rows.len() == count, "{} rows, not {count}", rows.len());
        let mut left: BTreeMap<Vec<Option<usize>>, usize> = BTreeMap::new();
        for scope in &expected {
            *left.entry(self.readable(scope)).or_default() += 1;
        }
        for (at, (row, wanted)) in rows.iter().zip(&expected).enumerate() {
            let found = self.check_row(world, row).with_context(|| format!("row {at}: {row}"))?;
            let times = left.get_mut(&found).filter(|it| **it > 0);
            let times = times.with_context(|| format!("{found:?} should not be there (again)"))?;
            *times -= 1;
            if let (Some(Some(tag)), Some(wanted)) = (found.first(), wanted[0].1) {
                let order = table.compare(world.schema.rules, &self.orders, *tag, wanted);
                ensure!(order.is_eq(), "row {at} is {tag}, which does not sort as {wanted}");
            }
        }
        Ok(rows.len())
    }

    /// Rows by tag, those of links that are read.
    fn readable(&self, scope: &Scope) -> Vec<Option<usize>> {
        let readable = |at: usize| at == 0 || self.links[at - 1].kind.has_rows();
        scope.iter().enumerate().filter(|(at, _)| readable(*at)).map(|(_, it)| it.1).collect()
    }

    fn check_row(&self, world: &World, row: &Value) -> Result<Vec<Option<usize>>> {
        let mut tags = Vec::new();
        for number in 0..=self.links.len() {
            let table = &world.schema.tables[self.table_of(number)];
            let (prefix, select) = match number {
                0 => (String::new(), &self.select),
                _ if self.links[number - 1].kind.has_rows() => {
                    (format!("a{number}."), &self.links[number - 1].select)
                }
                _ => continue,
            };
            let tag = table.tag_in(row, &prefix)?;
            for at in select {
                let column = &table.columns[*at];
                let found = answered(column.kind, &row[format!("{prefix}{}", column.logical())])?;
                let stored = tag.map_or(Cell::Null, |it| table.rows[it][*at].clone());
                ensure!(found == stored, "{prefix}{}: {found:?}, not {stored:?}", column.name);
            }
            tags.push(tag);
        }
        Ok(tags)
    }

    fn check_distinct(&self, world: &World, rows: &[Value], expected: &[Scope]) -> Result<()> {
        let mut wanted = BTreeSet::new();
        for scope in expected {
            let mut key = Vec::new();
            for (number, (table, row)) in scope.iter().enumerate() {
                for at in self.selected(number) {
                    let cell = row.map(|it| &world.schema.tables[*table].rows[it][*at]);
                    key.push(world.schema.rules.folded(cell.unwrap_or(&Cell::Null)));
                }
            }
            wanted.insert(key);
        }
        let mut found = BTreeSet::new();
        for row in rows {
            let mut key = Vec::new();
            for number in 0..=self.links.len() {
                let table = &world.schema.tables[self.table_of(number)];
                let prefix = if number == 0 { String::new() } else { format!("a{number}.") };
                for at in self.selected(number) {
                    let column = &table.columns[*at];
                    let value = &row[format!("{prefix}{}", column.logical())];
                    key.push(world.schema.rules.folded(&answered(column.kind, value)?));
                }
            }
            ensure!(found.insert(key.clone()), "{key:?} comes twice");
        }
        if wanted.len() > PAGE {
            ensure!(found.len() == PAGE && found.is_subset(&wanted), "not a page of the rows");
            return Ok(());
        }
        ensure!(
            found == wanted,
            "{} distinct rows, not {}; the first that differs: {:?}",
            found.len(),
            wanted.len(),
            found.symmetric_difference(&wanted).next()
        );
        Ok(())
    }

    fn selected(&self, number: usize) -> &[usize] {
        if number == 0 { &self.select } else { &self.links[number - 1].select }
    }
}
