//! What a filter means for a table: the condition that its side evaluates.

use proto::query::v1 as pb;
use proto::query::v1::{ConditionOperator, FilterOperator, column_ref};

use super::{Comparison, Filter, FilterError, Literal, Operator};
use crate::map::schema::{ColumnSchema, Kind, TableSchema};
use crate::map::value;

impl Filter {
    /// Over the table's columns. Text that is null and text without characters are one thing.
    ///
    /// # Errors
    ///
    /// When the table has no such column, or the column no such value.
    pub(crate) fn bind(&self, table: &TableSchema) -> Result<pb::FilterExpression, FilterError> {
        self.expression(table, false)
    }

    fn expression(
        &self,
        table: &TableSchema,
        negated: bool,
    ) -> Result<pb::FilterExpression, FilterError> {
        let (parts, operator) = match self {
            Self::And(parts) => (parts, FilterOperator::And),
            Self::Or(parts) => (parts, FilterOperator::Or),
            Self::Not(part) => return part.expression(table, !negated),
            Self::Compare(it) => return it.expression(table, negated),
        };
        let operator = match (operator, negated) {
            (FilterOperator::And, true) => FilterOperator::Or,
            (_, true) => FilterOperator::And,
            (it, false) => it,
        };
        let filters: Result<_, _> = parts.iter().map(|it| it.expression(table, negated)).collect();
        Ok(pb::FilterExpression {
            operator: operator.into(),
            filters: filters?,
            ..pb::FilterExpression::default()
        })
    }
}

impl Comparison {
    fn expression(
        &self,
        table: &TableSchema,
        negated: bool,
    ) -> Result<pb::FilterExpression, FilterError> {
        let column = self.column(table)?;
        if self.operator == Operator::Like {
            return self.like(column, negated);
        }
        let value = self.value(column)?;
        let operator = if negated { opposite(self.operator) } else { self.operator };
        let is_ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
        let has_order =
            !matches!(column.kind, Kind::Enum | Kind::Boolean | Kind::Guid | Kind::Lookup);
        if is_ordered && !(has_order && (column.kind.is_text() || !value::is_none(&value))) {
            return self.refused("has no order");
        }
        Ok(if column.kind.is_text() {
            of_text(column, operator, value)
        } else if value::is_none(&value) {
            of_null(column, operator == Operator::Equal)
        } else {
            // What is not greater is less, or nothing.
            let may_be_null = negated && is_ordered;
            let null = may_be_null.then(|| condition(column, ConditionOperator::Null, None));
            let compared = condition(column, plain(operator), Some(value));
            either(std::iter::once(compared).chain(null).collect())
        })
    }

    fn column<'t>(&self, table: &'t TableSchema) -> Result<&'t ColumnSchema, FilterError> {
        // The Web API's name of a lookup's id.
        let lookup = self.column.strip_prefix('_').and_then(|it| it.strip_suffix("_value"));
        let lookup = lookup.and_then(|it| table.column(it)).filter(|it| it.kind == Kind::Lookup);
        lookup.or_else(|| table.column(&self.column)).ok_or_else(|| {
            let reason = format!("`{}` has no field `{}`", table.name, self.column);
            FilterError::new(self.position, reason)
        })
    }

    fn value(&self, column: &ColumnSchema) -> Result<pb::Value, FilterError> {
        use pb::value::Kind as Content;
        let written = match &self.value {
            Literal::Null => return Ok(value::null()),
            Literal::Text(it) | Literal::Symbol(_, it) => value::text(it),
            Literal::Guid(it) | Literal::Moment(it) => value::text(it),
            Literal::Number(it) => value::of(Content::DecimalValue(it.clone())),
            Literal::Boolean(it) => value::of(Content::BoolValue(*it)),
            Literal::Date(it) => value::of(Content::DateValue(it.clone())),
        };
        if value::is_none(&written) {
            return Ok(value::null());
        }
        let found = value::literal(&written, column);
        found.or_else(|_| self.refused(&format!("cannot be `{}`", value::display(&written))))
    }

    fn like(
        &self,
        column: &ColumnSchema,
        negated: bool,
    ) -> Result<pb::FilterExpression, FilterError> {
        let Literal::Text(pattern) = &self.value else { return self.refused("needs text") };
        if !column.kind.is_text() {
            return self.refused("is no text");
        }
        let mut escaped = String::with_capacity(pattern.len());
        for character in pattern.chars() {
            match character {
                '*' => escaped.push('%'),
                '?' => escaped.push('_'),
                '%' | '_' | '[' => escaped.extend(['[', character, ']']),
                _ => escaped.push(character),
            }
        }
        let matches_nothing = pattern.chars().all(|it| it == '*');
        let operator = if negated { ConditionOperator::NotLike } else { ConditionOperator::Like };
        let like = condition(column, operator, Some(value::text(escaped)));
        Ok(match (matches_nothing, negated) {
            (true, false) => either(vec![like, condition(column, ConditionOperator::Null, None)]),
            (true, true) => both(vec![like, condition(column, ConditionOperator::NotNull, None)]),
            (false, _) => both(vec![like]),
        })
    }

    fn refused<T>(&self, why: &str) -> Result<T, FilterError> {
        Err(FilterError::new(self.position, format!("`{}` {why}", self.column)))
    }
}

