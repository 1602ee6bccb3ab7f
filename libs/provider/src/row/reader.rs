//! What an output column is read from, and how. Whoever writes rows matches on [`Reader`] once per
//! value; everything that can be decided before the first row is decided when it is made.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{decode, format};
use crate::binding::{EnumStorage, Kind};
use crate::ids;

/// Most characters of a primary field (spec VE-047).
const PRIMARY_FIELD_LENGTH: usize = 255;
const PRIMARY_FIELD_SEPARATOR: &str = " | ";

/// How one output is read from a row.
#[derive(Clone, Debug)]
pub(crate) enum Reader {
    Text {
        column: usize,
    },
    Int {
        column: usize,
    },
    /// A part of a date: a number, but no quantity.
    Part {
        column: usize,
    },
    Decimal {
        column: usize,
    },
    /// A decimal without a fraction.
    Whole {
        column: usize,
    },
    Bool {
        column: usize,
    },
    Date {
        column: usize,
        none: Option<NaiveDate>,
    },
    Moment {
        column: usize,
        none: Option<NaiveDateTime>,
    },
    Guid {
        column: usize,
    },
    Option {
        column: usize,
        options: Arc<Options>,
    },
    RecordGuid {
        column: usize,
        entity_id: u32,
    },
    HashedGuid {
        column: usize,
        entity_id: u32,
    },
    CompanyGuid {
        column: usize,
    },
    Version {
        columns: Vec<usize>,
    },
    Joined {
        parts: Vec<Reader>,
    },
}

/// The options of an enum, by what the database holds.
#[derive(Debug)]
pub(crate) struct Options {
    storage: EnumStorage,
    ints: Vec<(i64, Choice)>,
    texts: Vec<(String, Choice)>,
}

/// One option.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) symbol: String,
    pub(crate) value: i32,
    pub(crate) label: String,
}

/// How a value reads for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Grouped,
    Decimal,
    YesNo,
    Date,
    Moment,
    Choice,
    Company,
    Same,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'r> {
    Null,
    Int(i64),
    Bool(bool),
    Date(NaiveDate),
    Moment(NaiveDateTime),
    Guid(Uuid),
    /// Exact digits, in the scratch buffer.
    Decimal(&'r str),
    /// In the scratch buffer.
    Text(&'r str),
    Choice(&'r Choice),
}

impl Reader {
    pub(crate) fn of(column: usize, kind: &Kind, null_date: Option<NaiveDate>) -> Self {
        match kind {
            Kind::Text => Self::Text { column },
            Kind::Integer => Self::Int { column },
            Kind::Decimal => Self::Decimal { column },
            Kind::Boolean => Self::Bool { column },
            Kind::Date => Self::Date { column, none: null_date },
            Kind::DateTime { .. } => {
                Self::Moment { column, none: null_date.and_then(|it| it.and_hms_opt(0, 0, 0)) }
            }
            Kind::Guid => Self::Guid { column },
            Kind::Enum(members) => {
                Self::Option { column, options: Arc::new(Options::new(members)) }
            }
        }
    }

    /// How values read for people; `None` where they need no other form.
    pub(crate) fn label(&self) -> Option<Label> {
        match self {
            Self::Int { .. } | Self::Whole { .. } => Some(Label::Grouped),
            Self::Decimal { .. } => Some(Label::Decimal),
            Self::Bool { .. } => Some(Label::YesNo),
            Self::Date { .. } => Some(Label::Date),
            Self::Moment { .. } => Some(Label::Moment),
            Self::Option { .. } => Some(Label::Choice),
            Self::CompanyGuid { .. } => Some(Label::Company),
            Self::Text { .. } | Self::Part { .. } | Self::Joined { .. } => Some(Label::Same),
            Self::Guid { .. }
            | Self::RecordGuid { .. }
            | Self::HashedGuid { .. }
            | Self::Version { .. } => None,
        }
    }

    /// Reads the value; text and digits are put into `scratch`.
    pub(crate) fn read<'r>(
        &'r self,
        row: &PgRow,
        scratch: &'r mut String,
    ) -> Result<Cell<'r>, sqlx::Error> {
        scratch.clear();
        let cell = match self {
            Self::Text { column } => {
                let text = decode::column(row, *column, |it| {
                    scratch.push_str(decode::text(it)?);
                    Ok(())
                })?;
                text.map(|()| Cell::Text(scratch))
            }
            Self::Decimal { column } | Self::Whole { column } => {
                let number = decode::column(row, *column, |it| decode::numeric(it, scratch))?;
                number.filter(|it| *it).map(|_| Cell::Decimal(scratch))
            }
            Self::Int { column } | Self::Part { column } => {
                decode::column(row, *column, decode::int)?.map(Cell::Int)
            }
            Self::Bool { column } => decode::column(row, *column, decode::boolean)?.map(Cell::Bool),
            Self::Date { column, none } => decode::column(row, *column, decode::date)?
                .flatten()
                .filter(|it| Some(*it) != *none)
                .map(Cell::Date),
            Self::Moment { column, none } => decode::column(row, *column, decode::moment)?
                .flatten()
                .filter(|it| Some(*it) != *none)
                .map(Cell::Moment),
            Self::Guid { column } => decode::column(row, *column, decode::guid)?.map(Cell::Guid),
            Self::Option { column, options } => {
                decode::column(row, *column, |it| options.choice(it))?.flatten().map(Cell::Choice)
            }
            Self::RecordGuid { column, entity_id } => decode::column(row, *column, decode::int)?
                .map(|it| Cell::Guid(ids::record_guid(*entity_id, it))),
            Self::HashedGuid { column, entity_id } => decode::column(row, *column, |it| {
                Ok(ids::hashed_guid(*entity_id, decode::text(it)?))
            })?
            .flatten()
            .map(Cell::Guid),
            Self::CompanyGuid { column } => {
                let code = |it: &[u8]| Ok(ids::company_id(decode::text(it)?));
                decode::column(row, *column, code)?.map(Cell::Guid)
            }
            Self::Version { columns } => {
                version(row, columns, scratch)?;
                Some(Cell::Text(scratch))
            }
            // Only of a row that is not there is every part null.
            Self::Joined { parts } => joined(row, parts, scratch)?.then_some(Cell::Text(scratch)),
        };
        Ok(cell.unwrap_or(Cell::Null))
    }

    /// The code behind a company's GUID.
    pub(crate) fn company_code(
        &self,
        row: &PgRow,
        scratch: &mut String,
    ) -> Result<bool, sqlx::Error> {
        let Self::CompanyGuid { column } = self else { return Ok(false) };
        scratch.clear();
        let read = decode::column(row, *column, |it| {
            scratch.push_str(decode::text(it)?);
            Ok(())
        })?;
        Ok(read.is_some())
    }
}

