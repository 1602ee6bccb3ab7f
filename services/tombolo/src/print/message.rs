//! Any message as JSON: names as in the contracts, moments in RFC 3339, sizes as numbers, enumerations
//! in lower-case words. Every field is there, so that what reads it needs no defaults.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey,
    ReflectMessage as _, Value as Field,
};
use serde_json::{Map, Value, json};

use super::units;

static CONTRACTS: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).ok());

/// Ends the names of strings that are JSON themselves.
const JSON_SUFFIX: &str = "_json";

/// A message that is shown.
pub(crate) trait Shown: Message {
    /// Of the contracts, with its package.
    const NAME: &'static str;

    fn json(&self) -> Value
    where
        Self: Sized,
    {
        let descriptor = CONTRACTS.as_ref().and_then(|it| it.get_message_by_name(Self::NAME));
        let bytes = self.encode_to_vec();
        let dynamic = descriptor.and_then(|it| DynamicMessage::decode(it, bytes.as_slice()).ok());
        dynamic.map_or(Value::Null, |it| message(&it))
    }
}

/// Messages and their packages.
macro_rules! shown {
    ($($package:ident::$name:ident;)*) => {$(
        impl Shown for proto::$package::v1::$name {
            const NAME: &'static str =
                concat!("tombolo.", stringify!($package), ".v1.", stringify!($name));
        }
    )*};
}

shown! {
    capacity::Accrual;
    capacity::CheckOperationResponse;
    capacity::Entitlement;
    capacity::EnvironmentUsage;
    capacity::GetCapacityResponse;
    capacity::Licence;
    capacity::LicenceAssignment;
    capacity::Notice;
    capacity::PoolForecast;
    capacity::TableUsage;
    capacity::UsageSample;
    dual_write::Activity;
    dual_write::Alert;
    dual_write::AlertRule;
    dual_write::Difference;
    dual_write::ExplainRecordResponse;
    dual_write::FailedChange;
    dual_write::FilterTest;
    dual_write::HealthCheck;
    dual_write::ImportMapsResponse;
    dual_write::InitialSync;
    dual_write::InitialSyncError;
    dual_write::Link;
    dual_write::MapVersion;
    dual_write::PendingChange;
    dual_write::Reconciliation;
    dual_write::RepairDifferencesResponse;
    dual_write::TableMap;
    dual_write::ValidationIssue;
    lifecycle::AddIn;
    lifecycle::AddInInstallation;
    lifecycle::Backup;
    lifecycle::CheckPrerequisitesResponse;
    lifecycle::FinanceAndOperationsEnvironment;
    lifecycle::Link;
    lifecycle::Location;
    lifecycle::Operation;
    lifecycle::PlatformEnvironment;
    lifecycle::Template;
    lifecycle::TenantSettings;
}

fn message(it: &DynamicMessage) -> Value {
    match it.descriptor().full_name() {
        "google.protobuf.Timestamp" => moment(it),
        "google.protobuf.Duration" => seconds(it),
        _ => {
            let fields = it.descriptor();
            let fields = fields.fields().filter(|field| {
                // Of a choice, only what was chosen.
                field.containing_oneof().is_none() || it.has_field(field)
            });
            Value::Object(fields.map(|field| property(it, &field)).collect())
        }
    }
}

fn property(it: &DynamicMessage, field: &FieldDescriptor) -> (String, Value) {
    let name = field.name().to_owned();
    if field.supports_presence() && !it.has_field(field) {
        return (name, Value::Null);
    }
    let stored = it.get_field(field);
    if let (Some(name), Field::String(text)) = (name.strip_suffix(JSON_SUFFIX), stored.as_ref()) {
        let parsed = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        return (name.to_owned(), parsed);
    }
    (name, value(stored.as_ref(), &field.kind()))
}

