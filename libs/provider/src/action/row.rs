//! The row that an action runs on: found under the caller's policy, and locked.

use proto::query::v1 as pb;
use proto::query::v1::SystemColumn;
use proto::query::v1::column_ref::Column;
use proto::query::v1::column_values::Values;
use proto::query::v1::value::Kind;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::binding::{Binding, Kind as FieldKind};
use crate::error::Error;
use crate::grant::Grants;
use crate::plan;
use crate::row::ColumnWriter;
use crate::transaction::Transaction;

/// A row that stays as it is until the transaction ends, unless the transaction itself changes it.
pub(super) struct Row {
    pub(super) key: pb::RecordKey,
    pub(super) id: Uuid,
    /// Its fields, if they were asked for.
    pub(super) values: Vec<pb::FieldValue>,
}

impl Row {
    /// Locks the row, if the caller may touch it. `read`: with its values.
    pub(super) async fn lock(
        transaction: &mut Transaction,
        grants: &Grants<'_>,
        key: pb::RecordKey,
        read: bool,
    ) -> Result<Self, Error> {
        let binding = grants.root().shared_binding();
        let id = Column::System(SystemColumn::RecordId.into());
        let fields = binding.fields.iter().enumerate();
        let fields = fields.filter(|(number, _)| read && !grants.root().hides(*number));
        let fields = fields.map(|(_, it)| Column::Field(it.name.clone()));
        let columns = std::iter::once(id).chain(fields).map(output).collect();
        let request = pb::RetrieveRequest { key: Some(key.clone()), columns, ..Default::default() };
        let statement = plan::lock(grants, &request)?;
        let mut writer = ColumnWriter::new(statement.outputs)?;
        let of = |error| Error::of(binding.name(), error);
        let arguments = statement.arguments.encode().map_err(of)?;
        let query = sqlx::query_with(AssertSqlSafe(statement.sql), arguments);
        let connection = transaction.connection().map_err(of)?;
        let row = query.fetch_optional(connection).await.map_err(of)?;
        let row = row.ok_or(Error::RecordNotFound)?;
        plan::check_sole(statement.guard, &row, &binding)?;
        writer.write(&row).map_err(Error::Row)?;
        let (batch, _) = writer.take();
        let mut columns = batch.columns.into_iter();
        let id = columns.next().and_then(|it| match it.values {
            Some(Values::Guids(bytes)) => Uuid::from_slice(&bytes).ok(),
            _ => None,
        });
        let values = columns.map(|it| value(&binding, it)).collect();
        Ok(Self { key, id: id.ok_or(Error::RecordNotFound)?, values })
    }
}

fn output(column: Column) -> pb::OutputColumn {
    let key = match &column {
        Column::Field(name) => name.clone(),
        Column::System(_) | Column::Relation(_) => String::new(),
    };
    let column = Some(pb::ColumnRef { column: Some(column), link: String::new() });
    pb::OutputColumn { column, key, ..Default::default() }
}

/// The one value of a column.
fn value(binding: &Binding, column: pb::ColumnValues) -> pb::FieldValue {
    let field = column.key;
    let kind = match column.values {
        _ if !column.nulls.is_empty() => None,
        Some(Values::Ints(it)) => it.values.first().map(|it| match symbol(binding, &field, *it) {
            Some(symbol) => Kind::StringValue(symbol),
            None => Kind::Int64Value(*it),
        }),
        Some(Values::Bools(it)) => it.values.first().copied().map(Kind::BoolValue),
        Some(Values::Doubles(it)) => it.values.first().copied().map(Kind::DoubleValue),
        Some(Values::Timestamps(it)) => it.values.first().copied().map(Kind::TimestampMicrosValue),
        Some(Values::Dates(it)) => it.values.into_iter().next().map(Kind::DateValue),
        Some(Values::Decimals(it)) => it.values.into_iter().next().map(Kind::DecimalValue),
        Some(Values::Strings(it)) => it.values.into_iter().next().map(Kind::StringValue),
        Some(Values::Guids(it)) => Some(Kind::GuidValue(it)),
        None => None,
    };
    let kind = Some(kind.unwrap_or(Kind::NullValue(pb::NullMarker {})));
    pb::FieldValue { field, value: Some(pb::Value { kind }) }
}

/// Of an enum field, which is read as its option's number.
fn symbol(binding: &Binding, field: &str, option: i64) -> Option<String> {
    match &binding.field(field)?.kind {
        FieldKind::Enum(it) => {
            let member = it.members.iter().find(|it| i64::from(it.option_value) == option)?;
            Some(member.symbol.clone())
        }
        _ => None,
    }
}
