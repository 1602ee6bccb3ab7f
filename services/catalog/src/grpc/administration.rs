//! The administrator's verbs, and definitions for the adapter.

use std::sync::Arc;

use proto::catalog::v1 as pb;
use proto::catalog::v1::catalog_service_server::CatalogService;
use rpc::CallContext;
use tonic::{Request, Response, Status};

use super::{Watched, page_size, watch};
use crate::changes::{Changes, Wanted, may_read};
use crate::error::Error;
use crate::page_token;

/// Serves `CatalogService`.
#[derive(Debug)]
pub(crate) struct Administration {
    changes: Arc<Changes>,
}

impl Administration {
    pub(crate) fn new(changes: Arc<Changes>) -> Self {
        Self { changes }
    }

    fn list(
        &self,
        request: &pb::ListDataEntitiesRequest,
    ) -> Result<pb::ListDataEntitiesResponse, Error> {
        let after = page_token::decode(&request.page_token)?;
        let size = page_size(request.page_size)?;
        let snapshot = self.changes.current();
        let wanted = |it: &&pb::CatalogEntry| {
            request.visible.is_none_or(|visible| it.visible == visible)
                && after.is_none_or(|after| it.name.as_str() > after)
        };
        let mut rest = snapshot.entries.iter().filter(wanted);
        let entries: Vec<_> = rest.by_ref().take(size).cloned().collect();
        let next_page_token = match (rest.next(), entries.last()) {
            (Some(_), Some(last)) => page_token::encode(&last.name),
            _ => String::new(),
        };
        Ok(pb::ListDataEntitiesResponse { entries, next_page_token })
    }
}

#[tonic::async_trait]
impl CatalogService for Administration {
    type WatchDataEntitiesStream = Watched<pb::WatchDataEntitiesResponse>;

    async fn list_data_entities(
        &self,
        request: Request<pb::ListDataEntitiesRequest>,
    ) -> Result<Response<pb::ListDataEntitiesResponse>, Status> {
        may_read(&CallContext::of(&request)?.caller)?;
        Ok(Response::new(self.list(request.get_ref())?))
    }

    async fn get_data_entity(
        &self,
        request: Request<pb::GetDataEntityRequest>,
    ) -> Result<Response<pb::GetDataEntityResponse>, Status> {
        may_read(&CallContext::of(&request)?.caller)?;
        let name = physical_name(&request.get_ref().name)?;
        let entry = self.changes.current().entry(name).cloned();
        let entry = entry.ok_or_else(|| Error::EntityNotFound(name.to_owned()))?;
        Ok(Response::new(pb::GetDataEntityResponse { entry: Some(entry) }))
    }

    async fn update_data_entity(
        &self,
        request: Request<pb::UpdateDataEntityRequest>,
    ) -> Result<Response<pb::UpdateDataEntityResponse>, Status> {
        let context = CallContext::of(&request)?;
        let request = request.into_inner();
        let entry = request.entry.unwrap_or_default();
        let mask = request.update_mask.unwrap_or_default();
        let mut wanted = Wanted { etag: entry.etag, ..Wanted::default() };
        for path in &mask.paths {
            match path.as_str() {
                "visible" => wanted.visible = Some(entry.visible),
                "change_tracking_enabled" => wanted.tracked = Some(entry.change_tracking_enabled),
                _ => return Err(invalid_mask().into()),
            }
        }
        if mask.paths.is_empty() {
            return Err(invalid_mask().into());
        }
        let name = physical_name(&entry.name)?;
        let entry = self.changes.change(&context.caller, name, &wanted).await?;
        Ok(Response::new(pb::UpdateDataEntityResponse { entry: Some(entry) }))
    }

    async fn refresh_data_entity(
        &self,
        request: Request<pb::RefreshDataEntityRequest>,
    ) -> Result<Response<pb::RefreshDataEntityResponse>, Status> {
        let context = CallContext::of(&request)?;
        let name = physical_name(&request.get_ref().name)?;
        let wanted = Wanted { refresh: true, ..Wanted::default() };
        let entry = self.changes.change(&context.caller, name, &wanted).await?;
        Ok(Response::new(pb::RefreshDataEntityResponse { entry: Some(entry) }))
    }

    async fn refresh_model(
        &self,
        request: Request<pb::RefreshModelRequest>,
    ) -> Result<Response<pb::RefreshModelResponse>, Status> {
        let context = CallContext::of(&request)?;
        let snapshot = self.changes.refresh_model(&context.caller).await?;
        Ok(Response::new(pb::RefreshModelResponse {
            revision: snapshot.version.revision,
            data_entity_count: i32::try_from(snapshot.entries.len()).unwrap_or(i32::MAX),
        }))
    }

    async fn watch_data_entities(
        &self,
        _request: Request<pb::WatchDataEntitiesRequest>,
    ) -> Result<Response<Self::WatchDataEntitiesStream>, Status> {
        Ok(Response::new(watch(&self.changes, |it| it.definitions.clone())))
    }
}

fn physical_name(name: &str) -> Result<&str, Error> {
    let reason = "is `dataEntities/NAME`";
    let refused = || Error::InvalidValue { column: "name".to_owned(), reason };
    name.strip_prefix("dataEntities/").ok_or_else(refused)
}

fn invalid_mask() -> Error {
    let reason = "names `visible`, `change_tracking_enabled` or both";
    Error::InvalidValue { column: "update_mask".to_owned(), reason }
}
