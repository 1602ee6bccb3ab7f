//! Filters as SQL predicates. Negative operators match null and text compares without
//! regard to case, as the platform has it (wire-and-semantics §1).

use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;
use proto::query::v1::{ConditionOperator as Operator, DateGrouping, FilterOperator};

use super::Planner;
use super::argument::Argument;
use super::bind::{Bound, bind, collect, invalid};
use super::column::{Column, Named};
use super::pattern::{Anchor, Pattern};
use super::scope::Place;
use crate::binding::{Casing, EnumStorage, Kind};
use crate::error::Error;

impl<'q> Planner<'q> {
    /// The predicate of a filter; `None` for one that is always true.
    pub(super) fn filter(
        &mut self,
        filter: &'q pb::FilterExpression,
        at: Place,
    ) -> Result<Option<String>, Error> {
        let mut parts = Vec::new();
        for condition in &filter.conditions {
            parts.push(self.condition(condition, at)?);
        }
        let mut always = false;
        for nested in &filter.filters {
            match self.filter(nested, at)? {
                Some(part) => parts.push(part),
                None => always = true,
            }
        }
        for link in &filter.links {
            parts.push(self.related(link, at)?);
        }
        match filter.operator() {
            FilterOperator::Or if always => Ok(None),
            FilterOperator::Or => Ok(join(parts, " OR ")),
            FilterOperator::And | FilterOperator::Unspecified => Ok(join(parts, " AND ")),
        }
    }

    pub(super) fn condition(
        &mut self,
        condition: &pb::ConditionExpression,
        at: Place,
    ) -> Result<String, Error> {
        let operator = condition.operator();
        let mut named = self.named(condition.column.as_ref(), at)?;
        if condition.date_part() != DateGrouping::Unspecified {
            let Named::Field(column) = &named else {
                return Err(Error::InvalidQuery("only dates have parts".to_owned()));
            };
            let part = self.date_part(column, condition.date_part(), &condition.time_zone)?;
            named = Named::Field(part);
        }
        if let Some(other) = &condition.compare_column {
            let other = self.named(Some(other), at)?;
            return self.compare_columns(&named, operator, &other, at);
        }
        let values = &condition.values;
        match named {
            Named::Field(column) => self.compare(&column, operator, values),
            Named::RecordId(guid) => self.compare_record_id(&guid, operator, values),
            Named::Lookup(lookup) => self.compare_lookup(&lookup, operator, values, at),
            Named::Primary(columns) => match columns.as_slice() {
                [column] if matches!(column.kind, Kind::Text) => {
                    self.compare(column, operator, values)
                }
                _ => Err(Error::InvalidQuery(
                    "the primary field of an entity with a composite key cannot be filtered; \
                     filter the key's own columns"
                        .to_owned(),
                )),
            },
            Named::Company(column) if matches!(operator, Operator::Null | Operator::NotNull) => {
                self.compare(&column, operator, values)
            }
            Named::Company(_) | Named::Version(_) => {
                Err(Error::InvalidQuery("this column cannot be filtered".to_owned()))
            }
        }
    }

    fn compare(
        &mut self,
        column: &Column,
        operator: Operator,
        values: &[pb::Value],
    ) -> Result<String, Error> {
        match operator {
            Operator::Null => Ok(is_null(column)),
            Operator::NotNull => Ok(is_not_null(column)),
            Operator::In => self.in_list(column, values),
            Operator::Contains => self.like(column, values, Anchor::Anywhere),
            Operator::BeginsWith => self.like(column, values, Anchor::Start),
            Operator::EndsWith => self.like(column, values, Anchor::End),
            Operator::Like => self.like(column, values, Anchor::Whole),
            Operator::Equal => self.equal(column, one(column, values)?),
            Operator::GreaterThan => self.ordered(column, ">", values),
            Operator::GreaterEqual => self.ordered(column, ">=", values),
            Operator::LessThan => self.ordered(column, "<", values),
            Operator::LessEqual => self.ordered(column, "<=", values),
            Operator::Between => self.between(column, values),
            Operator::Unspecified => Err(Error::Missing("operator")),
            other => match positive(other) {
                Some(positive) => {
                    let predicate = self.compare(column, positive, values)?;
                    Ok(format!("({predicate}) IS NOT TRUE"))
                }
                None => Err(Error::InvalidQuery(format!(
                    "`{}` is not an operator of providers",
                    other.as_str_name()
                ))),
            },
        }
    }

    fn between(&mut self, column: &Column, values: &[pb::Value]) -> Result<String, Error> {
        let [low, high] = values else { return Err(invalid(column, "two values")) };
        let from = self.ordered(column, ">=", std::slice::from_ref(low))?;
        let to = self.ordered(column, "<=", std::slice::from_ref(high))?;
        Ok(format!("{from} AND {to}"))
    }

