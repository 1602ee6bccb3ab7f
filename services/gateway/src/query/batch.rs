//! Columns of rows that are passed on by value: put together, and cut into pieces.

use bytes::{Bytes, BytesMut};
use proto::query::v1 as pb;
use proto::query::v1::column_values::Values;

const GUID: usize = 16;

/// Puts rows behind others of the same columns.
pub(super) fn append(all: &mut pb::ColumnBatch, more: pb::ColumnBatch) {
    if all.columns.is_empty() {
        *all = more;
        return;
    }
    for (column, more) in all.columns.iter_mut().zip(more.columns) {
        let before = u32::try_from(rows_of(column)).unwrap_or(u32::MAX);
        column.nulls.extend(more.nulls.iter().map(|it| it.saturating_add(before)));
        append_values(&mut column.values, more.values);
        if let (Some(all), Some(more)) = (&mut column.labels, more.labels) {
            all.values.extend(more.values);
        }
    }
}

fn append_values(all: &mut Option<Values>, more: Option<Values>) {
    let Some(more) = more else { return };
    match (all, more) {
        (all @ None, more) => *all = Some(more),
        (Some(Values::Bools(all)), Values::Bools(more)) => all.values.extend(more.values),
        (Some(Values::Ints(all)), Values::Ints(more))
        | (Some(Values::Timestamps(all)), Values::Timestamps(more)) => {
            all.values.extend(more.values)
        }
        (Some(Values::Doubles(all)), Values::Doubles(more)) => all.values.extend(more.values),
        (Some(Values::Decimals(all)), Values::Decimals(more))
        | (Some(Values::Strings(all)), Values::Strings(more))
        | (Some(Values::Dates(all)), Values::Dates(more)) => all.values.extend(more.values),
        (Some(Values::Guids(all)), Values::Guids(more)) => {
            let mut bytes = BytesMut::with_capacity(all.len() + more.len());
            bytes.extend_from_slice(all);
            bytes.extend_from_slice(&more);
            *all = bytes.freeze();
        }
        // One query gives its columns one type.
        (Some(_), _) => tracing::error!("batches of one query differ in their columns"),
    }
}

/// The rows from `start` on, `count` of them at most.
pub(super) fn slice(all: &pb::ColumnBatch, start: usize, count: usize) -> pb::ColumnBatch {
    let columns = all.columns.iter().map(|column| {
        let end = rows_of(column).min(start.saturating_add(count));
        let range = start.min(end)..end;
        let null = |it: &u32| {
            let at = usize::try_from(*it).ok().filter(|it| range.contains(it))?;
            u32::try_from(at - range.start).ok()
        };
        let labels = column.labels.as_ref().map(|it| strings(it, range.clone()));
        pb::ColumnValues {
            key: column.key.clone(),
            nulls: column.nulls.iter().filter_map(null).collect(),
            values: column.values.as_ref().map(|it| slice_values(it, range.clone())),
            labels,
        }
    });
    pb::ColumnBatch { columns: columns.collect() }
}

fn slice_values(values: &Values, range: std::ops::Range<usize>) -> Values {
    fn part<T: Clone>(all: &[T], range: std::ops::Range<usize>) -> Vec<T> {
        all.get(range).unwrap_or_default().to_vec()
    }
    match values {
        Values::Bools(it) => Values::Bools(pb::BoolArray { values: part(&it.values, range) }),
        Values::Ints(it) => Values::Ints(pb::Int64Array { values: part(&it.values, range) }),
        Values::Timestamps(it) => {
            Values::Timestamps(pb::Int64Array { values: part(&it.values, range) })
        }
        Values::Doubles(it) => Values::Doubles(pb::DoubleArray { values: part(&it.values, range) }),
        Values::Decimals(it) => Values::Decimals(strings(it, range)),
        Values::Strings(it) => Values::Strings(strings(it, range)),
        Values::Dates(it) => Values::Dates(strings(it, range)),
        Values::Guids(it) => {
            let bytes = range.start * GUID..range.end * GUID;
            Values::Guids(if bytes.end <= it.len() { it.slice(bytes) } else { Bytes::new() })
        }
    }
}

fn strings(all: &pb::StringArray, range: std::ops::Range<usize>) -> pb::StringArray {
    pb::StringArray { values: all.values.get(range).unwrap_or_default().to_vec() }
}

/// How many rows a column has.
pub(super) fn rows_of(column: &pb::ColumnValues) -> usize {
    match &column.values {
        Some(Values::Bools(it)) => it.values.len(),
        Some(Values::Ints(it) | Values::Timestamps(it)) => it.values.len(),
        Some(Values::Doubles(it)) => it.values.len(),
        Some(Values::Decimals(it) | Values::Strings(it) | Values::Dates(it)) => it.values.len(),
        Some(Values::Guids(it)) => it.len() / GUID,
        None => column.nulls.len(),
    }
}

/// Makes the labels of columns columns of their own.
pub(super) fn spread_labels(all: &mut pb::ColumnBatch, key: fn(&str) -> String) {
    let mut labels = Vec::new();
    for column in &mut all.columns {
        if let Some(texts) = column.labels.take() {
            labels.push(pb::ColumnValues {
                key: key(&column.key),
                nulls: column.nulls.clone(),
                values: Some(Values::Strings(texts)),
                labels: None,
            });
        }
    }
    all.columns.extend(labels);
}

/// A column of whole numbers.
pub(super) fn ints(key: &str, values: Vec<i64>) -> pb::ColumnValues {
    pb::ColumnValues {
        key: key.to_owned(),
        values: Some(Values::Ints(pb::Int64Array { values })),
        ..Default::default()
    }
}
