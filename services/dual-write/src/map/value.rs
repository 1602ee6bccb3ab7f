//! Values of images: what is none, what is the same, and what a value is in a column of another kind.

use chrono::{DateTime, NaiveDate};
use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Content;
use rust_decimal::Decimal;

use super::schema::{ColumnSchema, Kind};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Why a value cannot be held by a column.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Misfit {
    #[error("it is of another type")]
    Type,
    #[error("it is none of the choices")]
    Choice,
    #[error("it is out of range")]
    Range,
    #[error("it has too many digits after the point")]
    Scale,
    #[error("it is longer than {0} characters")]
    Length(usize),
}

pub(crate) fn null() -> pb::Value {
    pb::Value { kind: Some(Content::NullValue(pb::NullMarker {})) }
}

pub(crate) fn text(text: impl Into<String>) -> pb::Value {
    pb::Value { kind: Some(Content::StringValue(text.into())) }
}

pub(crate) fn of(content: Content) -> pb::Value {
    pb::Value { kind: Some(content) }
}

/// No value: null, or text without characters, which is how an ERP writes it.
pub(crate) fn is_none(value: &pb::Value) -> bool {
    match &value.kind {
        None | Some(Content::NullValue(_)) => true,
        Some(Content::StringValue(it)) => it.is_empty(),
        Some(_) => false,
    }
}

/// Equal as far as both sides can tell: `1.50` is `1.5`, and no text is null.
pub(crate) fn same(left: &pb::Value, right: &pb::Value) -> bool {
    if is_none(left) || is_none(right) {
        return is_none(left) && is_none(right);
    }
    match (&left.kind, &right.kind) {
        (Some(Content::DoubleValue(left)), Some(Content::DoubleValue(right))) => {
            left.total_cmp(right).is_eq()
        }
        (Some(left), Some(right)) => match (digits(left), digits(right)) {
            (Some(left), Some(right)) => left == right,
            _ => left == right,
        },
        _ => false,
    }
}

