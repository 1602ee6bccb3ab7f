//! Values of a request as parameters: what fits its field is bound, what does not is refused.

use chrono::{DateTime, Datelike as _, NaiveDate};
use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;
use uuid::Uuid;

use super::argument::Argument;
use super::column::Column;
use crate::binding::{Kind, Stored};
use crate::error::Error;

/// A value that fits a column, as SQL sees it.
pub(super) enum Bound {
    Value(Argument),
    /// No row can hold it, as a member that the enum does not have.
    Impossible,
}

/// Turns a value into what its column is compared with, refusing one that does not fit.
pub(super) fn bind(column: &Column, value: &pb::Value) -> Result<Bound, Error> {
    let kind = value.kind.as_ref().ok_or(Error::Missing("value"))?;
    let argument = match (&column.kind, kind) {
        // PostgreSQL's text cannot hold NUL.
        (Kind::Text, Value::StringValue(it)) if it.contains('\0') => return Ok(Bound::Impossible),
        (Kind::Text, Value::StringValue(it)) => Argument::Text(it.clone()),
        (Kind::Integer, Value::Int64Value(it)) => Argument::Int(*it),
        (Kind::Integer, Value::DecimalValue(it)) if is_decimal(it) => match it.parse() {
            Ok(it) => Argument::Int(it),
            Err(_) => Argument::Text(it.clone()),
        },
        (Kind::Decimal, Value::Int64Value(it)) => Argument::Text(it.to_string()),
        (Kind::Decimal, Value::DecimalValue(it)) if is_decimal(it) => Argument::Text(it.clone()),
        (Kind::Decimal, Value::DoubleValue(it)) if it.is_finite() => Argument::Text(it.to_string()),
        (Kind::Boolean, Value::BoolValue(it)) => Argument::Bool(*it),
        (Kind::Guid, Value::GuidValue(it)) => match Uuid::from_slice(it) {
            Ok(it) => Argument::Guid(it),
            Err(_) => return Err(invalid(column, "a GUID of 16 bytes")),
        },
        (Kind::Date, Value::DateValue(it)) => Argument::Text(date(column, it)?.to_string()),
        (Kind::DateTime { .. }, Value::TimestampMicrosValue(it)) => {
            Argument::Text(moment(column, *it)?)
        }
        (Kind::Enum(members), Value::StringValue(it)) => match members.by_symbol(it) {
            Some(member) => match &member.stored {
                Stored::Int(it) => Argument::Int(*it),
                Stored::Text(it) => Argument::Text(it.clone()),
                Stored::Bool(it) => Argument::Bool(*it),
            },
            None => return Ok(Bound::Impossible),
        },
        (kind, _) => return Err(invalid(column, expected(kind))),
    };
    Ok(Bound::Value(argument))
}

fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Integer => "a whole number",
        Kind::Decimal => "a number",
        Kind::Enum(_) => "a symbol of the enum",
        Kind::Boolean => "a boolean",
        Kind::Date => "a date",
        Kind::DateTime { .. } => "a moment",
        Kind::Guid => "a GUID",
    }
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    text.len() <= 1_000 && all_digits(whole) && all_digits(fraction)
}

/// Dates that both calendars can write: years of four digits.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9_999;

fn date(column: &Column, text: &str) -> Result<NaiveDate, Error> {
    let date: Option<NaiveDate> = text.parse().ok();
    date.filter(|it| YEARS.contains(&it.year())).ok_or_else(|| invalid(column, "a date"))
}

/// Without an offset: sessions run in UTC.
fn moment(column: &Column, micros: i64) -> Result<String, Error> {
    moment_text(micros).ok_or_else(|| invalid(column, "a moment of the years 1 to 9999"))
}

/// As PostgreSQL reads it; `None` beyond the years that are read.
pub(super) fn moment_text(micros: i64) -> Option<String> {
    let moment = DateTime::from_timestamp_micros(micros);
    let moment = moment.filter(|it| YEARS.contains(&it.year()))?;
    Some(moment.naive_utc().format("%Y-%m-%d %H:%M:%S%.6f").to_string())
}

/// One array of the values; `None` when there are none. Whole numbers beside fractions become text,
/// as fractions are.
pub(super) fn collect(arguments: Vec<Argument>) -> Option<Argument> {
    let mut list = match arguments.first()? {
        Argument::Bool(_) => Argument::Bools(Vec::new()),
        Argument::Guid(_) => Argument::Guids(Vec::new()),
        _ if arguments.iter().all(|it| matches!(it, Argument::Int(_))) => {
            Argument::Ints(Vec::new())
        }
        _ => Argument::Texts(Vec::new()),
    };
    for argument in arguments {
        match (&mut list, argument) {
            (Argument::Ints(list), Argument::Int(it)) => list.push(it),
            (Argument::Texts(list), Argument::Int(it)) => list.push(it.to_string()),
            (Argument::Texts(list), Argument::Text(it)) => list.push(it),
            (Argument::Bools(list), Argument::Bool(it)) => list.push(it),
            (Argument::Guids(list), Argument::Guid(it)) => list.push(it),
            // Values of one field bind alike otherwise.
            _ => return None,
        }
    }
    Some(list)
}

pub(super) fn invalid(column: &Column, expected: &'static str) -> Error {
    Error::InvalidValue { column: column.name.clone(), expected }
}
