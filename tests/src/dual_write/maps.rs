//! Maps as their administrator has them, over the public gRPC.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::initial_sync_service_client::InitialSyncServiceClient;
use proto::dual_write::v1::map_service_client::MapServiceClient;
use proto::dual_write::v1::sync_error_service_client::SyncErrorServiceClient;
use tonic::{Request, Status};

use crate::System;
use crate::tenant::{Access, access};

const DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks at something that tells nobody.
const LOOK: Duration = Duration::from_millis(50);

/// The maps of a system, as its administrator sees them.
#[derive(Clone)]
pub struct Maps {
    access: Access,
}

impl std::fmt::Debug for Maps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Maps")
    }
}

impl Maps {
    /// Of this system.
    pub async fn of(system: &System) -> Result<Self> {
        Ok(Self { access: access(system, "admin").await? })
    }

    /// Services of maps.
    #[must_use]
    pub fn service(&self) -> MapServiceClient<Access> {
        MapServiceClient::new(self.access.clone())
    }

    /// Services of initial syncs.
    #[must_use]
    pub fn initial_syncs(&self) -> InitialSyncServiceClient<Access> {
        InitialSyncServiceClient::new(self.access.clone())
    }

    /// Services of what waits and failed.
    #[must_use]
    pub fn errors(&self) -> SyncErrorServiceClient<Access> {
        SyncErrorServiceClient::new(self.access.clone())
    }

    /// One map.
    pub async fn get(&self, name: &str) -> Result<pb::TableMap> {
        let request = pb::GetMapRequest { name: name.to_owned() };
        let answer = self.service().get_map(timed(request)).await?.into_inner();
        answer.map.context("no map")
    }

    /// Starts a map and those it needs, and waits until all run.
    pub async fn start(&self, name: &str, skip_initial_sync: bool) -> Result<()> {
        let request = pb::ListRelatedMapsRequest { parent: name.to_owned(), ..Default::default() };
        let related = self.service().list_related_maps(timed(request)).await?.into_inner().maps;
        let mut names: Vec<String> = related.into_iter().map(|it| it.name).collect();
        names.push(name.to_owned());
        let starts = names.iter().map(|it| pb::MapStart {
            name: it.clone(),
            skip_initial_sync,
            initial_sync_master: pb::Side::FinanceAndOperations.into(),
        });
        let request = pb::StartMapsRequest { starts: starts.collect(), ..Default::default() };
        self.service().start_maps(timed(request)).await?;
        for name in names {
            self.reaches(&name, pb::MapState::Running, Duration::from_secs(120)).await?;
        }
        Ok(())
    }

    /// Waits for a state.
    pub async fn reaches(&self, name: &str, state: pb::MapState, within: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            let map = self.get(name).await?;
            if map.state() == state {
                return Ok(());
            }
            ensure!(started.elapsed() < within, "not {state:?} after {within:?}: {map:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Pauses one map.
    pub async fn pause(&self, name: &str) -> Result<(), Status> {
        let request = pb::PauseMapsRequest { names: vec![name.to_owned()], ..Default::default() };
        self.service().pause_maps(timed(request)).await.map(drop)
    }

    /// Resumes one map.
    pub async fn resume(&self, name: &str, mode: pb::ResumeMode) -> Result<(), Status> {
        let request = pb::ResumeMapsRequest {
            names: vec![name.to_owned()],
            mode: mode.into(),
            ..Default::default()
        };
        self.service().resume_maps(timed(request)).await.map(drop)
    }

    /// Tries all failed changes again that can be.
    pub async fn retry_all(&self, name: &str) -> Result<(), Status> {
        let request = pb::RetrySyncErrorsRequest { parent: name.to_owned(), ..Default::default() };
        self.errors().retry_sync_errors(timed(request)).await.map(drop)
    }

    /// Failed changes.
    pub async fn errors_of(&self, name: &str) -> Result<Vec<pb::FailedChange>> {
        let request = pb::ListSyncErrorsRequest {
            parent: name.to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        Ok(self.errors().list_sync_errors(timed(request)).await?.into_inner().errors)
    }
}

/// A call that is given up after a while.
pub fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}
