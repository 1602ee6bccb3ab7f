//! Facts about the organization that never change while the gateway runs.

use proto::organization::v1 as pb;
use proto::organization::v1::organization_service_client::OrganizationServiceClient;
use rpc::Channel;
use tokio::sync::OnceCell;
use tonic::Status;

use crate::callers::Service;
use crate::providers::{Call, within};

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
}
