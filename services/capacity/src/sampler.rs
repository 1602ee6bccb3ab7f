//! Measures: asks the lifecycle service which environments there are and how large their databases
//! are, once per period, whichever replica comes first.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use proto::capacity::v1 as pb;
use proto::capacity::v1::meter_service_client::MeterServiceClient;
use rpc::Channel;
use tokio::time::Instant;
use tonic::{Code, Request, Status};

use crate::consumption::MeterKind;
use crate::error::Error;
use crate::pool::Amounts;
use crate::store::samples::Sample;
use crate::store::usage::{Listed, Measured};
use crate::store::{self, Store};
use crate::tables::{self, TablePools, TableSize};

const LIST_TIMEOUT: Duration = Duration::from_secs(10);
const LIST_PAGE: i32 = 1_000;
/// So many databases are measured at a time.
const AT_ONCE: usize = 4;
/// A whole tenant is measured in so long, or what is left waits for the next time.
const LONGEST_RUN: Duration = Duration::from_secs(600);
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// An answer of many tables is larger than usual messages.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Measures for one tenant.
#[derive(Debug)]
pub(crate) struct Sampler {
    store: Store,
    pools: TablePools,
    period: Duration,
    timeout: Duration,
    lifecycle: OnceLock<Channel>,
}

/// What a run measured, and how many it could not.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) samples: Vec<Sample>,
    pub(crate) failed: usize,
}

// === impl Sampler ===

impl Sampler {
    pub(crate) fn new(
        store: Store,
        pools: TablePools,
        period: Duration,
        timeout: Duration,
    ) -> Self {
        Self { store, pools, period, timeout, lifecycle: OnceLock::new() }
    }

    pub(crate) fn period(&self) -> Duration {
        self.period
    }

    /// Through whom to measure; answers whether that is new.
    pub(crate) fn set_lifecycle(&self, channel: Channel) -> bool {
        self.lifecycle.set(channel).is_ok()
    }

    /// Measures all of the environments, or one, and records what was measured by `deadline`.
    pub(crate) async fn measure(
        &self,
        only: Option<&str>,
        deadline: Instant,
    ) -> Result<Run, Error> {
        let began = store::now(&mut *self.store.read().await?).await?;
        let listed = self.list().await?;
        let chosen: Vec<Listed> =
            listed.iter().filter(|it| only.is_none_or(|only| it.name == only)).cloned().collect();
        if let (Some(name), true) = (only, chosen.is_empty()) {
            return Err(Error::NotFound(crate::names::shown(name)));
        }
        let results: Vec<_> = stream::iter(chosen)
            .map(|it| self.measure_one(it, deadline))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let total = results.len();
        let measured: Vec<Measured> = results.into_iter().flatten().collect();
        let mut change = self.store.change().await?;
        change.record(began, &listed, &measured, only.is_none()).await?;
        change.tidy(began).await?;
        change.commit(&[]).await?;
        let failed = total - measured.len();
        let sample =
            |it: Measured| Sample { environment: it.environment, amounts: it.amounts, time: began };
        let mut samples: Vec<_> = measured.into_iter().map(sample).collect();
        samples.sort_by(|a, b| a.environment.cmp(&b.environment));
        Ok(Run { samples, failed })
    }

    fn client(&self) -> Result<MeterServiceClient<Channel>, Error> {
        let channel = self.lifecycle.get().cloned().ok_or(Error::MeterUnavailable)?;
        Ok(MeterServiceClient::new(channel).max_decoding_message_size(MAX_BYTES))
    }

