//! Columns as the expressions of a statement use them, wherever they come from: a table, a link, rows
//! by value, or the statement's own groups.

use chrono::NaiveDate;

use crate::binding::{Casing, Kind};
use crate::grant::Grant;

/// A value of each row.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// As errors call it.
    pub(crate) name: String,
    /// The value, where the expression stands.
    pub(crate) sql: String,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
    pub(crate) casing: Casing,
    /// Dates equal to this one mean "no date".
    pub(crate) null_date: Option<NaiveDate>,
    /// The scope of rows by value that it comes from.
    pub(crate) rows: Option<usize>,
}

/// What a query calls a column.
#[derive(Debug)]
pub(super) enum Named {
    Field(Column),
    RecordId(RowGuid),
    Lookup(Lookup),
    Primary(Vec<Column>),
    Version(Vec<Column>),
    Company(Column),
}

/// A row's GUID, as what it is made of.
#[derive(Clone, Debug)]
pub(super) struct RowGuid {
    pub(super) entity_id: u32,
    pub(super) form: GuidForm,
    /// The value that the GUID is made of.
    pub(super) column: Column,
    /// Whose row it is: a scope of the statement.
    pub(super) owner: Option<usize>,
}

/// What a GUID is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GuidForm {
    /// An integer, beside the entity's number.
    Integer,
    /// A uuid, which is the GUID.
    Uuid,
    /// The first digits of a hash, beside the entity's number.
    Hash,
}

/// The row that a relation leads to.
#[derive(Debug)]
pub(super) struct Lookup {
    /// The scope whose row it starts from.
    pub(super) owner: usize,
    pub(super) name: String,
    /// Field here, field there.
    pub(super) pairs: Vec<(String, String)>,
    /// `None` where the caller may not read the entity it leads to: then there is no such row.
    pub(super) target: Option<Grant>,
}

impl Column {
    /// A text that is compared to the letter, such as a hash.
    pub(super) fn raw(sql: String, kind: Kind, nullable: bool) -> Self {
        let (name, casing) = (String::new(), Casing::Exact);
        Self { name, sql, kind, nullable, casing, null_date: None, rows: None }
    }

    /// Values of both are compared with each other as they are stored.
    pub(super) fn is_compared_as(&self, other: &Self) -> bool {
        let is_exact = |it: &Self| !matches!((&it.kind, it.casing), (Kind::Text, Casing::Any));
        std::mem::discriminant(&self.kind) == std::mem::discriminant(&other.kind)
            && is_exact(self)
            && is_exact(other)
    }

    /// The same column, written otherwise.
    pub(super) fn at(&self, sql: String) -> Self {
        Self { sql, ..self.clone() }
    }

    /// The date that means "no date" in this column, as SQL.
    pub(super) fn no_date(&self) -> Option<String> {
        let date = self.null_date?;
        match self.kind {
            Kind::Date => Some(format!("DATE '{date}'")),
            Kind::DateTime { zoned: false } => Some(format!("TIMESTAMP '{date}'")),
            Kind::DateTime { zoned: true } => Some(format!("TIMESTAMPTZ '{date} 00:00:00Z'")),
            _ => None,
        }
    }

    /// The column, with null for the date that means it.
    pub(super) fn or_null(&self) -> Self {
        match self.no_date() {
            Some(none) => Self {
                sql: format!("NULLIF({}, {none})", self.sql),
                nullable: true,
                null_date: None,
                ..self.clone()
            },
            None => self.clone(),
        }
    }

    /// Letter case does not tell its values apart, and they come in any.
    pub(super) fn is_caseless(&self) -> bool {
        matches!(self.kind, Kind::Text) && self.casing == Casing::Any
    }

    /// Equal for what counts as the same value.
    pub(super) fn folded(&self) -> String {
        if self.is_caseless() { format!("lower({})", self.sql) } else { self.or_null().sql }
    }
}

impl RowGuid {
    /// That of no row.
    pub(super) fn none() -> Self {
        let column = Column::raw("NULL::uuid".to_owned(), Kind::Guid, true);
        Self { entity_id: 0, form: GuidForm::Uuid, column, owner: None }
    }
}

impl GuidForm {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Integer => Kind::Integer,
            Self::Uuid => Kind::Guid,
            Self::Hash => Kind::Text,
        }
    }
}

impl Named {
    /// The columns that its value is made of; of a lookup, see `Planner::lookup_guid`.
    pub(super) fn columns(&self) -> Vec<Column> {
        match self {
            Self::Field(it) | Self::Company(it) => vec![it.clone()],
            Self::RecordId(it) => vec![it.column.clone()],
            Self::Primary(it) | Self::Version(it) => it.clone(),
            Self::Lookup(_) => Vec::new(),
        }
    }

    /// The same, made of other columns.
    pub(super) fn map(self, mut other: impl FnMut(&Column) -> Column) -> Self {
        match self {
            Self::Field(it) => Self::Field(other(&it)),
            Self::RecordId(it) => {
                let column = other(&it.column);
                Self::RecordId(RowGuid { column, ..it })
            }
            Self::Company(it) => Self::Company(other(&it)),
            Self::Primary(it) => Self::Primary(it.iter().map(other).collect()),
            Self::Version(it) => Self::Version(it.iter().map(other).collect()),
            Self::Lookup(it) => Self::Lookup(it),
        }
    }
}
