//! The select list: each SQL expression once, however many members are written from it.

use proto::query::v1 as pb;
use proto::query::v1::SystemColumn;

use super::Planner;
use super::bounds::IT;
use super::column::{Column, GuidForm, Named, RowGuid};
use super::condition::parameter_type;
use super::inline::Read;
use super::scope::{Body, Place, ROOT};
use crate::authority::Privilege;
use crate::binding::{Field, Identity, Kind, SourceSet};
use crate::error::Error;
use crate::row::{Label, Reader};

/// The columns a statement selects and what is written from them.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    pub(crate) columns: Vec<Column>,
    pub(crate) outputs: Vec<Output>,
    /// What stands beside the rows.
    pub(crate) keys: Vec<Output>,
    /// For each output, the columns that it is made of.
    pub(super) parts: Vec<Vec<usize>>,
}

/// One member of a row.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) reader: Reader,
    pub(crate) key: String,
    pub(crate) formatted_key: String,
    pub(crate) static_members: Vec<pb::StaticMember>,
    /// Left out where the value is null.
    pub(crate) omit_null: bool,
    /// 64-bit integers and decimals are written as strings.
    pub(crate) number_as_string: bool,
    /// IANA name of the time zone that moments are shown in; empty: UTC.
    pub(crate) time_zone: String,
    /// Where there are any: written as an object in place of the value, unless that is null.
    pub(crate) members: Vec<Output>,
}

impl Shape {
    /// The index of a column, added if its expression is not there yet.
    pub(super) fn put(&mut self, column: &Column) -> usize {
        if let Some(index) = self.columns.iter().position(|it| it.sql == column.sql) {
            return index;
        }
        self.columns.push(column.clone());
        self.columns.len() - 1
    }

    /// The select list, with names where it becomes a table.
    pub(super) fn list(&self, named: bool) -> String {
        let columns = self.columns.iter().enumerate().map(|(index, column)| match named {
            true => format!("{} AS c{index}", column.sql),
            false => column.sql.clone(),
        });
        columns.collect::<Vec<_>>().join(", ")
    }

    /// From now on its columns are those of a table that was made of them.
    pub(super) fn lift(&mut self, table: &str) {
        for (index, column) in self.columns.iter_mut().enumerate() {
            column.sql = format!("{table}.c{index}");
            column.rows = None;
        }
    }
}

