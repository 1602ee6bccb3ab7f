//! What a collector is told (spec DW-65): the same figures that each map shows, by map and direction.
//!
//! | name | what |
//! |---|---|
//! | `tombolo.dual_write.lag` | seconds since the oldest change that has not reached the other side |
//! | `tombolo.dual_write.heartbeat.age` | seconds since somebody last looked at the map |
//! | `tombolo.dual_write.rows` | rows that reached the other side since the map was started |
//! | `tombolo.dual_write.queue.length` | changes that wait in the queue |
//! | `tombolo.dual_write.skipped` | changes since the map was started that were written with events skipped |
//! | `tombolo.dual_write.errors` | failures, by kind |
//!
//! All but the errors are told by one process, the one that does the alerts' work.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

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
                let found = found.into_iter().map(|(map, counters, _)| (map, counters)).collect();
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
            .with_description("Time since somebody last looked at the map")
            .with_callback(move |observer| {
                each(&reports, |map, it| {
                    let Some(beat) = &it.heartbeat_time else { return };
                    #[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
                    let age = (Utc::now().timestamp() - beat.seconds).max(0) as f64;
                    observer.observe(age, &[KeyValue::new("map", map.to_owned())]);
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

fn seconds(duration: &prost_types::Duration) -> f64 {
    std::time::Duration::try_from(*duration).unwrap_or_default().as_secs_f64()
}
