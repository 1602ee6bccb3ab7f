//! `OperationService`.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use futures::stream::{self, BoxStream, StreamExt as _};
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::OperationState;
use proto::lifecycle::v1::operation_service_server::OperationService;
use sqlx::postgres::PgConnection;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::Deps;
use crate::caller::Actor;
use crate::engine::changes::Subscription;
use crate::engine::{self, Changes, progress};
use crate::error::Error;
use crate::idempotency::{self, Known};
use crate::page_token;
use crate::resource::{self, OPERATIONS};
use crate::store::hold;
use crate::store::operation::{self, Operation, Wanted};
use crate::text;

/// How often a watcher looks, whatever it is told.
const LOOK: Duration = Duration::from_secs(5);

/// The service.
pub(crate) struct Operations {
    deps: Arc<Deps>,
    changes: Changes,
}

/// What somebody asks of an operation that stands still or runs.
#[derive(Clone, Copy)]
enum Wish {
    Resume,
    Cancel,
}

impl Operations {
    pub(crate) fn new(deps: Arc<Deps>, changes: Changes) -> Self {
        Self { deps, changes }
    }

    async fn list(
        &self,
        actor: &Actor,
        request: pb::ListOperationsRequest,
    ) -> Result<pb::ListOperationsResponse, Error> {
        let size = page_token::size(request.page_size)?;
        let after = read_place(&page_token::read(&request.page_token)?)?;
        let states = request.states().filter(|it| *it != OperationState::Unspecified).collect();
        let target = Some(request.target.clone()).filter(|it| !it.is_empty());
        if let Some(target) = &target {
            text::check("target", target, 2 * text::LONGEST_NAME)?;
        }
        let user = (!actor.reads_all()).then(|| actor.name());
        let wanted = Wanted { target, states, user, after, limit: size + 1 };
        let connection = &mut *self.deps.store.pool().acquire().await?;
        let found = operation::list(connection, &wanted).await?;
        let (page, next_page_token) = page_token::cut(found, size, write_place);
        let mut operations = Vec::with_capacity(page.len());
        for it in page {
            operations.push(progress::show(connection, &self.deps, it).await?);
        }
        Ok(pb::ListOperationsResponse { operations, next_page_token })
    }

    async fn get(&self, actor: &Actor, name: &str) -> Result<pb::Operation, Error> {
        let connection = &mut *self.deps.store.pool().acquire().await?;
        let found = find(connection, actor, name).await?;
        progress::show(connection, &self.deps, found).await
    }

    /// Resumes or cancels, once for each key.
    async fn change(
        &self,
        actor: &Actor,
        wish: Wish,
        request: &pb::ResumeOperationRequest,
    ) -> Result<pb::Operation, Error> {
        let mut transaction = self.deps.store.begin().await?;
        let (caller, key) = (&actor.caller, request.idempotency_key.as_str());
        let known =
            idempotency::begin(&mut transaction, caller, key, wish.method(), request).await?;
        let key = match known {
            Known::Answered(answer) => return Ok(answer),
            Known::Fresh(key) => key,
        };
        find(&mut transaction, actor, &request.name).await?;
        let id = resource::guid(OPERATIONS, &request.name)?;
        hold::lock_of(&mut transaction, id).await?;
        let locked = operation::find_locked(&mut transaction, id).await?;
        let revision = locked.map(|it| it.revision.to_string());
        if !request.etag.is_empty() && Some(&request.etag) != revision.as_ref() {
            return Err(Error::VersionMismatch(request.name.clone()));
        }
        let answer = match wish {
            Wish::Resume => engine::resume(&mut transaction, &self.deps, id).await?,
            Wish::Cancel => engine::cancel(&mut transaction, &self.deps, id).await?,
        };
        key.finish(&mut transaction, &answer).await?;
        transaction.commit().await?;
        Ok(answer)
    }
}

/// An operation that the caller may know of: any, or its own.
async fn find(
    connection: &mut PgConnection,
    actor: &Actor,
    name: &str,
) -> Result<Operation, Error> {
    let id = resource::guid(OPERATIONS, name)?;
    let found = operation::find(connection, id).await?;
    let found = found.ok_or_else(|| Error::NotFound(name.to_owned()))?;
    match found.user.eq_ignore_ascii_case(&actor.name()) && actor.caller.sender.is_none() {
        true => Ok(found),
        false => actor.may_read().map(|()| found),
    }
}

