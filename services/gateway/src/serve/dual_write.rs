//! Dual-write's calls for administrators, as functions and actions of the Web API: `tombolo_DualWrite` and
//! the method's name. What they take and answer is what the contract says, in the JSON that every
//! message of the contracts has (`StartMapsRequest`, with `initialSync` and so on); dual-write decides
//! who may. [`CALLS`] is all there is to them.

mod call;

use axum::body::{Body, to_bytes};
use odata::{Aliases, Key, Literal, Parameter};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MethodDescriptor};
use prost_reflect::{DeserializeOptions, SerializeOptions};
use rpc::ErrorReason;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use tonic::Status;

use super::functions::response_context;
use crate::Core;
use crate::error::GatewayError;
use crate::http::{Ask, Response, json as respond};

const PREFIX: &str = "tombolo_DualWrite";
const MAX_BODY: usize = 1 << 20;

/// Service, method, and whether it only reads.
const CALLS: [(&str, &str, bool); 15] = [
    ("MapService", "ListMaps", true),
    ("MapService", "GetMap", true),
    ("MapService", "ListRelatedMaps", true),
    ("MapService", "StartMaps", false),
    ("MapService", "PauseMaps", false),
    ("MapService", "ResumeMaps", false),
    ("MapService", "StopMaps", false),
    ("LinkService", "GetLink", true),
    ("LinkService", "RunHealthChecks", false),
    ("SyncErrorService", "ExplainRecord", true),
    ("SyncErrorService", "ListQueuedRecords", true),
    ("SyncErrorService", "ListSyncErrors", true),
    ("SyncErrorService", "RetrySyncErrors", false),
    ("SyncErrorService", "ListActivities", true),
    ("InitialSyncService", "ListInitialSyncs", true),
];

static CONTRACTS: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).ok());

/// One of the calls.
#[derive(Clone, Debug)]
pub(crate) struct DualWriteCall {
    name: String,
    method: MethodDescriptor,
    /// A function: it changes nothing, and its parameters stand in the path.
    pub(crate) is_function: bool,
}

impl DualWriteCall {
    /// The one that is called so in URLs.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let called = name.strip_prefix(PREFIX)?;
        let (service, method, reads) = CALLS.iter().find(|it| it.1 == called)?;
        Self::of(service, method, *reads)
    }

    /// All of them, for `$metadata`.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        CALLS.iter().filter_map(|(service, method, reads)| Self::of(service, method, *reads))
    }

    fn of(service: &str, method: &str, is_function: bool) -> Option<Self> {
        let service = format!("tombolo.dual_write.v1.{service}");
        let service = CONTRACTS.as_ref()?.get_service_by_name(&service)?;
        let found = service.methods().find(|it| it.name() == method)?;
        Some(Self { name: format!("{PREFIX}{method}"), method: found, is_function })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it takes, and of which EDM types that is.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, String)> {
        let fields: Vec<_> = self.method.input().fields().collect();
        fields.into_iter().map(|it| (it.json_name().to_owned(), edm_type(&it)))
    }
}

/// `GET tombolo_DualWriteListMaps(pageSize=10)`.
pub(crate) async fn dual_write_function(
    core: &Core,
    ask: &Ask,
    call: &DualWriteCall,
    (key, aliases): (&Key, &Aliases),
) -> Result<Response, GatewayError> {
    let given = match key {
        Key::Absent | Key::Empty => Vec::new(),
        key => key.parameters(aliases).ok_or_else(|| {
            let message = "The parameters of the function cannot be read.";
            GatewayError::InvalidValue(message.to_owned())
        })?,
    };
    let mut message = Map::new();
    for (name, parameter) in given {
        if let Some(value) = value_of(&name, parameter)? {
            message.insert(name, value);
        }
    }
    answer(core, ask, call, Value::Object(message)).await
}

/// `POST tombolo_DualWriteStartMaps` with `{"maps": […]}`.
pub(crate) async fn dual_write_action(
    core: &Core,
    ask: &Ask,
    call: &DualWriteCall,
    body: Body,
) -> Result<Response, GatewayError> {
    let body = tokio::time::timeout_at(ask.deadline.at().into(), to_bytes(body, MAX_BODY)).await;
    let body = body.map_err(|_| GatewayError::Timeout)?;
    let body = body.map_err(|_| GatewayError::BodyTooLarge(MAX_BODY))?;
    let message = match body.is_empty() {
        true => Value::Object(Map::new()),
        false => serde_json::from_slice(&body)
            .map_err(|error| GatewayError::InvalidDocument(error.to_string()))?,
    };
    answer(core, ask, call, message).await
}

