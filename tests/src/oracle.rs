//! Filters: made at random, written as OData, and decided here over rows read by SQL, by the
//! platform's rules and without any of the product's code.

use std::cmp::Ordering;

use crate::random::Random;
use crate::tables::{Cell, Column, Kind, Row, Table};

/// A filter.
#[derive(Clone, Debug)]
pub enum Filter {
    /// `column operator value`; the value may be null for eq and ne.
    Compare(usize, Operator, Cell),
    /// `column operator column`.
    Columns(usize, Operator, usize),
    /// `contains`, `startswith`, `endswith`.
    Text(Function, usize, String),
    /// `Microsoft.Dynamics.CRM.In`.
    In(usize, Vec<Cell>),
    /// All of these.
    And(Vec<Filter>),
    /// Any of these.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
}

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `eq`
    Eq,
    /// `ne`
    Ne,
    /// `gt`
    Gt,
    /// `ge`
    Ge,
    /// `lt`
    Lt,
    /// `le`
    Le,
}

/// Where a text is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Anywhere.
    Contains,
    /// At the start.
    StartsWith,
    /// At the end.
    EndsWith,
}

const OPERATORS: [Operator; 6] =
    [Operator::Eq, Operator::Ne, Operator::Gt, Operator::Ge, Operator::Lt, Operator::Le];

impl Operator {
    fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    fn opposite(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Gt => Self::Le,
            Self::Ge => Self::Lt,
            Self::Lt => Self::Ge,
            Self::Le => Self::Gt,
        }
    }

    /// Null is equal to nothing and not equal to everything; it is not before or behind anything.
    fn holds(self, left: &Cell, right: &Cell) -> bool {
        if *left == Cell::Null || *right == Cell::Null {
            return self == Self::Ne;
        }
        let order = left.order(right);
        match self {
            Self::Eq => order == Ordering::Equal,
            Self::Ne => order != Ordering::Equal,
            Self::Gt => order == Ordering::Greater,
            Self::Ge => order != Ordering::Less,
            Self::Lt => order == Ordering::Less,
            Self::Le => order != Ordering::Greater,
        }
    }
}

impl Filter {
    /// Made up, of at most this depth, with values that mostly occur in the rows.
    pub fn random(random: &mut Random, table: &Table, rows: &[Row], depth: usize) -> Self {
        match random.below(if depth == 0 { 7 } else { 10 }) {
            0..=3 => compare(random, table, rows),
            4 => text(random, table, rows),
            5 => list(random, table, rows),
            6 => columns(random, table).unwrap_or_else(|| compare(random, table, rows)),
            7 => Self::Not(Box::new(Self::random(random, table, rows, depth - 1))),
            kind => {
                let count = 2 + random.below(2);
                let parts = (0..count).map(|_| Self::random(random, table, rows, depth - 1));
                let parts = parts.collect();
                if kind == 8 { Self::And(parts) } else { Self::Or(parts) }
            }
        }
    }

    /// As in a URL, not yet encoded.
    #[must_use]
    pub fn odata(&self, table: &Table) -> String {
        let name = |at: usize| table.columns[at].name;
        let join = |parts: &[Self], word: &str| {
            let parts: Vec<_> = parts.iter().map(|it| it.odata(table)).collect();
            format!("({})", parts.join(word))
        };
        match self {
            Self::Compare(at, operator, cell) => {
                format!("{} {} {}", name(*at), operator.name(), literal(&table.columns[*at], cell))
            }
            Self::Columns(at, operator, other) => {
                format!("{} {} {}", name(*at), operator.name(), name(*other))
            }
            Self::Text(function, at, text) => {
                let function = match function {
                    Function::Contains => "contains",
                    Function::StartsWith => "startswith",
                    Function::EndsWith => "endswith",
                };
                format!("{function}({},'{}')", name(*at), text.replace('\'', "''"))
            }
            Self::In(at, cells) => {
                let values: Vec<_> = cells.iter().map(json).collect();
                let values = values.join(",");
                format!(
                    "Microsoft.Dynamics.CRM.In(PropertyName='{}',PropertyValues=[{values}])",
                    name(*at)
                )
            }
            Self::And(parts) => join(parts, " and "),
            Self::Or(parts) => join(parts, " or "),
            Self::Not(part) => format!("not ({})", part.odata(table)),
        }
    }

