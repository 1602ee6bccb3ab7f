//! What a collector is told (spec DW-65): the same figures that each map shows, by map and direction.
//!
//! | name | what |
//! |---|---|
//! | `tombolo.dual_write.lag` | seconds since the oldest change that has not reached the other side |
//! | `tombolo.dual_write.heartbeat.age` | seconds since the moment up to which all changes are on the other side, of maps that run |
//! | `tombolo.dual_write.rows` | rows that reached the other side since the map was started |
//! | `tombolo.dual_write.queue.length` | changes that wait in the queue |
//! | `tombolo.dual_write.skipped` | changes since the map was started that were written with events skipped |
//! | `tombolo.dual_write.errors` | failures, by kind |
//!
//! All but the errors are told by one process, the one that does the alerts' work.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use chrono::Utc;
use opentelemetry::metrics::{Counter, Meter};
use opentelemetry::{KeyValue, global};
use proto::dual_write::v1::{MapCounters, SyncErrorKind};

use crate::core::Core;
use crate::store::reports;

const SCOPE: &str = "tombolo.dual_write";
const TO_PLATFORM: &str = "to_platform";
const TO_FINANCE_AND_OPERATIONS: &str = "to_finance_and_operations";

static ERRORS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let meter = global::meter(SCOPE);
    let counter = meter.u64_counter("tombolo.dual_write.errors");
    counter.with_description("Failures of maps, by kind").build()
});

type Reports = Arc<Mutex<Vec<(String, MapCounters)>>>;

/// What is told the next time a collector is.
#[derive(Debug)]
pub(crate) struct Metrics {
    reports: Reports,
}

/// Failures of a map, each of a kind.
pub(crate) fn failed(map: &str, kinds: &[i32]) {
    for kind in kinds {
        let kind = SyncErrorKind::try_from(*kind).unwrap_or_default().as_str_name();
        let kind = kind.trim_start_matches("SYNC_ERROR_KIND_").to_ascii_lowercase();
        ERRORS.add(1, &[KeyValue::new("map", map.to_owned()), KeyValue::new("kind", kind)]);
    }
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self { reports: Arc::default() };
        metrics.declare(&global::meter(SCOPE));
        metrics
    }

    /// Reads how all maps stand.
    pub(crate) async fn observe(&self, core: &Core) {
        let read = async {
            let mut connection = core.store.pool().acquire().await?;
            reports::list(&mut connection, "").await
        };
        match read.await {
            Ok(found) => {
                let found = found.into_iter().map(|it| (it.map, it.counters)).collect();
                *self.reports.lock().unwrap_or_else(PoisonError::into_inner) = found;
            }
            Err(error) => tracing::debug!(%error, "how maps stand cannot be told"),
        }
    }

    /// Another process tells from now on.
    pub(crate) fn forget(&self) {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn declare(&self, meter: &Meter) {
        let reports = self.reports.clone();
        meter
            .f64_observable_gauge("tombolo.dual_write.lag")
            .with_unit("s")
            .with_description("Age of the oldest change that has not reached the other side")
            .with_callback(move |observer| {
                each(&reports, |map, it| {
                    let lags = [
                        (TO_PLATFORM, it.to_platform_lag),
                        (TO_FINANCE_AND_OPERATIONS, it.to_finance_and_operations_lag),
                    ];
                    for (direction, lag) in lags {
                        observer.observe(lag.as_ref().map_or(0.0, seconds), &of(map, direction));
                    }
                });
            })
            .build();
        let reports = self.reports.clone();
        meter
            .u64_observable_counter("tombolo.dual_write.rows")
            .with_description("Rows that reached the other side since the map was started")
            .with_callback(move |observer| {
                each(&reports, |map, it| {
                    let counts = [
                        (TO_PLATFORM, it.to_platform_count),
                        (TO_FINANCE_AND_OPERATIONS, it.to_finance_and_operations_count),
                    ];
                    for (direction, count) in counts {
                        observer.observe(u64::try_from(count).unwrap_or(0), &of(map, direction));
                    }
                });
            })
            .build();
        let reports = self.reports.clone();
        meter
            .u64_observable_gauge("tombolo.dual_write.queue.length")
            .with_description("Changes that wait in the queue")
            .with_callback(move |observer| {
                each(&reports, |map, it| {
                    let length = u64::try_from(it.queued_record_count).unwrap_or(0);
                    observer.observe(length, &[KeyValue::new("map", map.to_owned())]);
                });
            })
            .build();
        self.declare_skipped(meter);
        self.declare_heartbeat(meter);
    }

    fn declare_skipped(&self, meter: &Meter) {
        let reports = self.reports.clone();
        meter
            .u64_observable_counter("tombolo.dual_write.skipped")
            .with_description("Changes that were written with tombolo.skip_business_events on")
            .with_callback(move |observer| {
                each(&reports, |map, it| {
                    let count = u64::try_from(it.skipped_change_count).unwrap_or(0);
                    observer.observe(count, &[KeyValue::new("map", map.to_owned())]);
                });
            })
            .build();
    }

    fn declare_heartbeat(&self, meter: &Meter) {
        let reports = self.reports.clone();
        meter
            .f64_observable_gauge("tombolo.dual_write.heartbeat.age")
            .with_unit("s")
            .with_description(
                "Age of the moment up to which all changes have reached the other side",
            )
            .with_callback(move |observer| {
                each(&reports, |map, it| {
                    let beats = [
                        (TO_PLATFORM, it.to_platform_heartbeat_time),
                        (TO_FINANCE_AND_OPERATIONS, it.to_finance_and_operations_heartbeat_time),
                    ];
                    for (direction, beat) in beats {
                        if let Some(beat) = beat {
                            observer.observe(age(beat), &of(map, direction));
                        }
                    }
                });
            })
            .build();
    }
}

