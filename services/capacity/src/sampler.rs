//! Measures: asks the lifecycle service which environments there are and how large their databases are.
//! [`rounds`] says when.

pub(crate) mod rounds;

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream};
use proto::capacity::v1 as pb;
use proto::capacity::v1::meter_service_client::MeterServiceClient;
use rpc::Channel;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::consumption::MeterKind;
use crate::error::Error;
use crate::names;
use crate::peer::within;
use crate::pool::Amounts;
use crate::store::samples::Sample;
use crate::store::usage::{Listed, Measured};
use crate::store::{self, Store};
use crate::tables::{self, TablePools, TableSize};

const LIST_TIMEOUT: Duration = Duration::from_secs(10);
const LIST_PAGE: i32 = 1_000;
/// So many databases are measured at a time.
const AT_ONCE: usize = 4;
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
    /// Somebody knows of something to measure at once.
    woken: Notify,
}

/// What is to be measured and recorded.
#[derive(Debug)]
struct Sampling {
    /// What is measured is as of this moment, which is before the listing.
    began: DateTime<Utc>,
    listed: Vec<Listed>,
    chosen: Vec<Listed>,
    /// These are all that there are.
    complete: bool,
}

/// What a run measured, and what it could not.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) samples: Vec<Sample>,
    pub(crate) failed: BTreeSet<String>,
}

// === impl Sampler ===

impl Sampler {
    pub(crate) fn new(
        store: Store,
        pools: TablePools,
        period: Duration,
        timeout: Duration,
    ) -> Self {
        Self { store, pools, period, timeout, lifecycle: OnceLock::new(), woken: Notify::new() }
    }

    pub(crate) fn period(&self) -> Duration {
        self.period
    }

    /// Through whom to measure; answers whether that is new.
    pub(crate) fn set_lifecycle(&self, channel: Channel) -> bool {
        self.lifecycle.set(channel).is_ok()
    }

    /// Looks soon for what is to be measured at once.
    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Why nothing was measured of an environment: nobody came to it, or there is none.
    pub(crate) async fn why_unmeasured(&self, name: &str) -> Error {
        match self.list().await {
            Ok(listed) if listed.iter().any(|it| it.name == name) => {
                self.wake();
                Error::NotMeasured(names::shown(name))
            }
            Ok(_) => Error::NotFound(names::shown(name)),
            Err(error) => error,
        }
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
            return Err(Error::NotFound(names::shown(name)));
        }
        let sampling = Sampling { began, listed, chosen, complete: only.is_none() };
        self.sample(sampling, deadline).await
    }

    async fn sample(&self, sampling: Sampling, deadline: Instant) -> Result<Run, Error> {
        let Sampling { began, listed, chosen, complete } = sampling;
        let names: Vec<String> = chosen.iter().map(|it| it.name.clone()).collect();
        let results: Vec<_> = stream::iter(chosen)
            .map(|it| self.measure_one(it, deadline))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let measured: Vec<Measured> = results.into_iter().flatten().collect();
        let done: BTreeSet<&str> = measured.iter().map(|it| it.environment.as_str()).collect();
        let failed = names.into_iter().filter(|it| !done.contains(it.as_str())).collect();
        let mut change = self.store.change().await?;
        change.record(began, &listed, &measured, complete).await?;
        change.tidy(began).await?;
        change.commit(&[]).await?;
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
        let mut tables: Vec<_> = answer.tables.into_iter().map(size).collect();
        let amounts = tables::amounts(it.kind, answer.database_size_bytes, &tables);
        tables.extend(tables::system(it.kind, answer.database_size_bytes, &tables));
        Measured { environment: it.name.clone(), amounts, tables }
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
