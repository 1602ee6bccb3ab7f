//! `/api/backgroundoperation/{id}`: how far an operation is, and that it is not wanted any more.

use axum::http::Method;
use axum::http::request::Parts;
use proto::organization::v1 as pb;
use proto::organization::v1::BackgroundOperationState as State;
use rpc::ErrorReason;
use serde_json::json;
use tonic::Status;
use uuid::Uuid;

use crate::Core;
use crate::callers::Session;
use crate::error::GatewayError;
use crate::http::{Response, json as json_response, origin};
use crate::providers::Call;

/// The code of an outcome that is not known.
const NOT_KNOWN: &str = "0x80044151";

/// Answers GET and DELETE of the operation that the path ends in.
pub(crate) async fn background_operation(
    core: &Core,
    session: &Session,
    parts: &Parts,
    id: &str,
    deadline: std::time::Instant,
) -> Result<Response, GatewayError> {
    let id: Uuid = id.trim_end_matches('/').parse().map_err(|_| {
        GatewayError::InvalidValue(format!("'{id}' is no GUID of a background operation."))
    })?;
    let call = Call { session, deadline };
    let records = &core.background.records;
    let operation = match parts.method {
        Method::GET | Method::HEAD => records.get(call, id).await,
        Method::DELETE => records.cancel(call, id).await,
        _ => {
            let (method, resource) = (parts.method.to_string(), "a background operation".into());
            return Err(GatewayError::MethodNotAllowed { method, resource, allow: "GET, DELETE" });
        }
    };
    let operation = operation.map_err(|status| refusal(&status, id))?;
    Ok(json_response(told(&operation, &location(parts, id))))
}

/// Where an operation is asked for.
pub(crate) fn location(parts: &Parts, id: Uuid) -> String {
    format!("{}/api/backgroundoperation/{id}", origin(&parts.headers, &parts.uri))
}

fn refusal(status: &Status, id: Uuid) -> GatewayError {
    match rpc::reason(status) {
        Some(ErrorReason::ResourceNotFound) => {
            GatewayError::RecordNotFound { table: "backgroundoperation".to_owned(), id }
        }
        Some(ErrorReason::InvalidState) => GatewayError::Conflict(status.message().to_owned()),
        _ => GatewayError::of_service(status),
    }
}

/// What the operation answered, and beside it how far it is.
pub(super) fn told(operation: &pb::BackgroundOperation, location: &str) -> String {
    let state = operation.state();
    let outcome = operation.outcome.clone().unwrap_or_default();
    let (state_code, status_code) = codes(state);
    let mut members = json!({
        "location": location,
        "backgroundOperationId": operation.operation_id,
        "backgroundOperationStateCode": state_code,
        "backgroundOperationStatusCode": status_code,
    });
    let (code, message) = match state {
        State::Interrupted => (NOT_KNOWN, interrupted(&operation.client_request_id)),
        State::Abandoned => (NOT_KNOWN, ABANDONED.to_owned()),
        _ => (outcome.error_code.as_str(), outcome.error_message),
    };
    if matches!(state, State::Failed | State::Interrupted | State::Abandoned) {
        members["backgroundOperationErrorCode"] = number(code).into();
    }
    if !message.is_empty() {
        members["backgroundOperationErrorMessage"] = message.into();
    }
    if !outcome.entity_url.is_empty() {
        members["entityUrl"] = outcome.entity_url.into();
    }
    beside(&outcome.outputs, &members.to_string())
}

const ABANDONED: &str = "The gateway that was to do it is gone, and it had not begun: nothing was \
    done. Repeat the request.";

fn interrupted(client_request_id: &str) -> String {
    let gone = "The operation was interrupted: the gateway that did it is gone, and it may be done or not.";
    match client_request_id {
        "" => format!(
            "{gone} Look before you repeat it. A request with an x-ms-client-request-id can be \
             repeated with the same one, and then has one effect."
        ),
        id => format!(
            "{gone} Repeat the request with the same x-ms-client-request-id, '{id}': it then has \
             one effect."
        ),
    }
}

/// State and status as the platform numbers them.
fn codes(state: State) -> (i32, i32) {
    match state {
        State::Unspecified | State::Waiting => (0, 0),
        State::Running => (2, 20),
        State::Succeeded => (3, 30),
        State::Failed | State::Interrupted | State::Abandoned => (3, 31),
        State::Cancelled => (3, 32),
    }
}

/// The platform's codes are 32 bits, here as the signed number that they are.
fn number(code: &str) -> i32 {
    let digits = code.strip_prefix("0x").unwrap_or_default();
    u32::from_str_radix(digits, 16).unwrap_or_default().cast_signed()
}

/// One object of the members of both. The text of the first is kept, so that its decimals keep their
/// digits.
fn beside(outputs: &[u8], members: &str) -> String {
    let outputs = std::str::from_utf8(outputs).unwrap_or_default().trim();
    let inner = outputs.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
    match inner.map(str::trim).filter(|it| !it.is_empty()) {
        Some(inner) => format!("{{{inner},{}", members.strip_prefix('{').unwrap_or(members)),
        None => members.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn operation(state: State, outcome: pb::BackgroundOperationOutcome) -> Value {
        let operation = pb::BackgroundOperation {
            operation_id: Uuid::nil().to_string(),
            state: state.into(),
            client_request_id: "mine".to_owned(),
            outcome: Some(outcome),
            ..pb::BackgroundOperation::default()
        };
        serde_json::from_str(&told(&operation, "http://here")).unwrap()
    }

    #[test]
    fn what_it_answered_stands_beside_its_state() {
        let outputs: bytes::Bytes = b"{\"value\":12345678901234567.10}".to_vec().into();
        let outcome = pb::BackgroundOperationOutcome { outputs, ..Default::default() };
        let operation = pb::BackgroundOperation {
            state: State::Succeeded.into(),
            outcome: Some(outcome),
            ..Default::default()
        };
        let told = told(&operation, "http://here");
        assert!(told.starts_with("{\"value\":12345678901234567.10,"), "{told}");
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["backgroundOperationStatusCode"], 30);
        assert_eq!(told["location"], "http://here");
        assert!(told.get("backgroundOperationErrorCode").is_none());
    }

    #[test]
    fn a_failure_has_its_code_as_a_number_and_its_words() {
        let outcome = pb::BackgroundOperationOutcome {
            error_code: "0x80040220".to_owned(),
            error_message: "no".to_owned(),
            ..Default::default()
        };
        let told = operation(State::Failed, outcome);
        assert_eq!(told["backgroundOperationErrorCode"], -2_147_220_960);
        assert_eq!(told["backgroundOperationErrorMessage"], "no");
    }

    #[test]
    fn what_was_interrupted_says_how_to_go_on() {
        let told = |state| operation(state, Default::default());
        let interrupted = told(State::Interrupted);
        assert_eq!(interrupted["backgroundOperationStatusCode"], 31);
        let message = interrupted["backgroundOperationErrorMessage"].as_str().unwrap();
        assert!(message.contains("'mine'"), "{message}");
        let abandoned = told(State::Abandoned);
        let message = abandoned["backgroundOperationErrorMessage"].as_str().unwrap();
        assert!(message.contains("nothing was done"), "{message}");
    }
}
