//! The answering side: health, reflection, authentication and deadlines around a service's routes.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::Service;
use tracing::Instrument as _;

use crate::caller::{AssertionVerifier, CALLER_HEADER, Caller, InvalidAssertion};
use crate::context::Deadline;
use crate::service_token::ServiceKey;
use crate::status::{ErrorReason, status};
use crate::{trace, watches};

/// The longest that any call may take; callers may ask for less.
pub(crate) const MAX_DEADLINE: Duration = Duration::from_secs(120);

/// Builds the routes of one server. Every call but health and reflection must come from a service
/// of the environment; a user's assertion, when there is one, is verified before the handler runs.
#[derive(Debug)]
pub struct Server {
    routes: Routes,
    names: Vec<&'static str>,
    gate: Arc<Gate>,
    health: HealthReporter,
}

/// Says whether a server is ready to serve.
#[derive(Clone, Debug)]
pub struct Readiness {
    health: HealthReporter,
    names: Arc<[&'static str]>,
}

/// Who is let in.
#[derive(Debug)]
enum Gate {
    /// Services of the environment, with or without a user's assertion.
    Services { key: ServiceKey, verifier: Arc<AssertionVerifier> },
    /// Everybody: the services themselves look at what callers present.
    Everybody,
}

// === impl Server ===

impl Server {
    /// A server for holders of `key`, that believes assertions which `verifier` accepts.
    #[must_use]
    pub fn new(key: ServiceKey, verifier: Arc<AssertionVerifier>) -> Self {
        Self::with_gate(Gate::Services { key, verifier })
    }

    /// A server for clients from outside, whose services authenticate every call themselves. What a
    /// client claims about its caller is not believed: the assertion's header is removed.
    #[must_use]
    pub fn public() -> Self {
        Self::with_gate(Gate::Everybody)
    }

    fn with_gate(gate: Gate) -> Self {
        let (health, service) = tonic_health::server::health_reporter();
        Self { routes: Routes::new(service), names: Vec::new(), gate: Arc::new(gate), health }
    }

    /// Adds a generated service.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: Service<http::Request<tonic::body::Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.routes = self.routes.add_service(service);
        self
    }

    /// The finished routes, and the handle that declares them ready; until then health says
    /// NOT_SERVING.
    ///
    /// # Errors
    ///
    /// When the generated descriptors are broken.
    pub fn build(self) -> Result<(Routes, Readiness), tonic_reflection::server::Error> {
        let names: Arc<[&'static str]> = self.names.into();
        let mut reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        for name in names.iter() {
            reflection = reflection.with_service_name(*name);
        }
        let routes = self.routes.add_service(reflection.build_v1()?);
        let router =
            routes.into_axum_router().layer(middleware::from_fn_with_state(self.gate, admit));
        Ok((Routes::from(router), Readiness { health: self.health, names }))
    }

    /// Serves routes on a listener until `shutdown`, then lets calls in flight finish. Watches never
    /// would, and are ended with UNAVAILABLE, after which watchers connect elsewhere.
    ///
    /// # Errors
    ///
    /// When the listener fails.
    pub async fn serve(
        routes: Routes,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        let (stop, stopping) = watch::channel(false);
        let end_watches = middleware::from_fn_with_state(stopping, watches::end_when_stopping);
        let routes = Routes::from(routes.into_axum_router().layer(end_watches));
        let shutdown = async move {
            shutdown.await;
            stop.send_replace(true);
        };
        tonic::transport::Server::builder()
            .tcp_nodelay(true)
            .add_routes(routes)
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown)
            .await
    }
}

// === impl Readiness ===

impl Readiness {
    /// Every service of the server is (or is not) serving.
    pub async fn set(&self, ready: bool) {
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.health.set_service_status("", status).await;
        for name in self.names.iter() {
            self.health.set_service_status(*name, status).await;
        }
    }
}

async fn admit(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
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
        let timeout = header(request, "grpc-timeout").and_then(parse_timeout);
        let deadline = Instant::now() + timeout.unwrap_or(MAX_DEADLINE).min(MAX_DEADLINE);
        let caller = match self {
            Self::Everybody => {
                request.headers_mut().remove(CALLER_HEADER);
                None
            }
            Self::Services { key, verifier } => {
                check_service(key, request)?;
                match request.headers().get(CALLER_HEADER).cloned() {
                    None => None,
                    Some(assertion) => Some(caller(verifier, &assertion).await?),
                }
            }
        };
        let extensions = request.extensions_mut();
        extensions.insert(Deadline(deadline));
        if let Some(caller) = caller {
            extensions.insert(caller);
        }
        Ok(())
    }
}

fn header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request.headers().get(name).and_then(|it| it.to_str().ok())
}

fn check_service(key: &ServiceKey, request: &Request) -> Result<(), Status> {
    let token = header(request, AUTHORIZATION.as_str()).and_then(|it| it.strip_prefix("Bearer "));
    if token.and_then(|it| key.verify(it)).is_none() {
        let message = "only services of this environment may call; send a service token";
        return Err(refused(ErrorReason::NoServiceToken, message));
    }
    Ok(())
}

async fn caller(
    verifier: &AssertionVerifier,
    assertion: &HeaderValue,
) -> Result<Arc<Caller>, Status> {
    let refuse = |it: InvalidAssertion| refused(ErrorReason::InvalidAssertion, &it.to_string());
    let assertion = assertion.to_str().map_err(|_| refuse(InvalidAssertion::Refused))?;
    verifier.verify_with_newest_keys(assertion).await.map_err(refuse)
}

fn refused(reason: ErrorReason, message: &str) -> Status {
    status(Code::Unauthenticated, "rpc", reason, message, [])
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
