//! Two databases of one schema that differ only in rows and values that no viewer may see.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::viewer::{Principal, Role, VIEWERS, Viewer};
use crate::differential::rows::key_cell;
use crate::differential::schema::{Column, Kind, Schema, Table};
use crate::random::Random;
use crate::tables::Cell;

/// Its rows are never deleted, and of a holder whom nobody is.
const KEPT: usize = 1;
/// Before the names of the platform's columns.
const PREFIX: &str = "mserp_";

/// The two databases, and who may see and do what.
#[derive(Debug)]
pub struct Twins {
    /// What they hold.
    pub sides: [Schema; 2],
    /// By table.
    pub protections: Vec<Protection>,
}

/// What protects a table.
#[derive(Clone, Debug, Default)]
pub struct Protection {
    /// Rows belong to legal entities.
    pub company: bool,
    /// Rows are for their holder. It binds these roles; none: everybody.
    pub holder: Option<Vec<Role>>,
    /// Rows are for the holder of the row that this foreign key leads to.
    pub via: Option<usize>,
    /// Columns that no role lets see.
    pub hidden: BTreeSet<usize>,
    /// Columns that no role lets write.
    pub read_only: BTreeSet<usize>,
    /// The role Partial has no right to it.
    pub withheld: bool,
    /// The role Clerk may only read it.
    pub unwritable: bool,
}

impl Twins {
    /// New ones.
    pub fn random(random: &mut Random) -> Result<Self> {
        let mut schema = Schema::random(random);
        // Both systems compare alike, and letter case is another test's.
        schema.rules.exact = false;
        schema.tables.iter_mut().for_each(|it| add_owners(it, random));
        let mut protections: Vec<_> =
            schema.tables.iter().map(|it| Protection::random(random, it)).collect();
        let (withheld, unwritable) =
            (random.below(protections.len()), random.below(protections.len()));
        protections[withheld].withheld = true;
        protections[unwritable].unwritable = true;
        let sides = [schema.clone(), schema];
        let mut twins = Self { sides, protections };
        twins.sides[1] = Twin::of(&twins, random).make(random);
        twins.check()?;
        Ok(twins)
    }

    /// Whether a viewer may see a row.
    #[must_use]
    pub fn sees(&self, side: usize, viewer: &Viewer, table: usize, row: usize) -> bool {
        viewer.principals().all(|it| self.is_open(&self.sides[side], it, table, row))
    }

    /// Whether nobody may see a row of a side.
    #[must_use]
    pub fn is_secret(&self, schema: &Schema, table: usize, row: usize) -> bool {
        let sees = |it: &Viewer| it.principals().all(|it| self.is_open(schema, it, table, row));
        !VIEWERS.iter().any(sees)
    }

    fn is_open(&self, schema: &Schema, principal: Principal, table: usize, row: usize) -> bool {
        let protection = &self.protections[table];
        let at = &schema.tables[table];
        let text = |table: &Table, row: usize, column: usize| match &table.rows[row][column] {
            Cell::Text(text) => text.clone(),
            _ => String::new(),
        };
        let holds = |table: &Table, row: usize| {
            let holder = text(table, row, table.columns.len() - 1);
            holder == "all" || holder == principal.name
        };
        if protection.withheld && principal.role == Role::Partial {
            return false;
        }
        let area = text(at, row, at.columns.len() - 2);
        if protection.company && !principal.areas.contains(&area.as_str()) {
            return false;
        }
        let binds = |roles: &Vec<Role>| roles.is_empty() || roles.contains(&principal.role);
        if protection.holder.as_ref().is_some_and(binds) && !holds(at, row) {
            return false;
        }
        protection.via.is_none_or(|key| {
            let target = &schema.tables[at.foreign_keys[key].target];
            at.links[row][key].is_some_and(|it| holds(target, it))
        })
    }

