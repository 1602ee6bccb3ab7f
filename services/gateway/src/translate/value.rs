//! Literals as values of a column's type.

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use odata::Literal;
use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use uuid::Uuid;

use crate::metadata::{Column, ColumnKind};

/// A literal beside a column.
#[derive(Debug, PartialEq)]
pub(crate) enum Fit {
    /// A value that rows may hold.
    Value(pb::Value),
    /// A moment within the day or the microsecond that begins with this value, the finest that rows
    /// hold: none equals it.
    Within(pb::Value),
    /// No row can hold it.
    Never,
}

/// The literal cannot be compared with the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch;

pub(crate) fn value(kind: Kind) -> pb::Value {
    pb::Value { kind: Some(kind) }
}

pub(crate) fn guid(id: Uuid) -> pb::Value {
    value(Kind::GuidValue(Bytes::copy_from_slice(id.as_bytes())))
}

/// The literal as the column's provider compares it. Null is not a value.
pub(crate) fn fit(column: &Column, literal: &Literal) -> Result<Fit, Mismatch> {
    match (&column.kind, literal) {
        (ColumnKind::Text, Literal::String(text)) => Ok(one(Kind::StringValue(text.clone()))),
        (
            ColumnKind::Integer | ColumnKind::BigInt,
            Literal::Integer(digits) | Literal::Decimal(digits),
        ) => whole(digits).map(|it| one(Kind::Int64Value(it))).ok_or(Mismatch),
        (ColumnKind::Decimal, Literal::Integer(digits) | Literal::Decimal(digits)) => {
            Ok(decimal(digits))
        }
        (ColumnKind::Decimal | ColumnKind::Double, Literal::Double(text)) => double(text),
        (ColumnKind::Double, Literal::Integer(text) | Literal::Decimal(text)) => double(text),
        (ColumnKind::Boolean, Literal::Bool(flag)) => Ok(one(Kind::BoolValue(*flag))),
        (ColumnKind::Date, Literal::Date(date)) => Ok(Fit::Value(day(*date))),
        (ColumnKind::Date, Literal::DateTime(moment)) => {
            let moment = moment.naive_utc();
            let date = day(moment.date());
            Ok(if moment.time() == NaiveTime::MIN { Fit::Value(date) } else { Fit::Within(date) })
        }
        (ColumnKind::DateTime, Literal::DateTime(moment)) => Ok(micros(moment.to_utc())),
        (ColumnKind::DateTime, Literal::Date(date)) => {
            Ok(micros(date.and_time(NaiveTime::MIN).and_utc()))
        }
        (ColumnKind::Guid | ColumnKind::Lookup { .. }, Literal::Guid(id)) => {
            Ok(Fit::Value(guid(*id)))
        }
        (ColumnKind::Guid | ColumnKind::Lookup { .. }, Literal::String(text)) => {
            match odata::parse_literal(text) {
                Ok(Literal::Guid(id)) => Ok(Fit::Value(guid(id))),
                _ => Err(Mismatch),
            }
        }
        (ColumnKind::Option(options), Literal::Integer(digits)) => {
            let symbol = digits.parse().ok().and_then(|it: i32| options.0.get(&it));
            Ok(symbol.map_or(Fit::Never, |it| one(Kind::StringValue(it.clone()))))
        }
        _ => Err(Mismatch),
    }
}

/// Text of a list, where clients quote everything, as a literal of the column's type.
pub(crate) fn unquoted(column: &Column, literal: &Literal) -> Literal {
    match (&column.kind, literal) {
        (ColumnKind::Text, _) => literal.clone(),
        (_, Literal::String(text)) => {
            odata::parse_literal(text).unwrap_or_else(|_| literal.clone())
        }
        _ => literal.clone(),
    }
}

/// A value of a message as the literal that a URL would have.
pub(crate) fn literal_of(value: &pb::Value) -> Option<Literal> {
    Some(match value.kind.as_ref()? {
        Kind::NullValue(_) => Literal::Null,
        Kind::BoolValue(flag) => Literal::Bool(*flag),
        Kind::Int64Value(number) => Literal::Integer(number.to_string()),
        Kind::DecimalValue(digits) => match odata::parse_literal(digits).ok()? {
            number @ (Literal::Integer(_) | Literal::Decimal(_)) => number,
            _ => return None,
        },
        Kind::DoubleValue(number) => Literal::Double(format!("{number:e}")),
        Kind::StringValue(text) => Literal::String(text.clone()),
        Kind::GuidValue(bytes) => Literal::Guid(Uuid::from_slice(bytes).ok()?),
        Kind::DateValue(text) => Literal::Date(text.parse().ok()?),
        Kind::TimestampMicrosValue(micros) => {
            Literal::DateTime(DateTime::from_timestamp_micros(*micros)?.fixed_offset())
        }
    })
}

fn one(kind: Kind) -> Fit {
    Fit::Value(value(kind))
}

/// The number, if it is a whole one: `12`, `12.00`.
fn whole(digits: &str) -> Option<i64> {
    let (number, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    fraction.bytes().all(|it| it == b'0').then(|| number.parse().ok()).flatten()
}

/// Whole numbers travel as such, so that a provider's integers take them.
fn decimal(digits: &str) -> Fit {
    match digits.parse() {
        Ok(number) => one(Kind::Int64Value(number)),
        Err(_) => one(Kind::DecimalValue(digits.to_owned())),
    }
}

fn double(text: &str) -> Result<Fit, Mismatch> {
    let number = text.parse::<f64>().ok().filter(|it| it.is_finite());
    number.map(|it| one(Kind::DoubleValue(it))).ok_or(Mismatch)
}

fn day(date: NaiveDate) -> pb::Value {
    value(Kind::DateValue(date.to_string()))
}

fn micros(moment: DateTime<Utc>) -> Fit {
    let micros = value(Kind::TimestampMicrosValue(moment.timestamp_micros()));
    let whole = moment.timestamp_subsec_nanos().is_multiple_of(1_000);
    if whole { Fit::Value(micros) } else { Fit::Within(micros) }
}
