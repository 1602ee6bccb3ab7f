//! Values of a tree as literals of a column's type. OData types its literals and is taken at its
//! word; FetchXML, and whoever sends text, means the column's type.

use chrono::{NaiveDate, NaiveDateTime, TimeZone as _};
use chrono_tz::Tz;
use odata::Literal;
use proto::query::v1 as pb;
use proto::query::v1::DateTimeBehavior;

use super::super::Dialect;
use crate::error::GatewayError;
use crate::metadata::{Column, ColumnKind, Snapshot, Table};
use crate::translate::literal_of;

/// How moments without a zone are written.
const LOCAL_FORMS: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

/// Reads a condition's values beside its column.
pub(super) fn literals(
    snapshot: &Snapshot,
    (table, column): (&Table, &Column),
    values: &[pb::Value],
    dialect: Dialect,
    zone: Tz,
) -> Result<Vec<Literal>, GatewayError> {
    let read = |value: &pb::Value| {
        let literal = literal_of(value).ok_or_else(|| not_a_value(column, ""))?;
        match (dialect, &literal, &column.kind) {
            (Dialect::OData, _, _) | (_, _, ColumnKind::Text) => Ok(literal),
            (_, Literal::String(text), _) => {
                let zone = if is_user_local(table, column) { zone } else { Tz::UTC };
                let literal = typed(column, text.trim(), zone);
                let literal = literal.or_else(|| option(snapshot, table, column, text.trim()));
                literal.ok_or_else(|| not_a_value(column, text))
            }
            _ => Ok(literal),
        }
    };
    values.iter().map(read).collect()
}

/// Whether the column is shown in the user's time zone.
pub(super) fn is_user_local(table: &Table, column: &Column) -> bool {
    let definition = table.definition.columns.iter();
    let mut definition = definition.filter(|it| it.logical_name == column.logical_name);
    definition.next().is_some_and(|it| it.date_time_behavior() == DateTimeBehavior::UserLocal)
}

fn typed(column: &Column, text: &str, zone: Tz) -> Option<Literal> {
    match &column.kind {
        ColumnKind::Text => Some(Literal::String(text.to_owned())),
        ColumnKind::Boolean => match text.to_ascii_lowercase().as_str() {
            "1" | "true" => Some(Literal::Bool(true)),
            "0" | "false" => Some(Literal::Bool(false)),
            _ => None,
        },
        ColumnKind::Integer
        | ColumnKind::BigInt
        | ColumnKind::Decimal
        | ColumnKind::Double
        | ColumnKind::Option(_) => {
            let number = odata::parse_literal(text.strip_prefix('+').unwrap_or(text)).ok()?;
            let is_number =
                matches!(number, Literal::Integer(_) | Literal::Decimal(_) | Literal::Double(_));
            is_number.then_some(number)
        }
        ColumnKind::Guid | ColumnKind::Lookup { .. } => text.parse().ok().map(Literal::Guid),
        ColumnKind::Date | ColumnKind::DateTime => moment(text, zone),
    }
}

/// The option of this label or symbol, if it is one option's alone.
fn option(snapshot: &Snapshot, table: &Table, column: &Column, text: &str) -> Option<Literal> {
    let mut columns = table.definition.columns.iter();
    let name = &columns.find(|it| it.logical_name == column.logical_name)?.option_set;
    let set = snapshot.option_sets.iter().find(|it| it.name == *name)?;
    let is_it = |it: &&pb::Option| {
        it.label.eq_ignore_ascii_case(text) || it.external_name.eq_ignore_ascii_case(text)
    };
    let mut found = set.options.iter().filter(is_it);
    match (found.next(), found.next()) {
        (Some(only), None) => Some(Literal::Integer(only.value.to_string())),
        _ => None,
    }
}

pub(super) fn moment(text: &str, zone: Tz) -> Option<Literal> {
    if let Ok(it @ (Literal::Date(_) | Literal::DateTime(_))) = odata::parse_literal(text) {
        return match it {
            Literal::Date(day) if zone != Tz::UTC => super::super::dates::start_of_day(day, zone)
                .ok()
                .map(|it| Literal::DateTime(it.fixed_offset())),
            other => Some(other),
        };
    }
    let local = LOCAL_FORMS.iter().find_map(|it| NaiveDateTime::parse_from_str(text, it).ok())?;
    let there = zone.from_local_datetime(&local).earliest()?;
    Some(Literal::DateTime(there.to_utc().fixed_offset()))
}

/// A calendar day, whatever time of it is written.
pub(super) fn day(literal: &Literal, zone: Tz) -> Option<NaiveDate> {
    match literal {
        Literal::Date(day) => Some(*day),
        Literal::DateTime(it) => Some(it.with_timezone(&zone).date_naive()),
        Literal::String(text) => match moment(text.trim(), Tz::UTC)? {
            Literal::Date(day) => Some(day),
            Literal::DateTime(it) => Some(it.with_timezone(&zone).date_naive()),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn not_a_value(column: &Column, text: &str) -> GatewayError {
    GatewayError::InvalidValue(format!(
        "The value '{}' is not one of the column '{}', which holds {}.",
        text.chars().take(100).collect::<String>(),
        column.logical_name,
        column.edm_type()
    ))
}