    /// What each viewer may see is the same on both sides.
    fn check(&self) -> Result<()> {
        let mut secrets = 0;
        for (table, protection) in self.protections.iter().enumerate() {
            for viewer in &VIEWERS {
                let seen = |side: usize| {
                    let schema = &self.sides[side];
                    let at = &schema.tables[table];
                    let rows = (0..at.rows.len()).filter(|it| self.sees(side, viewer, table, *it));
                    let rows = rows.map(|row| {
                        let cells = at.rows[row].iter().enumerate();
                        let cells = cells.filter(|(it, _)| !protection.hidden.contains(it));
                        let cells = cells.map(|(_, it)| format!("{it:?}"));
                        (format!("{:?}", &at.rows[row][..at.key]), cells.collect())
                    });
                    rows.collect::<BTreeMap<String, Vec<String>>>()
                };
                ensure!(seen(0) == seen(1), "{} sees a difference in table {table}", viewer.name);
            }
            let rows = 0..self.sides[0].tables[table].rows.len();
            secrets += rows.filter(|it| self.is_secret(&self.sides[0], table, *it)).count();
        }
        ensure!(secrets > 0, "nothing is secret");
        Ok(())
    }
}

impl Protection {
    fn random(random: &mut Random, table: &Table) -> Self {
        let company = random.one_in(2);
        let holder = random.one_in(2).then(|| match random.one_in(3) {
            true => vec![Role::Clerk],
            false => Vec::new(),
        });
        let keys = table.foreign_keys.len();
        let via = (!company && holder.is_none() || random.one_in(3)).then(|| random.below(keys));
        // Not the key, the tag, nor who a row belongs to.
        let first = table.key + 1;
        let values = table.foreign_keys[0].columns[0] - first;
        let mut hidden = BTreeSet::new();
        for _ in 0..1 + random.below(2) {
            hidden.insert(first + random.below(values));
        }
        if let Some(key) = (0..keys).find(|it| via != Some(*it) && random.one_in(3)) {
            hidden.extend(table.foreign_keys[key].columns.iter().copied());
        }
        let read_only = (0..2).map(|_| first + random.below(values)).collect();
        Self { company, holder, via, hidden, read_only, withheld: false, unwritable: false }
    }

    /// Whether a foreign key cannot be seen.
    #[must_use]
    pub fn hides(&self, table: &Table, foreign_key: usize) -> bool {
        table.foreign_keys[foreign_key].columns.iter().any(|it| self.hidden.contains(it))
    }
}

/// Columns of the legal entity and of the holder.
fn add_owners(table: &mut Table, random: &mut Random) {
    for name in ["dataareaid", "holder"] {
        let (name, kind) = (name.to_owned(), Kind::Text);
        table.columns.push(Column { name, prefix: PREFIX, kind, nullable: false });
    }
    for (number, row) in table.rows.iter_mut().enumerate() {
        let area = *random.pick(&["AAA", "AAA", "AAA", "BBB", "BBB", "HID"]);
        let holder = *random.pick(&["all", "all", "all", "ann", "ann", "bob", "dan", "cat", "zed"]);
        let holder = if number == KEPT { "zed" } else { holder };
        row.extend([area, holder].map(|it| Cell::Text(it.to_owned())));
    }
}

/// The other database in the making.
struct Twin<'t> {
    twins: &'t Twins,
    /// Rows of the first one that stay, by table.
    kept: Vec<Vec<usize>>,
    secret: Vec<Vec<bool>>,
    schema: Schema,
}

impl<'t> Twin<'t> {
    fn of(twins: &'t Twins, random: &mut Random) -> Self {
        let schema = twins.sides[0].clone();
        let tables = || schema.tables.iter().enumerate();
        let secret: Vec<Vec<bool>> = tables()
            .map(|(at, table)| {
                (0..table.rows.len()).map(|row| twins.is_secret(&schema, at, row)).collect()
            })
            .collect();
        // Who sees a row sees the keys of those that it leads to: these stay, whatever else they hold.
        let mut named = BTreeSet::new();
        for (at, table) in tables() {
            for (key, foreign_key) in table.foreign_keys.iter().enumerate() {
                let hides = twins.protections[at].hides(table, key);
                let open = (0..table.rows.len()).filter(|row| !hides && !secret[at][*row]);
                let leads = open.filter_map(|row| table.links[row][key]);
                named.extend(leads.map(|row| (foreign_key.target, row)));
            }
        }
        let kept = tables().map(|(at, table)| {
            let stays = |row: &usize| {
                let may_go = secret[at][*row] && *row != KEPT && !named.contains(&(at, *row));
                !may_go || random.one_in(2)
            };
            (0..table.rows.len()).filter(stays).collect()
        });
        let kept = kept.collect();
        Self { twins, kept, secret, schema }
    }

