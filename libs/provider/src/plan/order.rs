//! Sort keys and the place of a row among them: pages go by key, not by offset, so that rows which
//! come and go between two pages move no other row from one page to another.

use proto::query::v1 as pb;
use proto::query::v1::SystemColumn;
use proto::query::v1::value::Kind as Value;
use uuid::Uuid;

use super::Planner;
use super::argument::Argument;
use super::select::{Named, Shape};
use crate::binding::{Casing, EnumStorage, Field, Identity, Kind};
use crate::error::Error;

/// Stands for a parameter that has no number yet.
const HOLE: &str = "?";

/// One key that rows are sorted by.
#[derive(Debug)]
pub(crate) struct SortKey {
    /// What is sorted.
    expression: String,
    /// How a position's value is put beside it; [`HOLE`] stands for the parameter.
    parameter: String,
    nullable: bool,
    descending: bool,
    /// The column of the select list that a position's value is read from.
    pub(crate) column: usize,
    pub(crate) kind: PositionKind,
}

/// How a key's value is carried in a page position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PositionKind {
    Text,
    Int,
    Decimal,
    Bool,
    Date,
    Timestamp,
    Guid,
}

impl SortKey {
    /// Null sorts first ascending and last descending. A column without nulls needs no such clause,
    /// and without it an ordinary index can serve.
    pub(super) fn order_by(&self) -> String {
        match (self.descending, self.nullable) {
            (false, false) => self.expression.clone(),
            (false, true) => format!("{} NULLS FIRST", self.expression),
            (true, false) => format!("{} DESC", self.expression),
            (true, true) => format!("{} DESC NULLS LAST", self.expression),
        }
    }
}