    /// Whether the platform says that it cannot be negated.
    #[must_use]
    pub fn negates_a_function(&self) -> bool {
        self.negated_function(false)
    }

    fn negated_function(&self, negated: bool) -> bool {
        match self {
            Self::In(..) => negated,
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().any(|it| it.negated_function(negated))
            }
            Self::Not(part) => part.negated_function(!negated),
            Self::Compare(..) | Self::Columns(..) | Self::Text(..) => false,
        }
    }

    /// Whether a row matches.
    #[must_use]
    pub fn matches(&self, row: &Row) -> bool {
        self.decide(row, false)
    }

    /// `not` turns each operator into its opposite; negative ones match null.
    fn decide(&self, row: &Row, not: bool) -> bool {
        match self {
            Self::Compare(at, operator, Cell::Null) => {
                let is_null = row.cells[*at] == Cell::Null;
                is_null == ((*operator == Operator::Eq) != not)
            }
            Self::Compare(at, operator, value) => {
                let operator = if not { operator.opposite() } else { *operator };
                operator.holds(&row.cells[*at], value)
            }
            Self::Columns(at, operator, other) => {
                let operator = if not { operator.opposite() } else { *operator };
                operator.holds(&row.cells[*at], &row.cells[*other])
            }
            Self::Text(function, at, pattern) => {
                let Cell::Text(text) = &row.cells[*at] else { return not };
                is_like(text, pattern, *function) != not
            }
            Self::In(at, values) => {
                let cell = &row.cells[*at];
                values.iter().any(|it| Operator::Eq.holds(cell, it)) != not
            }
            Self::And(parts) if not => parts.iter().any(|it| it.decide(row, not)),
            Self::And(parts) => parts.iter().all(|it| it.decide(row, not)),
            Self::Or(parts) if not => parts.iter().all(|it| it.decide(row, not)),
            Self::Or(parts) => parts.iter().any(|it| it.decide(row, not)),
            Self::Not(part) => part.decide(row, !not),
        }
    }
}

fn compare(random: &mut Random, table: &Table, rows: &[Row]) -> Filter {
    let at = random.below(table.columns.len());
    if random.one_in(8) {
        let operator = *random.pick(&[Operator::Eq, Operator::Ne]);
        return Filter::Compare(at, operator, Cell::Null);
    }
    let kind = table.columns[at].kind;
    let value = value(random, kind, rows, at);
    // GUIDs have no order that the platform and PostgreSQL share.
    let operators = if kind == Kind::Guid { &OPERATORS[..2] } else { &OPERATORS };
    Filter::Compare(at, *random.pick(operators), value)
}

fn columns(random: &mut Random, table: &Table) -> Option<Filter> {
    let at = random.below(table.columns.len());
    let comparable = |kind| !matches!(kind, Kind::Choice(_) | Kind::Guid);
    let others: Vec<usize> = (0..table.columns.len())
        .filter(|it| *it != at && table.columns[*it].kind == table.columns[at].kind)
        .filter(|it| comparable(table.columns[*it].kind))
        .collect();
    let other = if others.is_empty() { None } else { Some(*random.pick(&others)) };
    other.map(|other| Filter::Columns(at, *random.pick(&OPERATORS), other))
}

