//! What the organization remembers of operations, beyond the life of this gateway.

use std::time::Duration;

use proto::organization::v1 as pb;
use proto::organization::v1::background_operation_service_client::BackgroundOperationServiceClient;
use rpc::{Channel, ErrorReason};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::callers::Service;
use crate::error::GatewayError;
use crate::providers::{Call, within};

/// Of calls that no client waits for.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts to tell an end, and the pauses between them, which double.
const ATTEMPTS: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

#[derive(Clone, Debug)]
pub(super) struct Records {
    client: BackgroundOperationServiceClient<Channel>,
    /// This process, to which leases are given.
    holder: Uuid,
}

/// An operation before it begins.
#[derive(Debug)]
pub(super) struct NewRecord<'a> {
    pub(super) id: Uuid,
    pub(super) display_name: String,
    pub(super) client_request_id: &'a str,
}

impl Records {
    pub(super) fn new(organization: Channel) -> Self {
        let client = BackgroundOperationServiceClient::new(organization);
        Self { client, holder: Uuid::new_v4() }
    }

    pub(super) async fn create(
        &self,
        call: Call<'_>,
        record: NewRecord<'_>,
    ) -> Result<(), GatewayError> {
        let message = pb::RecordBackgroundOperationRequest {
            operation_id: record.id.to_string(),
            holder_id: self.holder.to_string(),
            display_name: record.display_name,
            client_request_id: record.client_request_id.to_owned(),
        };
        let of_service = |it: Status| GatewayError::of_service(&it);
        let request = call.request(Service::Organization, message).map_err(of_service)?;
        let mut client = self.client.clone();
        let created = within(call.deadline, client.record_background_operation(request)).await;
        created.map(drop).map_err(of_service)
    }

    /// Whether it may begin.
    pub(super) async fn start(&self, id: Uuid) -> Result<bool, Status> {
        let message = pb::StartBackgroundOperationRequest {
            operation_id: id.to_string(),
            holder_id: self.holder.to_string(),
        };
        match self.client.clone().start_background_operation(own(message)).await {
            Ok(_) => Ok(true),
            Err(status) if rpc::reason(&status) == Some(ErrorReason::InvalidState) => Ok(false),
            Err(status) => Err(status),
        }
    }

    pub(super) async fn renew(&self, ids: &[Uuid]) -> Result<(), Status> {
        let message = pb::RenewBackgroundOperationsRequest {
            holder_id: self.holder.to_string(),
            operation_ids: ids.iter().map(Uuid::to_string).collect(),
        };
        self.client.clone().renew_background_operations(own(message)).await.map(drop)
    }

    /// Tries for a while: what was done should not be told as interrupted.
    pub(super) async fn finish(
        &self,
        id: Uuid,
        outcome: pb::BackgroundOperationOutcome,
    ) -> Result<(), Status> {
        let message = pb::FinishBackgroundOperationRequest {
            operation_id: id.to_string(),
            holder_id: self.holder.to_string(),
            outcome: Some(outcome),
        };
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            let mut client = self.client.clone();
            match client.finish_background_operation(own(message.clone())).await {
                Ok(_) => return Ok(()),
                Err(status) => {
                    tracing::debug!(operation = %id, error = %status, "its end is told again");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.client.clone().finish_background_operation(own(message)).await.map(drop)
    }

    pub(super) async fn get(
        &self,
        call: Call<'_>,
        id: Uuid,
    ) -> Result<pb::BackgroundOperation, Status> {
        let message = pb::GetBackgroundOperationRequest { operation_id: id.to_string() };
        let request = call.request(Service::Organization, message)?;
        let mut client = self.client.clone();
        let answer = within(call.deadline, client.get_background_operation(request)).await?;
        answer.into_inner().operation.ok_or_else(nothing)
    }

    pub(super) async fn cancel(
        &self,
        call: Call<'_>,
        id: Uuid,
    ) -> Result<pb::BackgroundOperation, Status> {
        let message = pb::CancelBackgroundOperationRequest { operation_id: id.to_string() };
        let request = call.request(Service::Organization, message)?;
        let mut client = self.client.clone();
        let answer = within(call.deadline, client.cancel_background_operation(request)).await?;
        answer.into_inner().operation.ok_or_else(nothing)
    }
}

/// Of no user: an operation may end after its user's assertion.
fn own<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

fn nothing() -> Status {
    Status::internal("an operation was promised and did not come")
}