fn value(it: &Field, kind: &Kind) -> Value {
    match it {
        Field::Bool(it) => json!(it),
        Field::I32(it) => json!(it),
        Field::I64(it) => json!(it),
        Field::U32(it) => json!(it),
        Field::U64(it) => json!(it),
        Field::F32(it) => json!(it),
        Field::F64(it) => json!(it),
        Field::String(it) => json!(it),
        // Of the contracts, sixteen bytes are a GUID.
        Field::Bytes(it) => uuid::Uuid::from_slice(it)
            .map_or_else(|_| json!(it.as_ref()), |it| json!(it.to_string())),
        Field::EnumNumber(it) => {
            kind.as_enum().map_or_else(|| json!(it), |descriptor| enumeration(*it, descriptor))
        }
        Field::Message(it) => message(it),
        Field::List(items) => items.iter().map(|it| value(it, kind)).collect(),
        Field::Map(entries) => {
            let values = kind.as_message().map(|it| it.map_entry_value_field().kind());
            let entries = entries.iter().map(|(key, it)| {
                let it = values.as_ref().map_or(Value::Null, |kind| value(it, kind));
                (key_text(key), it)
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(it) => it.to_string(),
        MapKey::I32(it) => it.to_string(),
        MapKey::I64(it) => it.to_string(),
        MapKey::U32(it) => it.to_string(),
        MapKey::U64(it) => it.to_string(),
        MapKey::String(it) => it.clone(),
    }
}

/// `null` for the unspecified one, the number for one that we do not know.
fn enumeration(number: i32, descriptor: &EnumDescriptor) -> Value {
    let Some(known) = descriptor.get_value(number) else { return json!(number) };
    let zero = descriptor.default_value();
    let prefix = zero.name().strip_suffix("UNSPECIFIED").unwrap_or_default();
    match number {
        0 => Value::Null,
        _ => {
            let name = known.name().strip_prefix(prefix).unwrap_or(known.name());
            json!(name.to_lowercase().replace('_', "-"))
        }
    }
}

fn moment(it: &DynamicMessage) -> Value {
    let at = it.transcode_to::<prost_types::Timestamp>().ok().and_then(|it| units::time(&it));
    at.map_or(Value::Null, |it| json!(it.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)))
}

fn seconds(it: &DynamicMessage) -> Value {
    let span = it.transcode_to::<prost_types::Duration>().ok();
    span.map_or(Value::Null, |it| match it.nanos {
        0 => json!(it.seconds),
        nanos => json!(it.seconds as f64 + f64::from(nanos) / 1e9),
    })
}

#[cfg(test)]
mod tests {
    use prost_types::{Duration, Timestamp};
    use proto::capacity::v1::{GetCapacityResponse, Pool, PoolCapacity};
    use proto::lifecycle::v1::{
        AddInInstallation, Backup, Operation, OperationState, StageProgress,
    };

    use super::*;

    #[test]
    fn every_message_that_is_shown_is_in_the_contracts() {
        assert!(Operation::default().json().is_object());
        assert!(GetCapacityResponse::default().json().is_object());
        assert!(AddInInstallation::default().json().is_object());
    }

    #[test]
    fn sizes_are_numbers_and_absent_moments_null() {
        let pool = PoolCapacity {
            pool: Pool::OperationsDatabase.into(),
            entitled_bytes: i64::MAX,
            ..PoolCapacity::default()
        };
        let it = GetCapacityResponse {
            pools: vec![pool],
            sampling_period: Some(Duration { seconds: 60, nanos: 0 }),
            ..GetCapacityResponse::default()
        };
        let expected = json!({
            "pools": [{
                "pool": "operations-database",
                "entitled_bytes": i64::MAX,
                "used_bytes": 0,
                "reserved_bytes": 0,
                "free_bytes": 0,
                "deficit_bytes": 0,
            }],
            "in_overage": false,
            "blocked_operations": [],
            "measure_time": null,
            "sampling_period": 60,
        });
        assert_eq!(it.json(), expected);
    }

    #[test]
    fn moments_are_rfc_3339_and_states_words() {
        let at = Timestamp { seconds: 1_800_000_000, nanos: 500_000_000 };
        let it = Backup { create_time: Some(at), ..Backup::default() }.json();
        assert_eq!(it["create_time"], "2027-01-15T08:00:00.500Z");
        let stage =
            StageProgress { state: OperationState::Failed.into(), stage: 99, ..Default::default() };
        let it = Operation { stages: vec![stage], ..Operation::default() }.json();
        assert_eq!(it["stages"][0]["state"], "failed");
        assert_eq!(it["stages"][0]["stage"], 99);
        assert_eq!(it["state"], Value::Null);
    }

    #[test]
    fn parameters_are_json_and_not_text() {
        let it =
            AddInInstallation { parameters_json: "{\"path\":\"x\"}".into(), ..Default::default() };
        assert_eq!(it.json()["parameters"], json!({ "path": "x" }));
        let it = AddInInstallation { parameters_json: "{".into(), ..Default::default() };
        assert_eq!(it.json()["parameters"], "{");
    }
}
