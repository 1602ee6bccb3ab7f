//! The calls that write. Each is a transaction, of one operation or of several.

use prost::Message as _;
use proto::gateway::v1 as pb;
use proto::gateway::v1::transaction_operation::Operation;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status};
use tonic_types::StatusExt as _;

use super::changes;
use super::handlers::{GrpcGateway, session};
use crate::callers::Session;
use crate::deadline::Deadline;
use crate::error::GatewayError;
use crate::metadata::Source;
use crate::write::{self, Failed, Once, Outcome};

const MAX_OPERATIONS: usize = 1_000;
/// Characters of a client's key.
const MAX_KEY: usize = 256;

pub(super) async fn create(
    gateway: &GrpcGateway,
    request: Request<pb::CreateRequest>,
) -> Result<Response<pb::CreateResponse>, Status> {
    let key = request.get_ref().idempotency_key.clone();
    let outcome = one(gateway, request.map(Operation::Create), &key).await?;
    let (id, etag) = row(&outcome);
    Ok(Response::new(pb::CreateResponse { id, etag }))
}

pub(super) async fn update(
    gateway: &GrpcGateway,
    request: Request<pb::UpdateRequest>,
) -> Result<Response<pb::UpdateResponse>, Status> {
    let key = request.get_ref().idempotency_key.clone();
    let outcome = one(gateway, request.map(Operation::Update), &key).await?;
    let (id, etag) = row(&outcome);
    Ok(Response::new(pb::UpdateResponse { id, etag }))
}

pub(super) async fn upsert(
    gateway: &GrpcGateway,
    request: Request<pb::UpsertRequest>,
) -> Result<Response<pb::UpsertResponse>, Status> {
    let key = request.get_ref().idempotency_key.clone();
    let outcome = one(gateway, request.map(Operation::Upsert), &key).await?;
    let ((id, etag), created) = (row(&outcome), outcome.created);
    Ok(Response::new(pb::UpsertResponse { id, etag, created }))
}

pub(super) async fn delete(
    gateway: &GrpcGateway,
    request: Request<pb::DeleteRequest>,
) -> Result<Response<pb::DeleteResponse>, Status> {
    let key = request.get_ref().idempotency_key.clone();
    one(gateway, request.map(Operation::Delete), &key).await?;
    Ok(Response::new(pb::DeleteResponse {}))
}

pub(super) async fn perform_action(
    gateway: &GrpcGateway,
    request: Request<pb::PerformActionRequest>,
) -> Result<Response<pb::PerformActionResponse>, Status> {
    let key = request.get_ref().idempotency_key.clone();
    let outcome = one(gateway, request.map(Operation::PerformAction), &key).await?;
    Ok(Response::new(pb::PerformActionResponse { result: outcome.result }))
}

pub(super) async fn execute_transaction(
    gateway: &GrpcGateway,
    request: Request<pb::ExecuteTransactionRequest>,
) -> Result<Response<pb::ExecuteTransactionResponse>, Status> {
    let key = request.get_ref().idempotency_key.clone();
    let count = request.get_ref().operations.len();
    if count == 0 || count > MAX_OPERATIONS {
        return Err(too_many(count));
    }
    let request = request.map(|it| it.operations);
    let outcomes = all(gateway, request, &key).await?;
    let results = outcomes.into_iter().map(|(operation, it)| result(&operation, it)).collect();
    Ok(Response::new(pb::ExecuteTransactionResponse { results }))
}

async fn one(
    gateway: &GrpcGateway,
    request: Request<Operation>,
    idempotency_key: &str,
) -> Result<Outcome, Status> {
    let request = request.map(|it| vec![pb::TransactionOperation { operation: Some(it) }]);
    let outcomes = all(gateway, request, idempotency_key).await?;
    outcomes.into_iter().next().map(|(_, it)| it).ok_or_else(|| GatewayError::Internal.into())
}

