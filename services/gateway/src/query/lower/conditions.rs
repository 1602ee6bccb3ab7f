//! Conditions: what stands between a column and its values, in operators that providers have.

use chrono::{DateTime, Utc};
use odata::Literal;
use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use proto::query::v1::{ConditionOperator as Operator, DateGrouping, FilterOperator, JoinOperator};

use super::super::dates::{self, Argument, DateError, Range, Window};
use super::values::{self, day, is_user_local, not_a_value};
use super::{Lowering, Spot, as_shipped};
use crate::error::GatewayError;
use crate::metadata::{Column, ColumnKind, Table};
use crate::translate::{Terms, incompatible, value};

/// Conditions before they know where their columns are.
type Parts = pb::FilterExpression;

impl Lowering<'_> {
    /// One condition of the row called `current`; it may become several.
    pub(super) fn condition(
        &mut self,
        condition: &pb::ConditionExpression,
        current: &str,
    ) -> Result<pb::FilterExpression, GatewayError> {
        self.count()?;
        let named = condition.column.as_ref();
        let named =
            named.ok_or_else(|| GatewayError::InvalidQuery("A condition has no column.".into()))?;
        let spot = self.spot(current, &named.link)?;
        let table = self.table_at(&spot)?;
        let column = self.column(&table, named)?;
        filterable(&table, column)?;
        if column.is_across() {
            return self.across(condition, current, (&table, column, &spot));
        }
        let mut parts = match &condition.compare_column {
            Some(other) => {
                let operator = condition.operator();
                return self.compare_columns(current, (&table, column, &spot), operator, other);
            }
            None => self.parts((&table, column, &spot), condition)?,
        };
        self.place(&mut parts, current, &spot)?;
        Ok(parts)
    }

    /// Puts the columns of finished conditions where the provider finds them.
    fn place(&mut self, parts: &mut Parts, current: &str, spot: &Spot) -> Result<(), GatewayError> {
        for it in &mut parts.conditions {
            if let Some(column) = &it.column {
                it.column = Some(self.refer(current, spot, column)?);
            }
        }
        for it in &mut parts.filters {
            self.place(it, current, spot)?;
        }
        Ok(())
    }

    /// A condition on a lookup that leads to another store, where its value is found: whether there
    /// is such a row.
    fn across(
        &mut self,
        condition: &pb::ConditionExpression,
        current: &str,
        (table, column, spot): (&Table, &Column, &Spot),
    ) -> Result<Parts, GatewayError> {
        let is_null = |it: &pb::Value| matches!(it.kind, Some(Kind::NullValue(_)));
        let operator = match condition.operator() {
            Operator::Equal if condition.values.iter().all(is_null) => Operator::Null,
            Operator::NotEqual if condition.values.iter().all(is_null) => Operator::NotNull,
            operator => operator,
        };
        let (join, inner) = match operator {
            Operator::Null => (JoinOperator::NotAny, None),
            Operator::NotNull => (JoinOperator::Any, None),
            Operator::Equal | Operator::In => (JoinOperator::Any, Some(Operator::In)),
            Operator::NotEqual | Operator::NotIn => (JoinOperator::NotAny, Some(Operator::In)),
            _ => return Err(does_not_take(column, operator)),
        };
        let ColumnKind::Lookup { navigation, target } = &column.kind else {
            return Err(does_not_take(column, operator));
        };
        if spot.alias != current || spot.far.is_some() || condition.compare_column.is_some() {
            let what = format!("Comparing '{}' here", column.logical_name);
            return Err(GatewayError::NotOffered(what));
        }
        let id = &super::find(self.context.snapshot, target)?.primary_id;
        let criteria = inner.map(|operator| {
            single(pb::ConditionExpression {
                column: Some(super::links::field(id, "")),
                operator: operator.into(),
                values: condition.values.clone(),
                ..Default::default()
            })
        });
        let link = pb::LinkEntity {
            alias: format!("{}lookup of {} {}", self.prefix, table.logical_name, self.conditions),
            join: join.into(),
            navigation: navigation.clone(),
            criteria,
            ..Default::default()
        };
        self.links = self.links.saturating_sub(1);
        self.semi_join(&link, current, 0)
    }

    fn parts(
        &self,
        (table, column, spot): (&Table, &Column, &Spot),
        condition: &pb::ConditionExpression,
    ) -> Result<Parts, GatewayError> {
        let context = self.context;
        let dialect = context.style.dialect;
        let shipped = spot.far.map(|_| as_shipped(column));
        let column = shipped.as_ref().unwrap_or(column);
        let terms = Terms { table, companies: context.companies };
        let operator = condition.operator();
        if dates::is_date_operator(operator) {
            return self.window(table, column, operator, &condition.values);
        }
        let zone = context.calendar.zone;
        let snapshot = context.snapshot;
        let literals =
            values::literals(snapshot, (table, column), &condition.values, dialect, zone)?;
        let one = || match literals.as_slice() {
            [literal] => Ok(literal),
            _ => Err(wrong_count(column, operator, "one value")),
        };
        let null = |operator| terms.compare(column, operator, &Literal::Null).map(single);
        match operator {
            Operator::Null => null(Operator::Equal),
            Operator::NotNull => null(Operator::NotEqual),
            Operator::In | Operator::NotIn => terms.list(column, operator, &literals),
            Operator::Contains
            | Operator::NotContains
            | Operator::BeginsWith
            | Operator::NotBeginsWith
            | Operator::EndsWith
            | Operator::NotEndsWith
            | Operator::Like
            | Operator::NotLike => terms.text(column, operator, one()?).map(single),
            Operator::Between | Operator::NotBetween => {
                let [low, high] = literals.as_slice() else {
                    return Err(wrong_count(column, operator, "two values"));
                };
                between(&terms, column, operator == Operator::Between, low, high)
            }
            Operator::Equal
            | Operator::NotEqual
            | Operator::GreaterThan
            | Operator::GreaterEqual
            | Operator::LessThan
            | Operator::LessEqual => terms.compare(column, operator, one()?).map(single),
            Operator::EqualUserLanguage => {
                let text = i64::from(context.language);
                terms
                    .compare(column, Operator::Equal, &Literal::Integer(text.to_string()))
                    .map(single)
            }
            // Among them those of choices with several values, which no column is.
            _ => Err(does_not_take(column, operator)),
        }
    }

    /// A relative date, a calendar day or a fiscal period, as plain bounds.
    fn window(
        &self,
        table: &Table,
        column: &Column,
        operator: Operator,
        given: &[pb::Value],
    ) -> Result<Parts, GatewayError> {
        let is_date = matches!(column.kind, ColumnKind::Date);
        if !is_date && !matches!(column.kind, ColumnKind::DateTime) {
            return Err(does_not_take(column, operator));
        }
        let context = self.context;
        let calendar = context.calendar;
        let local = !is_date && is_user_local(table, column);
        let zone = if local { calendar.zone } else { chrono_tz::Tz::UTC };
        let arguments = arguments(column, operator, given, zone)?;
        let refused = |error: DateError| {
            GatewayError::InvalidValue(format!("Column '{}': {error}.", column.logical_name))
        };
        let window = dates::window(operator, &arguments, context.now, calendar).map_err(refused)?;
        let (span, inside) = match window {
            Window::Within(span) => (span, true),
            Window::NotWithin(span) => (span, false),
            Window::FiscalPeriod(period) => {
                let mut part = bound(column, Operator::Equal, value(Kind::Int64Value(period)));
                part.date_part = DateGrouping::FiscalPeriod.into();
                part.time_zone =
                    if local { calendar.zone.name().to_owned() } else { String::new() };
                return Ok(single(part));
            }
        };
        let range = if is_date {
            let range = span.dates(calendar.zone).map_err(refused)?;
            let of = |it: chrono::NaiveDate| value(Kind::DateValue(it.to_string()));
            Range { from: range.from.map(of), to: range.to.map(of) }
        } else {
            // A column that is not shifted holds the user's clock as it is.
            let range = span.moments(calendar.zone).map_err(refused)?;
            let of = |it: DateTime<Utc>| {
                let moment = if local {
                    it
                } else {
                    it.with_timezone(&calendar.zone).naive_local().and_utc()
                };
                value(Kind::TimestampMicrosValue(moment.timestamp_micros()))
            };
            Range { from: range.from.map(of), to: range.to.map(of) }
        };
        Ok(within(column, inside, range))
    }

    fn compare_columns(
        &mut self,
        current: &str,
        (table, column, spot): (&Table, &Column, &Spot),
        operator: Operator,
        other: &pb::ColumnRef,
    ) -> Result<pb::FilterExpression, GatewayError> {
        use Operator::{Equal, GreaterEqual, GreaterThan, LessEqual, LessThan, NotEqual};
        if !matches!(operator, Equal | NotEqual | GreaterThan | GreaterEqual | LessThan | LessEqual)
        {
            let message = "This operator does not compare columns.";
            return Err(GatewayError::InvalidQuery(message.to_owned()));
        }
        let other_spot = self.spot(current, &other.link)?;
        let other_table = self.table_at(&other_spot)?;
        let other = self.column(&other_table, other)?;
        filterable(&other_table, other)?;
        if std::mem::discriminant(&column.kind) != std::mem::discriminant(&other.kind) {
            return Err(incompatible(column.edm_type(), other.edm_type(), operator));
        }
        let stored = |table: &Table, it: &Column| match it.is(pb::SystemColumn::CompanyId) {
            true => table.company_code(it).map(|it| it.external.clone()),
            false => Some(it.external.clone()),
        };
        let missing = || does_not_take(column, operator);
        let left = stored(table, column).ok_or_else(missing)?;
        let right = stored(&other_table, other).ok_or_else(missing)?;
        let column = self.refer(current, spot, &left)?;
        let compare_column = self.refer(current, &other_spot, &right)?;
        Ok(single(pb::ConditionExpression {
            column: Some(column),
            operator: operator.into(),
            compare_column: Some(compare_column),
            ..Default::default()
        }))
    }
}

