//! What came of it, for people and for programs.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cases::Case;
use crate::measure::Measurement;

/// A case's figures. Times are in microseconds.
#[derive(Debug, Serialize)]
pub struct Line {
    case: &'static str,
    pairs: u64,
    call_p50: f64,
    call_p99: f64,
    direct_p50: f64,
    direct_p99: f64,
    overhead_p50: f64,
    overhead_p99: f64,
    /// Median call over median direct read.
    ratio_p50: f64,
    calls_per_second: f64,
    direct_per_second: f64,
    path: String,
    sql: &'static str,
}

impl Line {
    /// The figures of a measurement.
    #[must_use]
    pub fn new(case: &Case, measured: &Measurement) -> Self {
        let (call_p50, direct_p50) = (at(&measured.call, 0.5), at(&measured.direct, 0.5));
        Self {
            case: case.name,
            pairs: measured.call.len(),
            call_p50,
            call_p99: at(&measured.call, 0.99),
            direct_p50,
            direct_p99: at(&measured.direct, 0.99),
            overhead_p50: at(&measured.overhead, 0.5),
            overhead_p99: at(&measured.overhead, 0.99),
            ratio_p50: call_p50 / direct_p50,
            calls_per_second: measured.calls_per_second,
            direct_per_second: measured.direct_per_second,
            path: case.path.clone(),
            sql: case.sql,
        }
    }
}

/// An aligned table, and under it what was sent.
#[must_use]
pub fn table(lines: &[Line]) -> String {
    let mut text = String::from(
        "microseconds; one client, calls and SQL in turns; overhead: pair by pair; req/s: 8 clients\n\n",
    );
    let heads = [
        "pairs",
        "call p50",
        "p99",
        "SQL p50",
        "p99",
        "overhead p50",
        "p99",
        "ratio",
        "call/s",
        "SQL/s",
    ];
    let _ = write!(text, "{:<30}", "");
    for head in heads {
        let _ = write!(text, "{head:>13}");
    }
    text.push('\n');
    for line in lines {
        let figures = [
            format!("{}", line.pairs),
            format!("{:.0}", line.call_p50),
            format!("{:.0}", line.call_p99),
            format!("{:.0}", line.direct_p50),
            format!("{:.0}", line.direct_p99),
            format!("{:.0}", line.overhead_p50),
            format!("{:.0}", line.overhead_p99),
            format!("{:.2}", line.ratio_p50),
            format!("{:.0}", line.calls_per_second),
            format!("{:.0}", line.direct_per_second),
        ];
        let _ = write!(text, "{:<30}", line.case);
        for figure in figures {
            let _ = write!(text, "{figure:>13}");
        }
        text.push('\n');
    }
    for line in lines {
        let _ = write!(text, "\n{}\n  GET {}\n  {}\n", line.case, line.path, line.sql);
    }
    text
}

fn at(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1_000.0
}
