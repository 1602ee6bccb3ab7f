//! Columns of one row that were read for their values.

use bytes::Bytes;
use proto::query::v1 as pb;
use proto::query::v1::column_values::Values;
use proto::query::v1::value::Kind;

use crate::translate::{RowKey, value};

/// Asks for columns of one row.
pub(super) fn request(
    entity_name: String,
    key: &RowKey,
    columns: &[&pb::ColumnRef],
) -> pb::RetrieveRequest {
    let column = |(at, column): (usize, &&pb::ColumnRef)| pb::OutputColumn {
        column: Some((*column).clone()),
        key: at.to_string(),
        ..Default::default()
    };
    pb::RetrieveRequest {
        entity_name,
        key: Some(key.to_message()),
        columns: columns.iter().enumerate().map(column).collect(),
        format: pb::RowFormat::Columns.into(),
        ..Default::default()
    }
}

/// The values that were asked for; none for a null. `None` for an answer of another shape.
pub(super) fn read(batch: pb::RowBatch, columns: usize) -> Option<Vec<Option<pb::Value>>> {
    let Some(pb::row_batch::Rows::Columns(batch)) = batch.rows else { return None };
    (batch.columns.len() == columns).then(|| batch.columns.into_iter().map(first).collect())
}

fn first(column: pb::ColumnValues) -> Option<pb::Value> {
    if column.nulls.contains(&0) {
        return None;
    }
    let kind = match column.values? {
        Values::Bools(it) => Kind::BoolValue(*it.values.first()?),
        Values::Ints(it) => Kind::Int64Value(*it.values.first()?),
        Values::Doubles(it) => Kind::DoubleValue(*it.values.first()?),
        Values::Decimals(it) => Kind::DecimalValue(it.values.first()?.clone()),
        Values::Strings(it) => Kind::StringValue(it.values.first()?.clone()),
        Values::Guids(it) => Kind::GuidValue(Bytes::copy_from_slice(it.get(..16)?)),
        Values::Dates(it) => Kind::DateValue(it.values.first()?.clone()),
        Values::Timestamps(it) => Kind::TimestampMicrosValue(*it.values.first()?),
    };
    Some(value(kind))
}

/// Whether the values are the same; `exact` text is compared to the letter.
pub(super) fn equal(left: &pb::Value, right: &pb::Value, exact: bool) -> bool {
    match (&left.kind, &right.kind) {
        (Some(Kind::StringValue(left)), Some(Kind::StringValue(right))) if !exact => {
            left.to_lowercase() == right.to_lowercase()
        }
        (left, right) => left == right,
    }
}

/// A value for people.
pub(super) fn text(value: &pb::Value) -> String {
    match &value.kind {
        Some(Kind::StringValue(text) | Kind::DecimalValue(text) | Kind::DateValue(text)) => {
            text.clone()
        }
        Some(Kind::Int64Value(number)) => number.to_string(),
        _ => String::new(),
    }
}