fn text(random: &mut Random, table: &Table, rows: &[Row]) -> Filter {
    let texts: Vec<usize> =
        (0..table.columns.len()).filter(|it| table.columns[*it].kind == Kind::Text).collect();
    let at = *random.pick(&texts);
    let function = *random.pick(&[Function::Contains, Function::StartsWith, Function::EndsWith]);
    let patterns = ["%", "_", "a_e", "[a-c]", "[^a-z]", "%gmbh", "\\", "[", "é", "日", "''", "--"];
    if random.one_in(5) {
        return Filter::Text(function, at, (*random.pick(&patterns)).to_owned());
    }
    let Cell::Text(text) = value(random, Kind::Text, rows, at) else {
        return Filter::Text(function, at, String::new());
    };
    let characters: Vec<char> = text.chars().collect();
    let length = (1 + random.below(4)).min(characters.len());
    let start = match function {
        Function::StartsWith => 0,
        Function::EndsWith => characters.len() - length,
        Function::Contains => random.below(characters.len() - length + 1),
    };
    let mut part: String = characters[start..start + length].iter().collect();
    if random.one_in(3) {
        part = part.to_uppercase();
    }
    Filter::Text(function, at, part)
}

fn list(random: &mut Random, table: &Table, rows: &[Row]) -> Filter {
    let at = random.below(table.columns.len());
    let count = 1 + random.below(4);
    let kind = table.columns[at].kind;
    Filter::In(at, (0..count).map(|_| value(random, kind, rows, at)).collect())
}

/// One that occurs, in another letter case now and then, or one that does not.
fn value(random: &mut Random, kind: Kind, rows: &[Row], at: usize) -> Cell {
    for _ in 0..4 {
        let row = random.pick(rows);
        match &row.cells[at] {
            Cell::Null => {}
            Cell::Text(text) if random.one_in(4) => return Cell::Text(text.to_uppercase()),
            Cell::Text(text) if random.one_in(4) => return Cell::Text(text.to_lowercase()),
            cell if random.one_in(6) => return near(cell, kind),
            cell => return cell.clone(),
        }
    }
    match kind {
        Kind::Text => Cell::Text((*random.pick(&["", "zz", "A", "o'Brian", "100%"])).to_owned()),
        Kind::Integer => Cell::Int(random.below(100) as i64 - 50),
        Kind::Choice(_) => Cell::Int(200_000_000 + random.below(8) as i64),
        Kind::Decimal => Cell::Decimal(random.below(1_000_000) as i128 * 1_000_000_000),
        Kind::Long => Cell::Decimal(random.below(1_000_000) as i128 * 1_000_000_000_000),
        Kind::Date => Cell::Time(format!("20{:02}-06-15", 20 + random.below(9))),
        Kind::Moment => Cell::Time(format!("20{:02}-06-15T12:00:00.000000", 20 + random.below(9))),
        Kind::Guid => Cell::Guid(uuid::Uuid::from_u64_pair(random.bits(), random.bits())),
    }
}

fn near(cell: &Cell, kind: Kind) -> Cell {
    match cell {
        Cell::Decimal(units) if kind == Kind::Long => Cell::Decimal(units + 1_000_000_000_000),
        Cell::Int(number) => Cell::Int(number + 1),
        Cell::Decimal(units) => Cell::Decimal(units - 1_000_000),
        Cell::Text(text) => Cell::Text(format!("{text}x")),
        other => other.clone(),
    }
}

fn literal(column: &Column, cell: &Cell) -> String {
    match (column.kind, cell) {
        (_, Cell::Null) => "null".to_owned(),
        (_, Cell::Text(text)) => format!("'{}'", text.replace('\'', "''")),
        (_, Cell::Int(number)) => number.to_string(),
        (_, Cell::Decimal(units)) => digits(*units),
        (Kind::Moment, Cell::Time(text)) => format!("{text}Z"),
        (_, Cell::Time(text)) => text.clone(),
        (_, Cell::Guid(id)) => id.to_string(),
    }
}

fn json(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
        Cell::Int(number) => format!("\"{number}\""),
        Cell::Decimal(units) => format!("\"{}\"", digits(*units)),
        Cell::Time(text) if text.len() > 10 => format!("\"{text}Z\""),
        Cell::Time(text) => format!("\"{text}\""),
        Cell::Guid(id) => format!("\"{id}\""),
        Cell::Null => "null".to_owned(),
    }
}

