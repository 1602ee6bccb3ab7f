//! Operators and values of conditions.

use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use uuid::Uuid;

use crate::error::PrintError;
use crate::operators;

/// FetchXML's word for an operator, with the values as text.
pub(super) fn operator_of(
    condition: &pb::ConditionExpression,
) -> Result<(&'static operators::Names, Vec<String>), PrintError> {
    let mut values = condition.values.iter().map(text_of).collect::<Result<Vec<_>, _>>()?;
    let operator = match condition.operator() {
        contains @ (pb::ConditionOperator::Contains | pb::ConditionOperator::NotContains) => {
            values.iter_mut().for_each(|it| *it = format!("%{it}%"));
            match contains {
                pb::ConditionOperator::Contains => pb::ConditionOperator::Like,
                _ => pb::ConditionOperator::NotLike,
            }
        }
        other => other,
    };
    let names = operators::of(operator).filter(|it| it.fetch.is_some());
    let names = names.ok_or_else(|| PrintError::unsupported("a condition without an operator"))?;
    Ok((names, values))
}

fn text_of(value: &pb::Value) -> Result<String, PrintError> {
    let moment = |micros: i64| {
        let moment = chrono::DateTime::from_timestamp_micros(micros);
        moment.map(|it| it.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    };
    let text = match &value.kind {
        Some(Kind::BoolValue(it)) => Some(u8::from(*it).to_string()),
        Some(Kind::Int64Value(it)) => Some(it.to_string()),
        Some(Kind::DoubleValue(it)) => Some(it.to_string()),
        Some(Kind::DecimalValue(it) | Kind::StringValue(it) | Kind::DateValue(it)) => {
            Some(it.clone())
        }
        Some(Kind::GuidValue(it)) => Uuid::from_slice(it).ok().map(|it| it.to_string()),
        Some(Kind::TimestampMicrosValue(it)) => moment(*it),
        Some(Kind::NullValue(_)) | None => None,
    };
    text.ok_or_else(|| PrintError::unsupported("a value that is none"))
}
