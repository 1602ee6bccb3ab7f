//! One value of a row, for callers that compare and pass on.

use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use sqlx::postgres::PgRow;

use super::reader::{Cell, Reader};

/// The value; of an enum, its symbol.
pub(crate) fn value(reader: &Reader, row: &PgRow) -> Result<pb::Value, sqlx::Error> {
    let mut scratch = String::new();
    let kind = match reader.read(row, &mut scratch)? {
        Cell::Null => Kind::NullValue(pb::NullMarker {}),
        Cell::Int(it) => Kind::Int64Value(it),
        Cell::Bool(it) => Kind::BoolValue(it),
        Cell::Date(it) => Kind::DateValue(it.to_string()),
        Cell::Moment(it) => Kind::TimestampMicrosValue(it.and_utc().timestamp_micros()),
        Cell::Guid(it) => Kind::GuidValue(it.as_bytes().to_vec().into()),
        Cell::Decimal(it) => Kind::DecimalValue(it.to_owned()),
        Cell::Text(it) => Kind::StringValue(it.to_owned()),
        Cell::Choice(it) => Kind::StringValue(it.symbol.clone()),
    };
    Ok(pb::Value { kind: Some(kind) })
}
