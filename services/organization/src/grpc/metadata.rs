//! Table definitions, for the gateway.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use proto::query::v1 as pb;
use proto::query::v1::metadata_provider_service_server::MetadataProviderService;
use tonic::{Request, Response, Status};

use crate::native::NativeTables;

/// Serves `MetadataProviderService`.
#[derive(Debug)]
pub(crate) struct Metadata {
    tables: Arc<NativeTables>,
}

impl Metadata {
    pub(crate) fn new(tables: Arc<NativeTables>) -> Self {
        Self { tables }
    }
}

#[tonic::async_trait]
impl MetadataProviderService for Metadata {
    type WatchTablesStream = BoxStream<'static, Result<pb::WatchTablesResponse, Status>>;

    async fn watch_tables(
        &self,
        _request: Request<pb::WatchTablesRequest>,
    ) -> Result<Response<Self::WatchTablesStream>, Status> {
        let tables = Arc::clone(&self.tables);
        let state = (tables.watch(), tables);
        let sets = stream::unfold(state, async |(mut shown, tables)| {
            shown.changed().await.ok()?;
            let set = tables.published(&shown.borrow_and_update());
            Some((Ok(set), (shown, tables)))
        });
        Ok(Response::new(sets.boxed()))
    }
}
