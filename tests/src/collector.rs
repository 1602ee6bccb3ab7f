//! A collector of traces, as OpenTelemetry's protocol has it, that keeps what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Listens for as long as it lives.
#[derive(Debug)]
pub struct Collector {
    spans: Spans,
    address: SocketAddr,
    server: JoinHandle<()>,
}

#[derive(Clone, Debug, Default)]
struct Spans {
    kept: Arc<Mutex<Vec<Span>>>,
    arrived: Arc<Notify>,
}

impl Collector {
    /// On a free port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (spans, address) = (Spans::default(), listener.local_addr()?);
        let service = TraceServiceServer::new(spans.clone());
        let server = tokio::spawn(async move {
            let connections = TcpListenerStream::new(listener);
            let router = tonic::transport::Server::builder().add_service(service);
            let _ = router.serve_with_incoming(connections).await;
        });
        Ok(Self { spans, address, server })
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans of a trace, as soon as `complete` says that all are there.
    pub async fn trace(
        &self,
        trace_id: [u8; 16],
        within: Duration,
        complete: impl Fn(&[Span]) -> bool,
    ) -> Result<Vec<Span>> {
        let give_up = Instant::now() + within;
        loop {
            let arrived = self.spans.arrived.notified();
            let spans: Vec<Span> = {
                let kept = self.spans.kept.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
                kept.iter().filter(|it| it.trace_id == trace_id).cloned().collect()
            };
            if complete(&spans) {
                return Ok(spans);
            }
            let left = give_up.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "an incomplete trace after {within:?}: {:#?}", names(&spans));
            let _ = tokio::time::timeout(left, arrived).await;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|it| it.scope_spans);
        if let Ok(mut kept) = self.kept.lock() {
            kept.extend(scopes.flat_map(|it| it.spans));
        }
        self.arrived.notify_waiters();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A text attribute of a span; empty when there is none.
#[must_use]
pub fn attribute<'a>(span: &'a Span, key: &str) -> &'a str {
    let attribute = span.attributes.iter().find(|it| it.key == key);
    match attribute.and_then(|it| it.value.as_ref()?.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text,
        _ => "",
    }
}

/// For messages.
#[must_use]
pub fn names(spans: &[Span]) -> Vec<String> {
    spans.iter().map(|it| format!("{} (kind {})", it.name, it.kind)).collect()
}
