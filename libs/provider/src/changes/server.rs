//! The contract on the wire.

use std::time::SystemTime;

use change_log::{Cursor, Error as LogError, Position, Window};
use proto::query::v1 as pb;
use proto::query::v1::change_tracking_service_server::ChangeTrackingService;
use rpc::{CallContext, ErrorReason, busy, status, unavailable};
use sqlx::postgres::PgConnection;
use tonic::{Code, Request, Response, Status};

use super::ChangeTracking;
use super::list::{Changes, Failure, count, list, relations};
use super::token::PageToken;
use crate::authority::Privilege;
use crate::error::Error;
use crate::grant::{Grant, Refused};
use crate::server::audit_read;

/// Rows of a page at most.
const MAX_PAGE: usize = 5_000;
/// Whatever is purged meanwhile, a reader finds its window whole.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What of a window is wanted.
enum Wanted {
    Position,
    Page { after: Cursor, size: usize },
    Count,
}

/// What a window was found to hold.
struct Found {
    until: Position,
    changes: Changes,
    count: i64,
}

impl ChangeTracking {
    fn grant(&self, context: &CallContext, entity: &str) -> Result<Grant, Status> {
        let domain = self.inner.provider.domain();
        if !self.inner.authority.is_ready() {
            let message = "the entities' definitions have not arrived yet; try again";
            return Err(unavailable(domain, ErrorReason::NotReady, message));
        }
        let grant = self.inner.authority.grant(&context.caller, entity, Privilege::Read);
        let grant = grant.map_err(|refused| match refused {
            Refused::Unknown => {
                Error::EntityNotFound(entity.to_owned()).into_status(domain, entity)
            }
            Refused::Denied(denied) => denied.into_status(domain),
        });
        if grant.is_err() {
            audit_read(&context.caller, entity, &[], &grant);
        }
        let grant = grant?;
        if !grant.binding().change_tracking {
            let message = format!("change tracking is not enabled for `{entity}`");
            let reason = ErrorReason::ChangeTrackingDisabled;
            let metadata = [("entity", entity)];
            return Err(status(Code::FailedPrecondition, domain, reason, message, metadata));
        }
        Ok(grant)
    }

    /// Reads within the deadline; waits within it for triggers that are to be there soon.
    async fn find(
        &self,
        context: &CallContext,
        grant: &Grant,
        window: (Option<Position>, Option<Position>),
        wanted: Wanted,
    ) -> Result<Found, Status> {
        let entity = grant.binding().name();
        let find = async {
            let mut outcome = self.inner.outcome.subscribe();
            loop {
                match self.try_find(grant, window.clone(), &wanted).await {
                    Err(Failure::Log(LogError::NotCaptured(relation))) => {
                        if let Some(why) = outcome.borrow_and_update().why(&relation) {
                            return Err(self.requirement_unmet(why));
                        }
                        self.inner.missing.notify_one();
                        // The sender lives as long as `self`.
                        let _ = outcome.changed().await;
                    }
                    found => return found.map_err(|failure| self.failed(failure, entity)),
                }
            }
        };
        let found = tokio::time::timeout(context.remaining(), find).await;
        let domain = self.inner.provider.domain();
        let found =
            found.unwrap_or_else(|_| Err(Error::DeadlineExceeded.into_status(domain, entity)));
        audit_read(&context.caller, entity, &[], &found);
        found
    }

    async fn try_find(
        &self,
        grant: &Grant,
        (after, until): (Option<Position>, Option<Position>),
        wanted: &Wanted,
    ) -> Result<Found, Failure> {
        let database = |error| Failure::Provider(Error::of(grant.binding().name(), error));
        let pool = self.inner.provider.pool();
        let mut lease = pool.lease().await.map_err(database)?;
        let mut begun = begin(lease.connection().map_err(database)?).await;
        if begun.is_err() && !lease.is_fresh() {
            // It broke while it lay idle.
            drop(lease);
            pool.forget_idle();
            lease = pool.lease().await.map_err(database)?;
            begun = begin(lease.connection().map_err(database)?).await;
        }
        begun.map_err(database)?;
        let connection = lease.connection().map_err(database)?;
        let window = Window::open(connection, after, until, relations(grant.binding())).await;
        let found = match window {
            Ok(window) => read(connection, grant, &window, wanted).await,
            Err(error) => Err(Failure::Log(error)),
        };
        sqlx::raw_sql("ROLLBACK").execute(connection).await.map_err(database)?;
        lease.finish();
        found
    }

