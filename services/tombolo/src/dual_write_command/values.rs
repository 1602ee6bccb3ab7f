//! Values, keys and records as people write them.

use anyhow::Result;
use proto::dual_write::v1::{Record, SyncError, SyncErrorKind};
use proto::query::v1::record_key::Key;
use proto::query::v1::value::Kind;
use proto::query::v1::{AlternateKeyValues, FieldValue, RecordKey, Value};

use crate::exit::{Exit, Failure};
use crate::print::word;

/// A value on one line; nothing for null.
pub(super) fn text(value: Option<&Value>) -> String {
    match value.and_then(|it| it.kind.as_ref()) {
        None | Some(Kind::NullValue(_)) => String::new(),
        Some(Kind::BoolValue(it)) => it.to_string(),
        Some(Kind::Int64Value(it)) => it.to_string(),
        Some(Kind::DecimalValue(it) | Kind::StringValue(it) | Kind::DateValue(it)) => it.clone(),
        Some(Kind::DoubleValue(it)) => it.to_string(),
        Some(Kind::GuidValue(it)) => {
            uuid::Uuid::from_slice(it).map(|it| it.to_string()).unwrap_or_default()
        }
        Some(Kind::TimestampMicrosValue(it)) => chrono::DateTime::from_timestamp_micros(*it)
            .map(|it| it.to_rfc3339())
            .unwrap_or_default(),
    }
}

/// `accountnumber=US-001, company=USMF`.
pub(super) fn pairs(values: &[FieldValue]) -> String {
    let pairs = values.iter().map(|it| format!("{}={}", it.field, text(it.value.as_ref())));
    pairs.collect::<Vec<_>>().join(", ")
}

/// `account US-001 (USMF)`.
pub(super) fn record(it: Option<&Record>) -> String {
    let Some(it) = it else { return String::new() };
    let key = it.key.iter().map(|it| text(it.value.as_ref())).collect::<Vec<_>>().join(" ");
    let company = match it.company.as_str() {
        "" => String::new(),
        company => format!(" ({company})"),
    };
    format!("{} {key}{company}", it.entity_name)
}

/// `lookup: Couldn't resolve …`.
pub(super) fn error(it: Option<&SyncError>) -> String {
    let Some(it) = it else { return String::new() };
    format!("{}: {}", word::<SyncErrorKind>(it.kind), it.message)
}

/// A GUID, or FIELD=VALUE of a key.
pub(super) fn key(given: &[String]) -> Result<RecordKey> {
    if let [one] = given
        && let Ok(id) = uuid::Uuid::try_parse(one)
    {
        return Ok(RecordKey { key: Some(Key::RecordId(id.into_bytes().to_vec().into())) });
    }
    let values = given.iter().map(|it| {
        let (field, value) = it.split_once('=').ok_or_else(|| {
            Failure::of(Exit::Usage, format!("{it}: expected a GUID, or FIELD=VALUE"))
        })?;
        let value = Value { kind: Some(Kind::StringValue(value.to_owned())) };
        Ok(FieldValue { field: field.to_owned(), value: Some(value) })
    });
    let values = values.collect::<Result<_>>()?;
    Ok(RecordKey { key: Some(Key::Alternate(AlternateKeyValues { values })) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_guid_or_fields() {
        let id = "0f8fad5b-d9cb-469f-a165-70867728950e".to_owned();
        assert!(matches!(key(&[id]).unwrap().key, Some(Key::RecordId(it)) if it.len() == 16));
        let fields = ["accountnumber=US=1".to_owned(), "dataAreaId=USMF".to_owned()];
        let Some(Key::Alternate(it)) = key(&fields).unwrap().key else { panic!("no key") };
        assert_eq!(pairs(&it.values), "accountnumber=US=1, dataAreaId=USMF");
        assert!(key(&["accountnumber".to_owned()]).is_err());
    }
}
