//! A Parquet file, written page by page: rows are held until they fill a row group, and never more of them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, Repetition};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use super::column::{Column, Data, DoesNotFit, Kind, Values};
use crate::files;
use crate::web_api::{Page, Row};

const ROWS_OF_GROUP: usize = 50_000;
const BYTES_OF_GROUP: usize = 32 << 20;

/// The column that says what a row stands for.
const CHANGE: &str = "_change";
const UPSERT: &str = "upsert";
const DELETE: &str = "delete";

/// A file that is being written; none until there is a row.
pub(super) struct Output {
    dir: PathBuf,
    name: String,
    columns: Vec<Column>,
    primary_id: String,
    group: RowGroup,
    file: Option<SerializedFileWriter<File>>,
    rows: u64,
}

/// A file that is whole and on disk, and has not got its name yet.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) aside: PathBuf,
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) size_bytes: u64,
}

/// Rows in memory.
struct RowGroup {
    changes: Vec<ByteArray>,
    columns: Vec<Values>,
}

// === impl Output ===

impl Output {
    pub(super) fn new(dir: &Path, name: &str, columns: &[Column], primary_id: &str) -> Self {
        Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
            group: RowGroup::new(columns),
            columns: columns.to_vec(),
            primary_id: primary_id.to_owned(),
            file: None,
            rows: 0,
        }
    }

    /// Adds the rows of a page.
    pub(super) fn take(&mut self, page: &Page<'_>) -> Result<(), DoesNotFit> {
        page.rows.iter().try_for_each(|it| self.row(it))
    }

    fn row(&mut self, row: &Row<'_>) -> Result<(), DoesNotFit> {
        let deleted = row.is_deleted();
        let no_id = || DoesNotFit { column: self.primary_id.clone() };
        let id = match deleted {
            true => format!("\"{}\"", row.deleted_id().ok_or_else(no_id)?),
            false => row.get(&self.primary_id).ok_or_else(no_id)?.to_owned(),
        };
        for (column, values) in self.columns.iter().zip(&mut self.group.columns) {
            let value = match column.name == self.primary_id {
                true => Some(id.as_str()),
                false if deleted => None,
                false => row.get(&column.name),
            };
            values.push(value).ok_or_else(|| DoesNotFit { column: column.name.clone() })?;
        }
        self.group.changes.push(ByteArray::from(if deleted { DELETE } else { UPSERT }));
        self.rows += 1;
        Ok(())
    }

    pub(super) async fn flush_if_full(&mut self) -> io::Result<()> {
        if self.group.is_full() { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let group = std::mem::replace(&mut self.group, RowGroup::new(&self.columns));
        let (file, aside) = (self.file.take(), self.aside());
        let (columns, primary_id) = (self.columns.clone(), self.primary_id.clone());
        let written = files::blocking(move || -> io::Result<_> {
            let mut file = match file {
                Some(file) => file,
                None => create(&aside, &columns, &primary_id)?,
            };
            group.write(&mut file, &columns, &primary_id)?;
            Ok(file)
        });
        self.file = Some(written.await?);
        Ok(())
    }

    /// None if there was no row.
    pub(super) async fn finish(mut self) -> io::Result<Option<Written>> {
        if !self.group.changes.is_empty() {
            self.flush().await?;
        }
        let (aside, name, rows) = (self.aside(), self.name, self.rows);
        let Some(file) = self.file else { return Ok(None) };
        let size_bytes = files::blocking(move || -> io::Result<u64> {
            let file = file.into_inner()?;
            file.sync_all()?;
            Ok(file.metadata()?.len())
        });
        Ok(Some(Written { size_bytes: size_bytes.await?, aside, name, rows }))
    }

    fn aside(&self) -> PathBuf {
        self.dir.join(format!("{}{}", files::UNFINISHED, self.name))
    }
}

// === impl RowGroup ===

impl RowGroup {
    fn new(columns: &[Column]) -> Self {
        let columns = columns.iter().map(|it| Values::new(it.kind)).collect();
        Self { changes: Vec::new(), columns }
    }

    fn is_full(&self) -> bool {
        let bytes: usize = self.columns.iter().map(|it| it.bytes).sum();
        self.changes.len() >= ROWS_OF_GROUP || bytes >= BYTES_OF_GROUP
    }

    fn write(
        &self,
        file: &mut SerializedFileWriter<File>,
        columns: &[Column],
        primary_id: &str,
    ) -> io::Result<()> {
        let mut group = file.next_row_group()?;
        let missing = || io::Error::other("a column has no place in the file");
        let mut change = group.next_column()?.ok_or_else(missing)?;
        change.typed::<ByteArrayType>().write_batch(&self.changes, None, None)?;
        change.close()?;
        for (column, values) in columns.iter().zip(&self.columns) {
            let mut writer = group.next_column()?.ok_or_else(missing)?;
            let levels = (column.name != primary_id).then_some(&*values.levels);
            write_values(&mut writer, &values.data, levels)?;
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }
}

fn write_values(
    writer: &mut SerializedColumnWriter<'_>,
    data: &Data,
    levels: Option<&[i16]>,
) -> Result<usize, ParquetError> {
    match data {
        Data::Bytes(data) => writer.typed::<ByteArrayType>().write_batch(data, levels, None),
        Data::Fixed(data) => {
            writer.typed::<FixedLenByteArrayType>().write_batch(data, levels, None)
        }
        Data::Int32(data) => writer.typed::<Int32Type>().write_batch(data, levels, None),
        Data::Int64(data) => writer.typed::<Int64Type>().write_batch(data, levels, None),
        Data::Boolean(data) => writer.typed::<BoolType>().write_batch(data, levels, None),
        Data::Double(data) => writer.typed::<DoubleType>().write_batch(data, levels, None),
    }
}

fn create(
    path: &Path,
    columns: &[Column],
    primary_id: &str,
) -> io::Result<SerializedFileWriter<File>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(
            concat!("tombolo data-export version ", env!("CARGO_PKG_VERSION")).to_owned(),
        )
        .build();
    let schema = schema(columns, primary_id)?;
    Ok(SerializedFileWriter::new(File::create(path)?, schema, Arc::new(properties))?)
}

/// What the row stands for, and the table's columns, all of which but the id may be null.
fn schema(columns: &[Column], primary_id: &str) -> Result<TypePtr, ParquetError> {
    let change = Column { name: CHANGE.to_owned(), kind: Kind::String };
    let mut fields = vec![Arc::new(change.describe(Repetition::REQUIRED)?)];
    for column in columns {
        let repetition = match column.name == primary_id {
            true => Repetition::REQUIRED,
            false => Repetition::OPTIONAL,
        };
        fields.push(Arc::new(column.describe(repetition)?));
    }
    Ok(Arc::new(Type::group_type_builder("row").with_fields(fields).build()?))
}
