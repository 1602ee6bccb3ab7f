//! Whether an answer is right: rows, values, order, expanded rows, groups.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Expand, Query, Read};
use crate::differential::World;
use crate::differential::groups;
use crate::differential::rules::Rules;
use crate::differential::schema::Table;
use crate::differential::write::answered;
use crate::tables::Cell;

impl Read {
    /// Rows of these that match, in order where one was asked for.
    fn expected(&self, world: &World, rows: impl Iterator<Item = usize>) -> Vec<usize> {
        let matches = |row: &usize| {
            let scope = vec![(self.table, Some(*row))];
            self.filter.as_ref().is_none_or(|it| it.decide(&world.schema, &scope, false))
        };
        let mut rows: Vec<usize> = rows.filter(matches).collect();
        let table = &world.schema.tables[self.table];
        rows.sort_by(|left, right| table.compare(world.schema.rules, &self.orders, *left, *right));
        rows
    }

    fn check(&self, world: &World, rows: &[Value], expected: &[usize]) -> Result<()> {
        let table = &world.schema.tables[self.table];
        let count = self.top.map_or(expected.len(), |top| top.min(expected.len()));
        let tags = rows.iter().map(|it| table.tag_of(it)).collect::<Result<Vec<_>>>()?;
        let different: BTreeSet<_> = tags.iter().copied().collect();
        ensure!(different.len() == tags.len(), "rows come twice: {tags:?}");
        ensure!(tags.len() == count, "{} rows {tags:?}, not {count}: {expected:?}", tags.len());
        for (at, (tag, wanted)) in tags.iter().zip(expected).enumerate() {
            ensure!(expected.contains(tag), "row {tag} should not be there; expected {expected:?}");
            let order = table.compare(world.schema.rules, &self.orders, *tag, *wanted);
            ensure!(order.is_eq(), "row {at} is {tag}, which does not sort as {wanted}: {tags:?}");
        }
        for (row, tag) in rows.iter().zip(&tags) {
            self.check_row(world, row, *tag)
                .with_context(|| format!("row {tag} of {}", table.name))?;
        }
        Ok(())
    }

    fn check_row(&self, world: &World, row: &Value, tag: usize) -> Result<()> {
        let table = &world.schema.tables[self.table];
        for at in &self.select {
            let column = &table.columns[*at];
            let found = answered(column.kind, &row[column.logical()])?;
            let stored = &table.rows[tag][*at];
            ensure!(found == *stored, "{}: {found:?}, not {stored:?}", column.name);
        }
        for at in &self.lookups {
            let foreign_key = &table.foreign_keys[*at];
            let found = row[format!("_{}_value", foreign_key.lookup)].as_str();
            let target = table.links[tag][*at];
            let wanted = target.map(|it| world.schema.ids[foreign_key.target][it].as_str());
            ensure!(found == wanted, "{}: {found:?}, not {wanted:?}", foreign_key.name);
        }
        for expand in &self.expands {
            match expand {
                Expand::One(at, read) => {
                    let name = &table.foreign_keys[*at].navigation;
                    let value = &row[name];
                    match table.links[tag][*at] {
                        Some(target) => {
                            ensure!(value.is_object(), "{name} is {value}, not row {target}");
                            read.check(world, std::slice::from_ref(value), &[target])
                                .with_context(|| name.clone())?;
                        }
                        None => ensure!(value.is_null(), "{name} is {value}, not null"),
                    }
                }
                Expand::Many(key, read) => {
                    let source = &world.schema.tables[read.table];
                    let name = &source.foreign_keys[*key].collection;
                    let rows = row[name].as_array().with_context(|| format!("no {name}"))?;
                    let all = world.schema.referring(read.table, *key, tag);
                    let expected = read.expected(world, all);
                    read.check(world, rows, &expected).with_context(|| name.clone())?;
                }
            }
        }
        Ok(())
    }
}

impl Query {
    /// Reads and compares. Returns how many rows there were.
    pub async fn check(&self, world: &World) -> Result<usize> {
        let count = world.schema.tables[self.read.table].rows.len();
        let expected = self.read.expected(world, 0..count);
        let path = self.path(&world.sets, &world.schema);
        if let Some(group) = &self.group {
            let answer = world.web.json(&path).await?;
            let rows = answer["value"].as_array().context("no value")?;
            let table = &world.schema.tables[self.read.table];
            let groups = group
                .expected(world.schema.rules, expected.iter().map(|it| table.rows[*it].clone()));
            groups::check(group, table, world.schema.rules, rows, &groups)?;
            return Ok(rows.len());
        }
        let rows = match self.page_size {
            Some(size) => world.web.pages(&path, size).await?.0,
            None => {
                let answer = world.web.json(&path).await?;
                let count = &answer["@odata.count"];
                ensure!(!self.count || *count == expected.len(), "{count} in all");
                answer["value"].as_array().context("no value")?.clone()
            }
        };
        self.read.check(world, &rows, &expected)?;
        Ok(rows.len())
    }
}

impl Table {
    /// The row's number, by which answers and rows are matched.
    pub fn tag_of(&self, row: &Value) -> Result<usize> {
        self.tag_in(row, "")?.with_context(|| format!("no tag in {row}"))
    }

    /// The same where columns have a prefix, and a row may be missing.
    pub fn tag_in(&self, row: &Value, prefix: &str) -> Result<Option<usize>> {
        let column = &self.columns[self.tag()];
        let tag = answered(column.kind, &row[format!("{prefix}{}", column.logical())])?;
        if tag == Cell::Null {
            return Ok(None);
        }
        let found = self.rows.iter().position(|it| it[self.tag()] == tag);
        Ok(Some(found.with_context(|| format!("{}: no row {tag:?}", self.name))?))
    }

    /// How two rows sort.
    #[must_use]
    pub fn compare(
        &self,
        rules: Rules,
        orders: &[(usize, bool)],
        left: usize,
        right: usize,
    ) -> std::cmp::Ordering {
        for (at, descending) in orders {
            let order = rules.order(&self.rows[left][*at], &self.rows[right][*at]);
            let order = if *descending { order.reverse() } else { order };
            if order.is_ne() {
                return order;
            }
        }
        std::cmp::Ordering::Equal
    }
}
