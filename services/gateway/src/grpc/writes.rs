//! The calls that write.

use proto::gateway::v1 as pb;
use tonic::{Request, Response, Status};

use super::handlers::GrpcGateway;
use crate::error::GatewayError;

pub(super) async fn create(
    _gateway: &GrpcGateway,
    _request: Request<pb::CreateRequest>,
) -> Result<Response<pb::CreateResponse>, Status> {
    Err(GatewayError::NotOffered("Writing".to_owned()).into())
}

pub(super) async fn update(
    _gateway: &GrpcGateway,
    _request: Request<pb::UpdateRequest>,
) -> Result<Response<pb::UpdateResponse>, Status> {
    Err(GatewayError::NotOffered("Writing".to_owned()).into())
}

pub(super) async fn upsert(
    _gateway: &GrpcGateway,
    _request: Request<pb::UpsertRequest>,
) -> Result<Response<pb::UpsertResponse>, Status> {
    Err(GatewayError::NotOffered("Writing".to_owned()).into())
}

pub(super) async fn delete(
    _gateway: &GrpcGateway,
    _request: Request<pb::DeleteRequest>,
) -> Result<Response<pb::DeleteResponse>, Status> {
    Err(GatewayError::NotOffered("Writing".to_owned()).into())
}

pub(super) async fn perform_action(
    _gateway: &GrpcGateway,
    _request: Request<pb::PerformActionRequest>,
) -> Result<Response<pb::PerformActionResponse>, Status> {
    Err(GatewayError::NotOffered("Writing".to_owned()).into())
}

pub(super) async fn execute_transaction(
    _gateway: &GrpcGateway,
    _request: Request<pb::ExecuteTransactionRequest>,
) -> Result<Response<pb::ExecuteTransactionResponse>, Status> {
    Err(GatewayError::NotOffered("Writing".to_owned()).into())
}
