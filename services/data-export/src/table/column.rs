//! What a column holds, on disk and in memory until a row group is full.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::schema::types::Type;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::decimal::{self, unscaled};

/// Half of the digits that a decimal has.
const WIDE_SCALE: u8 = 19;

/// A column of an exported table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    /// As rows name it.
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) kind: Kind,
}

/// What its values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Kind {
    String,
    Uuid,
    Int32,
    Int64,
    Boolean,
    Double,
    /// A day.
    Date,
    /// A moment in UTC, in microseconds.
    Timestamp,
    /// Up to 38 digits, so many of them behind the point.
    Decimal {
        scale: u8,
    },
}

/// A value is none of its column's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value of the column `{column}` does not fit its type")]
pub(crate) struct DoesNotFit {
    pub(crate) column: String,
}

/// Values of one column.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) kind: Kind,
    pub(super) data: Data,
    /// For each row: 1 where there is a value.
    pub(super) levels: Vec<i16>,
    /// About as many as they take.
    pub(super) bytes: usize,
}

/// Only those that are not null.
#[derive(Debug)]
pub(super) enum Data {
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Boolean(Vec<bool>),
    Double(Vec<f64>),
}

// === impl Kind ===

impl Kind {
    /// None where a decimal of 38 digits does not have so many behind the point.
    pub(crate) fn decimal(scale: i64) -> Option<Self> {
        let scale = u8::try_from(scale).ok()?;
        (u32::from(scale) <= decimal::PRECISION).then_some(Self::Decimal { scale })
    }

    /// What holds values that do not fit: decimals with more digits behind the point, and then text,
    /// which holds everything.
    pub(super) fn wider(self) -> Option<Self> {
        match self {
            Self::Decimal { scale } if scale < WIDE_SCALE => {
                Some(Self::Decimal { scale: WIDE_SCALE })
            }
            Self::String => None,
            Self::Uuid
            | Self::Int32
            | Self::Int64
            | Self::Boolean
            | Self::Double
            | Self::Date
            | Self::Timestamp
            | Self::Decimal { .. } => Some(Self::String),
        }
    }

    fn physical(self) -> Physical {
        match self {
            Self::String => Physical::BYTE_ARRAY,
            Self::Uuid | Self::Decimal { .. } => Physical::FIXED_LEN_BYTE_ARRAY,
            Self::Int32 | Self::Date => Physical::INT32,
            Self::Int64 | Self::Timestamp => Physical::INT64,
            Self::Boolean => Physical::BOOLEAN,
            Self::Double => Physical::DOUBLE,
        }
    }

    fn logical(self) -> Option<LogicalType> {
        match self {
            Self::String => Some(LogicalType::String),
            Self::Uuid => Some(LogicalType::Uuid),
            Self::Date => Some(LogicalType::Date),
            Self::Timestamp => Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
            Self::Decimal { scale } => {
                Some(LogicalType::decimal(i32::from(scale), decimal::PRECISION as i32))
            }
            Self::Int32 | Self::Int64 | Self::Boolean | Self::Double => None,
        }
    }
}

// === impl Column ===

impl Column {
    /// How Parquet describes it.
    pub(super) fn describe(&self, repetition: Repetition) -> Result<Type, ParquetError> {
        let mut builder = Type::primitive_type_builder(&self.name, self.kind.physical())
            .with_repetition(repetition)
            .with_logical_type(self.kind.logical());
        if self.kind.physical() == Physical::FIXED_LEN_BYTE_ARRAY {
            builder = builder.with_length(16);
        }
        if let Kind::Decimal { scale } = self.kind {
            let precision = decimal::PRECISION as i32;
            builder = builder.with_precision(precision).with_scale(i32::from(scale));
        }
        builder.build()
    }
}

// === impl Values ===

impl Values {
    pub(super) fn new(kind: Kind) -> Self {
        let data = match kind.physical() {
            Physical::FIXED_LEN_BYTE_ARRAY => Data::Fixed(Vec::new()),
            Physical::INT32 => Data::Int32(Vec::new()),
            Physical::INT64 => Data::Int64(Vec::new()),
            Physical::BOOLEAN => Data::Boolean(Vec::new()),
            Physical::DOUBLE => Data::Double(Vec::new()),
            Physical::BYTE_ARRAY | Physical::INT96 | Physical::FLOAT => Data::Bytes(Vec::new()),
        };
        Self { kind, data, levels: Vec::new(), bytes: 0 }
    }