async fn answer(
    core: &Core,
    ask: &Ask,
    call: &DualWriteCall,
    message: Value,
) -> Result<Response, GatewayError> {
    let channel = core.dual_write.as_ref();
    let channel = channel.ok_or_else(|| GatewayError::UnknownSegment(call.name.clone()))?;
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(call.method.input(), message, &options);
    let message = message.map_err(|error| GatewayError::InvalidValue(format!("{error}.")))?;
    let answer = call::unary(channel.clone(), ask.call(), &call.method, &message).await;
    let answer = answer.map_err(|status| refused(&status))?;
    let options = SerializeOptions::new().skip_default_fields(false);
    let answer = answer.serialize_with_options(serde_json::value::Serializer, &options);
    let Ok(Value::Object(answer)) = answer else { return Err(GatewayError::Internal) };
    // The context is JSON text already.
    let context: Value = serde_json::from_str(&response_context(ask, &call.name))
        .map_err(|_| GatewayError::Internal)?;
    let mut whole = Map::from_iter([("@odata.context".to_owned(), context)]);
    whole.extend(answer);
    Ok(respond(json!(whole).to_string()))
}

/// As JSON has it; a message is an object, or its text.
fn value_of(name: &str, parameter: Parameter) -> Result<Option<Value>, GatewayError> {
    let literal = |it: Literal| match it {
        Literal::Null => Some(Value::Null),
        Literal::Bool(it) => Some(Value::Bool(it)),
        Literal::Integer(it) | Literal::Decimal(it) | Literal::Double(it) => {
            serde_json::from_str(&it).ok()
        }
        Literal::String(it) | Literal::Duration(it) => Some(Value::String(it)),
        Literal::Enum { member, .. } => Some(Value::String(member)),
        Literal::Guid(it) => Some(Value::String(it.to_string())),
        Literal::Date(it) => Some(Value::String(it.to_string())),
        Literal::DateTime(it) => Some(Value::String(it.to_rfc3339())),
        Literal::TimeOfDay(_) | Literal::Binary(_) => None,
    };
    let unreadable =
        || GatewayError::InvalidValue(format!("The parameter '{name}' cannot be read."));
    Ok(match parameter {
        Parameter::Literal(Literal::Null) => None,
        Parameter::Literal(it) => Some(literal(it).ok_or_else(unreadable)?),
        Parameter::List(them) => {
            let values: Option<Vec<_>> = them.into_iter().map(literal).collect();
            Some(Value::Array(values.ok_or_else(unreadable)?))
        }
        Parameter::Json(text) => Some(serde_json::from_str(&text).map_err(|_| unreadable())?),
    })
}

/// Dual-write's reasons, which no table has.
fn refused(status: &Status) -> GatewayError {
    use ErrorReason as Reason;
    match rpc::reason(status) {
        Some(Reason::ResourceNotFound) => {
            GatewayError::MetadataNotFound(status.message().to_owned())
        }
        Some(
            Reason::ResourceExists
            | Reason::InvalidState
            | Reason::InUse
            | Reason::LimitExceeded
            | Reason::ConfirmationRequired
            | Reason::ValidationFailed
            | Reason::PeerRefused
            | Reason::HealthCheckFailed
            | Reason::EnvironmentMismatch
            | Reason::PositionExpired
            | Reason::AlreadyLinked
            | Reason::NotLinked
            | Reason::RequirementUnmet,
        ) => GatewayError::BusinessRule(status.message().to_owned()),
        _ => GatewayError::of_service(status),
    }
}

fn edm_type(field: &FieldDescriptor) -> String {
    let kind = match field.kind() {
        Kind::Bool => "Edm.Boolean",
        Kind::Int32 | Kind::Sint32 | Kind::Uint32 | Kind::Fixed32 | Kind::Sfixed32 => "Edm.Int32",
        Kind::Int64 | Kind::Sint64 | Kind::Uint64 | Kind::Fixed64 | Kind::Sfixed64 => "Edm.Int64",
        Kind::Double | Kind::Float => "Edm.Double",
        Kind::Message(_) => "mscrm.tombolo_DualWriteMessage",
        Kind::String | Kind::Bytes | Kind::Enum(_) => "Edm.String",
    };
    if field.is_list() { format!("Collection({kind})") } else { kind.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_of_the_contracts() {
        assert_eq!(DualWriteCall::all().count(), CALLS.len());
        for call in DualWriteCall::all() {
            let path =
                format!("/{}/{}", call.method.parent_service().full_name(), call.method.name());
            assert!(crate::EntryPoint::of_grpc(&path).is_some(), "{path}");
            assert!(!call.method.is_server_streaming());
        }
    }
}
