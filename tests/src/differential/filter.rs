//! Conditions on rows of a made-up schema, and what they say about a row: decided here, by the
//! platform's rules and without any of the product's code.

use std::cmp::Ordering;

use super::rules::Rules;
use super::schema::Schema;
use crate::oracle::{Part, like, parts};
use crate::tables::Cell;

/// One row of each table that is in sight, outermost first; none where an outer join found none.
pub type Scope = Vec<(usize, Option<usize>)>;

/// A column of a row in sight.
#[derive(Clone, Debug)]
pub struct Path {
    /// Position in the scope.
    pub base: usize,
    /// Foreign keys to follow from there, each of the table before.
    pub through: Vec<usize>,
    /// Position of the column.
    pub column: usize,
}

/// How a column is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are named as the platform names them")]
pub enum Op {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    Null,
    NotNull,
    In,
    NotIn,
    Contains,
    NotContains,
    Begins,
    NotBegins,
    Ends,
    NotEnds,
    Like,
    NotLike,
    Between,
    NotBetween,
    On,
    OnOrAfter,
    OnOrBefore,
    InFiscalYear,
    ThisYear,
    LastYear,
    NextYear,
}

/// Whether some or all related rows have to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// Some row.
    Any,
    /// Every row.
    All,
}

/// FetchXML's links that stand in filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semi {
    /// There is one that matches.
    Any,
    /// There is none.
    NotAny,
    /// There are some, and none matches.
    All,
    /// As `Any`, as documented.
    NotAll,
}

/// A table that is joined to a row.
#[derive(Clone, Copy, Debug)]
pub struct Join {
    /// Position of the joined table.
    pub table: usize,
    /// What must be equal.
    pub on: On,
}

/// What must be equal in a joined row and the row that it is joined to.
#[derive(Clone, Copy, Debug)]
pub enum On {
    /// A column of the joined row, and one of the other.
    Columns(usize, usize),
    /// The joined row's id, and the lookup of this foreign key of the other.
    Id(usize),
    /// The lookup of this foreign key of the joined row, and the other's id.
    Lookup(usize),
}

/// A condition.
#[derive(Clone, Debug)]
pub enum Filter {
    /// A column with values.
    Compare(Path, Op, Vec<Cell>),
    /// A column with a column.
    Columns(Path, Op, Path),
    /// The id of the row at a base, behind foreign keys, is that of a row, or there is none: `Eq`,
    /// `Ne`, `Null` or `NotNull`. The last foreign key is asked for its lookup.
    Row {
        /// Position in the scope.
        base: usize,
        /// Foreign keys to follow; none: the row's own id.
        through: Vec<usize>,
        /// How it is compared.
        op: Op,
        /// With which row of the table that is reached.
        row: usize,
    },
    /// All of these.
    And(Vec<Filter>),
    /// Any of these.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// Rows of a table whose foreign key leads to the row at `base`.
    Related {
        /// Position in the scope.
        base: usize,
        /// Table of the related rows.
        table: usize,
        /// Their foreign key.
        foreign_key: usize,
        /// How many must match.
        quantifier: Quantifier,
        /// What they must match, with one more row in the scope.
        filter: Option<Box<Filter>>,
    },
    /// Rows of a table that are joined to the root.
    Semi(Semi, Join, Option<Box<Filter>>),
}

