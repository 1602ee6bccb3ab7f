//! Literals as values of the tree: what was said, not yet what the column makes of it.

use odata::Literal;
use proto::query::v1 as pb;
use proto::query::v1::ConditionOperator as Operator;
use proto::query::v1::value::Kind;

use super::scope::Found;
use crate::error::GatewayError;
use crate::metadata::ColumnKind;
use crate::translate::{guid, incompatible, value};

/// A literal beside a column.
pub(super) enum Fitted {
    Plain(pb::Value),
    /// A moment within the microsecond that begins with this one, the finest that rows hold.
    Finer(pb::Value),
}

/// The literal, and whether rows can hold something as fine.
pub(super) fn fitted(
    found: &Found,
    operator: Operator,
    literal: &Literal,
) -> Result<Fitted, GatewayError> {
    let value = value_of(found, operator, literal)?;
    let finer = match (&found.column.kind, literal) {
        (ColumnKind::DateTime, Literal::DateTime(moment)) => {
            !moment.timestamp_subsec_nanos().is_multiple_of(1_000)
        }
        _ => false,
    };
    Ok(if finer { Fitted::Finer(value) } else { Fitted::Plain(value) })
}

/// `column in (literals)`, or not in.
pub(super) fn list(
    found: &Found,
    operator: Operator,
    literals: &[Literal],
) -> Result<pb::ConditionExpression, GatewayError> {
    let mut values = Vec::with_capacity(literals.len());
    for literal in literals {
        if let Fitted::Plain(value) = fitted(found, Operator::Equal, literal)? {
            values.push(value);
        }
    }
    Ok(pb::ConditionExpression {
        column: Some(found.named.clone()),
        operator: operator.into(),
        values,
        ..Default::default()
    })
}

/// The literal as it was said. Kinds that no column holds are refused here.
pub(super) fn value_of(
    found: &Found,
    operator: Operator,
    literal: &Literal,
) -> Result<pb::Value, GatewayError> {
    Ok(value(match literal {
        Literal::Null => Kind::NullValue(pb::NullMarker {}),
        Literal::Bool(flag) => Kind::BoolValue(*flag),
        Literal::Integer(digits) => match digits.parse() {
            Ok(number) => Kind::Int64Value(number),
            Err(_) => Kind::DecimalValue(digits.clone()),
        },
        Literal::Decimal(digits) => Kind::DecimalValue(digits.clone()),
        Literal::Double(text) => Kind::DoubleValue(match text.as_str() {
            "INF" => f64::INFINITY,
            "-INF" => f64::NEG_INFINITY,
            text => text.parse().unwrap_or(f64::NAN),
        }),
        Literal::String(text) => Kind::StringValue(text.clone()),
        Literal::Guid(id) => return Ok(guid(*id)),
        Literal::Date(day) => Kind::DateValue(day.to_string()),
        Literal::DateTime(moment) => Kind::TimestampMicrosValue(moment.timestamp_micros()),
        Literal::TimeOfDay(_)
        | Literal::Duration(_)
        | Literal::Binary(_)
        | Literal::Enum { .. } => {
            return Err(incompatible(found.column.edm_type(), literal.edm_type(), operator));
        }
    }))
}