    /// Equality, written so that an ordinary index on the column can serve: a text without letters
    /// equals only itself, and a column of one letter case is compared as it is.
    pub(super) fn equal(&mut self, column: &Column, value: &pb::Value) -> Result<String, Error> {
        let argument = match bind(column, value)? {
            Bound::Value(argument) => argument,
            Bound::Impossible => return Ok("false".to_owned()),
        };
        let caseless =
            matches!(&argument, Argument::Text(it) if !it.chars().any(char::is_alphabetic));
        let r#type = cast(&column.kind, &argument);
        let parameter = self.arguments.push(argument);
        let right = comparand(column, &parameter, r#type);
        let left = comparable(column);
        if caseless && column.is_caseless() {
            let plain = &column.sql;
            return Ok(format!("{plain} = {parameter}::text AND {left} = {parameter}::text"));
        }
        Ok(format!("{left} = {right}"))
    }

    fn ordered(
        &mut self,
        column: &Column,
        operator: &str,
        values: &[pb::Value],
    ) -> Result<String, Error> {
        let argument = match bind(column, one(column, values)?)? {
            Bound::Value(argument) => argument,
            Bound::Impossible => return Ok("false".to_owned()),
        };
        let r#type = cast(&column.kind, &argument);
        let parameter = self.arguments.push(argument);
        let right = comparand(column, &parameter, r#type);
        let predicate = format!("{} {operator} {right}", comparable(column));
        match column.no_date() {
            // The date that means "none" is neither before nor after another.
            Some(none) => Ok(format!("{predicate} AND {} <> {none}", column.sql)),
            _ => Ok(predicate),
        }
    }

    fn in_list(&mut self, column: &Column, values: &[pb::Value]) -> Result<String, Error> {
        let mut arguments = Vec::with_capacity(values.len());
        for value in values {
            if let Bound::Value(argument) = bind(column, value)? {
                arguments.push(argument);
            }
        }
        let Some(list) = collect(arguments) else { return Ok("false".to_owned()) };
        let r#type = cast(&column.kind, &list);
        let parameter = self.arguments.push(list);
        let array = match (&column.kind, column.casing) {
            (Kind::Text, casing) => folded(&parameter, casing),
            _ => format!("{parameter}::{}[]", r#type),
        };
        Ok(format!("{} = ANY({array})", comparable(column)))
    }

    fn like(
        &mut self,
        column: &Column,
        values: &[pb::Value],
        anchor: Anchor,
    ) -> Result<String, Error> {
        let text = match (&column.kind, one(column, values)?.kind.as_ref()) {
            (Kind::Text, Some(Value::StringValue(text))) => text,
            _ => return Err(invalid(column, "text")),
        };
        if text.contains('\0') {
            return Ok("false".to_owned());
        }
        let (sql, exact) = (&column.sql, column.casing == Casing::Exact);
        Ok(match Pattern::new(text, anchor) {
            Pattern::Like(pattern) => {
                let parameter = self.arguments.push(Argument::Text(pattern));
                if exact {
                    format!("{sql} LIKE {parameter}::text")
                } else {
                    format!("lower({sql}) LIKE lower({parameter}::text)")
                }
            }
            Pattern::Regex(pattern) => {
                let parameter = self.arguments.push(Argument::Text(pattern));
                let operator = if exact { "~" } else { "~*" };
                format!("{sql} {operator} {parameter}::text")
            }
        })
    }
}

/// What a negative operator is the opposite of; null matches it as well.
fn positive(operator: Operator) -> Option<Operator> {
    Some(match operator {
        Operator::NotEqual => Operator::Equal,
        Operator::NotIn => Operator::In,
        Operator::NotContains => Operator::Contains,
        Operator::NotBeginsWith => Operator::BeginsWith,
        Operator::NotEndsWith => Operator::EndsWith,
        Operator::NotLike => Operator::Like,
        Operator::NotBetween => Operator::Between,
        _ => return None,
    })
}

pub(super) fn is_null(column: &Column) -> String {
    match (column.no_date(), column.nullable) {
        (Some(none), true) => format!("({0} IS NULL OR {0} = {none})", column.sql),
        (Some(none), false) => format!("{} = {none}", column.sql),
        (None, _) => format!("{} IS NULL", column.sql),
    }
}

pub(super) fn is_not_null(column: &Column) -> String {
    match column.no_date() {
        Some(none) => format!("{} <> {none}", column.sql),
        None => format!("{} IS NOT NULL", column.sql),
    }
}

/// A list of texts in the letter case that they are compared in: computed once, not per row.
pub(super) fn folded(parameter: &str, casing: Casing) -> String {
    let fold = match casing {
        Casing::Exact => return format!("{parameter}::text[]"),
        Casing::Upper => "upper",
        Casing::Any | Casing::Lower => "lower",
    };
    format!("ARRAY(SELECT {fold}(v) FROM unnest({parameter}::text[]) AS v)")
}

/// The column as values of its kind compare.
pub(super) fn comparable(column: &Column) -> String {
    match (&column.kind, column.casing) {
        (Kind::Text, Casing::Any) => format!("lower({})", column.sql),
        _ => column.sql.clone(),
    }
}

/// The parameter as the column's values compare with it.
pub(super) fn comparand(column: &Column, parameter: &str, r#type: &str) -> String {
    match (&column.kind, column.casing) {
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

fn one<'v>(column: &Column, values: &'v [pb::Value]) -> Result<&'v pb::Value, Error> {
    match values {
        [value] => Ok(value),
        _ => Err(invalid(column, "exactly one value")),
    }
}

fn join(parts: Vec<String>, operator: &str) -> Option<String> {
    match parts.as_slice() {
        [] => None,
        [part] => Some(part.clone()),
        _ => Some(parts.iter().map(|it| format!("({it})")).collect::<Vec<_>>().join(operator)),
    }
}