impl Wish {
    fn method(self) -> &'static str {
        match self {
            Self::Resume => "ResumeOperation",
            Self::Cancel => "CancelOperation",
        }
    }
}

fn write_place(operation: &Operation) -> String {
    format!("{}/{}", operation.create_time.timestamp_micros(), operation.id)
}

fn read_place(place: &str) -> Result<Option<(DateTime<chrono::Utc>, Uuid)>, Error> {
    if place.is_empty() {
        return Ok(None);
    }
    let read = || {
        let (time, id) = place.split_once('/')?;
        Some((DateTime::from_timestamp_micros(time.parse().ok()?)?, id.parse().ok()?))
    };
    read().map(Some).ok_or(Error::PageToken)
}

/// A watch: what was shown last, and where news come from.
struct Watch {
    deps: Arc<Deps>,
    news: Subscription,
    id: Uuid,
    shown: String,
    over: bool,
}

impl Watch {
    /// The next thing to show; `None` after the last.
    async fn next(mut self) -> Option<(Result<pb::WatchOperationResponse, Status>, Self)> {
        while !self.over {
            match self.look().await {
                Ok(operation) if operation.etag != self.shown => {
                    self.shown.clone_from(&operation.etag);
                    self.over = !progress::is_open(operation.state());
                    let shown = pb::WatchOperationResponse { operation: Some(operation) };
                    return Some((Ok(shown), self));
                }
                Ok(_) => {
                    let _ = tokio::time::timeout(LOOK, self.news.of(self.id)).await;
                }
                Err(error) => {
                    self.over = true;
                    return Some((Err(error.into()), self));
                }
            }
        }
        None
    }

    async fn look(&self) -> Result<pb::Operation, Error> {
        let connection = &mut *self.deps.store.pool().acquire().await?;
        progress::describe(connection, &self.deps, self.id).await
    }
}

#[tonic::async_trait]
impl OperationService for Operations {
    async fn list_operations(
        &self,
        request: Request<pb::ListOperationsRequest>,
    ) -> Result<Response<pb::ListOperationsResponse>, Status> {
        let actor = Actor::of(&request)?;
        Ok(Response::new(self.list(&actor, request.into_inner()).await?))
    }

    async fn get_operation(
        &self,
        request: Request<pb::GetOperationRequest>,
    ) -> Result<Response<pb::GetOperationResponse>, Status> {
        let actor = Actor::of(&request)?;
        let operation = Some(self.get(&actor, &request.get_ref().name).await?);
        Ok(Response::new(pb::GetOperationResponse { operation }))
    }

    type WatchOperationStream = BoxStream<'static, Result<pb::WatchOperationResponse, Status>>;

    async fn watch_operation(
        &self,
        request: Request<pb::WatchOperationRequest>,
    ) -> Result<Response<Self::WatchOperationStream>, Status> {
        let actor = Actor::of(&request)?;
        let name = &request.get_ref().name;
        // Before it is read first, so that nothing is missed between the two.
        let news = self.changes.subscribe();
        self.get(&actor, name).await?;
        let (deps, id) = (Arc::clone(&self.deps), resource::guid(OPERATIONS, name)?);
        let watch = Watch { deps, news, id, shown: String::new(), over: false };
        Ok(Response::new(stream::unfold(watch, Watch::next).boxed()))
    }

    async fn resume_operation(
        &self,
        request: Request<pb::ResumeOperationRequest>,
    ) -> Result<Response<pb::ResumeOperationResponse>, Status> {
        let actor = Actor::of(&request)?;
        let request = request.into_inner();
        let changed = self.change(&actor, Wish::Resume, &request).await;
        actor.audit("ResumeOperation", &request.name, &changed);
        Ok(Response::new(pb::ResumeOperationResponse { operation: Some(changed?) }))
    }

    async fn cancel_operation(
        &self,
        request: Request<pb::CancelOperationRequest>,
    ) -> Result<Response<pb::CancelOperationResponse>, Status> {
        let actor = Actor::of(&request)?;
        let pb::CancelOperationRequest { name, etag, idempotency_key } = request.into_inner();
        let request = pb::ResumeOperationRequest { name, etag, idempotency_key };
        let changed = self.change(&actor, Wish::Cancel, &request).await;
        actor.audit("CancelOperation", &request.name, &changed);
        Ok(Response::new(pb::CancelOperationResponse { operation: Some(changed?) }))
    }
}
