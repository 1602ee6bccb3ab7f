//! Made-up conditions: mostly with values that occur, so that they match some rows and not all.

use super::filter::{Filter, Join, On, Op, Path, Quantifier, Semi};
use super::schema::{Kind, Schema};
use crate::random::Random;
use crate::tables::Cell;

/// In whose words the condition will be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Paths, `any` and `all`; query functions outside of `not`.
    OData,
    /// Links; conditions on joined tables.
    Fetch,
}

/// What is in sight where a condition is made.
#[derive(Clone, Debug)]
pub struct Sight<'a> {
    /// The tables and rows.
    pub schema: &'a Schema,
    /// In whose words.
    pub dialect: Dialect,
    /// Tables by position in the scope.
    pub tables: Vec<usize>,
    /// Positions whose columns may be named.
    pub bases: Vec<usize>,
    /// Below a `not`, or where functions have no place.
    pub plain: bool,
}

const COMPARISONS: [Op; 6] = [Op::Eq, Op::Ne, Op::Gt, Op::Ge, Op::Lt, Op::Le];
const PATTERNS: [&str; 14] =
    ["%", "_", "a_", "[a-c]", "[^a-z]", "%a", "\\", "[", "]", "é", "日", "--", "[%]", "&"];

impl Sight<'_> {
    /// Of at most this depth.
    pub fn filter(&self, random: &mut Random, depth: usize) -> Filter {
        if random.one_in(12) {
            return self.row(random);
        }
        let choice = random.below(if depth == 0 { 6 } else { 11 });
        let below = |random: &mut Random| {
            let count = 2 + random.below(2);
            (0..count).map(|_| self.filter(random, depth - 1)).collect::<Vec<_>>()
        };
        match choice {
            0..=4 => self.compare(random),
            5 => self.columns(random).unwrap_or_else(|| self.compare(random)),
            6 => Filter::And(below(random)),
            7 | 8 => Filter::Or(below(random)),
            9 if self.dialect == Dialect::OData => {
                let inner = Self { plain: true, ..self.clone() };
                Filter::Not(Box::new(inner.filter(random, depth - 1)))
            }
            _ => self.related(random, depth).unwrap_or_else(|| self.compare(random)),
        }
    }

    fn path(&self, random: &mut Random, wanted: impl Fn(Kind) -> bool) -> Option<Path> {
        let base = *random.pick(&self.bases);
        let mut table = self.tables[base];
        let mut through = Vec::new();
        while self.dialect == Dialect::OData && through.len() < 2 && random.one_in(4) {
            let foreign_keys = &self.schema.tables[table].foreign_keys;
            let at = random.below(foreign_keys.len());
            table = foreign_keys[at].target;
            through.push(at);
        }
        let columns = &self.schema.tables[table].columns;
        let found: Vec<usize> = (0..columns.len()).filter(|it| wanted(columns[*it].kind)).collect();
        if found.is_empty() {
            return None;
        }
        Some(Path { base, through, column: *random.pick(&found) })
    }

    /// A row by its id.
    fn row(&self, random: &mut Random) -> Filter {
        let base = *random.pick(&self.bases);
        let mut table = self.tables[base];
        let mut through = Vec::new();
        let most = if self.dialect == Dialect::OData { 2 } else { 1 };
        for _ in 0..random.below(most + 1) {
            let foreign_keys = &self.schema.tables[table].foreign_keys;
            let at = random.below(foreign_keys.len());
            table = foreign_keys[at].target;
            through.push(at);
        }
        let row = random.below(self.schema.tables[table].rows.len());
        let op = *random.pick(&[Op::Eq, Op::Ne, Op::Null, Op::NotNull]);
        Filter::Row { base, through, op, row }
    }

    fn table_at(&self, path: &Path) -> usize {
        let start = self.tables[path.base];
        path.through
            .iter()
            .fold(start, |table, at| self.schema.tables[table].foreign_keys[*at].target)
    }

    fn compare(&self, random: &mut Random) -> Filter {
        let Some(path) = self.path(random, |_| true) else { return Filter::And(Vec::new()) };
        let table = &self.schema.tables[self.table_at(&path)];
        let kind = table.columns[path.column].kind;
        let fetch = self.dialect == Dialect::Fetch;
        // Functions name a column of the root.
        let named = fetch || (!self.plain && path.base == 0 && path.through.is_empty());
        let mut ops = vec![Op::Eq, Op::Ne, Op::Null, Op::NotNull, Op::In];
        if kind != Kind::Guid && kind != Kind::Bool {
            ops.extend([Op::Gt, Op::Ge, Op::Lt, Op::Le]);
        }
        if kind.is_text() {
            ops.extend([Op::Contains, Op::Begins, Op::Ends, Op::Contains, Op::Begins, Op::Ends]);
        }
        if fetch && kind.is_text() {
            let more = [Op::Like, Op::NotLike, Op::NotContains, Op::NotBegins, Op::NotEnds];
            ops.extend(more.into_iter().filter(|it| *it != Op::NotContains));
            ops.retain(|it| *it != Op::Contains);
        }
        if named {
            ops.push(Op::NotIn);
            if kind.is_number() || kind.is_time() {
                ops.extend([Op::Between, Op::NotBetween]);
            }
            if kind.is_time() {
                ops.extend([Op::On, Op::OnOrAfter, Op::OnOrBefore, Op::InFiscalYear]);
                ops.extend([Op::ThisYear, Op::LastYear, Op::NextYear]);
            }
        }
        let op = *random.pick(&ops);
        let value = |random: &mut Random| value(random, kind, &table.rows, path.column);
        let values = match op {
            Op::Null | Op::NotNull | Op::ThisYear | Op::LastYear | Op::NextYear => Vec::new(),
            Op::In | Op::NotIn => (0..1 + random.below(4)).map(|_| value(random)).collect(),
            Op::Between | Op::NotBetween => {
                let (one, other) = (value(random), value(random));
                // The bounds are given in order, mostly.
                if self.schema.rules.order(&one, &other).is_le() || random.one_in(10) {
                    vec![one, other]
                } else {
                    vec![other, one]
                }
            }
            Op::InFiscalYear => vec![Cell::Int(2015 + random.below(14) as i64)],
            Op::On | Op::OnOrAfter | Op::OnOrBefore => match value(random) {
                Cell::Time(text) => vec![Cell::Time(text.get(..10).unwrap_or_default().to_owned())],
                other => vec![other],
            },
            Op::Contains | Op::Begins | Op::Ends => {
                let whole = value(random);
                vec![part(random, &whole, op)]
            }
            Op::NotBegins | Op::NotEnds => {
                let positive = if op == Op::NotBegins { Op::Begins } else { Op::Ends };
                let whole = value(random);
                vec![part(random, &whole, positive)]
            }
            Op::Like | Op::NotLike => {
                let whole = value(random);
                let Cell::Text(text) = part(random, &whole, Op::Contains) else {
                    return Filter::And(Vec::new());
                };
                vec![Cell::Text(match random.below(3) {
                    0 => format!("%{text}%"),
                    1 => format!("{text}%"),
                    _ => format!("_{text}%"),
                })]
            }
            _ => vec![value(random)],
        };
        Filter::Compare(path, op, values)
    }

    fn columns(&self, random: &mut Random) -> Option<Filter> {
        let left = self.path(random, |it| !it.is_option() && it != Kind::Guid)?;
        let kind = self.schema.tables[self.table_at(&left)].columns[left.column].kind;
        let same = |it: Kind| it == kind;
        let mut right = self.path(random, same)?;
        // The root has no alias by which a condition on a link could name it.
        if self.dialect == Dialect::Fetch && right.base == 0 {
            right.base = left.base;
            let table = &self.schema.tables[self.tables[left.base]];
            let found: Vec<usize> =
                (0..table.columns.len()).filter(|it| same(table.columns[*it].kind)).collect();
            right.column = *random.pick(&found);
        }
        // OData compares columns of one row.
        if self.dialect == Dialect::OData {
            let table = &self.schema.tables[self.tables[left.base]];
            let found: Vec<usize> =
                (0..table.columns.len()).filter(|it| same(table.columns[*it].kind)).collect();
            if !left.through.is_empty() || found.is_empty() {
                return None;
            }
            right = Path { column: *random.pick(&found), ..left.clone() };
        }
        Some(Filter::Columns(left, *random.pick(&COMPARISONS), right))
    }

    fn related(&self, random: &mut Random, depth: usize) -> Option<Filter> {
        match self.dialect {
            Dialect::OData => {
                let base = *random.pick(&self.bases);
                let mut found = Vec::new();
                for (at, table) in self.schema.tables.iter().enumerate() {
                    let leads = table.foreign_keys.iter().enumerate();
                    let leads = leads.filter(|(_, it)| it.target == self.tables[base]);
                    found.extend(leads.map(|(key, _)| (at, key)));
                }
                let (table, foreign_key) = *(!found.is_empty()).then(|| random.pick(&found))?;
                let quantifier = if random.one_in(3) { Quantifier::All } else { Quantifier::Any };
                let mut inner = Self { plain: true, ..self.clone() };
                inner.tables.push(table);
                inner.bases = vec![inner.tables.len() - 1];
                let with = quantifier == Quantifier::All || !random.one_in(5);
                let filter = with.then(|| Box::new(inner.filter(random, depth - 1)));
                Some(Filter::Related { base, table, foreign_key, quantifier, filter })
            }
            Dialect::Fetch if self.bases[0] == 0 => {
                let join = self.schema.join(random, self.tables[0]);
                let kinds = [Semi::Any, Semi::NotAny, Semi::All, Semi::NotAll];
                let inner = Self { tables: vec![join.table], bases: vec![0], ..self.clone() };
                let filter = (!random.one_in(4)).then(|| Box::new(inner.filter(random, depth - 1)));
                Some(Filter::Semi(*random.pick(&kinds), join, filter))
            }
            Dialect::Fetch => None,
        }
    }
}

