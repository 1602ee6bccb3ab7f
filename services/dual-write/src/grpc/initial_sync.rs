//! Copies of the rows that are there before a map goes live.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use prost::Message as _;
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::initial_sync_service_server::InitialSyncService;
use proto::dual_write::v1::{InitialSyncMode, RetryState, Side, SyncErrorKind};
use tonic::{Request, Response, Status};

use super::Asked;
use crate::access::Actor;
use crate::core::Core;
use crate::error::Error;
use crate::initial_sync::{Wanted, actions, model, progress, settle, store};
use crate::names;
use crate::page_token::Page;
use crate::store::Write;

/// A reader of a run hears of it at most so often.
const PERIOD: Duration = Duration::from_millis(500);
const EVERY_MAP: &str = "maps/-";

/// Serves `InitialSyncService`.
#[derive(Clone, Debug)]
pub(crate) struct InitialSyncs {
    core: Arc<Core>,
}

impl InitialSyncs {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

#[tonic::async_trait]
impl InitialSyncService for InitialSyncs {
    async fn list_initial_syncs(
        &self,
        request: Request<pb::ListInitialSyncsRequest>,
    ) -> Result<Response<pb::ListInitialSyncsResponse>, Status> {
        Actor::reading(&request)?;
        let pb::ListInitialSyncsRequest { parent, page_size, page_token } = request.get_ref();
        let page = Page::<i64>::read("initial-syncs", *page_size, page_token)?;
        let mut read = self.core.store.begin().await?;
        let map = (parent != EVERY_MAP).then_some(parent.as_str());
        if let Some(map) = map {
            crate::store::maps::get(&mut read, map).await?;
        }
        let found = store::list(&mut read, map, page.after, page.limit()).await;
        let (found, next_page_token) = page.cut(found.map_err(Error::from)?, |it| it.id);
        let mut initial_syncs = Vec::with_capacity(found.len());
        for run in found {
            initial_syncs.push(progress::of(&mut read, run).await?);
        }
        Ok(Response::new(pb::ListInitialSyncsResponse { initial_syncs, next_page_token }))
    }

    async fn get_initial_sync(
        &self,
        request: Request<pb::GetInitialSyncRequest>,
    ) -> Result<Response<pb::GetInitialSyncResponse>, Status> {
        Actor::reading(&request)?;
        let (shown, _) = read(&self.core, &request.get_ref().name).await?;
        Ok(Response::new(pb::GetInitialSyncResponse { initial_sync: Some(shown) }))
    }

    type WatchInitialSyncStream = BoxStream<'static, Result<pb::WatchInitialSyncResponse, Status>>;

    async fn watch_initial_sync(
        &self,
        request: Request<pb::WatchInitialSyncRequest>,
    ) -> Result<Response<Self::WatchInitialSyncStream>, Status> {
        let actor = Actor::reading(&request)?;
        let name = request.into_inner().name;
        // A run that is not there is refused before the stream begins.
        read(&self.core, &name).await?;
        let watch = Watch { core: Arc::clone(&self.core), name, etag: String::new(), over: false };
        let end = tokio::time::sleep_until(actor.context.deadline.into());
        let stream = stream::try_unfold(watch, Watch::next).take_until(end);
        Ok(Response::new(stream.boxed()))
    }

    async fn create_initial_sync(
        &self,
        request: Request<pb::CreateInitialSyncRequest>,
    ) -> Result<Response<pb::CreateInitialSyncResponse>, Status> {
        let given = request.get_ref();
        let (operation, resource) = ("CreateInitialSync", given.parent.as_str());
        let actor = Actor::writing(&request, operation, resource)?;
        let key = &given.idempotency_key;
        Asked { actor: &actor, operation, resource, key, request: given }
            .once(&self.core, async |write| self.create(write, given, &actor).await)
            .await
    }

    async fn resume_initial_sync(
        &self,
        request: Request<pb::ResumeInitialSyncRequest>,
    ) -> Result<Response<pb::ResumeInitialSyncResponse>, Status> {
        let given = request.get_ref();
        let (operation, resource) = ("ResumeInitialSync", given.name.as_str());
        let actor = Actor::writing(&request, operation, resource)?;
        let key = &given.idempotency_key;
        Asked { actor: &actor, operation, resource, key, request: given }
            .once(&self.core, async |mut write| {
                actions::resume(write.connection(), resource, &actor.name()).await?;
                let initial_sync = Some(shown(&mut write, resource).await?);
                let answer = pb::ResumeInitialSyncResponse { initial_sync };
                write.commit(&answer.encode_to_vec()).await?;
                self.core.maps.refresh(&self.core.store).await?;
                Ok(answer)
            })
            .await
    }

    async fn cancel_initial_sync(
        &self,
        request: Request<pb::CancelInitialSyncRequest>,
    ) -> Result<Response<pb::CancelInitialSyncResponse>, Status> {
        let given = request.get_ref();
        let (operation, resource) = ("CancelInitialSync", given.name.as_str());
        let actor = Actor::writing(&request, operation, resource)?;
        let key = &given.idempotency_key;
        Asked { actor: &actor, operation, resource, key, request: given }
            .once(&self.core, async |mut write| {
                let run = actions::cancel(write.connection(), resource).await?;
                let initial_sync = Some(shown(&mut write, resource).await?);
                let answer = pb::CancelInitialSyncResponse { initial_sync };
                write.commit(&answer.encode_to_vec()).await?;
                settle(&self.core, &run.map).await?;
                Ok(answer)
            })
            .await
    }