    fn make(mut self, random: &mut Random) -> Schema {
        let first = &self.twins.sides[0];
        for (at, table) in first.tables.iter().enumerate() {
            let twin = &mut self.schema.tables[at];
            let kept = &self.kept[at];
            twin.rows = kept.iter().map(|it| table.rows[*it].clone()).collect();
            twin.links = kept.iter().map(|it| table.links[*it].clone()).collect();
        }
        for at in 0..first.tables.len() {
            self.change(at, random);
        }
        for at in 0..first.tables.len() {
            self.add(at, random);
        }
        self.schema
    }

    /// Other values where nobody sees them.
    fn change(&mut self, at: usize, random: &mut Random) {
        let protection = &self.twins.protections[at];
        let first = &self.twins.sides[0].tables[at];
        for number in 0..self.kept[at].len() {
            let row = self.kept[at][number];
            let secret = self.secret[at][row];
            for column in first.key + 1..first.foreign_keys[0].columns[0] {
                if secret || protection.hidden.contains(&column) {
                    self.schema.tables[at].rows[number][column] =
                        made_up(&first.columns[column], random);
                }
            }
            for (key, foreign_key) in first.foreign_keys.iter().enumerate() {
                let target = foreign_key.target;
                let stays = |old: usize| self.kept[target].iter().position(|it| *it == old);
                let old = first.links[row][key];
                let is_free = secret || protection.hides(first, key);
                let link = if !is_free || protection.via == Some(key) {
                    // A row that went had a holder whom nobody is, or may as well have.
                    old.map(|it| stays(it).or_else(|| stays(KEPT)).unwrap_or_default())
                } else {
                    Some(random.below(self.kept[target].len()))
                };
                self.lead(at, number, key, link);
            }
        }
    }

    /// Rows that nobody sees.
    fn add(&mut self, at: usize, random: &mut Random) {
        let first = &self.twins.sides[0].tables[at];
        for number in 0..random.below(8) {
            let number = first.rows.len() + 50 + number;
            let key = first.columns[..first.key].iter().map(|it| key_cell(it, number));
            let mut row: Vec<Cell> = key.collect();
            row.push(Cell::Int(number as i64));
            let rest = &first.columns[row.len()..first.columns.len() - 2];
            row.extend(rest.iter().map(|it| made_up(it, random)));
            row.extend(["HID", "zed"].map(|it| Cell::Text(it.to_owned())));
            let at_row = self.schema.tables[at].rows.len();
            self.schema.tables[at].rows.push(row);
            self.schema.tables[at].links.push(vec![None; first.foreign_keys.len()]);
            for (key, foreign_key) in first.foreign_keys.iter().enumerate() {
                let target = foreign_key.target;
                let kept = self.kept[target].iter().position(|it| *it == KEPT);
                let link = match self.twins.protections[at].via == Some(key) {
                    true => kept,
                    false => Some(random.below(self.kept[target].len())),
                };
                self.lead(at, at_row, key, link);
            }
            if !self.twins.is_secret(&self.schema, at, at_row) {
                self.schema.tables[at].rows.pop();
                self.schema.tables[at].links.pop();
            }
        }
    }

    fn lead(&mut self, at: usize, row: usize, key: usize, link: Option<usize>) {
        let foreign_key = self.schema.tables[at].foreign_keys[key].clone();
        let target = &self.schema.tables[foreign_key.target];
        let cells = (0..target.key).map(|it| link.map(|row| target.rows[row][it].clone()));
        let cells: Vec<Cell> = cells.map(|it| it.unwrap_or(Cell::Null)).collect();
        let table = &mut self.schema.tables[at];
        for (column, cell) in foreign_key.columns.iter().zip(cells) {
            table.rows[row][*column] = cell;
        }
        table.links[row][key] = link;
    }
}

fn made_up(column: &Column, random: &mut Random) -> Cell {
    if column.nullable && random.one_in(4) { Cell::Null } else { column.kind.value(random) }
}