/// The days or the numbers that a date operator takes.
fn arguments(
    column: &Column,
    operator: Operator,
    given: &[pb::Value],
    zone: chrono_tz::Tz,
) -> Result<Vec<Argument>, GatewayError> {
    let read = |value: &pb::Value| {
        let literal = crate::translate::literal_of(value);
        let literal = literal.ok_or_else(|| not_a_value(column, ""))?;
        let argument = match (dates::takes_days(operator), &literal) {
            (true, literal) => day(literal, zone).map(Argument::Day),
            (false, Literal::Integer(text) | Literal::String(text)) => {
                text.trim().parse().ok().map(Argument::Number)
            }
            (false, _) => None,
        };
        argument.ok_or_else(|| not_a_value(column, &literal.to_string()))
    };
    given.iter().map(read).collect()
}

fn single(condition: pb::ConditionExpression) -> Parts {
    Parts {
        operator: FilterOperator::And.into(),
        conditions: vec![condition],
        ..Default::default()
    }
}

fn bound(column: &Column, operator: Operator, value: pb::Value) -> pb::ConditionExpression {
    pb::ConditionExpression {
        column: Some(column.external.clone()),
        operator: operator.into(),
        values: vec![value],
        ..Default::default()
    }
}

fn within(column: &Column, inside: bool, range: Range<pb::Value>) -> Parts {
    let (from, to) = match inside {
        true => (Operator::GreaterEqual, Operator::LessThan),
        false => (Operator::LessThan, Operator::GreaterEqual),
    };
    let from = range.from.map(|it| bound(column, from, it));
    let to = range.to.map(|it| bound(column, to, it));
    let mut conditions: Vec<_> = from.into_iter().chain(to).collect();
    let join = if inside { FilterOperator::And } else { FilterOperator::Or };
    if !inside {
        conditions.push(pb::ConditionExpression {
            column: Some(column.external.clone()),
            operator: Operator::Null.into(),
            ..Default::default()
        });
    }
    Parts { operator: join.into(), conditions, ..Default::default() }
}