impl Planner<'_> {
    pub(super) fn named(
        &mut self,
        column: Option<&pb::ColumnRef>,
        at: Place,
    ) -> Result<Named, Error> {
        use pb::column_ref::Column as Ref;
        let reference = column.ok_or(Error::Missing("column"))?;
        let owner = self.owner(&reference.link, at)?;
        match reference.column.as_ref().ok_or(Error::Missing("column"))? {
            Ref::Field(name) => self.field(owner, name, at).map(Named::Field),
            Ref::Relation(name) => self.lookup(owner, name).map(Named::Lookup),
            Ref::System(number) => match SystemColumn::try_from(*number) {
                Ok(system) => self.system(owner, system, at),
                Err(_) => Err(self.no_column(owner, &number.to_string())),
            },
        }
    }

    /// The scope that a reference names.
    fn owner(&self, link: &str, at: Place) -> Result<usize, Error> {
        match link {
            "" => Ok(at.here),
            IT => Ok(ROOT),
            link => self.aliases.get(link).copied().ok_or_else(|| {
                Error::InvalidQuery(format!("there is no link `{link}` before this place"))
            }),
        }
    }

    /// A declared column of a scope, if the caller may see it.
    pub(super) fn field(&mut self, owner: usize, name: &str, at: Place) -> Result<Column, Error> {
        if !self.is_internal
            && let Some(Body::Entity(grant)) = self.scopes.get(owner).map(|it| &it.body)
            && grant.binding().number(name).is_some_and(|it| grant.hides(it))
        {
            return Err(grant.column_denied(name, Privilege::Read));
        }
        self.any_field(owner, name, at)
    }

    /// A declared column of a scope, for what is not shown.
    pub(super) fn any_field(
        &mut self,
        owner: usize,
        name: &str,
        at: Place,
    ) -> Result<Column, Error> {
        let Some(binding) = self.binding(owner) else {
            let column = self.inline_column(owner, name, &Read::AsTheyAre)?;
            let column = column.ok_or_else(|| self.no_column(owner, name))?;
            return self.see(at, owner, column);
        };
        let field = binding.field(name).ok_or_else(|| self.no_column(owner, name))?;
        self.scopes[owner].need(field.needs);
        self.see(at, owner, declared(field, &binding))
    }

    pub(super) fn no_column(&self, owner: usize, column: &str) -> Error {
        let entity = self.binding(owner).map(|it| it.name().to_owned()).unwrap_or_default();
        Error::ColumnNotFound { entity, column: column.to_owned() }
    }

    fn system(&mut self, owner: usize, system: SystemColumn, at: Place) -> Result<Named, Error> {
        let Some(binding) = self.binding(owner) else {
            return Err(self.no_column(owner, system.as_str_name()));
        };
        Ok(match system {
            SystemColumn::RecordId => Named::RecordId(self.record_guid(owner, at)?),
            SystemColumn::RowVersion => Named::Version(self.version(owner, at)?),
            SystemColumn::PrimaryField => {
                let fields = binding.key_fields();
                let columns = fields.map(|it| self.field(owner, &it.name, at));
                Named::Primary(columns.collect::<Result<_, _>>()?)
            }
            SystemColumn::CompanyId => {
                let field = binding.company_field();
                let field = field.ok_or_else(|| self.no_column(owner, "company"))?;
                Named::Company(self.field(owner, &field.name, at)?)
            }
            SystemColumn::Unspecified => return Err(self.no_column(owner, "0")),
        })
    }

    /// The GUID of a scope's row.
    pub(super) fn record_guid(&mut self, owner: usize, at: Place) -> Result<RowGuid, Error> {
        let binding = self.binding(owner).ok_or_else(|| self.no_column(owner, "record id"))?;
        let (form, sql) = match &binding.identity {
            Identity::Integer { column } => (GuidForm::Integer, column),
            Identity::Uuid { column } => (GuidForm::Uuid, column),
            Identity::Hash { expression, .. } => (GuidForm::Hash, expression),
        };
        let column = Column::raw(sql.clone(), form.kind(), false);
        let column = self.see(at, owner, column)?;
        Ok(RowGuid { entity_id: binding.entity_id, form, column, owner: Some(owner) })
    }

    /// A row's version is that of every table it comes from: whichever changes, the row did.
    pub(super) fn version(&mut self, owner: usize, at: Place) -> Result<Vec<Column>, Error> {
        let binding = self.binding(owner).ok_or_else(|| self.no_column(owner, "version"))?;
        let mut columns = Vec::new();
        for (index, source) in binding.sources.iter().enumerate() {
            if source.has_version {
                self.scopes[owner].need(SourceSet::of(index));
                let sql = format!("{}.xmin::text", source.alias);
                let optional = source.join.as_ref().is_some_and(|it| it.optional);
                columns.push(self.see(at, owner, Column::raw(sql, Kind::Text, optional))?);
            }
        }
        Ok(columns)
    }

    /// What a query returns, row by row.
    pub(super) fn select(
        &mut self,
        columns: &[pb::OutputColumn],
        keys: &[pb::ColumnRef],
    ) -> Result<Shape, Error> {
        let mut shape = Shape::default();
        for column in columns {
            let (output, parts) = self.output(&mut shape, column)?;
            shape.outputs.push(output);
            shape.parts.push(parts);
        }
        for (index, key) in keys.iter().enumerate() {
            let key = pb::OutputColumn {
                column: Some(key.clone()),
                key: format!("k{index}"),
                ..Default::default()
            };
            let (output, _) = self.output(&mut shape, &key)?;
            shape.keys.push(output);
        }
        if shape.columns.is_empty() {
            // A statement must select something; a page without columns still counts its rows.
            shape.columns.push(Column::raw("true".to_owned(), Kind::Boolean, false));
        }
        Ok(shape)
    }

    fn output(
        &mut self,
        shape: &mut Shape,
        column: &pb::OutputColumn,
    ) -> Result<(Output, Vec<usize>), Error> {
        let at = Place::within(ROOT);
        let named = self.named(column.column.as_ref(), at).and_then(|it| self.valued(it, at));
        let named = match named {
            Err(Error::ColumnDenied { .. }) if column.if_permitted => {
                let withheld = self.withheld(column.column.as_ref(), at)?;
                let reader = reader(shape, &withheld);
                return Ok((output(reader, column), Vec::new()));
            }
            named => named?,
        };
        let parts = named.columns().iter().map(|it| shape.put(it)).collect();
        let mut output = output(reader(shape, &named), column);
        for member in &column.members {
            output.members.push(self.output(shape, member)?.0);
        }
        Ok((output, parts))
    }

    /// Null in place of a column that the caller may not see, of the same type.
    fn withheld(&self, column: Option<&pb::ColumnRef>, at: Place) -> Result<Named, Error> {
        use pb::column_ref::Column as Ref;
        let reference = column.ok_or(Error::Missing("column"))?;
        let owner = self.owner(&reference.link, at)?;
        let binding = self.binding(owner);
        let field = match (&reference.column, &binding) {
            (Some(Ref::Field(name)), Some(binding)) => binding.field(name),
            _ => None,
        };
        Ok(match (field, &binding) {
            (Some(field), Some(binding)) => {
                let sql = format!("NULL::{}", parameter_type(&field.kind));
                let (nullable, null_date) = (true, None);
                Named::Field(Column { sql, nullable, null_date, ..declared(field, binding) })
            }
            _ => Named::RecordId(RowGuid::none()),
        })
    }

    /// A lookup as the GUID that it holds.
    pub(super) fn valued(&mut self, named: Named, at: Place) -> Result<Named, Error> {
        match named {
            Named::Lookup(lookup) => self.lookup_guid(&lookup, at).map(Named::RecordId),
            named => Ok(named),
        }
    }
}

