//! Whether two values of a field are one.

use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;

use super::rights::is_null;
use crate::binding::{Casing, Field, Kind};
use crate::write::Digits;

/// A text in one letter case, as keys are compared; anything else as it is.
pub(crate) fn folded(value: &pb::Value) -> pb::Value {
    match &value.kind {
        Some(Value::StringValue(text)) => {
            pb::Value { kind: Some(Value::StringValue(text.to_lowercase())) }
        }
        _ => value.clone(),
    }
}

/// Whether the field holds the value already. Where there is no text there is an empty one.
pub(crate) fn is_same(field: &Field, held: &pb::Value, value: &pb::Value) -> bool {
    let is_empty = |it: &pb::Value| {
        is_null(it)
            || matches!((&field.kind, &it.kind), (Kind::Text, Some(Value::StringValue(it))) if it.is_empty())
    };
    if is_empty(held) || is_empty(value) {
        return is_empty(held) && is_empty(value);
    }
    match (&held.kind, &value.kind) {
        (Some(Value::StringValue(one)), Some(Value::StringValue(other))) => {
            let has_one_case = matches!(field.casing, Casing::Upper | Casing::Lower);
            one == other
                || matches!(field.kind, Kind::Text)
                    && has_one_case
                    && one.to_lowercase() == other.to_lowercase()
        }
        (Some(one), Some(other)) => match (number(one), number(other)) {
            (Some(one), Some(other)) => Digits::of(&one) == Digits::of(&other),
            _ => one == other,
        },
        _ => false,
    }
}

fn number(value: &Value) -> Option<String> {
    match value {
        Value::Int64Value(it) => Some(it.to_string()),
        Value::DecimalValue(it) => Some(it.clone()),
        _ => None,
    }
}

/// The value as the field can hold it: where it takes no null, no text is an empty one.
pub(crate) fn fitting(field: &Field, value: pb::Value) -> pb::Value {
    let takes_empty =
        matches!(field.kind, Kind::Text) && !field.nullable && !field.limits.mandatory;
    match is_null(&value) && takes_empty {
        true => pb::Value { kind: Some(Value::StringValue(String::new())) },
        false => value,
    }
}
