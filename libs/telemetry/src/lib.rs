//! Logs, traces and metrics: one [`init`] per process.
//!
//! | variable | meaning |
//! |---|---|
//! | `RUST_LOG` | what is logged; default: our crates from the level in [`Options`], others' warnings |
//! | `TOMBOLO_LOG_FORMAT` | `text` (default) or `json` |
//! | `TOMBOLO_AUDIT_FILE` | a file to which the audit is appended, a JSON object per line; absent: only what was denied is logged |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | where spans and metrics go (gRPC); absent: nowhere |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER(_ARG)`, `OTEL_BSP_*`, `OTEL_METRIC_EXPORT_*`, `OTEL_EXPORTER_OTLP_*` | as OpenTelemetry defines them |

mod filter;

use std::fs::{File, OpenOptions};
use std::io::IsTerminal as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, Value};
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

const FORMAT_VARIABLE: &str = "TOMBOLO_LOG_FORMAT";
const AUDIT_VARIABLE: &str = "TOMBOLO_AUDIT_FILE";
const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// A collector that does not answer must not keep a process from ending.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// What the caller decides.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// From which level our own crates log when `RUST_LOG` says nothing.
    pub level: Level,
}

/// What is not sent yet is sent when this is dropped, or shut down, within seconds.
#[derive(Debug)]
#[must_use = "spans that are not sent yet are lost when the process ends without this"]
pub struct Guard {
    providers: Option<Providers>,
}

#[derive(Debug)]
struct Providers {
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

#[derive(Clone, Copy)]
enum Format {
    Text,
    Json,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self { level: Level::INFO }
    }
}

// === impl Guard ===

impl Guard {
    /// Sends what is left without blocking the runtime.
    pub async fn shutdown(mut self) {
        let Some(providers) = self.providers.take() else { return };
        let flushed = tokio::task::spawn_blocking(move || flush(&providers)).await;
        if let Err(error) = flushed {
            tracing::warn!(%error, "the last spans and metrics may be lost");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(providers) = self.providers.take() {
            flush(&providers);
        }
    }
}

/// Both at a time: each may wait for the collector.
fn flush(providers: &Providers) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if let Err(error) = providers.metrics.shutdown_with_timeout(FLUSH_TIMEOUT) {
                tracing::warn!(%error, "the last metrics may be lost");
            }
        });
        if let Err(error) = providers.spans.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last spans may be lost");
        }
    });
}

/// Installs the process's logs, traces and metrics. `service` is its name in traces and metrics unless
/// the environment gives another. With an OTLP endpoint it must be called within a tokio runtime.
///
/// # Errors
///
/// When an environment variable makes no sense, or logs are installed already.
pub fn init(service: &str, options: Options) -> anyhow::Result<Guard> {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let providers = match variable(ENDPOINT_VARIABLE)? {
        None => None,
        Some(_) => Some(providers(service)?),
    };
    let traces = providers.as_ref().map(|it| traces(&it.spans));
    tracing_subscriber::registry()
        .with(logs(format()?, options)?)
        .with(audit_file()?.map(audit))
        .with(traces)
        .try_init()
        .context("logs are installed already")?;
    if let Some(providers) = &providers {
        opentelemetry::global::set_tracer_provider(providers.spans.clone());
        opentelemetry::global::set_meter_provider(providers.metrics.clone());
    }
    Ok(Guard { providers })
}

fn logs<S>(format: Format, options: Options) -> anyhow::Result<impl Layer<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = filter::logs(variable("RUST_LOG")?.as_deref(), options.level)?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = match format {
        Format::Text => layer.with_ansi(std::io::stderr().is_terminal()).boxed(),
        Format::Json => layer.json().boxed(),
    };
    Ok(layer.with_filter(filter))
}

/// Each entry is one write to the file's end, so that several processes may share it.
fn audit<S>(file: File) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_writer(Arc::new(file))
        .with_filter(filter::audit())
}

/// Its owner's alone.
fn audit_file() -> anyhow::Result<Option<File>> {
    let Some(path) = variable(AUDIT_VARIABLE)? else { return Ok(None) };
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    opened.map(Some).with_context(|| format!("{AUDIT_VARIABLE}: cannot append to {path}"))
}

fn traces<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("tombolo"))
        .with_tracked_inactivity(false)
        .with_threads(false)
        .with_location(false)
        .with_filter(filter::traces())
}

fn providers(service: &str) -> anyhow::Result<Providers> {
    let unusable = || format!("{ENDPOINT_VARIABLE} cannot be used");
    let spans = SpanExporter::builder().with_tonic().build().with_context(unusable)?;
    let metrics = MetricExporter::builder().with_tonic().build().with_context(unusable)?;
    let resource = resource(service);
    Ok(Providers {
        spans: SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_batch_exporter(spans)
            .build(),
        metrics: SdkMeterProvider::builder()
            .with_resource(resource)
            .with_periodic_exporter(metrics)
            .build(),
    })
}

/// What the environment says of this process; the SDK's placeholder where it says no name.
fn resource(service: &str) -> Resource {
    let found = Resource::builder().build();
    let name = found.get(&Key::from_static_str("service.name"));
    let named =
        matches!(name, Some(Value::String(it)) if !it.as_str().starts_with("unknown_service"));
    let builder = Resource::builder();
    if named { builder.build() } else { builder.with_service_name(service.to_owned()).build() }
}

fn format() -> anyhow::Result<Format> {
    match variable(FORMAT_VARIABLE)?.as_deref() {
        None | Some("text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        Some(other) => bail!("{FORMAT_VARIABLE} is `{other}`; expected `text` or `json`"),
    }
}

/// A variable that is set and not empty.
fn variable(name: &str) -> anyhow::Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{name} cannot be read")),
    }
}
