//! What waits, what failed and why.

use std::sync::Arc;

use prost::Message as _;
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::sync_error_service_server::SyncErrorService;
use proto::dual_write::v1::{MapState, Side};
use serde_json::json;
use tonic::{Request, Response, Status};

use super::Asked;
use crate::access::Actor;
use crate::core::Core;
use crate::error::Error;
use crate::follow::failures::{self, Choice, Stored};
use crate::follow::{explain, queued};
use crate::maps::ActiveMap;
use crate::names;
use crate::page_token::Page;
use crate::store::{Write, activity};

/// Stands for all maps.
const EVERY_MAP: &str = "maps/-";
const MOST_NAMES: usize = 10_000;

/// Serves `SyncErrorService`.
#[derive(Clone, Debug)]
pub(crate) struct SyncErrors {
    core: Arc<Core>,
}

impl SyncErrors {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    fn map(&self, name: &str) -> Result<Arc<ActiveMap>, Error> {
        self.core.maps.get(name).ok_or_else(|| Error::NotFound(names::shown(name)))
    }

    fn check_parent(&self, parent: &str) -> Result<(), Error> {
        if parent == EVERY_MAP { Ok(()) } else { self.map(parent).map(drop) }
    }
}

#[tonic::async_trait]
impl SyncErrorService for SyncErrors {
    async fn list_queued_records(
        &self,
        request: Request<pb::ListQueuedRecordsRequest>,
    ) -> Result<Response<pb::ListQueuedRecordsResponse>, Status> {
        Actor::reading(&request)?;
        let request = request.get_ref();
        let map = self.map(&request.parent)?;
        let page = Page::read("queued-records", request.page_size, &request.page_token)?;
        let (after, key) = (page.after.as_ref(), &request.key);
        let listed = queued::list(&self.core, &map, after, key, page.limit()).await?;
        let (found, total_count) = listed;
        let (found, next_page_token) = page.cut(found, |(_, place)| place.clone());
        let changes = found.into_iter().map(|(change, _)| change).collect();
        Ok(Response::new(pb::ListQueuedRecordsResponse { changes, next_page_token, total_count }))
    }

    async fn list_sync_errors(
        &self,
        request: Request<pb::ListSyncErrorsRequest>,
    ) -> Result<Response<pb::ListSyncErrorsResponse>, Status> {
        Actor::reading(&request)?;
        let request = request.get_ref();
        self.check_parent(&request.parent)?;
        let page = Page::<i64>::read("sync-errors", request.page_size, &request.page_token)?;
        let choice = Choice::new(&request.parent, &[], request.filter.as_ref())?;
        let mut transaction = self.core.store.begin().await?;
        let found = failures::list(&mut transaction, &choice, page.after, page.limit()).await?;
        let (found, next_page_token) = page.cut(found, |it| it.id);
        let errors = found.into_iter().map(|it| it.message).collect();
        Ok(Response::new(pb::ListSyncErrorsResponse { errors, next_page_token }))
    }

    async fn get_sync_error(
        &self,
        request: Request<pb::GetSyncErrorRequest>,
    ) -> Result<Response<pb::GetSyncErrorResponse>, Status> {
        Actor::reading(&request)?;
        let name = &request.get_ref().name;
        let not_found = || Error::NotFound(names::shown(name));
        let (map, _) = name.split_once("/syncErrors/").ok_or_else(not_found)?;
        self.map(map)?;
        let mut transaction = self.core.store.begin().await?;
        let id = failures::id_of(map, name)?;
        let found = failures::get(&mut transaction, map, id).await?.ok_or_else(not_found)?;
        Ok(Response::new(pb::GetSyncErrorResponse { error: Some(found.message) }))
    }

    async fn retry_sync_errors(
        &self,
        request: Request<pb::RetrySyncErrorsRequest>,
    ) -> Result<Response<pb::RetrySyncErrorsResponse>, Status> {
        let given = request.get_ref();
        let (operation, resource) = ("RetrySyncErrors", given.parent.as_str());
        let actor = Actor::writing(&request, operation, resource)?;
        let key = &given.idempotency_key;
        let name = actor.name();
        Asked { actor: &actor, operation, resource, key, request: given }
            .once(&self.core, async |write| self.retry(write, given, &name).await)
            .await
    }

    async fn dismiss_sync_errors(
        &self,
        request: Request<pb::DismissSyncErrorsRequest>,
    ) -> Result<Response<pb::DismissSyncErrorsResponse>, Status> {
        let given = request.get_ref();
        let (operation, resource) = ("DismissSyncErrors", given.parent.as_str());
        let actor = Actor::writing(&request, operation, resource)?;
        let key = &given.idempotency_key;
        let name = actor.name();
        Asked { actor: &actor, operation, resource, key, request: given }
            .once(&self.core, async |write| self.dismiss(write, given, &name).await)
            .await
    }

