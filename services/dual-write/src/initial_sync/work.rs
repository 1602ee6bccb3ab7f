//! What the work on one run has at hand: the map as it was when the work began, both sides, and patience with them.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use prost::bytes::Bytes;
use proto::dual_write::v1::{MapState, Side, SyncErrorKind};
use proto::query::v1 as query;
use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Transaction};
use tonic::Status;

use super::failure::{Probe, Stop, Verdict, peer_failure, verdict};
use super::gone::Gone;
use super::model::{Positions, Run};
use super::store;
use crate::core::Core;
use crate::follow::refusal::own_error;
use crate::image;
use crate::map::CompiledMap;
use crate::maps::ActiveMap;
use crate::peers::asked;

/// As often as the original asks (spec A7.2).
pub(super) const TRIES: usize = 5;
const FIRST_DELAY: Duration = Duration::from_millis(300);
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// The work on one run.
pub(super) struct Work {
    pub(super) core: Arc<Core>,
    pub(super) run: Run,
    pub(super) active: Arc<ActiveMap>,
    pub(super) compiled: Arc<CompiledMap>,
    finance_and_operations: query::MapSide,
    platform: query::MapSide,
    /// Of an incremental run: from where changes count.
    pub(super) since: Positions,
    pub(super) gone: tokio::sync::Mutex<Gone>,
}

impl Work {
    /// Ends where the map is gone or no longer fits its tables.
    pub(super) async fn new(core: &Arc<Core>, run: Run) -> Result<Self, Stop> {
        let active = core.maps.get(&run.map).ok_or(Stop::Ended)?;
        let compiled = active.compiled.clone().ok_or_else(|| unusable(&active))?;
        let mut conn = core.store.pool().acquire().await?;
        let since = store::since(&mut conn, &run).await?;
        drop(conn);
        let mut work = Self {
            finance_and_operations: active.side(Side::FinanceAndOperations),
            platform: active.side(Side::Platform),
            gone: tokio::sync::Mutex::default(),
            core: Arc::clone(core),
            run,
            active,
            compiled,
            since,
        };
        work.note_gone();
        Ok(work)
    }

    pub(super) fn side(&self, side: Side) -> &query::MapSide {
        match side {
            Side::FinanceAndOperations => &self.finance_and_operations,
            Side::Platform | Side::Unspecified => &self.platform,
        }
    }

    /// Deletions count from where the run began.
    pub(super) fn note_gone(&mut self) {
        self.gone = tokio::sync::Mutex::new(Gone::new(self.run.positions.of(self.run.master)));
    }

    pub(super) fn probe(&self) -> Probe {
        Probe {
            web_api_url: self.core.config.web_api_url.clone(),
            schemas: self.core.maps.tables().get().ok(),
        }
    }

    pub(super) async fn conn(&self) -> Result<PoolConnection<Postgres>, Stop> {
        Ok(self.core.store.pool().acquire().await?)
    }

    /// A change of the run, unless it has ended since, or was resumed.
    pub(super) async fn change(&self) -> Result<Transaction<'static, Postgres>, Stop> {
        let mut transaction = self.core.store.begin().await?;
        let goes_on = store::touch(&mut transaction, self.run.id, self.run.is_open()).await?;
        if goes_on { Ok(transaction) } else { Err(Stop::Ended) }
    }

    /// Ends where the map was stopped meanwhile.
    pub(super) fn check(&self) -> Result<(), Stop> {
        let now = self.core.maps.get(&self.run.map).ok_or(Stop::Ended)?;
        if now.state() == MapState::Initializing { Ok(()) } else { Err(Stop::Ended) }
    }

    /// Asks a side, and again while another answer can be hoped for.
    pub(super) async fn patiently<T, F>(
        &self,
        side: Side,
        mut ask: impl FnMut() -> F,
    ) -> Result<T, Stop>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut delays = delays();
        let mut tries = 1;
        loop {
            let status = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            let delay = delays.next().filter(|_| verdict(&status) == Verdict::Wait);
            let Some(delay) = delay else {
                return Err(Stop::Failed(Box::new(peer_failure(side, &status, tries))));
            };
            tracing::warn!(run = self.run.name, ?side, %status, tries, "a side is asked again");
            tokio::time::sleep(delay).await;
            tries += 1;
        }
    }

    /// Rows by their ids, as they are now; those that are gone, or outside the filter, are missing.
    pub(super) async fn images(
        &self,
        side: Side,
        record_ids: Vec<Bytes>,
    ) -> Result<Vec<query::Image>, Stop> {
        if record_ids.is_empty() {
            return Ok(Vec::new());
        }
        let selection = query::ImageSelection {
            map_side: Some(self.side(side).clone()),
            record_ids,
            ..Default::default()
        };
        self.select(side, selection).await
    }

    /// All that is selected; for selections that name their rows.
    pub(super) async fn select(
        &self,
        side: Side,
        selection: query::ImageSelection,
    ) -> Result<Vec<query::Image>, Stop> {
        const LARGEST_PAGE: i32 = 5_000;
        let mut request = query::ReadImagesRequest {
            selection: Some(selection),
            page_size: LARGEST_PAGE,
            ..Default::default()
        };
        let mut images: Vec<query::Image> = Vec::new();
        loop {
            let read = self.patiently(side, || self.read_images(side, request.clone())).await?;
            images.extend(read.images);
            let last = images.last().map(|it| image::key(self.side(side), it));
            if !read.more || last.is_none() || last == request.after {
                return Ok(images);
            }
            request.after = last;
        }
    }

    pub(super) async fn touched(
        &self,
        side: Side,
        request: query::ListTouchedRowsRequest,
    ) -> Result<query::ListTouchedRowsResponse, Stop> {
        self.patiently(side, || self.list_touched(side, request.clone())).await
    }

    pub(super) async fn read_images(
        &self,
        side: Side,
        request: query::ReadImagesRequest,
    ) -> Result<query::ReadImagesResponse, Status> {
        let mut client = self.core.sides.of(side).sharing();
        Ok(client.read_images(asked(request)).await?.into_inner())
    }

    pub(super) async fn list_touched(
        &self,
        side: Side,
        request: query::ListTouchedRowsRequest,
    ) -> Result<query::ListTouchedRowsResponse, Status> {
        let mut client = self.core.sides.of(side).sharing();
        Ok(client.list_touched_rows(asked(request)).await?.into_inner())
    }
}

fn unusable(active: &ActiveMap) -> Stop {
    let problem = active.problem.clone().unwrap_or_default();
    Stop::Failed(Box::new(own_error(SyncErrorKind::BadRequest, problem)))
}

/// Pauses between tries.
pub(super) fn delays() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_DELAY)
        .with_max_delay(LONGEST_DELAY)
        .with_factor(3.0)
        .with_max_times(TRIES - 1)
        .with_jitter()
        .build()
}