impl Op {
    /// The operator that says the opposite.
    #[must_use]
    pub fn opposite(self) -> Option<Self> {
        Some(match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Gt => Self::Le,
            Self::Ge => Self::Lt,
            Self::Lt => Self::Ge,
            Self::Le => Self::Gt,
            Self::Null => Self::NotNull,
            Self::NotNull => Self::Null,
            Self::In => Self::NotIn,
            Self::NotIn => Self::In,
            Self::Contains => Self::NotContains,
            Self::NotContains => Self::Contains,
            Self::Begins => Self::NotBegins,
            Self::NotBegins => Self::Begins,
            Self::Ends => Self::NotEnds,
            Self::NotEnds => Self::Ends,
            Self::Like => Self::NotLike,
            Self::NotLike => Self::Like,
            Self::Between => Self::NotBetween,
            Self::NotBetween => Self::Between,
            Self::On
            | Self::OnOrAfter
            | Self::OnOrBefore
            | Self::InFiscalYear
            | Self::ThisYear
            | Self::LastYear
            | Self::NextYear => return None,
        })
    }

    /// Whether a row without a value matches.
    fn matches_null(self) -> bool {
        matches!(
            self,
            Self::Ne
                | Self::Null
                | Self::NotIn
                | Self::NotContains
                | Self::NotBegins
                | Self::NotEnds
                | Self::NotLike
                | Self::NotBetween
        )
    }

    /// What it says about a value.
    #[must_use]
    pub fn holds(self, cell: &Cell, values: &[Cell], rules: Rules) -> bool {
        if *cell == Cell::Null {
            return self.matches_null();
        }
        let order = |at: usize| values.get(at).map(|it| rules.order(cell, it));
        let day = |text: &str| text.get(..10).unwrap_or_default().to_owned();
        let year = |offset: i64| matches!(cell, Cell::Time(text) if text.starts_with(&format!("{:04}-", i64::from(rules.year) + offset)));
        match self {
            Self::Eq => order(0) == Some(Ordering::Equal),
            Self::Gt => order(0) == Some(Ordering::Greater),
            Self::Ge => order(0).is_some_and(Ordering::is_ge),
            Self::Lt => order(0) == Some(Ordering::Less),
            Self::Le => order(0).is_some_and(Ordering::is_le),
            Self::Null => false,
            Self::In => (0..values.len()).any(|it| order(it) == Some(Ordering::Equal)),
            Self::Between => {
                order(0).is_some_and(Ordering::is_ge) && order(1).is_some_and(Ordering::is_le)
            }
            Self::Contains | Self::Begins | Self::Ends | Self::Like => match (cell, values) {
                (Cell::Text(text), [Cell::Text(pattern)]) => is_like(text, pattern, self, rules),
                _ => false,
            },
            Self::On | Self::OnOrAfter | Self::OnOrBefore => match (cell, values) {
                (Cell::Time(text), [Cell::Time(given)]) => {
                    let order = day(text).cmp(&day(given));
                    match self {
                        Self::On => order.is_eq(),
                        Self::OnOrAfter => order.is_ge(),
                        _ => order.is_le(),
                    }
                }
                _ => false,
            },
            // The fiscal year is the calendar year, unless the organization says otherwise.
            Self::InFiscalYear => match (cell, values) {
                (Cell::Time(text), [Cell::Int(year)]) => text.starts_with(&format!("{year:04}-")),
                _ => false,
            },
            Self::ThisYear => year(0),
            Self::LastYear => year(-1),
            Self::NextYear => year(1),
            Self::Ne
            | Self::NotNull
            | Self::NotIn
            | Self::NotContains
            | Self::NotBegins
            | Self::NotEnds
            | Self::NotLike
            | Self::NotBetween => self.opposite().is_some_and(|it| !it.holds(cell, values, rules)),
        }
    }
}

