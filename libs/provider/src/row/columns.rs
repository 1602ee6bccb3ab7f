//! Rows by column, for callers that compute with values instead of showing them.

use proto::query::v1 as pb;
use proto::query::v1::column_values::Values;
use sqlx::postgres::PgRow;

use super::label::Labels;
use super::reader::{Cell, Reader};
use crate::error::Error;
use crate::plan::Output;

/// Collects rows by column.
#[derive(Debug)]
pub(crate) struct ColumnWriter {
    outputs: Vec<(Output, Option<Labels>)>,
    columns: Vec<pb::ColumnValues>,
    rows: u32,
    /// Roughly the bytes collected.
    len: usize,
    scratch: String,
    label: String,
}

impl ColumnWriter {
    pub(crate) fn new(outputs: Vec<Output>) -> Result<Self, Error> {
        let labelled = |it: Output| Labels::of(&it).map(|labels| (it, labels));
        let outputs = outputs.into_iter().map(labelled).collect::<Result<Vec<_>, _>>()?;
        let columns = outputs.iter().map(empty).collect();
        let (scratch, label) = (String::new(), String::new());
        Ok(Self { outputs, columns, rows: 0, len: 0, scratch, label })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What was collected since the last time, and how many rows that is.
    pub(crate) fn take(&mut self) -> (pb::ColumnBatch, i64) {
        let next = self.outputs.iter().map(empty).collect();
        let columns = std::mem::replace(&mut self.columns, next);
        self.len = 0;
        (pb::ColumnBatch { columns }, i64::from(std::mem::take(&mut self.rows)))
    }

    pub(crate) fn write(&mut self, row: &PgRow) -> Result<(), sqlx::Error> {
        for ((output, labels), column) in self.outputs.iter().zip(&mut self.columns) {
            let cell = output.reader.read(row, &mut self.scratch)?;
            self.label.clear();
            if cell == Cell::Null {
                column.nulls.push(self.rows);
            } else if let Some(labels) = labels {
                labels.write(&output.reader, row, &cell, &mut self.label)?;
            }
            if let Some(texts) = &mut column.labels {
                self.len += self.label.len() + 2;
                texts.values.push(self.label.clone());
            }
            if let Some(values) = &mut column.values {
                self.len += push(values, cell);
            }
        }
        self.rows += 1;
        Ok(())
    }
}

fn empty((output, labels): &(Output, Option<Labels>)) -> pb::ColumnValues {
    let values = match &output.reader {
        Reader::Text { .. } | Reader::Version { .. } | Reader::Joined { .. } => {
            Values::Strings(pb::StringArray::default())
        }
        Reader::Int { .. } | Reader::Part { .. } | Reader::Option { .. } => {
            Values::Ints(pb::Int64Array::default())
        }
        Reader::Decimal { .. } | Reader::Whole { .. } => {
            Values::Decimals(pb::StringArray::default())
        }
        Reader::Bool { .. } => Values::Bools(pb::BoolArray::default()),
        Reader::Date { .. } => Values::Dates(pb::StringArray::default()),
        Reader::Moment { .. } => Values::Timestamps(pb::Int64Array::default()),
        Reader::Guid { .. }
        | Reader::RecordGuid { .. }
        | Reader::HashedGuid { .. }
        | Reader::CompanyGuid { .. } => Values::Guids(Vec::new().into()),
    };
    pb::ColumnValues {
        key: output.key.clone(),
        nulls: Vec::new(),
        values: Some(values),
        labels: labels.map(|_| pb::StringArray::default()),
    }
}

/// Appends the cell, or the type's zero value for null. Returns roughly how many bytes that took.
fn push(values: &mut Values, cell: Cell<'_>) -> usize {
    match values {
        Values::Ints(it) => it.values.push(match cell {
            Cell::Int(value) => value,
            Cell::Choice(choice) => i64::from(choice.value),
            _ => 0,
        }),
        Values::Bools(it) => it.values.push(cell == Cell::Bool(true)),
        Values::Doubles(it) => it.values.push(0.0),
        Values::Timestamps(it) => it.values.push(match cell {
            Cell::Moment(value) => value.and_utc().timestamp_micros(),
            _ => 0,
        }),
        Values::Dates(it) => {
            it.values.push(if let Cell::Date(value) = cell {
                value.to_string()
            } else {
                String::new()
            });
        }
        Values::Decimals(it) | Values::Strings(it) => {
            let text = if let Cell::Text(text) | Cell::Decimal(text) = cell { text } else { "" };
            it.values.push(text.to_owned());
            return text.len() + 2;
        }
        Values::Guids(it) => {
            let guid = if let Cell::Guid(guid) = cell { guid } else { uuid::Uuid::nil() };
            let mut bytes = std::mem::take(it).try_into_mut().unwrap_or_default();
            bytes.extend_from_slice(guid.as_bytes());
            *it = bytes.freeze();
            return 16;
        }
    }
    8
}
