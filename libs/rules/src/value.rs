//! What a field holds, as rules see it.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use rhai::Dynamic;
use rust_decimal::Decimal;

/// A field's value, as rules see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// No value, `()` in an expression.
    #[default]
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// An exact number, of 28 digits at most.
    Decimal(Decimal),
    /// Text, an enum's symbol, a GUID; a date or a moment as its ISO text, which compare in order.
    Text(String),
}

// === impl Value ===

impl Value {
    /// A calendar date: `2026-01-31`.
    #[must_use]
    pub fn date(date: NaiveDate) -> Self {
        Self::Text(date.to_string())
    }

    /// A moment, always with six digits after the point: texts of one length compare in order.
    #[must_use]
    pub fn moment(moment: DateTime<Utc>) -> Self {
        Self::Text(moment.to_rfc3339_opts(SecondsFormat::Micros, true))
    }

    /// An exact number from its digits; `None` for what would have to be rounded.
    #[must_use]
    pub fn decimal(digits: &str) -> Option<Self> {
        Decimal::from_str_exact(digits).ok().map(Self::Decimal)
    }

    pub(crate) fn to_dynamic(&self) -> Dynamic {
        match self {
            Self::Null => Dynamic::UNIT,
            Self::Bool(it) => Dynamic::from_bool(*it),
            Self::Integer(it) => Dynamic::from_int(*it),
            Self::Decimal(it) => Dynamic::from_decimal(*it),
            Self::Text(it) => it.into(),
        }
    }

    /// `None` for what no field can hold: a list, the stored row.
    pub(crate) fn from_dynamic(value: Dynamic) -> Option<Self> {
        if value.is_unit() {
            return Some(Self::Null);
        }
        if let Ok(it) = value.as_bool() {
            return Some(Self::Bool(it));
        }
        if let Ok(it) = value.as_int() {
            return Some(Self::Integer(it));
        }
        if let Ok(it) = value.as_decimal() {
            return Some(Self::Decimal(it));
        }
        if let Ok(it) = value.as_char() {
            return Some(Self::Text(it.to_string()));
        }
        value.into_string().ok().map(Self::Text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
