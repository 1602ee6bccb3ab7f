//! Who is let in: services of the environment, with what they may call, and the user on whose behalf.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use tonic::{Code, Status};
use tracing::Instrument as _;

use crate::assertion::{AssertionVerifier, CALLER_HEADER, InvalidAssertion};
use crate::caller::Caller;
use crate::context::Deadline;
use crate::listener::Peer;
use crate::server::{DEFAULT_DEADLINE, MAX_DEADLINE};
use crate::status::{ErrorReason, status};
use crate::trusted_services::TrustedServices;
use crate::{permitted, trace};

/// Who is let in.
#[derive(Debug)]
pub(crate) enum Gate {
    /// Services of the environment, with or without a user's assertion.
    Services {
        /// The service behind the gate.
        name: Arc<str>,
        trusted: Arc<TrustedServices>,
        verifier: Arc<AssertionVerifier>,
    },
    /// Everybody: the services themselves look at what callers present.
    Everybody,
}

/// The service that calls, in the extensions of every request that a service of the environment made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallingService(Arc<str>);

impl CallingService {
    /// Of a request that came through [`crate::Server`].
    ///
    /// # Errors
    ///
    /// UNAUTHENTICATED (NO_SERVICE_TOKEN) when no service made it.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, Status> {
        request.extensions().get::<Self>().cloned().ok_or_else(no_service)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

pub(crate) async fn admit(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if path.starts_with("/grpc.health.") || path.starts_with("/grpc.reflection.") {
        return next.run(request).await;
    }
    let method = path.trim_start_matches('/');
    let span = tracing::info_span!(
        "rpc.server",
        otel.name = method,
        otel.kind = "server",
        rpc.system = "grpc",
        rpc.method = method,
    );
    trace::adopt(&span, request.headers());
    if let Err(status) = gate.check(&mut request).await {
        return status.into_http();
    }
    next.run(request).instrument(span).await
}

impl Gate {
    async fn check(&self, request: &mut Request) -> Result<(), Status> {
        let timeout = timeout(request.headers());
        let deadline = Instant::now() + timeout.unwrap_or(DEFAULT_DEADLINE).min(MAX_DEADLINE);
        request.extensions_mut().insert(Deadline(deadline));
        match self {
            Self::Everybody => {
                request.headers_mut().remove(CALLER_HEADER);
            }
            Self::Services { name, trusted, verifier } => {
                let service = calling_service(trusted, name, request)?;
                let path = request.uri().path_and_query().cloned();
                let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
                permitted::check(&service, name, &path)?;
                if let Some(assertion) = request.headers().get(CALLER_HEADER).cloned() {
                    let caller = caller(verifier, &assertion, &service).await?;
                    request.extensions_mut().insert(caller);
                }
                request.extensions_mut().insert(CallingService(service));
            }
        }
        Ok(())
    }
}

fn header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request.headers().get(name).and_then(|it| it.to_str().ok())
}

/// By the certificate of the connection if it has one, else by the token.
fn calling_service(
    trusted: &TrustedServices,
    callee: &str,
    request: &Request,
) -> Result<Arc<str>, Status> {
    match request.extensions().get::<Peer>() {
        Some(Peer::Certified(service)) => return service.clone().ok_or_else(no_service),
        Some(Peer::Anonymous) | None => {}
    }
    let token = header(request, AUTHORIZATION.as_str()).and_then(|it| it.strip_prefix("Bearer "));
    token.and_then(|it| trusted.verify(it, callee)).ok_or_else(no_service)
}

async fn caller(
    verifier: &AssertionVerifier,
    assertion: &HeaderValue,
    presenter: &str,
) -> Result<Arc<Caller>, Status> {
    let refuse = |it: InvalidAssertion| refused(ErrorReason::InvalidAssertion, &it.to_string());
    let assertion = assertion.to_str().map_err(|_| refuse(InvalidAssertion::Refused))?;
    verifier.verify_with_news(assertion, presenter).await.map_err(refuse)
}

fn no_service() -> Status {
    let message = "only services of this environment may call; send a service token";
    refused(ErrorReason::NoServiceToken, message)
}

fn refused(reason: ErrorReason, message: &str) -> Status {
    status(Code::Unauthenticated, "rpc", reason, message, [])
}

/// How long the caller waits, where it says so.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    headers.get("grpc-timeout").and_then(|it| it.to_str().ok()).and_then(parse_timeout)
}

/// `grpc-timeout`: at most eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_parse_as_grpc_writes_them() {
        let check = |text: &str, expected| assert_eq!(parse_timeout(text), expected, "{text}");
        check("5S", Some(Duration::from_secs(5)));
        check("250m", Some(Duration::from_millis(250)));
        check("1H", Some(Duration::from_secs(3600)));
        for bad in ["", "S", "-1S", "123456789S", "5", "5x", "é"] {
            check(bad, None);
        }
    }
}
