//! The contract on the wire.

use std::future::Future;
use std::time::SystemTime;

use change_log::Position;
use proto::query::v1 as pb;
use proto::query::v1::sharing_service_server::{SharingService, SharingServiceServer};
use rpc::{CallContext, ErrorReason, unavailable};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::Sharing;
use super::history::Wanted;
use super::select::ids;
use super::touched::PageToken;
use crate::changes::Failure;
use crate::error::Error;

/// A message with the images of a whole page.
const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;
const DEFAULT_PAGE: i32 = 1_000;
const MAX_PAGE: i32 = 5_000;
const MAX_LIST: i32 = 1_000;
const DEFAULT_HISTORY: i32 = 100;

impl Sharing {
    /// Adds the service to a server.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        let service = SharingServiceServer::new(self.clone());
        server.with(
            service
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
    }

    /// Does it before the answer is of no use any more.
    async fn timely<T, R>(
        &self,
        request: &Request<R>,
        entity: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Status> {
        let domain = self.provider().domain();
        if !self.authority().is_ready() {
            let message = "the entities' definitions have not arrived yet; try again";
            return Err(unavailable(domain, ErrorReason::NotReady, message));
        }
        let deadline = CallContext::deadline_of(request);
        let done = tokio::time::timeout_at(deadline.into(), Box::pin(work)).await;
        let done = done.unwrap_or(Err(Failure::Provider(Error::DeadlineExceeded)));
        done.map_err(|failure| self.changes().failed(failure, entity))
    }

    fn page_size(&self, size: i32, default: i32, most: i32) -> Result<i32, Status> {
        match size {
            0 => Ok(default),
            1.. if size <= most => Ok(size),
            _ => Err(self.changes().invalid("page_size")),
        }
    }

    fn window(&self, after: &str, until: &str) -> Result<(Position, Option<Position>), Status> {
        let invalid = |field| self.changes().invalid(field);
        let after = Position::decode(after).map_err(|_| invalid("after_position"))?;
        let until = match until {
            "" => None,
            text => Some(Position::decode(text).map_err(|_| invalid("until_position"))?),
        };
        Ok((after, until))
    }

    fn token(&self, text: &str) -> Result<Option<PageToken>, Status> {
        match text {
            "" => Ok(None),
            text => {
                let token = PageToken::decode(text);
                token.map(Some).ok_or_else(|| self.changes().invalid("page_token"))
            }
        }
    }
}

#[tonic::async_trait]
impl SharingService for Sharing {
    async fn configure_map(
        &self,
        request: Request<pb::ConfigureMapRequest>,
    ) -> Result<Response<pb::ConfigureMapResponse>, Status> {
        let side = request.get_ref().map_side.clone().unwrap_or_default();
        let entity = side.entity_name.clone();
        let position = self.timely(&request, &entity, self.store(side)).await?;
        Ok(Response::new(pb::ConfigureMapResponse { position: position.encode() }))
    }

    async fn remove_map(
        &self,
        request: Request<pb::RemoveMapRequest>,
    ) -> Result<Response<pb::RemoveMapResponse>, Status> {
        self.timely(&request, "", self.forget(&request.get_ref().map)).await?;
        Ok(Response::new(pb::RemoveMapResponse {}))
    }

    async fn list_configured_maps(
        &self,
        request: Request<pb::ListConfiguredMapsRequest>,
    ) -> Result<Response<pb::ListConfiguredMapsResponse>, Status> {
        let size = self.page_size(request.get_ref().page_size, MAX_LIST, MAX_LIST)?;
        let after = request.get_ref().page_token.as_str();
        let listed = self.list(after, i64::from(size) + 1);
        let (mut map_sides, capture_gaps) = self.timely(&request, "", listed).await?;
        let size = usize::try_from(size).unwrap_or_default();
        let more = map_sides.len() > size;
        map_sides.truncate(size);
        let last = map_sides.last().filter(|_| more).map(|it| it.map.clone());
        let next_page_token = last.unwrap_or_default();
        let listed = pb::ListConfiguredMapsResponse { map_sides, next_page_token, capture_gaps };
        Ok(Response::new(listed))
    }

    async fn get_log_position(
        &self,
        request: Request<pb::GetLogPositionRequest>,
    ) -> Result<Response<pb::GetLogPositionResponse>, Status> {
        let position = self.timely(&request, "", self.present()).await?;
        Ok(Response::new(pb::GetLogPositionResponse {
            position: position.encode(),
            as_of_time: Some(SystemTime::from(position.at()).into()),
            state: position.state(),
        }))
    }