/// Null is text without characters, which comes before all others.
fn of_text(column: &ColumnSchema, operator: Operator, compared: pb::Value) -> pb::FilterExpression {
    let is_empty = value::is_none(&compared);
    let compared = if is_empty { value::text("") } else { compared };
    let is_null = || condition(column, ConditionOperator::Null, None);
    let it = condition(column, plain(operator), Some(compared));
    match (operator, is_empty) {
        (Operator::Equal | Operator::GreaterEqual | Operator::LessEqual, true)
        | (Operator::Less | Operator::LessEqual, false) => either(vec![it, is_null()]),
        (Operator::NotEqual, true) => {
            both(vec![it, condition(column, ConditionOperator::NotNull, None)])
        }
        _ => both(vec![it]),
    }
}

fn of_null(column: &ColumnSchema, is_null: bool) -> pb::FilterExpression {
    let operator = if is_null { ConditionOperator::Null } else { ConditionOperator::NotNull };
    both(vec![condition(column, operator, None)])
}

fn opposite(operator: Operator) -> Operator {
    match operator {
        Operator::Equal => Operator::NotEqual,
        Operator::NotEqual => Operator::Equal,
        Operator::Greater => Operator::LessEqual,
        Operator::GreaterEqual => Operator::Less,
        Operator::Less => Operator::GreaterEqual,
        Operator::LessEqual => Operator::Greater,
        Operator::Like => Operator::Like,
    }
}

fn plain(operator: Operator) -> ConditionOperator {
    match operator {
        Operator::Equal => ConditionOperator::Equal,
        Operator::NotEqual => ConditionOperator::NotEqual,
        Operator::Greater => ConditionOperator::GreaterThan,
        Operator::GreaterEqual => ConditionOperator::GreaterEqual,
        Operator::Less => ConditionOperator::LessThan,
        Operator::LessEqual => ConditionOperator::LessEqual,
        Operator::Like => ConditionOperator::Like,
    }
}

fn condition(
    column: &ColumnSchema,
    operator: ConditionOperator,
    value: Option<pb::Value>,
) -> pb::ConditionExpression {
    let field = column_ref::Column::Field(column.name.clone());
    pb::ConditionExpression {
        column: Some(pb::ColumnRef { column: Some(field), ..pb::ColumnRef::default() }),
        operator: operator.into(),
        values: value.into_iter().collect(),
        ..pb::ConditionExpression::default()
    }
}

fn both(conditions: Vec<pb::ConditionExpression>) -> pb::FilterExpression {
    joined(FilterOperator::And, conditions)
}

fn either(conditions: Vec<pb::ConditionExpression>) -> pb::FilterExpression {
    joined(FilterOperator::Or, conditions)
}

fn joined(
    operator: FilterOperator,
    conditions: Vec<pb::ConditionExpression>,
) -> pb::FilterExpression {
    pb::FilterExpression {
        operator: operator.into(),
        conditions,
        ..pb::FilterExpression::default()
    }
}
