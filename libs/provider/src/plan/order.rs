//! Sort keys and the place of a row among them: pages go by key, not by offset, so that rows which
//! come and go between two pages move no other row from one page to another.

use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;
use uuid::Uuid;

use super::Planner;
use super::argument::Argument;
use super::column::{Column, Named};
use super::scope::{Place, ROOT};
use super::select::Shape;
use crate::binding::{EnumStorage, Identity, Kind};
use crate::error::Error;

/// Stands for a parameter that has no number yet.
const HOLE: &str = "?";

/// One key that rows are sorted by.
#[derive(Clone, Debug)]
pub(crate) struct SortKey {
    /// What is sorted.
    pub(super) expression: String,
    /// How a position's value is put beside it; [`HOLE`] stands for the parameter.
    pub(super) parameter: String,
    pub(super) nullable: bool,
    pub(super) descending: bool,
    /// The column of the select list that a position's value is read from.
    pub(crate) column: usize,
    pub(crate) kind: PositionKind,
}

/// How a key's value is carried in a page position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PositionKind {
    Text,
    Int,
    Bool,
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

/// What rows are sorted by.
#[derive(Clone, Debug)]
pub(super) struct Sort {
    pub(super) column: Column,
    pub(super) descending: bool,
    /// Options sort by their labels.
    pub(super) by_label: bool,
}

impl Planner<'_> {
    /// What a query sorts by, ended by the record ids so that no two rows are equal. A column named
    /// twice counts once: the first decides.
    pub(super) fn sorts(&mut self, orders: &[pb::OrderExpression]) -> Result<Vec<Sort>, Error> {
        let at = Place::within(ROOT);
        let mut sorts = Vec::new();
        for order in orders {
            if !order.output.is_empty() {
                let message = "only distinct and aggregate queries sort by an output";
                return Err(Error::InvalidQuery(message.to_owned()));
            }
            let named = self.named(order.column.as_ref(), at)?;
            let columns = match self.valued(named, at)? {
                Named::Version(_) => {
                    let message = "rows cannot be sorted by this column";
                    return Err(Error::InvalidQuery(message.to_owned()));
                }
                Named::RecordId(guid) if guid.owner == Some(ROOT) => {
                    self.identity(order.descending, &mut sorts)?;
                    return Ok(sorts);
                }
                named => named.columns(),
            };
            for column in columns {
                add(&mut sorts, &column, order);
            }
        }
        self.identity(false, &mut sorts)?;
        Ok(sorts)
    }

    /// The identity of a result's row: of the root, and of every link that may lead to several rows.
    fn identity(&mut self, descending: bool, sorts: &mut Vec<Sort>) -> Result<(), Error> {
        let mut push = |column| sorts.push(Sort { column, descending, by_label: false });
        let binding = self.root();
        // The key's own columns where their types are known, because its index sorts them.
        let fields = match &binding.identity {
            Identity::Hash { columns, .. } => {
                let field = |column: &String| {
                    binding.fields.iter().find(|it| it.sql == *column && !it.nullable)
                };
                columns.iter().map(field).collect::<Option<Vec<_>>>()
            }
            _ => None,
        };
        match fields {
            Some(fields) => {
                for field in fields {
                    push(Column::raw(field.sql.clone(), field.kind.clone(), false));
                }
            }
            None => push(self.record_guid(ROOT, Place::within(ROOT))?.column),
        }
        for number in self.multiplying() {
            let at = Place::within(ROOT);
            let column = match self.binding(number) {
                Some(_) => self.record_guid(number, at)?.column,
                None => {
                    let ordinal = format!("\"rows {number}\".ord");
                    self.see(at, number, Column::raw(ordinal, Kind::Integer, false))?
                }
            };
            push(column);
        }
        Ok(())
    }

    /// The keys of an order, and their values in the select list.
    pub(super) fn keys(&mut self, sorts: &[Sort], shape: &mut Shape) -> Vec<SortKey> {
        sorts.iter().map(|it| self.key_of(it, shape)).collect()
    }

    fn key_of(&mut self, sort: &Sort, shape: &mut Shape) -> SortKey {
        // Where there may be null beside the date that means it, both are one and the same. Without
        // null the plain column sorts as well, and an ordinary index serves.
        let column = if sort.column.nullable { sort.column.or_null() } else { sort.column.clone() };
        let (index, kind) = position_column(shape, &column);
        let (expression, parameter) = self.sorted(&column, sort.by_label);
        let nullable = column.nullable || expression.starts_with("array_position");
        SortKey {
            expression,
            parameter,
            nullable,
            descending: sort.descending,
            column: index,
            kind,
        }
    }

    /// What a column is sorted by, and how a value is put beside it; [`HOLE`] stands for the value.
    pub(super) fn sorted(&mut self, column: &Column, by_label: bool) -> (String, String) {
        let value = &column.sql;
        match &column.kind {
            Kind::Text if column.is_caseless() => {
                (format!("lower({value})"), format!("lower({HOLE}::text)"))
            }
            Kind::Enum(members) if by_label || !members.sorts_as_stored() => {
                let (list, r#type) = stored_in_order(members, by_label);
                let list = self.arguments.push(list);
                let position = |value: &str| {
                    format!("array_position({list}::{}[], {value}::{})", r#type, r#type)
                };
                (position(value), position(HOLE))
            }
            kind => {
                let r#type = super::condition::parameter_type(kind);
                (value.clone(), format!("{HOLE}::{}", r#type))
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

/// Adds a sort key, unless the column is one already.
pub(super) fn add(sorts: &mut Vec<Sort>, column: &Column, order: &pb::OrderExpression) {
    if !sorts.iter().any(|it| it.column.sql == column.sql) {
        let (descending, by_label) = (order.descending, order.by_label);
        sorts.push(Sort { column: column.clone(), descending, by_label });
    }
}

fn stored_in_order(
    binding: &crate::binding::EnumBinding,
    by_label: bool,
) -> (Argument, &'static str) {
    use crate::binding::Stored;
    let mut members: Vec<_> = binding.members.iter().collect();
    if by_label {
        members.sort_by_key(|it| it.label.to_lowercase());
    }
    let stored = members.into_iter().map(|it| &it.stored);
    match binding.storage {
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
fn position_column(shape: &mut Shape, column: &Column) -> (usize, PositionKind) {
    let kind = match &column.kind {
        Kind::Decimal | Kind::Date | Kind::DateTime { .. } => {
            let text = Column::raw(format!("({})::text", column.sql), Kind::Text, column.nullable);
            return (shape.put(&text), PositionKind::Text);
        }
        Kind::Text => PositionKind::Text,
        Kind::Integer => PositionKind::Int,
        Kind::Boolean => PositionKind::Bool,
        Kind::Guid => PositionKind::Guid,
        Kind::Enum(it) => match it.storage {
            EnumStorage::Int => PositionKind::Int,
            EnumStorage::Text => PositionKind::Text,
            EnumStorage::Bool => PositionKind::Bool,
        },
    };
    (shape.put(column), kind)
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