    /// Adds a value as JSON; none for null. None if it does not fit.
    pub(super) fn push(&mut self, json: Option<&str>) -> Option<()> {
        let Some(json) = json else {
            self.levels.push(0);
            return Some(());
        };
        let text = text(json)?;
        match &mut self.data {
            Data::Bytes(data) => {
                self.bytes += text.len();
                data.push(ByteArray::from(text.into_bytes()));
            }
            Data::Fixed(data) => data.push(fixed(self.kind, &text)?.to_vec().into()),
            Data::Int32(data) => data.push(int32(self.kind, &text)?),
            Data::Int64(data) => data.push(int64(self.kind, &text)?),
            Data::Boolean(data) => data.push(text.parse().ok()?),
            Data::Double(data) => data.push(text.parse().ok()?),
        }
        self.bytes += 16;
        self.levels.push(1);
        Some(())
    }
}

/// The text of a string, or a value as it was written.
fn text(json: &str) -> Option<String> {
    if json.starts_with('"') { serde_json::from_str(json).ok() } else { Some(json.to_owned()) }
}

fn fixed(kind: Kind, text: &str) -> Option<[u8; 16]> {
    match kind {
        Kind::Decimal { scale } => unscaled(text, scale).map(i128::to_be_bytes),
        _ => text.parse::<Uuid>().ok().map(Uuid::into_bytes),
    }
}

fn int32(kind: Kind, text: &str) -> Option<i32> {
    match kind {
        Kind::Date => day(text),
        _ => text.parse().ok(),
    }
}

fn int64(kind: Kind, text: &str) -> Option<i64> {
    match kind {
        Kind::Timestamp => moment(text),
        _ => text.parse().ok(),
    }
}

/// Days since 1970; some write the beginning of the day as a moment.
fn day(text: &str) -> Option<i32> {
    let (day, time) = text.split_at_checked(10)?;
    if !matches!(time, "" | "T00:00:00Z" | "T00:00:00" | "T00:00:00.000Z" | "T00:00:00+00:00") {
        return None;
    }
    let day = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?;
    Some(day.to_epoch_days())
}

/// Microseconds since 1970.
fn moment(text: &str) -> Option<i64> {
    let with_offset = DateTime::parse_from_rfc3339(text).map(|it| it.timestamp_micros());
    let without = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f");
    with_offset.or_else(|_| without().map(|it| it.and_utc().timestamp_micros())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(kind: Kind, json: &str) -> Option<Data> {
        let mut values = Values::new(kind);
        values.push(Some(json))?;
        Some(values.data)
    }

    #[test]
    fn values_are_what_their_columns_hold() {
        let int32 = |kind, json| match pushed(kind, json) {
            Some(Data::Int32(data)) => Some(data[0]),
            _ => None,
        };
        assert_eq!(int32(Kind::Int32, "-7"), Some(-7));
        assert_eq!(int32(Kind::Int32, "2147483648"), None);
        assert_eq!(int32(Kind::Int32, "1.5"), None);
        assert_eq!(int32(Kind::Date, "\"1970-01-11\""), Some(10));
        assert_eq!(int32(Kind::Date, "\"1969-12-31T00:00:00Z\""), Some(-1));
        assert_eq!(int32(Kind::Date, "\"1970-01-11T10:00:00Z\""), None);
        assert_eq!(int32(Kind::Date, "\"é970-01-1111\""), None);
        let int64 = |kind, json| match pushed(kind, json) {
            Some(Data::Int64(data)) => Some(data[0]),
            _ => None,
        };
        assert_eq!(int64(Kind::Int64, "\"9007199254740993\""), Some(9_007_199_254_740_993));
        assert_eq!(int64(Kind::Timestamp, "\"1970-01-01T00:00:01.000002Z\""), Some(1_000_002));
        assert_eq!(int64(Kind::Timestamp, "\"1970-01-01T01:00:00+01:00\""), Some(0));
        assert_eq!(int64(Kind::Timestamp, "\"1970-01-01T00:00:01\""), Some(1_000_000));
        assert_eq!(int64(Kind::Timestamp, "\"soon\""), None);
        assert!(pushed(Kind::Uuid, "\"x\"").is_none());
        assert!(pushed(Kind::Boolean, "1").is_none());
        let Some(Data::Bytes(text)) = pushed(Kind::String, "\"a\\n\\u00e9\"") else { panic!() };
        assert_eq!(text[0].data(), "a\né".as_bytes());
        let Some(Data::Bytes(text)) = pushed(Kind::String, "1.50") else { panic!() };
        assert_eq!(text[0].data(), b"1.50");
    }

    #[test]
    fn columns_are_written_down_as_they_are() {
        let column = Column { name: "a".to_owned(), kind: Kind::Decimal { scale: 2 } };
        let json = serde_json::to_string(&column).unwrap();
        assert_eq!(json, r#"{"name":"a","type":"decimal","scale":2}"#);
        assert_eq!(serde_json::from_str::<Column>(&json).unwrap(), column);
    }
}