pub(crate) fn digits(units: i128) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let units = units.unsigned_abs();
    let (whole, fraction) = (units / 1_000_000_000_000, units % 1_000_000_000_000);
    let fraction = format!("{fraction:012}");
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// One element of a pattern.
pub(crate) enum Part {
    Any,
    One,
    Character(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

fn is_like(text: &str, pattern: &str, function: Function) -> bool {
    let mut parts = parts(&pattern.to_lowercase());
    if function != Function::StartsWith {
        parts.insert(0, Part::Any);
    }
    if function != Function::EndsWith {
        parts.push(Part::Any);
    }
    let text: Vec<char> = text.to_lowercase().chars().collect();
    like(&text, &parts)
}

pub(crate) fn parts(pattern: &str) -> Vec<Part> {
    let characters: Vec<char> = pattern.chars().collect();
    let mut parts = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let end = characters[at..].iter().position(|it| *it == ']').map(|it| at + it);
        match (characters[at], end) {
            ('%', _) => parts.push(Part::Any),
            ('_', _) => parts.push(Part::One),
            ('[', Some(end)) if has_members(&characters[at + 1..end]) => {
                parts.push(set(&characters[at + 1..end]));
                at = end;
            }
            (other, _) => parts.push(Part::Character(other)),
        }
        at += 1;
    }
    parts
}

fn has_members(inside: &[char]) -> bool {
    inside.iter().any(|it| *it != '^')
}

fn set(inside: &[char]) -> Part {
    let negated = inside.first() == Some(&'^');
    let inside = if negated { &inside[1..] } else { inside };
    let (mut ranges, mut at) = (Vec::new(), 0);
    while at < inside.len() {
        if inside.get(at + 1) == Some(&'-') && at + 2 < inside.len() {
            ranges.push((inside[at], inside[at + 2]));
            at += 3;
        } else {
            ranges.push((inside[at], inside[at]));
            at += 1;
        }
    }
    Part::Set { negated, ranges }
}

pub(crate) fn like(text: &[char], parts: &[Part]) -> bool {
    let Some((part, rest)) = parts.split_first() else { return text.is_empty() };
    if let Part::Any = part {
        return (0..=text.len()).any(|at| like(&text[at..], rest));
    }
    let Some((first, others)) = text.split_first() else { return false };
    let fits = match part {
        Part::Any | Part::One => true,
        Part::Character(it) => it == first,
        Part::Set { negated, ranges } => {
            ranges.iter().any(|(from, to)| (from..=to).contains(&first)) != *negated
        }
    };
    fits && like(others, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_the_platforms_wildcards() {
        let check = |text: &str, pattern: &str, expected: bool| {
            assert_eq!(is_like(text, pattern, Function::Contains), expected, "{text} {pattern}");
        };
        check("Müller GmbH", "gmbh", true);
        check("Müller GmbH", "m_ll%h", true);
        check("100%", "[%]", true);
        check("100", "[%]", false);
        check("abc", "[^a-c]", false);
        check("abcd", "[^a-c]", true);
        check("a]b", "]", true);
        check("a[b", "[", true);
        check("", "", true);
        assert!(
            is_like("abc", "a", Function::StartsWith) && !is_like("abc", "b", Function::StartsWith)
        );
        assert!(
            is_like("abc", "c", Function::EndsWith) && !is_like("abc", "b", Function::EndsWith)
        );
    }

    #[test]
    fn negative_operators_match_null() {
        let row = Row { record_id: 1, company: String::new(), cells: vec![Cell::Null] };
        let compare = |operator| Filter::Compare(0, operator, Cell::Int(1));
        assert!(compare(Operator::Ne).matches(&row) && !compare(Operator::Eq).matches(&row));
        assert!(Filter::Not(Box::new(compare(Operator::Eq))).matches(&row));
        assert!(!Filter::Not(Box::new(compare(Operator::Lt))).matches(&row));
        assert!(Filter::Compare(0, Operator::Eq, Cell::Null).matches(&row));
    }
}