    async fn list(&self) -> Result<Vec<Listed>, Error> {
        let mut client = self.client()?;
        let mut listed = Vec::new();
        let mut page_token = String::new();
        loop {
            let message = pb::ListMeteredEnvironmentsRequest { page_size: LIST_PAGE, page_token };
            let answer = within(LIST_TIMEOUT, message, |it| client.list_metered_environments(it));
            let answer = answer.await.map_err(|status| {
                tracing::debug!(%status, "the environments could not be listed");
                Error::MeterUnavailable
            })?;
            listed.extend(answer.metered_environments.iter().map(Listed::of));
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(listed);
            }
        }
    }

    /// `None`: it could not be measured, and counts as it was measured last.
    async fn measure_one(&self, it: Listed, deadline: Instant) -> Option<Measured> {
        let environment = it.name.clone();
        let empty = Measured { environment, amounts: Amounts::NONE, tables: Vec::new() };
        if !it.has_database {
            return Some(empty);
        }
        let left = deadline.saturating_duration_since(Instant::now()).min(self.timeout);
        let mut client = self.client().ok()?;
        let message = pb::MeasureStorageRequest { environment: it.name.clone() };
        match within(left, message, |it| client.measure_storage(it)).await {
            Ok(answer) => Some(self.measured(&it, answer)),
            Err(status) => {
                tracing::warn!(environment = it.name, %status, "an environment was not measured");
                None
            }
        }
    }

    fn measured(&self, it: &Listed, answer: pb::MeasureStorageResponse) -> Measured {
        let size = |table: pb::TableUsage| TableSize {
            pool: self.pools.pool(it.kind, &table.table),
            schema: table.schema,
            table: table.table,
            bytes: table.size_bytes,
            rows: table.row_count,
        };
        let tables: Vec<_> = answer.tables.into_iter().map(size).collect();
        let amounts = tables::amounts(it.kind, answer.database_size_bytes, &tables);
        Measured { environment: it.name.clone(), amounts, tables }
    }

    /// When the next measurement is due, after making the one that is due now.
    async fn turn(&self) -> Result<Duration, Error> {
        let Some(turn) = self.store.turn().await? else {
            return Ok(self.period.min(LIST_TIMEOUT));
        };
        if let Some(last) = turn.sampled_at {
            let age = (turn.now - last).to_std().unwrap_or_default();
            if let Some(wait) = self.period.checked_sub(age).filter(|it| !it.is_zero()) {
                return Ok(wait);
            }
        }
        let measured = self.measure(None, Instant::now() + LONGEST_RUN).await;
        if measured.is_err() {
            // Terms of licences begin and end all the same.
            let mut change = self.store.change().await?;
            change.review_notices().await?;
            change.commit(&[]).await?;
        }
        let run = measured?;
        tracing::debug!(measured = run.samples.len(), failed = run.failed, "measured usage");
        Ok(self.period)
    }
}

/// Measures, for ever.
pub(crate) async fn follow(sampler: Arc<Sampler>) {
    let mut delay = FIRST_DELAY;
    let mut told = false;
    loop {
        let wait = match sampler.turn().await {
            Ok(wait) => {
                if told {
                    tracing::info!("usage is measured again");
                }
                (delay, told) = (FIRST_DELAY, false);
                wait
            }
            Err(error) => {
                if !told {
                    tracing::warn!(%error, "usage is not measured; the last measurements count");
                    told = true;
                }
                let wait = delay.min(sampler.period);
                delay = (delay * 2).min(sampler.period);
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// The answer, or DEADLINE_EXCEEDED, whatever the other side makes of the deadline.
async fn within<T, A, F>(
    timeout: Duration,
    message: T,
    call: impl FnOnce(Request<T>) -> F,
) -> Result<A, Status>
where
    F: Future<Output = Result<tonic::Response<A>, Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    match tokio::time::timeout(timeout, call(request)).await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_) => Err(Status::new(Code::DeadlineExceeded, "no answer in time")),
    }
}

impl Listed {
    fn of(it: &pb::MeteredEnvironment) -> Self {
        let kind = i16::try_from(it.kind).unwrap_or_default();
        Self {
            name: it.environment.clone(),
            kind: MeterKind::of_number(kind),
            has_database: it.has_database,
        }
    }
}
