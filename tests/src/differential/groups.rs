//! Aggregates over groups, in both dialects.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::rules::Rules;
use super::schema::{Kind, Table};
use super::write::answered;
use crate::random::Random;
use crate::tables::Cell;

/// What is worked out over the rows of each group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Rows.
    Count,
    /// Values.
    CountColumn,
    /// Different values.
    CountDistinct,
    /// Total.
    Sum,
    /// Mean.
    Average,
    /// Least.
    Min,
    /// Greatest.
    Max,
}

/// Part of a date that rows are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatePart {
    /// Of the month.
    Day,
    /// Of the year.
    Month,
    /// Of the year.
    Quarter,
    /// Calendar year.
    Year,
}

/// Groups and what is worked out of them.
#[derive(Clone, Debug)]
pub struct Group {
    /// Columns that rows are grouped by.
    pub by: Vec<usize>,
    /// FetchXML only.
    pub by_part: Option<(usize, DatePart)>,
    /// Functions of columns.
    pub aggregates: Vec<(Function, usize)>,
}

/// Rows by the key of their group.
pub type Groups = BTreeMap<Vec<String>, Vec<Vec<Cell>>>;

impl Group {
    /// For OData, which has no dates by part and no distinct counts.
    pub fn random(random: &mut Random, table: &Table) -> Self {
        let functions = [Function::Sum, Function::Average, Function::Min, Function::Max];
        Self::of(random, table, &functions)
    }

    /// For FetchXML.
    pub fn random_fetch(random: &mut Random, table: &Table) -> Self {
        let functions = [
            Function::CountColumn,
            Function::CountDistinct,
            Function::Sum,
            Function::Average,
            Function::Min,
            Function::Max,
        ];
        let mut group = Self::of(random, table, &functions);
        if random.one_in(3) {
            let times: Vec<usize> =
                (0..table.columns.len()).filter(|it| table.columns[*it].kind.is_time()).collect();
            let parts = [DatePart::Day, DatePart::Month, DatePart::Quarter, DatePart::Year];
            group.by_part = Some((*random.pick(&times), *random.pick(&parts)));
        }
        group
    }

    fn of(random: &mut Random, table: &Table, functions: &[Function]) -> Self {
        let columns = table.columns.len();
        let groupable = |at: usize| at != table.tag() && table.columns[at].kind != Kind::Guid;
        let by: BTreeSet<usize> = (0..random.below(3))
            .map(|_| random.below(columns))
            .filter(|it| groupable(*it))
            .collect();
        let mut aggregates = vec![(Function::Count, table.tag())];
        for _ in 0..1 + random.below(3) {
            let function = *random.pick(functions);
            let at = random.below(columns);
            let kind = table.columns[at].kind;
            let fits = match function {
                Function::Count | Function::CountColumn | Function::CountDistinct => true,
                Function::Sum | Function::Average => kind.is_number(),
                Function::Min | Function::Max => kind.is_number() || kind.is_time(),
            };
            if fits {
                aggregates.push((function, at));
            }
        }
        Self { by: by.into_iter().collect(), by_part: None, aggregates }
    }

    /// What follows `$apply=`.
    #[must_use]
    pub fn odata(&self, table: &Table) -> String {
        let aggregates = self.aggregates.iter().enumerate().map(|(number, (function, at))| {
            let name = table.columns[*at].logical();
            let function = match function {
                Function::Count => return format!("$count as x{number}"),
                Function::CountColumn | Function::CountDistinct => "countdistinct",
                Function::Sum => "sum",
                Function::Average => "average",
                Function::Min => "min",
                Function::Max => "max",
            };
            format!("{name} with {function} as x{number}")
        });
        let aggregate = format!("aggregate({})", aggregates.collect::<Vec<_>>().join(","));
        if self.by.is_empty() {
            return aggregate;
        }
        let by = self.by.iter().map(|it| table.columns[*it].logical()).collect::<Vec<_>>();
        format!("groupby(({}),{aggregate})", by.join(","))
    }

    /// The attributes of a FetchXML aggregate query.
    #[must_use]
    pub fn fetch(&self, table: &Table) -> String {
        let name = |at: usize| table.columns[at].logical();
        let mut xml = String::new();
        for (number, (function, at)) in self.aggregates.iter().enumerate() {
            let (function, more) = match function {
                Function::Count => ("count", ""),
                Function::CountColumn => ("countcolumn", ""),
                Function::CountDistinct => ("countcolumn", " distinct=\"true\""),
                Function::Sum => ("sum", ""),
                Function::Average => ("avg", ""),
                Function::Min => ("min", ""),
                Function::Max => ("max", ""),
            };
            let name = name(*at);
            xml += &format!(
                "<attribute name=\"{name}\" alias=\"x{number}\" aggregate=\"{function}\"{more}/>"
            );
        }
        for at in &self.by {
            let name = name(*at);
            xml += &format!("<attribute name=\"{name}\" alias=\"{name}\" groupby=\"true\"/>");
        }
        if let Some((at, part)) = self.by_part {
            let part = match part {
                DatePart::Day => "day",
                DatePart::Month => "month",
                DatePart::Quarter => "quarter",
                DatePart::Year => "year",
            };
            let name = name(at);
            xml += &format!(
                "<attribute name=\"{name}\" alias=\"part\" groupby=\"true\" dategrouping=\"{part}\"/>"
            );
        }
        xml
    }

