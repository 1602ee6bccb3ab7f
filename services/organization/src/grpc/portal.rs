//! Portal mappings, for user-context.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use proto::organization::v1 as pb;
use proto::organization::v1::portal_service_server::PortalService;
use tonic::{Request, Response, Status};

use crate::portal::{Mappings, PortalMappings};

/// Serves `PortalService`.
#[derive(Debug)]
pub(crate) struct Portal {
    mappings: Arc<PortalMappings>,
}

impl Portal {
    pub(crate) fn new(mappings: Arc<PortalMappings>) -> Self {
        Self { mappings }
    }
}

#[tonic::async_trait]
impl PortalService for Portal {
    type WatchPortalUserMappingsStream =
        BoxStream<'static, Result<pb::WatchPortalUserMappingsResponse, Status>>;

    async fn watch_portal_user_mappings(
        &self,
        _request: Request<pb::WatchPortalUserMappingsRequest>,
    ) -> Result<Response<Self::WatchPortalUserMappingsStream>, Status> {
        let receiver = self.mappings.watch().await?;
        let sets = stream::unfold(receiver, async |mut receiver| {
            receiver.changed().await.ok()?;
            let set = message(&receiver.borrow_and_update());
            Some((Ok(set), receiver))
        });
        Ok(Response::new(sets.boxed()))
    }
}

fn message(mappings: &Mappings) -> pb::WatchPortalUserMappingsResponse {
    let mapping = |it: &crate::store::PortalMapping| pb::PortalUserMapping {
        contact_id: it.contact.to_string(),
        erp_user: it.erp_user.clone(),
    };
    pb::WatchPortalUserMappingsResponse { mappings: mappings.all.iter().map(mapping).collect() }
}
