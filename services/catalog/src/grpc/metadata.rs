//! Tables, for the gateway.

use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::metadata_provider_service_server::MetadataProviderService;
use tonic::{Request, Response, Status};

use super::{Watched, watch};
use crate::changes::Changes;

/// Serves `MetadataProviderService`.
#[derive(Debug)]
pub(crate) struct Metadata {
    changes: Arc<Changes>,
}

impl Metadata {
    pub(crate) fn new(changes: Arc<Changes>) -> Self {
        Self { changes }
    }
}

#[tonic::async_trait]
impl MetadataProviderService for Metadata {
    type WatchTablesStream = Watched<pb::WatchTablesResponse>;

    async fn watch_tables(
        &self,
        _request: Request<pb::WatchTablesRequest>,
    ) -> Result<Response<Self::WatchTablesStream>, Status> {
        Ok(Response::new(watch(&self.changes, |it| it.tables.clone())))
    }
}
