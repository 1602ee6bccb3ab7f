//! Refusals in the platform's shape.

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};

use super::respond::{JSON, Response, quoted};
use crate::Config;
use crate::error::{GatewayError, PeerProblem};

/// Seconds after which a service that was away may be back.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("2");

pub(super) fn response(error: &GatewayError, config: &Config, request_id: &str) -> Response {
    let (status, code) = error.platform();
    let message = quoted(&message(error, request_id));
    let body = format!("{{\"error\":{{\"code\":\"{code}\",\"message\":{message}}}}}");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    match error {
        GatewayError::Unauthenticated => {
            let challenge = format!(
                "Bearer authorization_uri={}, resource_id={}/",
                config.authorization_uri,
                config.resource_id.trim_end_matches('/')
            );
            if let Ok(challenge) = HeaderValue::try_from(challenge) {
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
        }
        GatewayError::MethodNotAllowed { allow, .. } => {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        GatewayError::NegatedFunction => {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        GatewayError::InUse(_) => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, PATCH, PUT"));
        }
        GatewayError::LimitExceeded(exceeded) => {
            headers.insert(RETRY_AFTER, HeaderValue::from(exceeded.retry_after.as_secs()));
        }
        GatewayError::Unavailable(_)
        | GatewayError::Peer { problem: PeerProblem::Unavailable, .. }
        | GatewayError::TooMany(_)
        | GatewayError::WriteConflict(_) => {
            headers.insert(RETRY_AFTER, RETRY_SECONDS);
        }
        _ => {}
    }
    response
}

/// The words of a refusal.
pub(crate) fn message(error: &GatewayError, request_id: &str) -> String {
    match error {
        GatewayError::Internal => format!("{error} Request id: {request_id}"),
        error => error.to_string(),
    }
}