impl Planner<'_> {
    /// The keys of a query's order, ended by the record id so that no two rows are equal. A column
    /// named twice counts once: the first decides.
    pub(super) fn sort_keys(
        &mut self,
        orders: &[pb::OrderExpression],
        shape: &mut Shape,
    ) -> Result<Vec<SortKey>, Error> {
        let binding = self.binding;
        let mut sorted: Vec<&Field> = Vec::new();
        let mut keys = Vec::new();
        for order in orders {
            let fields = match self.named(order.column.as_ref())? {
                Named::Field(field) => vec![field],
                Named::System(SystemColumn::PrimaryField) => binding.key_fields().collect(),
                Named::System(SystemColumn::CompanyId) => vec![self.company_field()?],
                Named::System(SystemColumn::RecordId) => {
                    self.identity_keys(shape, order.descending, &mut keys);
                    return Ok(keys);
                }
                Named::System(_) => {
                    let message = "rows cannot be sorted by this column";
                    return Err(Error::InvalidQuery(message.to_owned()));
                }
            };
            for field in fields {
                if !sorted.iter().any(|it| std::ptr::eq(*it, field)) {
                    sorted.push(field);
                    keys.push(self.field_key(shape, field, order.descending));
                }
            }
        }
        self.identity_keys(shape, false, &mut keys);
        Ok(keys)
    }

    fn field_key(&mut self, shape: &mut Shape, field: &Field, descending: bool) -> SortKey {
        self.need(field.needs);
        // Where there may be null beside the date that means it, both are one and the same. Without
        // null the plain column sorts as well, and an ordinary index serves.
        let value = match self.null_date(field) {
            Some(none) if field.nullable => format!("NULLIF({}, {none})", field.sql),
            _ => field.sql.clone(),
        };
        let (column, kind) = position_column(shape, &value, position_kind(&field.kind));
        let (expression, parameter) = match (&field.kind, field.casing) {
            (Kind::Text, Casing::Any) => {
                (format!("lower({value})"), format!("lower({HOLE}::text)"))
            }
            (Kind::Enum(members), _) if !members.sorts_as_stored() => {
                let (list, r#type) = stored_in_order(members);
                let list = self.arguments.push(list);
                let position = |value: &str| {
                    format!("array_position({list}::{}[], {value}::{})", r#type, r#type)
                };
                (position(&value), position(HOLE))
            }
            (kind, _) => (value, format!("{HOLE}::{}", super::condition::parameter_type(kind))),
        };
        let nullable = field.nullable || expression.starts_with("array_position");
        SortKey { expression, parameter, nullable, descending, column, kind }
    }

    fn identity_keys(&mut self, shape: &mut Shape, descending: bool, keys: &mut Vec<SortKey>) {
        let mut push = |sql: &str, r#type: &str, kind| {
            let (column, kind) = position_column(shape, sql, kind);
            let (expression, parameter) = (sql.to_owned(), format!("{HOLE}::{}", r#type));
            let nullable = false;
            keys.push(SortKey { expression, parameter, nullable, descending, column, kind });
        };
        match &self.binding.identity {
            Identity::Integer { column } => push(column, "bigint", PositionKind::Int),
            Identity::Uuid { column } => push(column, "uuid", PositionKind::Guid),
            Identity::Hash { columns, expression } => {
                // The key's own columns where their types are known, because its index sorts them.
                let fields = columns.iter().map(|column| {
                    self.binding.fields.iter().find(|it| it.sql == *column && !it.nullable)
                });
                match fields.collect::<Option<Vec<_>>>() {
                    Some(fields) => {
                        for field in fields {
                            let r#type = super::condition::parameter_type(&field.kind);
                            push(&field.sql, r#type, position_kind(&field.kind));
                        }
                    }
                    None => push(expression, "text", PositionKind::Text),
                }
            }
        }
    }

    /// The predicate of the rows behind a position; `None` without one.
    pub(super) fn seek(
        &mut self,
        keys: &[SortKey],
        after: &[pb::Value],
    ) -> Result<Option<String>, Error> {
        if after.is_empty() {
            return Ok(None);
        }
        if after.len() != keys.len() {
            return Err(Error::InvalidQuery("the position is not one of this order".to_owned()));
        }
        let mut predicate = None;
        for (key, value) in keys.iter().zip(after).rev() {
            let value = position_argument(key.kind, value)?;
            let parameter = value.map(|it| {
                let placeholder = self.arguments.push(it);
                key.parameter.replace(HOLE, &placeholder)
            });
            predicate = Some(key.behind(parameter.as_deref(), predicate.as_deref()));
        }
        Ok(predicate)
    }
}

impl SortKey {
    /// Rows behind `value` of this key; among equals, those behind in the keys after it.
    fn behind(&self, value: Option<&str>, among_equals: Option<&str>) -> String {
        let column = &self.expression;
        let (operator, or_equal) = if self.descending { ("<", "<=") } else { (">", ">=") };
        match (value, self.descending, among_equals) {
            (None, false, None) => format!("{column} IS NOT NULL"),
            (None, false, Some(rest)) => {
                format!("({column} IS NOT NULL OR ({column} IS NULL AND {rest}))")
            }
            (None, true, None) => "false".to_owned(),
            (None, true, Some(rest)) => format!("({column} IS NULL AND {rest})"),
            (Some(value), _, None) => self.or_null(format!("{column} {operator} {value}")),
            // The first bound is what an index can start from; the rest only thins out its equals.
            (Some(value), _, Some(rest)) if !(self.descending && self.nullable) => {
                format!("({column} {or_equal} {value} AND ({column} {operator} {value} OR {rest}))")
            }
            (Some(value), _, Some(rest)) => self
                .or_null(format!("{column} {operator} {value} OR ({column} = {value} AND {rest})")),
        }
    }

    /// Descending, nulls come last: they are behind every value.
    fn or_null(&self, predicate: String) -> String {
        if self.descending && self.nullable {
            format!("({predicate} OR {} IS NULL)", self.expression)
        } else {
            predicate
        }
    }
}

fn stored_in_order(members: &crate::binding::EnumBinding) -> (Argument, &'static str) {
    use crate::binding::Stored;
    let stored = members.members.iter().map(|it| &it.stored);
    match members.storage {
        EnumStorage::Int => {
            let list = stored.filter_map(|it| match it {
                Stored::Int(it) => Some(*it),
                _ => None,
            });
            (Argument::Ints(list.collect()), "bigint")
        }
        EnumStorage::Text => {
            let list = stored.filter_map(|it| match it {
                Stored::Text(it) => Some(it.clone()),
                _ => None,
            });
            (Argument::Texts(list.collect()), "text")
        }
        EnumStorage::Bool => {
            let list = stored.filter_map(|it| match it {
                Stored::Bool(it) => Some(*it),
                _ => None,
            });
            (Argument::Bools(list.collect()), "boolean")
        }
    }
}

/// Where a position's value is read from, and as what. Numbers and dates travel as PostgreSQL writes
/// them: it alone has all of theirs, such as infinity, NaN, and years before 1 or after 9999.
fn position_column(shape: &mut Shape, sql: &str, kind: PositionKind) -> (usize, PositionKind) {
    match kind {
        PositionKind::Decimal | PositionKind::Date | PositionKind::Timestamp => {
            (shape.column(&format!("({sql})::text")), PositionKind::Text)
        }
        kind => (shape.column(sql), kind),
    }
}

fn position_kind(kind: &Kind) -> PositionKind {
    match kind {
        Kind::Text => PositionKind::Text,
        Kind::Integer => PositionKind::Int,
        Kind::Decimal => PositionKind::Decimal,
        Kind::Boolean => PositionKind::Bool,
        Kind::Date => PositionKind::Date,
        Kind::DateTime { .. } => PositionKind::Timestamp,
        Kind::Guid => PositionKind::Guid,
        Kind::Enum(it) => match it.storage {
            EnumStorage::Int => PositionKind::Int,
            EnumStorage::Text => PositionKind::Text,
            EnumStorage::Bool => PositionKind::Bool,
        },
    }
}

/// The value of a position; `None` for null.
fn position_argument(kind: PositionKind, value: &pb::Value) -> Result<Option<Argument>, Error> {
    let argument = match (kind, value.kind.as_ref()) {
        (_, Some(Value::NullValue(_))) => return Ok(None),
        (PositionKind::Text, Some(Value::StringValue(it))) if !it.contains('\0') => {
            Argument::Text(it.clone())
        }
        (PositionKind::Int, Some(Value::Int64Value(it))) => Argument::Int(*it),
        (PositionKind::Bool, Some(Value::BoolValue(it))) => Argument::Bool(*it),
        (PositionKind::Guid, Some(Value::GuidValue(it))) => {
            Argument::Guid(Uuid::from_slice(it).map_err(|_| not_a_position())?)
        }
        _ => return Err(not_a_position()),
    };
    Ok(Some(argument))
}

fn not_a_position() -> Error {
    Error::InvalidQuery("the position is not one of this order".to_owned())
}