    async fn accept_initial_sync(
        &self,
        request: Request<pb::AcceptInitialSyncRequest>,
    ) -> Result<Response<pb::AcceptInitialSyncResponse>, Status> {
        let given = request.get_ref();
        let (operation, resource) = ("AcceptInitialSync", given.name.as_str());
        let actor = Actor::writing(&request, operation, resource)?;
        let key = &given.idempotency_key;
        Asked { actor: &actor, operation, resource, key, request: given }
            .once(&self.core, async |mut write| {
                let run = actions::accept(write.connection(), resource).await?;
                let initial_sync = Some(shown(&mut write, resource).await?);
                let answer = pb::AcceptInitialSyncResponse { initial_sync };
                write.commit(&answer.encode_to_vec()).await?;
                settle(&self.core, &run.map).await?;
                Ok(answer)
            })
            .await
    }

    async fn list_initial_sync_errors(
        &self,
        request: Request<pb::ListInitialSyncErrorsRequest>,
    ) -> Result<Response<pb::ListInitialSyncErrorsResponse>, Status> {
        Actor::reading(&request)?;
        let given = request.get_ref();
        let page = Page::<i64>::read("initial-sync-errors", given.page_size, &given.page_token)?;
        let filter = filter(given)?;
        let mut conn = self.core.store.begin().await?;
        let run = actions::get(&mut conn, &given.parent).await?;
        let after = page.after.unwrap_or_default();
        let found = store::list_errors(&mut conn, run.id, &filter, after, page.limit()).await;
        let (found, next_page_token) = page.cut(found.map_err(Error::from)?, |it| it.id);
        let errors = found.into_iter().map(|it| error(&run, it)).collect();
        Ok(Response::new(pb::ListInitialSyncErrorsResponse { errors, next_page_token }))
    }

    async fn retry_initial_sync_errors(
        &self,
        request: Request<pb::RetryInitialSyncErrorsRequest>,
    ) -> Result<Response<pb::RetryInitialSyncErrorsResponse>, Status> {
        let given = request.get_ref();
        let (operation, resource) = ("RetryInitialSyncErrors", given.parent.as_str());
        let actor = Actor::writing(&request, operation, resource)?;
        let key = &given.idempotency_key;
        Asked { actor: &actor, operation, resource, key, request: given }
            .once(&self.core, async |mut write| {
                let queued = actions::retry(write.connection(), resource, &given.names).await?;
                let answer = pb::RetryInitialSyncErrorsResponse { queued_count: queued };
                write.commit(&answer.encode_to_vec()).await?;
                Ok(answer)
            })
            .await
    }
}

impl InitialSyncs {
    async fn create(
        &self,
        mut write: Write,
        given: &pb::CreateInitialSyncRequest,
        actor: &Actor,
    ) -> Result<pb::CreateInitialSyncResponse, Error> {
        names::check_map(&given.parent)?;
        let mode = InitialSyncMode::try_from(given.mode);
        let master = Side::try_from(given.master);
        let wanted = Wanted {
            mode: mode.map_err(|_| Error::invalid("mode", "is none"))?,
            master: master.map_err(|_| Error::invalid("master", "is none"))?,
            companies: &given.companies,
            actor: &actor.name(),
        };
        let name = actions::create(&self.core, write.connection(), &given.parent, wanted).await?;
        let initial_sync = Some(shown(&mut write, &name).await?);
        let answer = pb::CreateInitialSyncResponse { initial_sync };
        write.commit(&answer.encode_to_vec()).await?;
        self.core.maps.refresh(&self.core.store).await?;
        Ok(answer)
    }
}

/// A run that somebody follows.
struct Watch {
    core: Arc<Core>,
    name: String,
    /// What was shown last; empty: nothing yet.
    etag: String,
    over: bool,
}

impl Watch {
    async fn next(mut self) -> Result<Option<(pb::WatchInitialSyncResponse, Self)>, Status> {
        if self.over {
            return Ok(None);
        }
        loop {
            if !self.etag.is_empty() {
                tokio::time::sleep(PERIOD).await;
            }
            let (shown, is_open) = read(&self.core, &self.name).await?;
            if shown.etag == self.etag {
                continue;
            }
            self.etag.clone_from(&shown.etag);
            self.over = !is_open;
            let message = pb::WatchInitialSyncResponse { initial_sync: Some(shown) };
            return Ok(Some((message, self)));
        }
    }
}

/// A run, and whether it has not ended.
async fn read(core: &Core, name: &str) -> Result<(pb::InitialSync, bool), Error> {
    let mut conn = core.store.begin().await?;
    let run = actions::get(&mut conn, name).await?;
    let is_open = run.is_open();
    Ok((progress::of(&mut conn, run).await?, is_open))
}

async fn shown(write: &mut Write, name: &str) -> Result<pb::InitialSync, Error> {
    let run = actions::get(write.connection(), name).await?;
    progress::of(write.connection(), run).await
}

fn filter(given: &pb::ListInitialSyncErrorsRequest) -> Result<store::ErrorFilter, Error> {
    SyncErrorKind::try_from(given.kind).map_err(|_| Error::invalid("kind", "is none"))?;
    RetryState::try_from(given.retry_state)
        .map_err(|_| Error::invalid("retry_state", "is none"))?;
    Ok(store::ErrorFilter {
        kind: given.kind,
        company: given.company.clone(),
        retry_state: given.retry_state,
    })
}

fn error(run: &model::Run, stored: store::StoredError) -> pb::InitialSyncError {
    pb::InitialSyncError {
        name: format!("{}/errors/{}", run.name, stored.id),
        record: Some(stored.record),
        error: Some(stored.error),
        retry_state: stored.retry_state.into(),
    }
}
