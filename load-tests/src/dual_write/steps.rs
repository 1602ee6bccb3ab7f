//! Where the time of a live save goes: the spans that all services tell of it, added up by name.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use opentelemetry_proto::tonic::trace::v1::Span;
use tests::collector::{Collector, attribute};

use super::live::{Row, Way};
use super::world::Live;

/// The span that the saves say they come from.
const PARENT_SPAN: [u8; 8] = [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7];
const WARM_UP: usize = 50;
const EXPORTED_WITHIN: Duration = Duration::from_secs(30);

/// What happens once or more often in a save. Times are in microseconds.
#[derive(Clone, Debug)]
pub struct Step {
    /// For people.
    pub name: String,
    /// How often in a save.
    pub times: f64,
    /// How long after the save has begun it begins, on average, for the first time.
    pub begins: f64,
    /// How long all of them take in a save, on average. What contains other steps contains their time.
    pub takes: f64,
}

#[derive(Default)]
struct Sum {
    count: usize,
    begins: f64,
    saves: usize,
    takes: f64,
}

/// Saves so many times and adds up.
pub async fn measure(
    live: &Live,
    collector: &Collector,
    rows: &[Row],
    way: Way,
    saves: usize,
) -> Result<Vec<Step>> {
    let mut traces = Vec::new();
    for (turn, row) in rows.iter().cycle().take(WARM_UP + saves).enumerate() {
        let trace = uuid::Uuid::new_v4();
        let parent = format!("00-{}-00f067aa0ba902b7-01", trace.simple());
        let headers = [("traceparent", parent.as_str()), ("If-Match", "*")];
        let (path, body) = way.request(row, &format!("traced {way:?} {turn}"));
        live.web.patch(&path, &headers, body).await?.expect(204)?;
        if turn >= WARM_UP {
            traces.push(trace);
        }
    }
    let mut sums = BTreeMap::new();
    for trace in &traces {
        let spans = collector.trace(*trace.as_bytes(), EXPORTED_WITHIN, is_whole).await?;
        add(&mut sums, &spans);
    }
    Ok(steps(sums, saves as f64))
}

fn is_whole(spans: &[Span]) -> bool {
    spans.iter().any(|it| it.parent_span_id == PARENT_SPAN)
}

fn add(sums: &mut BTreeMap<String, Sum>, spans: &[Span]) {
    let root = spans.iter().find(|it| it.parent_span_id == PARENT_SPAN);
    let begun = root.map_or(0, |it| it.start_time_unix_nano);
    let mut firsts: BTreeMap<String, u64> = BTreeMap::new();
    for span in spans {
        let name = name(span);
        let sum = sums.entry(name.clone()).or_default();
        sum.count += 1;
        let took = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
        sum.takes += took as f64 / 1e3;
        let first = firsts.entry(name).or_insert(u64::MAX);
        *first = (*first).min(span.start_time_unix_nano);
    }
    for (name, first) in firsts {
        let sum = sums.entry(name).or_default();
        sum.begins += first.saturating_sub(begun) as f64 / 1e3;
        sum.saves += 1;
    }
}

fn name(span: &Span) -> String {
    let method = attribute(span, "rpc.method");
    let sql: String =
        attribute(span, "db.query.text").split_whitespace().collect::<Vec<_>>().join(" ");
    let kind = match span.kind {
        2 => "serve",
        3 => "ask",
        _ => "do",
    };
    match (method, sql.as_str()) {
        ("", "") => format!("{kind} {}", span.name),
        (method, "") => format!("{kind} {method}"),
        (_, sql) => format!("SQL {}", sql.chars().take(90).collect::<String>()),
    }
}

fn steps(sums: BTreeMap<String, Sum>, saves: f64) -> Vec<Step> {
    let step = |(name, sum): (String, Sum)| Step {
        name,
        times: sum.count as f64 / saves,
        begins: sum.begins / sum.saves as f64,
        takes: sum.takes / saves,
    };
    let mut steps: Vec<Step> = sums.into_iter().map(step).collect();
    steps.sort_by(|one, other| one.begins.total_cmp(&other.begins));
    steps
}