    fn is_grouped(&self) -> bool {
        !self.by.is_empty() || self.by_part.is_some()
    }

    /// The groups of these rows. Without grouping there is one, whether it has rows or not.
    pub fn expected(&self, rules: Rules, rows: impl Iterator<Item = Vec<Cell>>) -> Groups {
        let mut groups = Groups::new();
        if !self.is_grouped() {
            groups.insert(Vec::new(), Vec::new());
        }
        for row in rows {
            let mut key: Vec<String> = self.by.iter().map(|it| rules.folded(&row[*it])).collect();
            if let Some((at, part)) = self.by_part {
                key.push(rules.folded(&part.of(&row[at])));
            }
            groups.entry(key).or_default().push(row);
        }
        groups
    }

    /// The same with less in it.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for at in 1..self.aggregates.len() {
            let mut less = self.clone();
            less.aggregates.remove(at);
            all.push(less);
        }
        for at in 0..self.by.len() {
            let mut less = self.clone();
            less.by.remove(at);
            all.push(less);
        }
        if self.by_part.is_some() {
            all.push(Self { by_part: None, ..self.clone() });
        }
        all
    }
}

impl DatePart {
    fn of(self, cell: &Cell) -> Cell {
        let Cell::Time(text) = cell else { return Cell::Null };
        let number = |from, to| text.get(from..to).and_then(|it: &str| it.parse::<i64>().ok());
        let month = number(5, 7).unwrap_or_default();
        Cell::Int(match self {
            Self::Day => number(8, 10).unwrap_or_default(),
            Self::Month => month,
            Self::Quarter => (month + 2) / 3,
            Self::Year => number(0, 4).unwrap_or_default(),
        })
    }
}

/// Whether the answer has these groups and no others, with the right numbers.
pub fn check(
    group: &Group,
    table: &Table,
    rules: Rules,
    rows: &[Value],
    expected: &Groups,
) -> Result<()> {
    let mut seen = BTreeSet::new();
    for row in rows {
        let mut key = Vec::new();
        for at in &group.by {
            let column = &table.columns[*at];
            key.push(rules.folded(&answered(column.kind, &row[column.logical()])?));
        }
        if group.by_part.is_some() {
            key.push(rules.folded(&answered(Kind::Int, &row["part"])?));
        }
        let members = expected.get(&key).with_context(|| format!("no such group: {row}"))?;
        ensure!(seen.insert(key.clone()), "the group {key:?} comes twice");
        for (number, (function, at)) in group.aggregates.iter().enumerate() {
            let found = &row[format!("x{number}")];
            let kind = table.columns[*at].kind;
            let cells: Vec<&Cell> = members.iter().map(|it| &it[*at]).collect();
            check_value(*function, kind, rules, found, &cells).with_context(|| {
                format!("{function:?} of {} in {key:?}", table.columns[*at].name)
            })?;
        }
    }
    ensure!(seen.len() == expected.len(), "{} groups, not {}", seen.len(), expected.len());
    Ok(())
}

fn check_value(
    function: Function,
    kind: Kind,
    rules: Rules,
    found: &Value,
    cells: &[&Cell],
) -> Result<()> {
    let values: Vec<&Cell> = cells.iter().copied().filter(|it| **it != Cell::Null).collect();
    let count = |wanted: usize| {
        ensure!(found.as_u64() == u64::try_from(wanted).ok(), "{found}, not {wanted}");
        Ok(())
    };
    let number = |cell: &Cell| match cell {
        Cell::Int(number) => Ok(*number as f64),
        Cell::Decimal(units) => Ok(*units as f64 / 1e12),
        other => bail!("{other:?} is no number"),
    };
    match function {
        Function::Count => count(cells.len()),
        Function::CountColumn => count(values.len()),
        Function::CountDistinct => {
            count(values.iter().map(|it| rules.folded(it)).collect::<BTreeSet<_>>().len())
        }
        _ if values.is_empty() => {
            ensure!(found.is_null(), "{found}, not null");
            Ok(())
        }
        Function::Sum | Function::Average => {
            let mut total = 0.0;
            for value in &values {
                total += number(value)?;
            }
            let wanted =
                if function == Function::Sum { total } else { total / values.len() as f64 };
            let found = found.as_f64().with_context(|| format!("{found} is no number"))?;
            let near = (found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0);
            // The mean of whole numbers may be told with fewer digits.
            let rounded = function == Function::Average && (found - wanted).abs() <= 0.000_001;
            ensure!(near || rounded, "{found}, not {wanted}");
            Ok(())
        }
        Function::Min | Function::Max => {
            let ordered = |left: &&&Cell, right: &&&Cell| rules.order(left, right);
            let wanted = match function {
                Function::Min => values.iter().min_by(ordered),
                _ => values.iter().max_by(ordered),
            };
            let found = answered(kind, found)?;
            ensure!(Some(&&found) == wanted, "{found:?}, not {wanted:?}");
            Ok(())
        }
    }
}
