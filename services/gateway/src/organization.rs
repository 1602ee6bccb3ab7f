//! Facts about the organization that never change while the gateway runs.

use proto::organization::v1 as pb;
use proto::organization::v1::organization_service_client::OrganizationServiceClient;
use rpc::Channel;
use tokio::sync::OnceCell;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status};

use crate::callers::Service;
use crate::providers::{Call, within};

/// Names the organization that a call is about.
const ORGANIZATION_HEADER: &str = "x-tombolo-organization";

/// Asks once.
#[derive(Debug)]
pub(crate) struct Organization {
    client: OrganizationServiceClient<Channel>,
    facts: OnceCell<pb::GetOrganizationResponse>,
}

impl Organization {
    pub(crate) fn new(channel: Channel) -> Self {
        Self { client: OrganizationServiceClient::new(channel), facts: OnceCell::new() }
    }

    pub(crate) async fn facts(
        &self,
        call: Call<'_>,
    ) -> Result<&pb::GetOrganizationResponse, Status> {
        self.facts
            .get_or_try_init(|| async {
                let request = call.request(Service::Organization, pb::GetOrganizationRequest {})?;
                let mut client = self.client.clone();
                let answer = within(call.deadline, client.get_organization(request)).await?;
                Ok(answer.into_inner())
            })
            .await
    }

    /// The request, and that it is about this organization.
    pub(crate) async fn named_in<T>(
        &self,
        call: Call<'_>,
        mut request: Request<T>,
    ) -> Result<Request<T>, Status> {
        let facts = self.facts(call).await?;
        let id = MetadataValue::<Ascii>::try_from(&facts.organization_id)
            .map_err(|_| Status::internal("the organization's id is none"))?;
        request.metadata_mut().insert(ORGANIZATION_HEADER, id);
        Ok(request)
    }
}