impl Filter {
    /// Whether the rows in sight match; `not` asks for the opposite.
    #[must_use]
    pub fn decide(&self, schema: &Schema, scope: &Scope, not: bool) -> bool {
        match self {
            Self::Compare(path, op, values) => {
                let cell = schema.cell(scope, path);
                match (not, op.opposite()) {
                    (true, Some(opposite)) => opposite.holds(&cell, values, schema.rules),
                    _ => op.holds(&cell, values, schema.rules) != not,
                }
            }
            Self::Columns(left, op, right) => {
                let op = if not { op.opposite().unwrap_or(*op) } else { *op };
                match (schema.cell(scope, left), schema.cell(scope, right)) {
                    (Cell::Null, _) | (_, Cell::Null) => op == Op::Ne,
                    (left, right) => op.holds(&left, &[right], schema.rules),
                }
            }
            Self::Row { base, through, op, row } => {
                let found = schema.follow(scope, *base, through).1;
                let op = if not { op.opposite().unwrap_or(*op) } else { *op };
                match op {
                    Op::Null => found.is_none(),
                    Op::NotNull => found.is_some(),
                    Op::Ne => found != Some(*row),
                    _ => found == Some(*row),
                }
            }
            Self::And(parts) if not => parts.iter().any(|it| it.decide(schema, scope, not)),
            Self::And(parts) => parts.iter().all(|it| it.decide(schema, scope, not)),
            Self::Or(parts) if not => parts.iter().all(|it| it.decide(schema, scope, not)),
            Self::Or(parts) => parts.iter().any(|it| it.decide(schema, scope, not)),
            Self::Not(part) => part.decide(schema, scope, !not),
            Self::Related { base, table, foreign_key, quantifier, filter } => {
                let Some(row) = scope[*base].1 else { return not };
                let mut rows = schema.referring(*table, *foreign_key, row);
                let decide = |it: usize, not: bool| {
                    let mut inner = scope.clone();
                    inner.push((*table, Some(it)));
                    filter.as_ref().map_or(!not, |it| it.decide(schema, &inner, not))
                };
                let holds = match quantifier {
                    Quantifier::Any => rows.any(|it| decide(it, false)),
                    // All match when none matches the opposite, as `not` makes it.
                    Quantifier::All => !rows.any(|it| decide(it, true)),
                };
                holds != not
            }
            Self::Semi(kind, join, filter) => {
                let (table, Some(row)) = scope[0] else { return not };
                let rows = schema.joined(*join, table, row);
                let found = rows.iter().any(|it| {
                    let inner = vec![(join.table, Some(*it))];
                    filter.as_ref().is_none_or(|it| it.decide(schema, &inner, false))
                });
                let holds = match kind {
                    Semi::Any | Semi::NotAll => found,
                    Semi::NotAny => !found,
                    Semi::All => !rows.is_empty() && !found,
                };
                holds != not
            }
        }
    }

    /// How many link-entities stand in it.
    #[must_use]
    pub fn count_links(&self) -> usize {
        match self {
            Self::Compare(..) | Self::Columns(..) | Self::Row { .. } => 0,
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::count_links).sum(),
            Self::Not(part) => part.count_links(),
            Self::Related { filter, .. } | Self::Semi(_, _, filter) => {
                1 + filter.as_ref().map_or(0, |it| it.count_links())
            }
        }
    }

    /// The same with less in it, each in another way.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        match self {
            Self::Compare(..) | Self::Columns(..) | Self::Row { .. } => Vec::new(),
            Self::Not(part) => std::iter::once((**part).clone())
                .chain(part.smaller().into_iter().map(|it| Self::Not(Box::new(it))))
                .collect(),
            Self::And(parts) => shorter(parts, Self::And),
            Self::Or(parts) => shorter(parts, Self::Or),
            Self::Related { filter: None, .. } | Self::Semi(_, _, None) => Vec::new(),
            Self::Related { filter: Some(inner), .. } => {
                let with = |filter: Option<Self>| {
                    let mut smaller = self.clone();
                    if let Self::Related { filter: place, .. } = &mut smaller {
                        *place = filter.map(Box::new);
                    }
                    smaller
                };
                inner.smaller().into_iter().map(Some).map(with).collect()
            }
            Self::Semi(kind, join, Some(inner)) => {
                let with = |it: Option<Self>| Self::Semi(*kind, *join, it.map(Box::new));
                std::iter::once(None)
                    .chain(inner.smaller().into_iter().map(Some))
                    .map(with)
                    .collect()
            }
        }
    }
}

fn shorter(parts: &[Filter], join: impl Fn(Vec<Filter>) -> Filter) -> Vec<Filter> {
    let mut all = parts.to_vec();
    for (at, part) in parts.iter().enumerate() {
        for smaller in part.smaller() {
            let mut changed = parts.to_vec();
            changed[at] = smaller;
            all.push(join(changed));
        }
    }
    all
}

fn is_like(text: &str, pattern: &str, op: Op, rules: Rules) -> bool {
    let mut parts = parts(&rules.fold(pattern));
    if matches!(op, Op::Contains | Op::Ends) {
        parts.insert(0, Part::Any);
    }
    if matches!(op, Op::Contains | Op::Begins) {
        parts.push(Part::Any);
    }
    like(&rules.fold(text).chars().collect::<Vec<_>>(), &parts)
}
