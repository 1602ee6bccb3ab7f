//! Filters as SQL predicates. Negative operators match null and text compares without
//! regard to case, as the platform has it (wire-and-semantics §1).

use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;
use proto::query::v1::{ConditionOperator as Operator, FilterOperator, SystemColumn};

use super::Planner;
use super::argument::Argument;
use super::bind::{Bound, bind, collect, invalid};
use super::pattern::{Anchor, Pattern};
use super::select::Named;
use crate::binding::{Casing, EnumStorage, Field, Kind};
use crate::error::Error;

/// Deeper filters are refused, so that no request can exhaust the stack.
const MAX_DEPTH: usize = 64;

impl<'a> Planner<'a> {
    /// The predicate of a filter; `None` for one that is always true.
    pub(super) fn filter(
        &mut self,
        filter: &pb::FilterExpression,
    ) -> Result<Option<String>, Error> {
        self.nested_filter(filter, 0)
    }

    fn nested_filter(
        &mut self,
        filter: &pb::FilterExpression,
        depth: usize,
    ) -> Result<Option<String>, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::InvalidQuery(format!("filters nest deeper than {MAX_DEPTH}")));
        }
        let mut parts = Vec::new();
        for condition in &filter.conditions {
            parts.push(self.condition(condition)?);
        }
        let mut always = false;
        for nested in &filter.filters {
            match self.nested_filter(nested, depth + 1)? {
                Some(part) => parts.push(part),
                None => always = true,
            }
        }
        match filter.operator() {
            FilterOperator::Or if always => Ok(None),
            FilterOperator::Or => Ok(join(parts, " OR ")),
            FilterOperator::And | FilterOperator::Unspecified => Ok(join(parts, " AND ")),
        }
    }

    fn condition(&mut self, condition: &pb::ConditionExpression) -> Result<String, Error> {
        let operator = condition.operator();
        match self.named(condition.column.as_ref())? {
            Named::Field(field) => match &condition.compare_column {
                Some(other) => self.compare_columns(field, operator, other),
                None => self.compare(field, operator, &condition.values),
            },
            Named::System(SystemColumn::RecordId) => {
                self.compare_record_id(operator, &condition.values)
            }
            Named::System(SystemColumn::PrimaryField) => match self.single_text_key() {
                Some(field) => self.compare(field, operator, &condition.values),
                None => Err(Error::InvalidQuery(
                    "the primary field of an entity with a composite key cannot be filtered; \
                     filter the key's own columns"
                        .to_owned(),
                )),
            },
            Named::System(_) => {
                Err(Error::InvalidQuery("this column cannot be filtered".to_owned()))
            }
        }
    }

    fn compare(
        &mut self,
        field: &Field,
        operator: Operator,
        values: &[pb::Value],
    ) -> Result<String, Error> {
        self.need(field.needs);
        match operator {
            Operator::Null => Ok(self.is_null(field)),
            Operator::NotNull => Ok(self.is_not_null(field)),
            Operator::In => self.in_list(field, values),
            Operator::NotIn => {
                let inside = self.in_list(field, values)?;
                Ok(format!("({inside}) IS NOT TRUE"))
            }
            Operator::Contains => self.like(field, values, Anchor::Anywhere),
            Operator::BeginsWith => self.like(field, values, Anchor::Start),
            Operator::EndsWith => self.like(field, values, Anchor::End),
            Operator::NotContains => self.not_like(field, values, Anchor::Anywhere),
            Operator::NotBeginsWith => self.not_like(field, values, Anchor::Start),
            Operator::NotEndsWith => self.not_like(field, values, Anchor::End),
            Operator::Equal => self.equal(field, one(field, values)?),
            Operator::NotEqual => {
                let equal = self.equal(field, one(field, values)?)?;
                Ok(format!("({equal}) IS NOT TRUE"))
            }
            Operator::GreaterThan => self.ordered(field, ">", values),
            Operator::GreaterEqual => self.ordered(field, ">=", values),
            Operator::LessThan => self.ordered(field, "<", values),
            Operator::LessEqual => self.ordered(field, "<=", values),
            Operator::Unspecified => Err(Error::Missing("operator")),
        }
    }

    /// Equality, written so that an ordinary index on the column can serve: a text without letters
    /// equals only itself, and a column of one letter case is compared as it is.
    pub(super) fn equal(&mut self, field: &Field, value: &pb::Value) -> Result<String, Error> {
        let argument = match bind(field, value)? {
            Bound::Value(argument) => argument,
            Bound::Impossible => return Ok("false".to_owned()),
        };
        let caseless =
            matches!(&argument, Argument::Text(it) if !it.chars().any(char::is_alphabetic));
        let r#type = cast(&field.kind, &argument);
        let parameter = self.arguments.push(argument);
        let (column, right) = (&field.sql, comparand(field, &parameter, r#type));
        let left = comparable(field);
        if caseless && matches!(field.kind, Kind::Text) && field.casing == Casing::Any {
            return Ok(format!("{column} = {parameter}::text AND {left} = {parameter}::text"));
        }
        Ok(format!("{left} = {right}"))
    }

    fn ordered(
        &mut self,
        field: &Field,
        operator: &str,
        values: &[pb::Value],
    ) -> Result<String, Error> {
        let argument = match bind(field, one(field, values)?)? {
            Bound::Value(argument) => argument,
            Bound::Impossible => return Ok("false".to_owned()),
        };
        let r#type = cast(&field.kind, &argument);
        let parameter = self.arguments.push(argument);
        let right = comparand(field, &parameter, r#type);
        let predicate = format!("{} {operator} {right}", comparable(field));
        match self.null_date(field) {
            // The date that means "none" is neither before nor after another.
            Some(none) => Ok(format!("{predicate} AND {} <> {none}", field.sql)),
            _ => Ok(predicate),
        }
    }

    fn in_list(&mut self, field: &Field, values: &[pb::Value]) -> Result<String, Error> {
        let mut arguments = Vec::with_capacity(values.len());
        for value in values {
            if let Bound::Value(argument) = bind(field, value)? {
                arguments.push(argument);
            }
        }
        let Some(list) = collect(arguments) else { return Ok("false".to_owned()) };
        let r#type = cast(&field.kind, &list);
        let parameter = self.arguments.push(list);
        let array = match (&field.kind, field.casing) {
            (Kind::Text, casing) => folded(&parameter, casing),
            _ => format!("{parameter}::{}[]", r#type),
        };
        Ok(format!("{} = ANY({array})", comparable(field)))
    }

    fn like(
        &mut self,
        field: &Field,
        values: &[pb::Value],
        anchor: Anchor,
    ) -> Result<String, Error> {
        let text = match (&field.kind, one(field, values)?.kind.as_ref()) {
            (Kind::Text, Some(Value::StringValue(text))) => text,
            _ => return Err(invalid(field, "text")),
        };
        if text.contains('\0') {
            return Ok("false".to_owned());
        }
        let column = &field.sql;
        Ok(match Pattern::new(text, anchor) {
            Pattern::Like(pattern) => {
                let parameter = self.arguments.push(Argument::Text(pattern));
                format!("lower({column}) LIKE lower({parameter}::text)")
            }
            Pattern::Regex(pattern) => {
                let parameter = self.arguments.push(Argument::Text(pattern));
                format!("{column} ~* {parameter}::text")
            }
        })
    }

    fn not_like(
        &mut self,
        field: &Field,
        values: &[pb::Value],
        anchor: Anchor,
    ) -> Result<String, Error> {
        let like = self.like(field, values, anchor)?;
        Ok(format!("({like}) IS NOT TRUE"))
    }

    fn compare_columns(
        &mut self,
        field: &Field,
        operator: Operator,
        other: &pb::ColumnRef,
    ) -> Result<String, Error> {
        let Named::Field(other) = self.named(Some(other))? else {
            return Err(Error::InvalidQuery("only declared columns can be compared".to_owned()));
        };
        if !is_comparable(&field.kind, &other.kind) {
            return Err(Error::InvalidQuery(format!(
                "`{}` and `{}` hold different kinds of value",
                field.name, other.name
            )));
        }
        self.need(field.needs.with(other.needs));
        let (left, right) = (self.beside_column(field), self.beside_column(other));
        Ok(match operator {
            Operator::Equal => format!("{left} = {right}"),
            Operator::NotEqual => format!("({left} = {right}) IS NOT TRUE"),
            Operator::GreaterThan => format!("{left} > {right}"),
            Operator::GreaterEqual => format!("{left} >= {right}"),
            Operator::LessThan => format!("{left} < {right}"),
            Operator::LessEqual => format!("{left} <= {right}"),
            _ => {
                let message = "this operator does not compare columns";
                return Err(Error::InvalidQuery(message.to_owned()));
            }
        })
    }

    /// The column as it compares with another: text in one letter case, no date as null.
    fn beside_column(&self, field: &Field) -> String {
        match (&field.kind, self.null_date(field)) {
            (Kind::Text, _) => format!("lower({})", field.sql),
            (_, Some(none)) => format!("NULLIF({}, {none})", field.sql),
            (_, None) => field.sql.clone(),
        }
    }

    fn is_null(&self, field: &Field) -> String {
        match (self.null_date(field), field.nullable) {
            (Some(none), true) => format!("({0} IS NULL OR {0} = {none})", field.sql),
            (Some(none), false) => format!("{} = {none}", field.sql),
            (None, _) => format!("{} IS NULL", field.sql),
        }
    }

    fn is_not_null(&self, field: &Field) -> String {
        match self.null_date(field) {
            Some(none) => format!("{} <> {none}", field.sql),
            None => format!("{} IS NOT NULL", field.sql),
        }
    }

    /// The date that means "no date" in this field, as SQL.
    pub(super) fn null_date(&self, field: &Field) -> Option<String> {
        let date = self.binding.null_date?;
        match field.kind {
            Kind::Date => Some(format!("DATE '{date}'")),
            Kind::DateTime { zoned: false } => Some(format!("TIMESTAMP '{date}'")),
            Kind::DateTime { zoned: true } => Some(format!("TIMESTAMPTZ '{date} 00:00:00Z'")),
            _ => None,
        }
    }

    pub(super) fn single_text_key(&self) -> Option<&'a Field> {
        let mut fields = self.binding.key_fields();
        let field = fields.next().filter(|it| matches!(it.kind, Kind::Text))?;
        fields.next().is_none().then_some(field)
    }
}

/// A list of texts in the letter case that they are compared in: computed once, not per row.
pub(super) fn folded(parameter: &str, casing: Casing) -> String {
    let fold = if casing == Casing::Upper { "upper" } else { "lower" };
    format!("ARRAY(SELECT {fold}(v) FROM unnest({parameter}::text[]) AS v)")
}

/// The column as values of its kind compare.
pub(super) fn comparable(field: &Field) -> String {
    match (&field.kind, field.casing) {
        (Kind::Text, Casing::Any) => format!("lower({})", field.sql),
        _ => field.sql.clone(),
    }
}

/// Whether values of one kind compare with values of the other.
fn is_comparable(left: &Kind, right: &Kind) -> bool {
    let is_number = |it: &Kind| matches!(it, Kind::Integer | Kind::Decimal);
    let is_moment = |it: &Kind| matches!(it, Kind::Date | Kind::DateTime { .. });
    (is_number(left) && is_number(right))
        || (is_moment(left) && is_moment(right))
        || std::mem::discriminant(left) == std::mem::discriminant(right)
}

/// The parameter as the column's values compare with it.
fn comparand(field: &Field, parameter: &str, r#type: &str) -> String {
    match (&field.kind, field.casing) {
        (Kind::Text, Casing::Any | Casing::Lower) => format!("lower({parameter}::text)"),
        (Kind::Text, Casing::Upper) => format!("upper({parameter}::text)"),
        _ => format!("{parameter}::{}", r#type),
    }
}

/// The type that a value is compared as: the column's, or numeric for a fraction beside a column of
/// whole numbers.
fn cast(kind: &Kind, argument: &Argument) -> &'static str {
    match (kind, argument) {
        (Kind::Integer, Argument::Text(_) | Argument::Texts(_)) => "numeric",
        (kind, _) => parameter_type(kind),
    }
}

pub(super) fn parameter_type(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Integer => "bigint",
        Kind::Decimal => "numeric",
        Kind::Boolean => "boolean",
        Kind::Date => "date",
        Kind::DateTime { zoned: false } => "timestamp",
        Kind::DateTime { zoned: true } => "timestamptz",
        Kind::Guid => "uuid",
        Kind::Enum(it) => match it.storage {
            EnumStorage::Int => "bigint",
            EnumStorage::Text => "text",
            EnumStorage::Bool => "boolean",
        },
    }
}

fn one<'v>(field: &Field, values: &'v [pb::Value]) -> Result<&'v pb::Value, Error> {
    match values {
        [value] => Ok(value),
        _ => Err(invalid(field, "exactly one value")),
    }
}

fn join(parts: Vec<String>, operator: &str) -> Option<String> {
    match parts.as_slice() {
        [] => None,
        [part] => Some(part.clone()),
        _ => Some(parts.iter().map(|it| format!("({it})")).collect::<Vec<_>>().join(operator)),
    }
}
