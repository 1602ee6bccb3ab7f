//! Which rows take part in a map: two languages, one tree (spec DW-23).
//!
//! [`parse`] reads either language without knowing any table; [`Filter::bind`] says what it means for
//! a table, as the condition that the table's side evaluates; [`Filter::odata`] writes it for people.

mod bind;
mod lex;
mod parse;
mod print;

pub(crate) use parse::parse;

/// The longest filter, in bytes.
pub(crate) const MAX_LENGTH: usize = 8 << 10;
/// How deep parentheses and negations may be nested.
pub(crate) const MAX_DEPTH: usize = 32;

/// In which language a filter is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Language {
    /// `((PartyType == "Organization"))`, of the ERP.
    Range,
    /// `customertypecode eq 3`, of the platform.
    OData,
}

/// A filter as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Compare(Comparison),
}

/// A column and a value.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) column: String,
    pub(crate) operator: Operator,
    pub(crate) value: Literal,
    /// Byte at which the column is named.
    pub(crate) position: usize,
}

/// Where something stands does not matter for what it says.
impl PartialEq for Comparison {
    fn eq(&self, other: &Self) -> bool {
        (&self.column, self.operator, &self.value) == (&other.column, other.operator, &other.value)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    /// With `*` and `?`.
    Like,
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    /// Decimal digits.
    Number(String),
    Boolean(bool),
    Null,
    /// `2021-06-23`.
    Date(String),
    /// `2021-06-23T10:00:00Z`.
    Moment(String),
    Guid(String),
    /// A bare word, or `Enum::Value`.
    Symbol(Option<String>, String),
}

/// Why a filter is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason} at position {position}")]
pub(crate) struct FilterError {
    pub(crate) reason: String,
    /// Byte of the filter, from 0.
    pub(crate) position: usize,
}

impl FilterError {
    fn new(position: usize, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), position }
    }
}

impl Filter {
    /// Columns it names, in order, each once.
    pub(crate) fn columns(&self) -> Vec<&str> {
        let mut columns = Vec::new();
        self.collect(&mut columns);
        columns
    }

    fn collect<'f>(&'f self, columns: &mut Vec<&'f str>) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|it| it.collect(columns)),
            Self::Not(part) => part.collect(columns),
            Self::Compare(it) if columns.contains(&it.column.as_str()) => {}
            Self::Compare(it) => columns.push(&it.column),
        }
    }
}

#[cfg(test)]
mod tests;
