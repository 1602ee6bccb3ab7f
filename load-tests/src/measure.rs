//! Reads both ways, in turns, and keeps how long each took.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use tests::Web;

use crate::cases::Case;

const WARM_UP: usize = 50;
/// Clients at once, where throughput is measured.
const CLIENTS: usize = 8;

/// What was measured of a case. Times are in nanoseconds.
#[derive(Debug)]
pub struct Measurement {
    /// The HTTP calls.
    pub call: Histogram<u64>,
    /// The SQL sent directly.
    pub direct: Histogram<u64>,
    /// Each call less the direct read beside it; pairs in which the call was faster count as zero.
    pub overhead: Histogram<u64>,
    /// Calls per second of several clients at once.
    pub calls_per_second: f64,
    /// The same, of the SQL sent directly.
    pub direct_per_second: f64,
}

/// Both ways to the same rows.
#[derive(Debug)]
pub struct Sides {
    client: reqwest::Client,
    root: String,
    erp: PgConnectOptions,
}

impl Sides {
    /// HTTP as this user, SQL by these options.
    pub fn new(web: &Web, erp: PgConnectOptions) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {}", web.token()))?);
        let client =
            reqwest::Client::builder().default_headers(headers).tcp_nodelay(true).build()?;
        Ok(Self { client, root: web.base(), erp })
    }

    /// Measures one case: first latency, one client doing both in turns, then throughput.
    pub async fn measure(&self, case: &Case, duration: Duration) -> Result<Measurement> {
        let mut connection = self.erp.connect().await?;
        for _ in 0..WARM_UP {
            self.call(case).await?;
            case.direct(&mut connection).await?;
        }
        let (call, direct, overhead) = self.latency(case, &mut connection, duration).await?;
        let half = duration / 2;
        let calls = (0..CLIENTS).map(|_| self.calls(case, half));
        let calls: u64 = try_join_all(calls).await?.iter().sum();
        let reads = (0..CLIENTS).map(|_| self.reads(case, half));
        let reads: u64 = try_join_all(reads).await?.iter().sum();
        Ok(Measurement {
            call,
            direct,
            overhead,
            calls_per_second: calls as f64 / half.as_secs_f64(),
            direct_per_second: reads as f64 / half.as_secs_f64(),
        })
    }

    async fn latency(
        &self,
        case: &Case,
        connection: &mut PgConnection,
        duration: Duration,
    ) -> Result<(Histogram<u64>, Histogram<u64>, Histogram<u64>)> {
        let (mut calls, mut reads, mut overheads) =
            (Histogram::new(3)?, Histogram::new(3)?, Histogram::new(3)?);
        let end = Instant::now() + duration;
        let mut call_first = false;
        while Instant::now() < end {
            // Who goes first changes, so that neither always finds the other's caches warm.
            call_first = !call_first;
            let (call, read) = if call_first {
                (self.timed_call(case).await?, timed_read(case, connection).await?)
            } else {
                let read = timed_read(case, connection).await?;
                (self.timed_call(case).await?, read)
            };
            calls.record(nanos(call))?;
            reads.record(nanos(read))?;
            overheads.record(nanos(call).saturating_sub(nanos(read)))?;
        }
        Ok((calls, reads, overheads))
    }

    async fn timed_call(&self, case: &Case) -> Result<Duration> {
        let started = Instant::now();
        self.call(case).await?;
        Ok(started.elapsed())
    }

    async fn call(&self, case: &Case) -> Result<()> {
        let mut request = self.client.get(format!("{}{}", self.root, case.path));
        if !case.prefer.is_empty() {
            request = request.header("Prefer", case.prefer);
        }
        let response = request.send().await?;
        let status = response.status();
        let body = response.bytes().await?;
        ensure!(status.is_success() && body.len() > 100 * case.rows, "{}: {status}", case.name);
        Ok(())
    }

    async fn calls(&self, case: &Case, duration: Duration) -> Result<u64> {
        let (end, mut count) = (Instant::now() + duration, 0);
        while Instant::now() < end {
            self.call(case).await?;
            count += 1;
        }
        Ok(count)
    }

    async fn reads(&self, case: &Case, duration: Duration) -> Result<u64> {
        let mut connection = self.erp.connect().await?;
        let (end, mut count) = (Instant::now() + duration, 0);
        while Instant::now() < end {
            read(case, &mut connection).await?;
            count += 1;
        }
        Ok(count)
    }
}

async fn timed_read(case: &Case, connection: &mut PgConnection) -> Result<Duration> {
    let started = Instant::now();
    read(case, connection).await?;
    Ok(started.elapsed())
}

async fn read(case: &Case, connection: &mut PgConnection) -> Result<()> {
    let rows = case.direct(connection).await?;
    ensure!(rows == case.rows, "{}: {rows} rows by SQL", case.name);
    Ok(())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
