//! The select list: each SQL expression once, however many members are written from it.

use proto::query::v1 as pb;
use proto::query::v1::SystemColumn;

use super::Planner;
use crate::binding::{Field, Identity, SourceSet};
use crate::error::Error;
use crate::row::{Label, Reader};

/// The columns a statement selects and what is written from them.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    pub(crate) columns: Vec<String>,
    pub(crate) outputs: Vec<Output>,
}

/// One member of a row.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) reader: Reader,
    pub(crate) key: String,
    pub(crate) formatted_key: String,
    pub(crate) static_members: Vec<pb::StaticMember>,
}

/// What a query calls a column.
pub(crate) enum Named<'a> {
    Field(&'a Field),
    System(SystemColumn),
}

impl Shape {
    /// The index of an expression, added if it is not there yet.
    pub(crate) fn column(&mut self, sql: &str) -> usize {
        if let Some(index) = self.columns.iter().position(|it| it == sql) {
            return index;
        }
        self.columns.push(sql.to_owned());
        self.columns.len() - 1
    }
}

impl<'a> Planner<'a> {
    pub(super) fn named(&self, column: Option<&pb::ColumnRef>) -> Result<Named<'a>, Error> {
        use pb::column_ref::Column;
        match column.and_then(|it| it.column.as_ref()).ok_or(Error::Missing("column"))? {
            Column::Field(name) => match self.binding.field(name) {
                Some(field) => Ok(Named::Field(field)),
                None => Err(self.no_column(name)),
            },
            Column::System(number) => match SystemColumn::try_from(*number) {
                Ok(system) if system != SystemColumn::Unspecified => Ok(Named::System(system)),
                _ => Err(self.no_column(&number.to_string())),
            },
        }
    }

    fn no_column(&self, column: &str) -> Error {
        Error::ColumnNotFound { entity: self.binding.name().to_owned(), column: column.to_owned() }
    }

    pub(super) fn select(&mut self, columns: &[pb::OutputColumn]) -> Result<Shape, Error> {
        let mut shape = Shape::default();
        for column in columns {
            let reader = match self.named(column.column.as_ref())? {
                Named::Field(field) => self.field_reader(&mut shape, field),
                Named::System(system) => self.system_reader(&mut shape, system)?,
            };
            shape.outputs.push(Output {
                reader,
                key: column.key.clone(),
                formatted_key: column.formatted_key.clone(),
                static_members: column.static_members.clone(),
            });
        }
        if shape.columns.is_empty() {
            // A statement must select something; a page without columns still counts its rows.
            shape.columns.push("true".to_owned());
        }
        Ok(shape)
    }

    pub(super) fn field_reader(&mut self, shape: &mut Shape, field: &Field) -> Reader {
        self.need(field.needs);
        Reader::field(shape.column(&field.sql), field, self.binding.null_date)
    }

    fn system_reader(&mut self, shape: &mut Shape, system: SystemColumn) -> Result<Reader, Error> {
        let entity_id = self.binding.entity_id;
        Ok(match system {
            SystemColumn::RecordId => match &self.binding.identity {
                Identity::Integer { column } => {
                    Reader::RecordGuid { column: shape.column(column), entity_id }
                }
                Identity::Uuid { column } => Reader::Guid { column: shape.column(column) },
                Identity::Hash { expression, .. } => {
                    Reader::HashedGuid { column: shape.column(expression), entity_id }
                }
            },
            SystemColumn::RowVersion => self.version_reader(shape),
            SystemColumn::PrimaryField => {
                let binding = self.binding;
                let parts = binding.key_fields().map(|it| self.field_reader(shape, it));
                Reader::Joined { parts: parts.collect() }
            }
            SystemColumn::CompanyId => {
                let field = self.company_field()?;
                self.need(field.needs);
                Reader::CompanyGuid { column: shape.column(&field.sql) }
            }
            SystemColumn::Unspecified => return Err(Error::Missing("column")),
        })
    }

    /// A row's version is that of every table it comes from: whichever changes, the row did.
    fn version_reader(&mut self, shape: &mut Shape) -> Reader {
        let binding = self.binding;
        let mut columns = Vec::new();
        for (index, source) in binding.sources.iter().enumerate() {
            if source.has_version {
                self.need(SourceSet::of(index));
                columns.push(shape.column(&format!("{}.xmin::text", source.alias)));
            }
        }
        Reader::Version { columns }
    }

    pub(super) fn company_field(&self) -> Result<&'a Field, Error> {
        self.binding.company_field().ok_or_else(|| self.no_column("company"))
    }
}

impl Output {
    /// How the value reads for people, where that was asked for.
    pub(crate) fn label(&self) -> Option<Label> {
        if self.formatted_key.is_empty() { None } else { self.reader.label() }
    }
}
