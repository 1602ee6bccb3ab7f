//! What reaches a collector. The process under test is this binary again, since the variables of a
//! running process cannot be changed.

#![allow(clippy::unwrap_used)] // A test that unwraps nothing has failed.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tokio::net::TcpListener;
use tokio::process::Command;
use tonic::{Request, Response, Status};

#[derive(Clone, Default)]
struct Collector {
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    measured: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.received.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.measured.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        (collector, address)
    }

    fn spans(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        let scopes =
            received.iter().flat_map(|it| &it.resource_spans).flat_map(|it| &it.scope_spans);
        scopes.flat_map(|it| &it.spans).map(|it| it.name.clone()).collect()
    }

    fn metrics(&self) -> Vec<String> {
        let measured = self.measured.lock().unwrap();
        let scopes =
            measured.iter().flat_map(|it| &it.resource_metrics).flat_map(|it| &it.scope_metrics);
        scopes.flat_map(|it| &it.metrics).map(|it| it.name.clone()).collect()
    }

    fn services(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        let resources = received.iter().flat_map(|it| &it.resource_spans);
        let attributes =
            resources.filter_map(|it| it.resource.as_ref()).flat_map(|it| &it.attributes);
        let names = attributes.filter(|it| it.key == "service.name");
        let values = names.filter_map(|it| it.value.clone()?.value);
        values
            .map(|it| if let Value::StringValue(name) = it { name } else { String::new() })
            .collect()
    }
}

async fn run_child(variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child"])
        .env_remove("RUST_LOG")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    log
}

/// Not a test of its own: what [`run_child`] runs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the other tests"]
async fn child() {
    let guard = telemetry::init("query", telemetry::Options::default()).unwrap();
    {
        let _ours = tracing::info_span!(target: "rpc::server", "ours").entered();
        let _transport = tracing::error_span!(target: "h2::client", "frame").entered();
        let _detail = tracing::debug_span!(target: "query", "detail").entered();
        opentelemetry::global::meter("query").u64_counter("rows").build().add(1, &[]);
        tracing::info!(target: "query", "said by us");
        tracing::info!(target: "hyper", "said by another");
        tracing::info!(target: "audit", operation = "read", decision = "allowed");
        tracing::warn!(target: "audit", operation = "delete", decision = "denied");
    }
    guard.shutdown().await;
}

#[tokio::test]
async fn only_our_spans_are_exported_and_none_is_lost_at_the_end() {
    let (collector, address) = Collector::start().await;
    // The exporter's own h2 connection opens spans too, which RUST_LOG must not let through.
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()), ("RUST_LOG", "trace")];
    run_child(&variables).await;
    assert_eq!(collector.spans(), ["ours"]);
    assert_eq!(collector.metrics(), ["rows"]);
    assert_eq!(collector.services(), ["query"]);
}

#[tokio::test]
async fn the_standard_variables_are_honoured() {
    let (collector, address) = Collector::start().await;
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str());
    run_child(&[endpoint, ("OTEL_SERVICE_NAME", "query-eu")]).await;
    assert_eq!(collector.services(), ["query-eu"]);
    let (collector, address) = Collector::start().await;
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str());
    run_child(&[endpoint, ("OTEL_TRACES_SAMPLER", "always_off")]).await;
    assert_eq!(collector.spans(), [""; 0]);
}

#[tokio::test]
async fn a_collector_that_never_answers_does_not_keep_the_process() {
    // Accepts connections, as the kernel does for a listener, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let started = std::time::Instant::now();
    run_child(&[("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str())]).await;
    assert!(started.elapsed() < std::time::Duration::from_secs(8), "{:?}", started.elapsed());
}

#[tokio::test]
async fn logs_are_ours_and_in_the_format_asked_for() {
    let text = run_child(&[]).await;
    assert!(text.contains("said by us") && !text.contains("said by another"), "{text}");
    assert!(!text.contains('\u{1b}'), "not a terminal, so no colours: {text}");
    let json = run_child(&[("TOMBOLO_LOG_FORMAT", "json")]).await;
    assert!(json.contains(r#""message":"said by us""#), "{json}");
}

#[tokio::test]
async fn the_audit_is_appended_to_its_file_and_denials_are_logged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let variable = ("TOMBOLO_AUDIT_FILE", path.to_str().unwrap());
    let log = run_child(&[variable]).await;
    assert!(log.contains("denied") && !log.contains("allowed"), "{log}");
    run_child(&[variable, ("RUST_LOG", "off")]).await;
    let written = std::fs::read_to_string(&path).unwrap();
    let entries: Vec<&str> = written.lines().collect();
    assert_eq!(entries.len(), 4, "{written}");
    for (entry, decision) in entries.iter().zip(["allowed", "denied", "allowed", "denied"]) {
        assert!(entry.contains(&format!(r#""decision":"{decision}""#)), "{entry}");
        assert!(entry.starts_with('{') && entry.ends_with('}'), "{entry}");
    }
}