/// Operations and what became of them.
async fn all(
    gateway: &GrpcGateway,
    request: Request<Vec<pb::TransactionOperation>>,
    idempotency_key: &str,
) -> Result<Vec<(Operation, Outcome)>, Status> {
    let deadline = Deadline::from(gateway.deadline());
    let session = session(&request)?;
    let snapshot = gateway.snapshot()?;
    let once = once(&session, idempotency_key, request.get_ref())?;
    let operations = request.into_inner().into_iter().map(|it| it.operation);
    let operations: Option<Vec<_>> = operations.collect();
    let operations = operations.ok_or_else(|| {
        GatewayError::InvalidQuery("An operation of the request says nothing.".to_owned())
    })?;
    let changes = changes::of(&snapshot, &operations);
    let changes = changes.map_err(|failed| of_operation(failed, operations.len()))?;
    let in_catalog = changes.steps.iter().any(|it| it.table.source == Source::Catalog);
    let who = (&*session, &deadline);
    let outcomes = write::execute(&gateway.core().ways, who, &snapshot, changes, once).await;
    let outcomes = outcomes.map_err(|failed| of_operation(failed, operations.len()))?;
    if in_catalog && let Err(status) = gateway.core().metadata.refresh_catalog(deadline.at()).await
    {
        tracing::warn!(error = %status, "the catalog changed but could not be read again");
    }
    Ok(operations.into_iter().zip(outcomes).collect())
}

/// Each user has keys of its own, and so has each contact that a user stands behind, and each way in.
fn once(
    session: &Session,
    idempotency_key: &str,
    operations: &[pb::TransactionOperation],
) -> Result<Option<Once>, GatewayError> {
    if idempotency_key.is_empty() {
        return Ok(None);
    }
    if idempotency_key.chars().count() > MAX_KEY {
        let message = format!("An idempotency key has {MAX_KEY} characters at most.");
        return Err(GatewayError::InvalidValue(message));
    }
    let mut digest = Sha256::new();
    operations.iter().for_each(|it| digest.update(it.encode_length_delimited_to_vec()));
    let who = session.who().map(|it| it.to_string()).join("/");
    let key = format!("grpc:{who}:{idempotency_key}");
    Ok(Some(Once { key, digest: digest.finalize().into() }))
}

fn result(operation: &Operation, outcome: Outcome) -> pb::TransactionResult {
    use pb::transaction_result::Result as Answer;
    let ((id, etag), created) = (row(&outcome), outcome.created);
    let result = match operation {
        Operation::Create(_) => Answer::Create(pb::CreateResponse { id, etag }),
        Operation::Update(_) => Answer::Update(pb::UpdateResponse { id, etag }),
        Operation::Upsert(_) => Answer::Upsert(pb::UpsertResponse { id, etag, created }),
        Operation::Delete(_) => Answer::Delete(pb::DeleteResponse {}),
        Operation::PerformAction(_) => {
            Answer::PerformAction(pb::PerformActionResponse { result: outcome.result })
        }
    };
    pb::TransactionResult { result: Some(result) }
}

fn row(outcome: &Outcome) -> (String, String) {
    let id = outcome.id.map(|it| it.to_string()).unwrap_or_default();
    (id, outcome.etag.clone().unwrap_or_default())
}

/// Tells which of several operations failed, from 1.
fn of_operation(Failed { step, error }: Failed, operations: usize) -> Status {
    let status = Status::from(error);
    let (Some(step), true) = (step, operations > 1) else { return status };
    let mut details = status.get_error_details();
    let Some(info) = details.error_info().cloned() else { return status };
    let mut metadata = info.metadata;
    metadata.insert("operation".to_owned(), (step + 1).to_string());
    details.set_error_info(info.reason, info.domain, metadata);
    Status::with_error_details(status.code(), status.message(), details)
}

fn too_many(count: usize) -> Status {
    let message = format!("A transaction has 1 to {MAX_OPERATIONS} operations.");
    let (allowed, actual) = (MAX_OPERATIONS.to_string(), count.to_string());
    let metadata =
        [("limit", "operations"), ("allowed", allowed.as_str()), ("actual", actual.as_str())];
    let reason = rpc::ErrorReason::LimitExceeded;
    rpc::status(tonic::Code::InvalidArgument, "gateway", reason, message, metadata)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_contacts_of_one_user_have_keys_of_their_own() {
        let key = |contact| {
            let session = Session::of_contact(contact);
            once(&session, "k", &[]).unwrap().unwrap().key
        };
        let [nobody, one, other] = [None, Some(1), Some(2)].map(|it| key(it.map(Uuid::from_u128)));
        assert!(nobody != one && one != other && other != nobody);
        assert_eq!(one, key(Some(Uuid::from_u128(1))));
    }
}
