//! What an action is given, and what it returns: of the declared types, or refused.

use chrono::{DateTime, Datelike as _, NaiveDate};
use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use uuid::Uuid;

use super::definition::{Action, Parameter, ValueType};
use super::refusal::Refusal;
use crate::plan::Argument;

/// Years that every calendar of the platform can write.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9_999;
/// Digits that a decimal may have.
const MAX_DIGITS: usize = 1_000;

/// The parameters in the order of their declaration; none for one that is not given, or null.
pub(super) fn check(
    action: &Action,
    given: Vec<pb::FieldValue>,
) -> Result<Vec<Option<pb::Value>>, Refusal> {
    let mut parameters: Vec<Option<pb::Value>> = vec![None; action.parameters.len()];
    let mut named = vec![false; action.parameters.len()];
    for pb::FieldValue { field, value } in given {
        let wrong =
            |detail: &str| Refusal::Parameter { name: field.clone(), detail: detail.into() };
        let declared = action.parameters.iter().zip(&mut parameters).zip(&mut named);
        let ((parameter, place), named) = { declared }
            .find(|((it, _), _)| it.name == field)
            .ok_or_else(|| wrong("is no parameter of the action"))?;
        if std::mem::replace(named, true) {
            return Err(wrong("is given twice"));
        }
        match value {
            Some(pb::Value { kind: None | Some(Kind::NullValue(_)) }) | None => {}
            Some(value) => {
                fits(parameter, &value).map_err(|it| wrong(&it))?;
                *place = Some(value);
            }
        }
    }
    let missing = |(parameter, value): &(&Parameter, &Option<pb::Value>)| {
        parameter.is_mandatory && value.is_none()
    };
    match action.parameters.iter().zip(&parameters).find(missing) {
        Some((parameter, _)) => Err(Refusal::Parameter {
            name: parameter.name.clone(),
            detail: "is required and must not be null".to_owned(),
        }),
        None => Ok(parameters),
    }
}

fn fits(parameter: &Parameter, value: &pb::Value) -> Result<(), String> {
    if argument(parameter.value_type, value).is_none() {
        return Err(format!("is not {}", parameter.value_type.expected()));
    }
    match &value.kind {
        Some(Kind::StringValue(text))
            if parameter.max_length > 0 && text.chars().count() > parameter.max_length =>
        {
            Err(format!("is longer than {} characters", parameter.max_length))
        }
        _ => Ok(()),
    }
}

/// The value as it is bound; `None` where it is not of the type.
pub(super) fn argument(value_type: ValueType, value: &pb::Value) -> Option<Argument> {
    Some(match (value_type, value.kind.as_ref()?) {
        // PostgreSQL's text cannot hold NUL.
        (ValueType::Text, Kind::StringValue(it)) if !it.contains('\0') => {
            Argument::Text(it.clone())
        }
        (ValueType::Integer, Kind::Int64Value(it)) => {
            i32::try_from(*it).ok()?;
            Argument::Int(*it)
        }
        (ValueType::Long, Kind::Int64Value(it)) => Argument::Int(*it),
        (ValueType::Decimal, Kind::Int64Value(it)) => Argument::Text(it.to_string()),
        (ValueType::Decimal, Kind::DecimalValue(it)) if is_decimal(it) => {
            Argument::Text(it.clone())
        }
        (ValueType::Boolean, Kind::BoolValue(it)) => Argument::Bool(*it),
        (ValueType::Date, Kind::DateValue(it)) => {
            let date: NaiveDate = it.parse().ok()?;
            YEARS.contains(&date.year()).then(|| Argument::Text(date.to_string()))?
        }
        (ValueType::DateTime, Kind::TimestampMicrosValue(it)) => {
            let moment = DateTime::from_timestamp_micros(*it)?;
            let text = || moment.naive_utc().format("%Y-%m-%d %H:%M:%S%.6f").to_string();
            YEARS.contains(&moment.year()).then(|| Argument::Text(text()))?
        }
        (ValueType::Guid, Kind::GuidValue(it)) => Argument::Guid(Uuid::from_slice(it).ok()?),
        _ => return None,
    })
}

/// What a function returned, of its text; `None` where the text is none of the type's, such as
/// infinity, which no calendar has.
pub(super) fn parse(value_type: ValueType, text: &str) -> Option<Kind> {
    Some(match value_type {
        ValueType::Text => Kind::StringValue(text.to_owned()),
        ValueType::Integer | ValueType::Long => Kind::Int64Value(text.parse().ok()?),
        ValueType::Decimal => is_decimal(text).then(|| Kind::DecimalValue(text.to_owned()))?,
        ValueType::Boolean => Kind::BoolValue(text.parse().ok()?),
        ValueType::Date => {
            let date: NaiveDate = text.parse().ok()?;
            Kind::DateValue(date.to_string())
        }
        ValueType::DateTime => {
            let moment =
                chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
            Kind::TimestampMicrosValue(moment.and_utc().timestamp_micros())
        }
        ValueType::Guid => Kind::GuidValue(Uuid::parse_str(text).ok()?.as_bytes().to_vec().into()),
    })
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    text.len() <= MAX_DIGITS && all_digits(whole) && all_digits(fraction)
}