impl Schema {
    /// A join to a row of this table, along a foreign key in one direction or the other, or of any
    /// two columns of a type.
    pub fn join(&self, random: &mut Random, table: usize) -> Join {
        let mut found = Vec::new();
        for (at, other) in self.tables.iter().enumerate() {
            for (number, foreign_key) in other.foreign_keys.iter().enumerate() {
                let single = match foreign_key.columns[..] {
                    [own] => Some(own),
                    _ => None,
                };
                if at == table {
                    let target = foreign_key.target;
                    found.push(Join { table: target, on: On::Id(number) });
                    let on = single.map(|own| On::Columns(0, own));
                    found.extend(on.map(|on| Join { table: target, on }));
                }
                if foreign_key.target == table {
                    found.push(Join { table: at, on: On::Lookup(number) });
                    let on = single.map(|own| On::Columns(own, 0));
                    found.extend(on.map(|on| Join { table: at, on }));
                }
            }
        }
        // Accounts have foreign keys among themselves only.
        let native = self.tables[table].prefix.is_empty();
        if found.is_empty() || random.one_in(if native { 2 } else { 5 }) {
            let other = random.below(self.tables.len());
            let kinds = [Kind::Text, Kind::Int, Kind::Date, Kind::Choice, Kind::Decimal];
            let has = |at: usize, kind| self.tables[at].columns.iter().any(|it| it.kind == kind);
            let kind = Some(*random.pick(&kinds)).filter(|it| has(other, *it) && has(table, *it));
            let kind = kind.unwrap_or(Kind::Text);
            let mut column = |at: usize| {
                let columns = self.tables[at].columns.iter().enumerate();
                let found: Vec<usize> =
                    columns.filter(|(_, it)| it.kind == kind).map(|(at, _)| at).collect();
                *random.pick(&found)
            };
            return Join { table: other, on: On::Columns(column(other), column(table)) };
        }
        *random.pick(&found)
    }
}

/// One that occurs, in another letter case now and then, or one that may not.
pub fn value(random: &mut Random, kind: Kind, rows: &[Vec<Cell>], at: usize) -> Cell {
    for _ in 0..3 {
        match &random.pick(rows)[at] {
            Cell::Null => {}
            Cell::Text(text) if random.one_in(4) => return Cell::Text(text.to_uppercase()),
            Cell::Text(text) if random.one_in(4) => return Cell::Text(text.to_lowercase()),
            cell => return cell.clone(),
        }
    }
    kind.value(random)
}

fn part(random: &mut Random, cell: &Cell, op: Op) -> Cell {
    if random.one_in(6) {
        return Cell::Text((*random.pick(&PATTERNS)).to_owned());
    }
    let Cell::Text(text) = cell else { return cell.clone() };
    let characters: Vec<char> = text.chars().collect();
    let length = (1 + random.below(4)).min(characters.len());
    let start = match op {
        Op::Begins => 0,
        Op::Ends => characters.len() - length,
        _ => random.below(characters.len() - length + 1),
    };
    Cell::Text(characters[start..start + length].iter().collect())
}