    pub(crate) fn failed(&self, failure: Failure, entity: &str) -> Status {
        let domain = self.inner.provider.domain();
        let error = match failure {
            Failure::Provider(error) => return error.into_status(domain, entity),
            Failure::Unmet(why) => return self.requirement_unmet(&why),
            Failure::Log(error) => error,
        };
        let message = error.to_string();
        match error {
            LogError::Expired | LogError::Emptied(_) | LogError::Interrupted(_) => {
                let metadata = [("entity", entity)];
                let reason = ErrorReason::PositionExpired;
                status(Code::OutOfRange, domain, reason, message, metadata)
            }
            LogError::ForeignPosition => self.invalid("after_position"),
            LogError::NotGranted(_) | LogError::Unsuitable { .. } => {
                self.requirement_unmet(&message)
            }
            LogError::NotCaptured(_) => unavailable(domain, ErrorReason::NotReady, message),
            LogError::Busy(_) => busy(domain, message),
            LogError::Database(error) => Error::of(entity, error).into_status(domain, entity),
        }
    }

    fn requirement_unmet(&self, message: &str) -> Status {
        let metadata = [("requirement", "tombolo.change_log")];
        let reason = ErrorReason::RequirementUnmet;
        let domain = self.inner.provider.domain();
        status(Code::FailedPrecondition, domain, reason, message, metadata)
    }

    pub(crate) fn invalid(&self, field: &'static str) -> Status {
        let metadata = [("column", field)];
        let (reason, message) = (ErrorReason::InvalidValue, format!("`{field}` was not given out"));
        status(Code::InvalidArgument, self.inner.provider.domain(), reason, message, metadata)
    }
}

pub(crate) async fn begin(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(BEGIN).execute(connection).await.map(drop)
}

async fn read(
    connection: &mut PgConnection,
    grant: &Grant,
    window: &Window,
    wanted: &Wanted,
) -> Result<Found, Failure> {
    let until = window.until().clone();
    let mut found = Found { until, changes: Changes { changes: Vec::new(), next: None }, count: 0 };
    match wanted {
        Wanted::Position => {}
        Wanted::Page { after, size } => {
            found.changes = list(connection, grant, window, *after, *size).await?;
        }
        Wanted::Count => found.count = count(connection, grant, window).await?,
    }
    Ok(found)
}

#[tonic::async_trait]
impl ChangeTrackingService for ChangeTracking {
    async fn get_change_position(
        &self,
        request: Request<pb::GetChangePositionRequest>,
    ) -> Result<Response<pb::GetChangePositionResponse>, Status> {
        let context = CallContext::of(&request)?;
        let grant = self.grant(&context, &request.get_ref().entity_name)?;
        let found = self.find(&context, &grant, (None, None), Wanted::Position).await?;
        Ok(Response::new(pb::GetChangePositionResponse {
            position: found.until.encode(),
            as_of_time: Some(SystemTime::from(found.until.at()).into()),
        }))
    }

    async fn list_entity_changes(
        &self,
        request: Request<pb::ListEntityChangesRequest>,
    ) -> Result<Response<pb::ListEntityChangesResponse>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        let grant = self.grant(&context, &request.entity_name)?;
        let after = Position::decode(&request.after_position);
        let after = after.map_err(|_| self.invalid("after_position"))?;
        let token = match request.page_token.as_str() {
            "" => None,
            text => Some(PageToken::decode(text).ok_or_else(|| self.invalid("page_token"))?),
        };
        let size = match usize::try_from(request.page_size) {
            Ok(0) => MAX_PAGE,
            Ok(size) if size <= MAX_PAGE => size,
            _ => return Err(self.invalid("page_size")),
        };
        let (until, cursor) =
            token.map_or((None, Cursor::default()), |it| (Some(it.until), it.after));
        let wanted = match request.count_only {
            true => Wanted::Count,
            false => Wanted::Page { after: cursor, size },
        };
        let found = self.find(&context, &grant, (Some(after), until), wanted).await?;
        let next = found.changes.next.map(|after| PageToken { until: found.until.clone(), after });
        Ok(Response::new(pb::ListEntityChangesResponse {
            changes: found.changes.changes,
            position: found.until.encode(),
            as_of_time: Some(SystemTime::from(found.until.at()).into()),
            next_page_token: next.map(|it| it.encode()).unwrap_or_default(),
            total_count: found.count,
        }))
    }
}
