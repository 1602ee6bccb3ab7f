//! Trace context across calls (W3C `traceparent`), whatever the channel.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

struct Headers<'a>(&'a mut HeaderMap);
struct HeadersRef<'a>(&'a HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

impl Extractor for HeadersRef<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// Writes the span's context into outgoing headers.
pub(crate) fn inject(span: &Span, headers: &mut HeaderMap) {
    let context = span.context();
    opentelemetry::global::get_text_map_propagator(|it| {
        it.inject_context(&context, &mut Headers(headers));
    });
}

/// Makes the span a child of the one that incoming headers name.
pub fn adopt(span: &Span, headers: &HeaderMap) {
    let context =
        opentelemetry::global::get_text_map_propagator(|it| it.extract(&HeadersRef(headers)));
    // A span that no layer exports has no context to set; there is nothing to do about it.
    let _ = span.set_parent(context);
}