    async fn explain_record(
        &self,
        request: Request<pb::ExplainRecordRequest>,
    ) -> Result<Response<pb::ExplainRecordResponse>, Status> {
        Actor::reading(&request)?;
        let request = request.get_ref();
        let side = Side::try_from(request.side).unwrap_or(Side::Unspecified);
        if side == Side::Unspecified {
            return Err(Error::invalid("side", "is missing").into());
        }
        let key = request.key.clone().unwrap_or_default();
        let entity = &request.entity_name;
        let findings = Box::pin(explain::explain(&self.core, side, entity, &key)).await?;
        Ok(Response::new(pb::ExplainRecordResponse { findings }))
    }

    async fn list_activities(
        &self,
        request: Request<pb::ListActivitiesRequest>,
    ) -> Result<Response<pb::ListActivitiesResponse>, Status> {
        Actor::reading(&request)?;
        let request = request.get_ref();
        self.check_parent(&request.parent)?;
        let page = Page::<i64>::read("activities", request.page_size, &request.page_token)?;
        let (map, limit) = (&request.parent, page.limit());
        let mut transaction = self.core.store.begin().await?;
        let found = activity::list(&mut transaction, map, page.after, limit).await?;
        let (found, next_page_token) = page.cut(found, |it| it.id);
        let activities = found.into_iter().map(shown).collect();
        Ok(Response::new(pb::ListActivitiesResponse { activities, next_page_token }))
    }
}

impl SyncErrors {
    async fn retry(
        &self,
        mut write: Write,
        given: &pb::RetrySyncErrorsRequest,
        actor: &str,
    ) -> Result<pb::RetrySyncErrorsResponse, Error> {
        check_count(&given.names)?;
        let map = self.map(&given.parent)?;
        if map.state() != MapState::Running {
            let needed = "failed changes are tried again while it runs";
            let resource = given.parent.clone();
            return Err(Error::State { resource, state: map.state(), needed });
        }
        let choice = Choice::new(&given.parent, &given.names, given.filter.as_ref())?;
        let connection = write.connection();
        let asked = failures::ask(connection, &choice).await?;
        let message = format!("{} failed changes are tried again.", asked.queued);
        let detail = json!({ "queuedCount": asked.queued, "skippedCount": asked.skipped });
        let (map, kind) = (&given.parent, "SyncErrorsRetried");
        activity::record(connection, map, kind, &message, actor, detail).await?;
        let answer = pb::RetrySyncErrorsResponse {
            queued_count: asked.queued,
            skipped_count: asked.skipped,
        };
        write.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }

    async fn dismiss(
        &self,
        mut write: Write,
        given: &pb::DismissSyncErrorsRequest,
        actor: &str,
    ) -> Result<pb::DismissSyncErrorsResponse, Error> {
        check_count(&given.names)?;
        self.map(&given.parent)?;
        if !given.acknowledged {
            let message = "the sides may stay different; say that they may".to_owned();
            return Err(Error::Confirmation { field: "acknowledged", message });
        }
        let choice = Choice::new(&given.parent, &given.names, given.filter.as_ref())?;
        let mut dismissed_count = 0_i64;
        loop {
            let connection = write.connection();
            let dismissed = failures::dismiss(connection, &choice).await?;
            if dismissed.is_empty() {
                break;
            }
            let count = i64::try_from(dismissed.len()).unwrap_or(i64::MAX);
            dismissed_count = dismissed_count.saturating_add(count);
            let message = format!("{count} failed changes were given up.");
            let changes: Vec<_> = dismissed.iter().map(given_up).collect();
            let detail = json!({ "changes": changes });
            let (map, kind) = (&given.parent, "SyncErrorsDismissed");
            activity::record(connection, map, kind, &message, actor, detail).await?;
        }
        let answer = pb::DismissSyncErrorsResponse { dismissed_count };
        write.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }
}

fn check_count(names: &[String]) -> Result<(), Error> {
    if names.len() <= MOST_NAMES {
        return Ok(());
    }
    Err(Error::invalid("names", format!("are at most {MOST_NAMES}")))
}

/// What the log keeps of a change that was given up: which row, and why it failed; no values but the key's.
fn given_up(stored: &Stored) -> serde_json::Value {
    let change = stored.message.change.clone().unwrap_or_default();
    let operation = change.operation().as_str_name().trim_start_matches("CHANGE_OPERATION_");
    let record = change.record.unwrap_or_default();
    let error = stored.message.error.clone().unwrap_or_default();
    let key = record.key.iter().map(|it| {
        let shown = it.value.as_ref().map(crate::map::value::display).unwrap_or_default();
        (it.field.clone(), serde_json::Value::String(shown))
    });
    json!({
        "name": stored.name(),
        "entity": record.entity_name,
        "recordId": uuid::Uuid::from_slice(&record.record_id).ok().map(|it| it.to_string()),
        "company": record.company,
        "key": key.collect::<serde_json::Map<_, _>>(),
        "operation": operation,
        "kind": error.kind().as_str_name().trim_start_matches("SYNC_ERROR_KIND_"),
        "error": error.message,
    })
}

fn shown(it: activity::Recorded) -> pb::Activity {
    let parent = if it.map.is_empty() { names::LINK } else { &it.map };
    pb::Activity {
        name: format!("{parent}/activities/{}", it.id),
        kind: it.kind,
        message: it.message,
        actor: it.actor,
        occur_time: Some(names::timestamp(it.occur_time)),
        detail_json: it.detail,
    }
}