fn each(reports: &Reports, mut tell: impl FnMut(&str, &MapCounters)) {
    let reports = reports.lock().unwrap_or_else(PoisonError::into_inner);
    for (map, counters) in reports.iter() {
        tell(map, counters);
    }
}

fn of(map: &str, direction: &'static str) -> [KeyValue; 2] {
    [KeyValue::new("map", map.to_owned()), KeyValue::new("direction", direction)]
}

fn age(moment: prost_types::Timestamp) -> f64 {
    let moment = SystemTime::try_from(moment).unwrap_or(SystemTime::UNIX_EPOCH);
    SystemTime::from(Utc::now()).duration_since(moment).unwrap_or_default().as_secs_f64()
}

fn seconds(duration: &prost_types::Duration) -> f64 {
    std::time::Duration::try_from(*duration).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;
    use std::time::Duration;

    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
    use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
    use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};

    use super::*;

    /// Figures by name and direction, as a collector is told.
    #[derive(Clone, Debug, Default)]
    struct Collector(Arc<Mutex<BTreeMap<String, f64>>>);

    impl Collector {
        fn take<'a>(&self, name: &str, points: impl Iterator<Item = (Vec<&'a KeyValue>, f64)>) {
            for (attributes, value) in points {
                assert!(attributes.iter().any(|it| it.value.as_str() == "maps/units"), "{name}");
                let direction = attributes.iter().find(|it| it.key.as_str() == "direction");
                let direction = direction.map(|it| format!(" {}", it.value.as_str()));
                let figure = format!("{name}{}", direction.unwrap_or_default());
                self.0.lock().unwrap().insert(figure, value);
            }
        }
    }

    impl PushMetricExporter for Collector {
        async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
            for metric in metrics.scope_metrics().flat_map(|it| it.metrics()) {
                let name = metric.name().trim_start_matches("tombolo.dual_write.");
                match metric.data() {
                    AggregatedMetrics::F64(MetricData::Gauge(it)) => {
                        let points = it.data_points();
                        self.take(name, points.map(|it| (it.attributes().collect(), it.value())));
                    }
                    AggregatedMetrics::U64(MetricData::Gauge(it)) => {
                        let points = it.data_points();
                        let value = |it: u64| f64::from(u32::try_from(it).unwrap());
                        self.take(
                            name,
                            points.map(|it| (it.attributes().collect(), value(it.value()))),
                        );
                    }
                    AggregatedMetrics::U64(MetricData::Sum(it)) => {
                        let points = it.data_points();
                        let value = |it: u64| f64::from(u32::try_from(it).unwrap());
                        self.take(
                            name,
                            points.map(|it| (it.attributes().collect(), value(it.value()))),
                        );
                    }
                    other => panic!("{name}: {other:?}"),
                }
            }
            Ok(())
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }

        fn temporality(&self) -> Temporality {
            Temporality::Cumulative
        }
    }

    #[test]
    fn a_collector_is_told_the_figures_of_a_map() {
        let collector = Collector::default();
        let reader = PeriodicReader::builder(collector.clone()).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let metrics = Metrics { reports: Arc::default() };
        metrics.declare(&provider.meter(SCOPE));
        let beat = SystemTime::now() - Duration::from_secs(100);
        let counters = MapCounters {
            queued_record_count: 7,
            to_platform_count: 3,
            to_finance_and_operations_count: 2,
            to_platform_lag: Some(prost_types::Duration { seconds: 4, nanos: 500_000_000 }),
            skipped_change_count: 5,
            to_platform_heartbeat_time: Some(beat.into()),
            ..Default::default()
        };
        metrics.reports.lock().unwrap().push(("maps/units".to_owned(), counters));
        provider.force_flush().unwrap();
        let mut told = std::mem::take(&mut *collector.0.lock().unwrap());
        let age = told.remove("heartbeat.age to_platform").unwrap();
        assert!((100.0..=beat.elapsed().unwrap().as_secs_f64()).contains(&age), "{age}");
        let expected = [
            ("lag to_finance_and_operations", 0.0),
            ("lag to_platform", 4.5),
            ("queue.length", 7.0),
            ("rows to_finance_and_operations", 2.0),
            ("rows to_platform", 3.0),
            ("skipped", 5.0),
        ];
        assert_eq!(told, BTreeMap::from(expected.map(|(name, value)| (name.to_owned(), value))));
    }
}
