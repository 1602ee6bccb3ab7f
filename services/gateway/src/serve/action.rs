//! What an action returned.

use chrono::{DateTime, SecondsFormat, Timelike as _, Utc};
use proto::query::v1 as pb;
use proto::query::v1::AttributeType;
use proto::query::v1::value::Kind;
use uuid::Uuid;

use crate::error::{GatewayError, NAMESPACE};
use crate::http::{Ask, Response, json, quoted};

/// The member of `<action>Response` that holds what the action returned. The catalog gives a result no
/// name, and this is the one that OData's clients take the single value of an answer from.
pub(crate) const RESULT: &str = "value";

/// Answers with the one value. `result` is its type.
pub(crate) fn result(
    ask: &Ask,
    action: &str,
    result: AttributeType,
    value: Option<&pb::Value>,
) -> Result<Response, GatewayError> {
    let context = quoted(&format!("{}/$metadata#{NAMESPACE}.{action}Response", ask.root));
    let value = match value.and_then(|it| it.kind.as_ref()) {
        None | Some(Kind::NullValue(_)) => "null".to_owned(),
        Some(kind) => text(result, kind, ask.prefer.numbers_as_strings).ok_or_else(|| {
            tracing::error!(action, "an action returned what is not of its type");
            GatewayError::Internal
        })?,
    };
    Ok(json(format!("{{\"@odata.context\":{context},\"{RESULT}\":{value}}}")))
}

/// The value as JSON. Decimals keep their digits.
fn text(result: AttributeType, kind: &Kind, as_strings: bool) -> Option<String> {
    let number = |digits: String| if as_strings { quoted(&digits) } else { digits };
    Some(match (result, kind) {
        (AttributeType::Integer, Kind::Int64Value(it)) => it.to_string(),
        (AttributeType::BigInt | AttributeType::Decimal, Kind::Int64Value(it)) => {
            number(it.to_string())
        }
        (AttributeType::Decimal, Kind::DecimalValue(it)) => number(it.clone()),
        (AttributeType::Double, Kind::DoubleValue(it)) => serde_json::json!(it).to_string(),
        (AttributeType::Boolean, Kind::BoolValue(it)) => it.to_string(),
        (AttributeType::String | AttributeType::Memo, Kind::StringValue(it)) => quoted(it),
        (AttributeType::Uniqueidentifier, Kind::GuidValue(it)) => {
            quoted(&Uuid::from_slice(it).ok()?.to_string())
        }
        // A day is the midnight that begins it, as in rows.
        (AttributeType::Date, Kind::DateValue(it)) => quoted(&format!("{it}T00:00:00Z")),
        (AttributeType::DateTime, Kind::TimestampMicrosValue(it)) => quoted(&moment(*it)?),
        _ => return None,
    })
}

/// With no more digits than it needs, as in rows.
fn moment(micros: i64) -> Option<String> {
    let moment: DateTime<Utc> = DateTime::from_timestamp_micros(micros)?;
    if moment.nanosecond() == 0 {
        return Some(moment.to_rfc3339_opts(SecondsFormat::Secs, true));
    }
    let text = moment.to_rfc3339_opts(SecondsFormat::Micros, true);
    let digits = text.trim_end_matches('Z').trim_end_matches('0');
    Some(format!("{digits}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_in_rows() {
        let check = |result, kind: Kind, expected: &str| {
            assert_eq!(text(result, &kind, false).as_deref(), Some(expected));
        };
        let digits = "12345678901234567890.10";
        check(AttributeType::Decimal, Kind::DecimalValue(digits.into()), digits);
        check(AttributeType::BigInt, Kind::Int64Value(i64::MIN), "-9223372036854775808");
        check(
            AttributeType::Date,
            Kind::DateValue("2026-02-28".into()),
            "\"2026-02-28T00:00:00Z\"",
        );
        let micros = Kind::TimestampMicrosValue;
        check(AttributeType::DateTime, micros(1_000_000), "\"1970-01-01T00:00:01Z\"");
        check(AttributeType::DateTime, micros(120_000), "\"1970-01-01T00:00:00.12Z\"");
        check(AttributeType::Memo, Kind::StringValue("a\"b".into()), "\"a\\\"b\"");
    }

    #[test]
    fn long_numbers_are_strings_where_asked() {
        let decimal = Kind::DecimalValue("0.10".into());
        let written = text(AttributeType::Decimal, &decimal, true);
        assert_eq!(written.as_deref(), Some("\"0.10\""));
        let written = text(AttributeType::Integer, &Kind::Int64Value(7), true);
        assert_eq!(written.as_deref(), Some("7"));
    }

    #[test]
    fn what_is_of_another_type_is_not_written() {
        assert_eq!(text(AttributeType::Integer, &Kind::BoolValue(true), false), None);
        assert_eq!(
            text(AttributeType::DateTime, &Kind::TimestampMicrosValue(i64::MAX), false),
            None
        );
    }
}
