//! The answering side: health, reflection, authentication and deadlines around a service's routes.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::middleware;
use tokio::sync::watch;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::Service;

use crate::assertion::AssertionVerifier;
use crate::gate::{Gate, admit};
use crate::listener::Listener;
use crate::trusted_services::TrustedServices;
use crate::watches;

/// How long a call may take whose caller does not say.
pub(crate) const DEFAULT_DEADLINE: Duration = Duration::from_secs(120);
/// The longest that any call may take: a save that waits for its other side, five minutes, and what comes before.
pub(crate) const MAX_DEADLINE: Duration = Duration::from_secs(360);

/// Builds the routes of one server. Every call but health and reflection must come from a service
/// of the environment that may make it; a user's assertion, when there is one, is verified before the
/// handler runs.
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

// === impl Server ===

impl Server {
    /// The named service's server, for those of the `trusted` services (and of those whose
    /// certificates its listener accepts) that may call it. It believes assertions that `verifier`
    /// accepts.
    #[must_use]
    pub fn new(
        name: &str,
        trusted: Arc<TrustedServices>,
        verifier: Arc<AssertionVerifier>,
    ) -> Self {
        Self::with_gate(Gate::Services { name: name.into(), trusted, verifier })
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
        listener: impl Into<Listener>,
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
            .add_routes(routes)
            .serve_with_incoming_shutdown(listener.into().incoming(), shutdown)
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