/// What people read.
pub(crate) fn display(value: &pb::Value) -> String {
    match &value.kind {
        None | Some(Content::NullValue(_)) => String::new(),
        Some(Content::BoolValue(it)) => it.to_string(),
        Some(Content::Int64Value(it)) => it.to_string(),
        Some(Content::DecimalValue(it) | Content::StringValue(it) | Content::DateValue(it)) => {
            it.clone()
        }
        Some(Content::DoubleValue(it)) => it.to_string(),
        Some(Content::GuidValue(it)) => {
            uuid::Uuid::from_slice(it).map_or_else(|_| String::new(), |it| it.to_string())
        }
        Some(Content::TimestampMicrosValue(it)) => DateTime::from_timestamp_micros(*it)
            .map_or_else(String::new, |it| it.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
    }
}

/// A value that somebody wrote into a map, as the column holds it: `3`, `"3"` and `Customer` are one
/// choice.
pub(crate) fn literal(value: &pb::Value, column: &ColumnSchema) -> Result<pb::Value, Misfit> {
    let Some(content) = &value.kind else { return Ok(null()) };
    if matches!(content, Content::NullValue(_)) {
        return Ok(null());
    }
    match (column.kind, content) {
        (Kind::Text | Kind::Memo, Content::StringValue(_)) => Ok(value.clone()),
        (Kind::Text | Kind::Memo, _) => Ok(text(display(value))),
        (Kind::Enum, _) => {
            let member = column.member(&display(value)).ok_or(Misfit::Choice)?;
            Ok(text(&member.symbol))
        }
        (Kind::Boolean, _) => boolean(&display(value)).ok_or(Misfit::Type),
        (kind, _) if kind.is_number() => number(&display(value), column, false),
        (Kind::Date, Content::TimestampMicrosValue(micros)) => date_of(*micros),
        (Kind::Date, _) => date(&display(value)),
        (Kind::DateTime, Content::TimestampMicrosValue(_)) => Ok(value.clone()),
        (Kind::DateTime, _) => moment(&display(value)),
        (_, Content::GuidValue(it)) if it.len() == 16 => Ok(value.clone()),
        (_, Content::StringValue(it)) => {
            let guid = uuid::Uuid::parse_str(it).map_err(|_| Misfit::Type)?;
            Ok(of(Content::GuidValue(guid.into_bytes().to_vec().into())))
        }
        _ => Err(Misfit::Type),
    }
}

/// A value of one column, as another column holds it. `cut` allows what loses characters or digits.
pub(crate) fn convert(
    value: &pb::Value,
    to: &ColumnSchema,
    cut: Option<usize>,
) -> Result<pb::Value, Misfit> {
    if is_none(value) {
        return Ok(null());
    }
    let Some(content) = &value.kind else { return Ok(null()) };
    match (to.kind, content) {
        (Kind::Text | Kind::Memo, Content::StringValue(it)) => shortened(it, to, cut),
        (Kind::Enum, Content::StringValue(it)) => {
            let member = to.members.iter().find(|member| member.symbol.eq_ignore_ascii_case(it));
            member.map(|it| text(&it.symbol)).ok_or(Misfit::Choice)
        }
        (Kind::Enum, Content::BoolValue(it)) => {
            let symbol = if *it { "Yes" } else { "No" };
            let member =
                to.members.iter().find(|member| member.symbol.eq_ignore_ascii_case(symbol));
            member.map(|it| text(&it.symbol)).ok_or(Misfit::Choice)
        }
        (Kind::Boolean, Content::BoolValue(_)) => Ok(value.clone()),
        (Kind::Boolean, Content::StringValue(it)) => boolean(it).ok_or(Misfit::Choice),
        (
            Kind::Integer | Kind::Long | Kind::Decimal | Kind::Double,
            Content::Int64Value(_) | Content::DecimalValue(_) | Content::DoubleValue(_),
        ) => number(&display(value), to, cut.is_some()),
        (Kind::Date, Content::DateValue(_))
        | (Kind::DateTime, Content::TimestampMicrosValue(_)) => Ok(value.clone()),
        (Kind::DateTime, Content::DateValue(it)) => moment(it),
        (Kind::Date, Content::TimestampMicrosValue(it)) if cut.is_some() => date_of(*it),
        (Kind::Guid | Kind::Lookup, Content::GuidValue(it)) if it.len() == 16 => Ok(value.clone()),
        _ => Err(Misfit::Type),
    }
}

/// What a column that cannot be null holds where the other side has nothing.
pub(crate) fn nothing(column: &ColumnSchema) -> pb::Value {
    if column.nullable {
        return null();
    }
    match column.kind {
        Kind::Text | Kind::Memo => text(""),
        Kind::Integer | Kind::Long => of(Content::Int64Value(0)),
        Kind::Decimal => of(Content::DecimalValue("0".to_owned())),
        Kind::Double => of(Content::DoubleValue(0.0)),
        Kind::Boolean => of(Content::BoolValue(false)),
        Kind::Enum => column.members.first().map_or_else(null, |it| text(&it.symbol)),
        Kind::Date | Kind::DateTime | Kind::Guid | Kind::Lookup => null(),
    }
}

/// At most so many characters; what is shorter stays.
pub(crate) fn truncated(it: &str, length: usize) -> &str {
    it.char_indices().nth(length).map_or(it, |(end, _)| it.get(..end).unwrap_or(it))
}

fn shortened(it: &str, to: &ColumnSchema, cut: Option<usize>) -> Result<pb::Value, Misfit> {
    let most = to.max_length.unwrap_or(usize::MAX);
    match cut {
        Some(length) => Ok(text(truncated(it, length.min(most)))),
        None if it.chars().nth(most).is_some() => Err(Misfit::Length(most)),
        None => Ok(text(it)),
    }
}

fn boolean(it: &str) -> Option<pb::Value> {
    let is_any = |of: [&str; 3]| of.iter().any(|word| word.eq_ignore_ascii_case(it));
    let value = match it {
        _ if is_any(["true", "yes", "1"]) => true,
        _ if is_any(["false", "no", "0"]) => false,
        _ => return None,
    };
    Some(of(Content::BoolValue(value)))
}

fn number(digits: &str, to: &ColumnSchema, cut: bool) -> Result<pb::Value, Misfit> {
    if to.kind == Kind::Double {
        let number = digits.parse::<f64>().ok().filter(|it| it.is_finite());
        return number.map(|it| of(Content::DoubleValue(it))).ok_or(Misfit::Range);
    }
    let number = Decimal::from_str_exact(digits)
        .or_else(|_| Decimal::from_scientific(digits))
        .map_err(|_| Misfit::Range)?;
    let scale = match to.kind {
        Kind::Integer | Kind::Long => Some(0),
        _ => to.scale,
    };
    let number = number.normalize();
    let number = match scale {
        Some(scale) if number.scale() > scale && !cut => return Err(Misfit::Scale),
        Some(scale) => number.trunc_with_scale(scale).normalize(),
        None => number,
    };
    if to.kind == Kind::Decimal {
        return Ok(of(Content::DecimalValue(number.to_string())));
    }
    let whole = i64::try_from(number).map_err(|_| Misfit::Range)?;
    if to.kind == Kind::Integer && i32::try_from(whole).is_err() {
        return Err(Misfit::Range);
    }
    Ok(of(Content::Int64Value(whole)))
}

fn date(it: &str) -> Result<pb::Value, Misfit> {
    let date: NaiveDate = it.parse().map_err(|_| Misfit::Type)?;
    Ok(of(Content::DateValue(date.to_string())))
}

fn date_of(micros: i64) -> Result<pb::Value, Misfit> {
    let moment = DateTime::from_timestamp_micros(micros).ok_or(Misfit::Range)?;
    Ok(of(Content::DateValue(moment.date_naive().to_string())))
}

fn moment(it: &str) -> Result<pb::Value, Misfit> {
    let micros = match it.parse::<NaiveDate>() {
        Ok(date) => {
            let days = date.signed_duration_since(DateTime::UNIX_EPOCH.date_naive()).num_days();
            days.checked_mul(MICROS_PER_DAY).ok_or(Misfit::Range)?
        }
        Err(_) => DateTime::parse_from_rfc3339(it).map_err(|_| Misfit::Type)?.timestamp_micros(),
    };
    Ok(of(Content::TimestampMicrosValue(micros)))
}

/// A number's digits in the one form that equal numbers share.
fn digits(content: &Content) -> Option<String> {
    let written = match content {
        Content::Int64Value(it) => it.to_string(),
        Content::DecimalValue(it) => it.clone(),
        Content::DoubleValue(it) => it.to_string(),
        _ => return None,
    };
    let (sign, unsigned) = match written.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", written.as_str()),
    };
    let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
    if whole.is_empty() && part.is_empty() {
        return Some("0".to_owned());
    }
    Some(format!("{sign}{whole}.{part}"))
}
