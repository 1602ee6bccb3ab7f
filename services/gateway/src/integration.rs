//! The finance-and-operations environment that this platform environment is linked with, as lifecycle
//! knows it. It is asked every time: the link may be made, or end, at any moment.

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::setup_service_client::SetupServiceClient;
use rpc::Channel;
use tonic::Status;

use crate::callers::Service;
use crate::organization::Organization;
use crate::providers::{Call, within};

/// Asks lifecycle.
#[derive(Debug)]
pub(crate) struct Integration {
    client: SetupServiceClient<Channel>,
}

impl Integration {
    pub(crate) fn new(lifecycle: Channel) -> Self {
        Self { client: SetupServiceClient::new(lifecycle) }
    }

    pub(crate) async fn details(
        &self,
        call: Call<'_>,
        organization: &Organization,
    ) -> Result<pb::RetrieveFinanceAndOperationsIntegrationDetailsResponse, Status> {
        let message = pb::RetrieveFinanceAndOperationsIntegrationDetailsRequest {};
        let request = call.request(Service::Lifecycle, message)?;
        let request = organization.named_in(call, request).await?;
        let mut client = self.client.clone();
        let asked = client.retrieve_finance_and_operations_integration_details(request);
        Ok(within(call.deadline, asked).await?.into_inner())
    }
}