impl Options {
    fn new(members: &crate::binding::EnumBinding) -> Self {
        use crate::binding::Stored;
        let mut options = Self { storage: members.storage, ints: Vec::new(), texts: Vec::new() };
        for member in &members.members {
            let choice = Choice {
                symbol: member.symbol.clone(),
                value: member.option_value,
                label: member.label.clone(),
            };
            match &member.stored {
                Stored::Int(it) => options.ints.push((*it, choice)),
                Stored::Bool(it) => options.ints.push((i64::from(*it), choice)),
                Stored::Text(it) => options.texts.push((it.clone(), choice)),
            }
        }
        options
    }

    /// The option that the database's bytes stand for; `None` for a value that is no member.
    fn choice(&self, bytes: &[u8]) -> Result<Option<&Choice>, sqlx::error::BoxDynError> {
        let stored = match self.storage {
            EnumStorage::Text => {
                let text = decode::text(bytes)?;
                return Ok(self.texts.iter().find(|it| it.0 == text).map(|it| &it.1));
            }
            EnumStorage::Int => decode::int(bytes)?,
            EnumStorage::Bool => i64::from(decode::boolean(bytes)?),
        };
        Ok(self.ints.iter().find(|it| it.0 == stored).map(|it| &it.1))
    }
}

/// An entity tag of the versions of every table that the row comes from.
fn version(row: &PgRow, columns: &[usize], out: &mut String) -> Result<(), sqlx::Error> {
    out.push_str("W/\"");
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            out.push('.');
        }
        decode::column(row, *column, |it| {
            out.push_str(decode::text(it)?);
            Ok(())
        })?;
    }
    out.push('"');
    Ok(())
}

/// Whether any part has a value.
fn joined(row: &PgRow, parts: &[Reader], out: &mut String) -> Result<bool, sqlx::Error> {
    let mut scratch = String::new();
    let mut found = false;
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.push_str(PRIMARY_FIELD_SEPARATOR);
        }
        let cell = part.read(row, &mut scratch)?;
        found |= cell != Cell::Null;
        match cell {
            Cell::Null => {}
            Cell::Choice(choice) => out.push_str(&choice.label),
            Cell::Text(it) | Cell::Decimal(it) => out.push_str(it),
            Cell::Int(it) => out.push_str(&it.to_string()),
            Cell::Bool(it) => out.push_str(if it { "Yes" } else { "No" }),
            Cell::Date(it) => out.push_str(&format::date(it)),
            Cell::Moment(it) => out.push_str(&format::moment(it)),
            Cell::Guid(it) => out.push_str(&it.to_string()),
        }
    }
    if let Some((end, _)) = out.char_indices().nth(PRIMARY_FIELD_LENGTH) {
        out.truncate(end);
    }
    Ok(found)
}
