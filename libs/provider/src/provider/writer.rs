//! Rows in the form that was asked for, and the columns that stand beside them.

use proto::query::v1 as pb;
use proto::query::v1::RowFormat;
use sqlx::postgres::PgRow;

use crate::error::Error;
use crate::plan::Output;
use crate::row::{ColumnWriter, JsonWriter};

/// Collects rows until a message is full.
pub(crate) struct Writer {
    rows: Rows,
    /// Where columns beside the rows were asked for.
    keys: Option<ColumnWriter>,
}

enum Rows {
    Json(JsonWriter),
    Columns(ColumnWriter),
}

impl Writer {
    pub(crate) fn new(
        format: RowFormat,
        outputs: Vec<Output>,
        keys: Vec<Output>,
    ) -> Result<Self, Error> {
        let rows = match format {
            RowFormat::Json => Rows::Json(JsonWriter::new(outputs)?),
            RowFormat::Columns => Rows::Columns(ColumnWriter::new(outputs)?),
            RowFormat::Unspecified => return Err(Error::Missing("format")),
        };
        let keys = if keys.is_empty() { None } else { Some(ColumnWriter::new(keys)?) };
        Ok(Self { rows, keys })
    }

    pub(crate) fn write(&mut self, row: &PgRow) -> Result<(), sqlx::Error> {
        match &mut self.rows {
            Rows::Json(it) => it.write(row)?,
            Rows::Columns(it) => it.write(row)?,
        }
        match &mut self.keys {
            Some(keys) => keys.write(row),
            None => Ok(()),
        }
    }

    /// Roughly the bytes collected.
    pub(crate) fn len(&self) -> usize {
        let rows = match &self.rows {
            Rows::Json(it) => it.len(),
            Rows::Columns(it) => it.len(),
        };
        rows + self.keys.as_ref().map_or(0, ColumnWriter::len)
    }

    /// What was collected since the last time.
    pub(crate) fn take(&mut self) -> pb::RowBatch {
        let keys = self.keys.as_mut().map(|it| it.take().0);
        match &mut self.rows {
            Rows::Json(it) => {
                let rows = it.take();
                let row_count = i64::try_from(rows.ends.len()).unwrap_or(i64::MAX);
                let row_ends = if keys.is_some() { rows.ends } else { Vec::new() };
                let rows = Some(pb::row_batch::Rows::Json(rows.json.into()));
                pb::RowBatch { row_count, rows, row_ends, keys }
            }
            Rows::Columns(it) => {
                let (columns, row_count) = it.take();
                let rows = Some(pb::row_batch::Rows::Columns(columns));
                pb::RowBatch { row_count, rows, row_ends: Vec::new(), keys }
            }
        }
    }
}