/// Both bounds belong to it; outside is also where there is no value.
fn between(
    terms: &Terms<'_>,
    column: &Column,
    inside: bool,
    low: &Literal,
    high: &Literal,
) -> Result<Parts, GatewayError> {
    let (from, to, join) = match inside {
        true => (Operator::GreaterEqual, Operator::LessEqual, FilterOperator::And),
        false => (Operator::LessThan, Operator::GreaterThan, FilterOperator::Or),
    };
    let mut conditions = vec![terms.compare(column, from, low)?, terms.compare(column, to, high)?];
    if !inside {
        conditions.push(terms.compare(column, Operator::Equal, &Literal::Null)?);
    }
    Ok(Parts { operator: join.into(), conditions, ..Default::default() })
}

pub(super) fn filterable(table: &Table, column: &Column) -> Result<(), GatewayError> {
    if column.filterable {
        return Ok(());
    }
    Err(GatewayError::NotFilterable {
        column: column.logical_name.clone(),
        table: table.logical_name.clone(),
    })
}

fn wrong_count(column: &Column, operator: Operator, wanted: &str) -> GatewayError {
    GatewayError::InvalidQuery(format!(
        "The operator {operator:?} of the column '{}' takes {wanted}.",
        column.logical_name
    ))
}

fn does_not_take(column: &Column, operator: Operator) -> GatewayError {
    GatewayError::InvalidQuery(format!(
        "The operator {operator:?} cannot be used with the column '{}', which holds {}.",
        column.logical_name,
        column.edm_type()
    ))
}