    async fn read_images(
        &self,
        request: Request<pb::ReadImagesRequest>,
    ) -> Result<Response<pb::ReadImagesResponse>, Status> {
        let size = self.page_size(request.get_ref().page_size, DEFAULT_PAGE, MAX_PAGE)?;
        let selection = request.get_ref().selection.as_ref();
        let entity = selection.and_then(|it| it.map_side.as_ref()).map(|it| it.entity_name.clone());
        let read = self.read(request.get_ref().clone(), size);
        let images = self.timely(&request, &entity.unwrap_or_default(), read).await?;
        Ok(Response::new(images))
    }

    async fn count_images(
        &self,
        request: Request<pb::CountImagesRequest>,
    ) -> Result<Response<pb::CountImagesResponse>, Status> {
        let selection = request.get_ref().selection.clone().unwrap_or_default();
        let entity = selection.map_side.as_ref().map(|it| it.entity_name.clone());
        let count = self.count(selection, request.get_ref().explain);
        let count = self.timely(&request, &entity.unwrap_or_default(), count).await?;
        Ok(Response::new(count))
    }

    async fn list_touched_rows(
        &self,
        request: Request<pb::ListTouchedRowsRequest>,
    ) -> Result<Response<pb::ListTouchedRowsResponse>, Status> {
        let asked = request.get_ref();
        let size = self.page_size(asked.page_size, DEFAULT_PAGE, MAX_PAGE)?;
        let window = self.window(&asked.after_position, &asked.until_position)?;
        let among = ids(&asked.record_ids);
        let among = among.map_err(|it| self.changes().failed(Failure::Provider(it), &asked.map))?;
        let which = (self.token(&asked.page_token)?, among);
        let touched = self.touched(&asked.map, window, which, size.into());
        let page = self.timely(&request, &asked.map, touched).await?;
        Ok(Response::new(pb::ListTouchedRowsResponse {
            rows: page.rows,
            position: page.until.encode(),
            as_of_time: Some(SystemTime::from(page.until.at()).into()),
            next_page_token: page.next.map(|it| it.encode()).unwrap_or_default(),
            skipped_count: page.skipped,
        }))
    }

    async fn list_row_changes(
        &self,
        request: Request<pb::ListRowChangesRequest>,
    ) -> Result<Response<pb::ListRowChangesResponse>, Status> {
        let asked = request.get_ref();
        let size = self.page_size(asked.page_size, DEFAULT_HISTORY, MAX_LIST)?;
        let window = self.window(&asked.after_position, &asked.until_position)?;
        let wanted = Wanted {
            token: self.token(&asked.page_token)?,
            size: usize::try_from(size).unwrap_or_default(),
            key: asked.key.clone(),
        };
        let history = self.history(&asked.map, window, wanted);
        let history = self.timely(&request, &asked.map, history).await?;
        Ok(Response::new(pb::ListRowChangesResponse {
            changes: history.changes,
            position: history.until.encode(),
            next_page_token: history.next.map(|it| it.encode()).unwrap_or_default(),
            total_count: history.total,
            skipped_count: if asked.page_token.is_empty() { history.skipped } else { 0 },
        }))
    }

    async fn find_skipped_change(
        &self,
        request: Request<pb::FindSkippedChangeRequest>,
    ) -> Result<Response<pb::FindSkippedChangeResponse>, Status> {
        let asked = request.get_ref();
        let id = Uuid::from_slice(&asked.record_id);
        let id = id.map_err(|_| self.changes().invalid("record_id"))?;
        let found = self.timely(&request, &asked.map, self.skipped(&asked.map, id)).await?;
        let change_time = found.map(|it| SystemTime::from(it.at).into());
        Ok(Response::new(pb::FindSkippedChangeResponse { change_time }))
    }

    async fn take_conflicts(
        &self,
        request: Request<pb::TakeConflictsRequest>,
    ) -> Result<Response<pb::TakeConflictsResponse>, Status> {
        let asked = request.get_ref();
        let size = self.page_size(asked.page_size, MAX_LIST, MAX_LIST)?;
        let taken = self.conflicts(asked.after_id, size.into());
        let conflicts = self.timely(&request, "", taken).await?;
        Ok(Response::new(pb::TakeConflictsResponse { conflicts }))
    }
}