/// How a value is read from the select list.
pub(super) fn reader(shape: &mut Shape, named: &Named) -> Reader {
    let mut put = |it: &Column| shape.put(it);
    match named {
        Named::Field(column) => field_reader(put(column), column),
        Named::RecordId(guid) => guid_reader(put(&guid.column), guid),
        Named::Version(columns) => Reader::Version { columns: columns.iter().map(put).collect() },
        Named::Primary(columns) => {
            let parts = columns.iter().map(|it| field_reader(put(it), it));
            Reader::Joined { parts: parts.collect() }
        }
        Named::Company(column) => Reader::CompanyGuid { column: put(column) },
        // Replaced by its GUID before.
        Named::Lookup(_) => Reader::Joined { parts: Vec::new() },
    }
}

fn field_reader(index: usize, column: &Column) -> Reader {
    Reader::of(index, &column.kind, column.null_date)
}

fn guid_reader(column: usize, guid: &RowGuid) -> Reader {
    let entity_id = guid.entity_id;
    match guid.form {
        GuidForm::Integer => Reader::RecordGuid { column, entity_id },
        GuidForm::Uuid => Reader::Guid { column },
        GuidForm::Hash => Reader::HashedGuid { column, entity_id },
    }
}

/// An output as the request has it, read in some way.
pub(super) fn output(reader: Reader, column: &pb::OutputColumn) -> Output {
    Output {
        reader,
        key: column.key.clone(),
        formatted_key: column.formatted_key.clone(),
        static_members: column.static_members.clone(),
        omit_null: column.omit_null,
        number_as_string: column.number_as_string,
        time_zone: column.time_zone.clone(),
        members: Vec::new(),
    }
}

/// A field, at its own level.
pub(crate) fn declared(field: &Field, binding: &crate::binding::Binding) -> Column {
    Column {
        name: field.name.clone(),
        sql: field.sql.clone(),
        kind: field.kind.clone(),
        nullable: field.nullable,
        casing: field.casing,
        null_date: match field.kind {
            Kind::Date | Kind::DateTime { .. } => binding.null_date,
            _ => None,
        },
        rows: None,
    }
}

impl Output {
    /// How the value reads for people, where that was asked for.
    pub(crate) fn label(&self) -> Option<Label> {
        if self.formatted_key.is_empty() { None } else { self.reader.label() }
    }
}
