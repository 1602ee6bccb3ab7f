//! JSON values as values of a column.

use chrono::{DateTime, FixedOffset, NaiveTime};
use odata::{Literal, parse_literal};
use proto::query::v1 as pb;
use proto::query::v1::value::Kind;

use super::json::Json;
use crate::error::GatewayError;
use crate::metadata::{Column, ColumnKind, Table};
use crate::translate::{guid, value};

/// Digits of a number at most, once its exponent is written out: more than any column holds.
const MAX_DIGITS: usize = 100;

/// The value as the column's provider takes it.
pub(super) fn typed(
    table: &Table,
    column: &Column,
    json: &Json,
) -> Result<pb::Value, GatewayError> {
    if *json == Json::Null {
        return Ok(null());
    }
    let kind = match (&column.kind, json) {
        (ColumnKind::Text, Json::Text(text)) => {
            check_length(table, column, text)?;
            Some(Kind::StringValue(text.clone()))
        }
        (ColumnKind::Boolean, Json::Bool(flag)) => Some(Kind::BoolValue(*flag)),
        (ColumnKind::Integer, Json::Number(digits)) => {
            whole(digits).filter(|it| i32::try_from(*it).is_ok()).map(Kind::Int64Value)
        }
        // As strings they are what we send to those who read numbers as floating-point ones.
        (ColumnKind::BigInt, Json::Number(digits) | Json::Text(digits)) => {
            whole(digits).map(Kind::Int64Value)
        }
        (ColumnKind::Decimal, Json::Number(digits) | Json::Text(digits)) => decimal(digits),
        (ColumnKind::Double, Json::Number(digits)) => {
            digits.parse().ok().filter(|it: &f64| it.is_finite()).map(Kind::DoubleValue)
        }
        (ColumnKind::DateTime, Json::Text(text)) => {
            moment(text).map(|it| Kind::TimestampMicrosValue(it.timestamp_micros()))
        }
        (ColumnKind::Date, Json::Text(text)) => day(text).map(Kind::DateValue),
        (ColumnKind::Guid, Json::Text(text)) => {
            odata::Key::Single(Literal::String(text.clone())).guid().and_then(|it| guid(it).kind)
        }
        (ColumnKind::Option(options), Json::Number(digits)) => {
            let option = whole(digits).ok_or_else(|| mismatch(table, column, json))?;
            let symbol = i32::try_from(option).ok().and_then(|it| options.0.get(&it));
            let symbol = symbol.ok_or_else(|| no_option(table, column, option))?;
            Some(Kind::StringValue(symbol.clone()))
        }
        _ => None,
    };
    kind.map(value).ok_or_else(|| mismatch(table, column, json))
}

pub(super) fn null() -> pb::Value {
    value(Kind::NullValue(pb::NullMarker {}))
}

/// Whether both give the same text to the same field, whatever the letter case.
pub(super) fn alike(key: &pb::FieldValue, given: &pb::FieldValue) -> bool {
    let text = |it: &pb::FieldValue| match it.value.as_ref().and_then(|it| it.kind.as_ref()) {
        Some(Kind::StringValue(text)) => Some(text.to_lowercase()),
        _ => None,
    };
    key.field == given.field && text(given).is_some() && text(key) == text(given)
}

/// A value of another type than the column's.
fn mismatch(table: &Table, column: &Column, json: &Json) -> GatewayError {
    let given = match json {
        Json::Number(digits) => digits.chars().take(40).collect(),
        Json::Text(text) => format!("'{}'", text.chars().take(40).collect::<String>()),
        json => json.kind().to_owned(),
    };
    let detail = format!(
        "The property '{}' takes a value of type '{}', and not {given}.",
        column.property,
        column.edm_type()
    );
    GatewayError::Payload { set: table.set_name.clone(), detail }
}

fn no_option(table: &Table, column: &Column, option: i64) -> GatewayError {
    GatewayError::InvalidValue(format!(
        "The value {option} of '{}' on '{}' is outside the valid range of its options.",
        column.logical_name, table.logical_name
    ))
}

fn check_length(table: &Table, column: &Column, text: &str) -> Result<(), GatewayError> {
    let most = usize::try_from(column.max_length).unwrap_or_default();
    if most == 0 || text.chars().count() <= most {
        return Ok(());
    }
    let (column, table) = (column.logical_name.clone(), table.logical_name.clone());
    Err(GatewayError::TooLong { column, table, most })
}

/// A number without an exponent: its sign, and the digits before and behind its point.
struct Plain {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Plain {
    /// `None` for what is no number, or far too long.
    fn read(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
        let dangling = digits.ends_with('.');
        if whole.is_empty() || dangling || !are_digits(whole) || !are_digits(fraction) {
            return None;
        }
        let exponent: i16 = exponent.parse().ok()?;
        let shift = usize::from(exponent.unsigned_abs());
        if whole.len() + fraction.len() + shift > MAX_DIGITS {
            return None;
        }
        let (whole, fraction) = if exponent >= 0 {
            let padded = format!("{fraction:0<shift$}");
            let (moved, fraction) = padded.split_at_checked(shift)?;
            (format!("{whole}{moved}"), fraction.to_owned())
        } else {
            let width = shift + 1;
            let padded = format!("{whole:0>width$}");
            let (whole, moved) = padded.split_at_checked(padded.len() - shift)?;
            (whole.to_owned(), format!("{moved}{fraction}"))
        };
        Some(Self { negative, whole, fraction })
    }

    fn number(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let whole = self.whole.trim_start_matches('0');
        format!("{sign}{}", if whole.is_empty() { "0" } else { whole })
    }
}

/// The number, if it is a whole one: `12`, `12.0`, `1.2e1`.
fn whole(text: &str) -> Option<i64> {
    let plain = Plain::read(text)?;
    let whole = plain.fraction.bytes().all(|it| it == b'0');
    whole.then(|| plain.number().parse().ok()).flatten()
}

/// Whole numbers travel as such, so that a provider's integers take them. The others keep the digits that
/// were written.
fn decimal(text: &str) -> Option<Kind> {
    let plain = Plain::read(text)?;
    if plain.fraction.is_empty() {
        let digits = plain.number();
        return Some(digits.parse().map_or(Kind::DecimalValue(digits), Kind::Int64Value));
    }
    Some(Kind::DecimalValue(format!("{}.{}", plain.number(), plain.fraction)))
}

/// A moment as clients write it: with or without seconds, a fraction and a zone, which is UTC where it is
/// not said; or a day, which means its beginning. Rows hold microseconds, and clients send finer ones
/// without meaning them, so these are dropped.
fn moment(text: &str) -> Option<DateTime<FixedOffset>> {
    let parsed = parse_literal(text).or_else(|_| parse_literal(&format!("{text}Z")));
    match parsed.ok()? {
        Literal::DateTime(moment) => Some(moment),
        Literal::Date(date) => Some(date.and_time(NaiveTime::MIN).and_utc().fixed_offset()),
        _ => None,
    }
}

/// A day, or the midnight that begins it where the client is.
fn day(text: &str) -> Option<String> {
    let moment = moment(text)?.naive_local();
    (moment.time() == NaiveTime::MIN).then(|| moment.date().to_string())
}
