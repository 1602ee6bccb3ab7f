//! Live sync, for the gateway: no user stands behind these calls.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::Side;
use proto::dual_write::v1::live_sync_service_server::LiveSyncService;
use tonic::{Request, Response, Status, Streaming};

use crate::alerts::{self, Failure};
use crate::core::Core;
use crate::live;

/// Serves `LiveSyncService`.
#[derive(Clone, Debug)]
pub(crate) struct LiveSync {
    core: Arc<Core>,
}

impl LiveSync {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

#[tonic::async_trait]
impl LiveSyncService for LiveSync {
    type WatchCapturesStream = BoxStream<'static, Result<pb::WatchCapturesResponse, Status>>;
    type TranslateChangesStream = BoxStream<'static, Result<pb::TranslateChangesResponse, Status>>;

    async fn watch_captures(
        &self,
        _request: Request<pb::WatchCapturesRequest>,
    ) -> Result<Response<Self::WatchCapturesStream>, Status> {
        let captures = live::watch(Arc::clone(&self.core));
        Ok(Response::new(captures.map(Ok).boxed()))
    }

    async fn translate_changes(
        &self,
        request: Request<Streaming<pb::TranslateChangesRequest>>,
    ) -> Result<Response<Self::TranslateChangesStream>, Status> {
        let mut requests = request.into_inner();
        let mut changes = live::Changes::new(&self.core.config);
        let mut source = Side::Unspecified;
        while let Some(request) = requests.message().await? {
            source = request.source();
            changes.add(request.rows);
        }
        let rows = live::translate(&self.core, source, changes)?;
        let answers = rpc::parts(rows).map(|rows| Ok(pb::TranslateChangesResponse { rows }));
        Ok(Response::new(stream::iter(answers).boxed()))
    }

    async fn report_failure(
        &self,
        request: Request<pb::ReportFailureRequest>,
    ) -> Result<Response<pb::ReportFailureResponse>, Status> {
        let request = request.into_inner();
        let (source, error) = (request.source(), request.error.unwrap_or_default());
        let failure = |map: String| Failure {
            map,
            source,
            error: error.clone(),
            record: request.record.clone(),
        };
        let failures: Vec<_> = request.maps.into_iter().map(failure).collect();
        let reported = alerts::report(&self.core, &failures).await;
        Ok(Response::new(pb::ReportFailureResponse { queued: reported.queued }))
    }
}
