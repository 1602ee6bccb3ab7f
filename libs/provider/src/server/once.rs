//! Writes that may be repeated: their answers are recorded with what they did.

use std::time::Duration;

use commit::idempotency::{self, Known};
use prost::Message as _;
use proto::query::v1 as pb;
use rpc::{CallContext, ErrorReason, status};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use super::Server;
use crate::transaction::Transaction;

/// Longest key that is kept.
const MAX_KEY_BYTES: usize = 1024;
/// Before a write that met another transaction is tried again.
const CONFLICT_DELAYS: [Duration; 3] =
    [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(250)];

impl Server {
    /// One operation as a whole, or the answer that it had.
    pub(super) async fn write_once(
        &self,
        context: &CallContext,
        key: String,
        operation: pb::Operation,
    ) -> Result<pb::OperationResult, Status> {
        let digest = Sha256::digest(operation.encode_to_vec()).to_vec();
        let request = self.once(context, key, digest)?;
        // Boxed: it holds the space of everything that a write may come to.
        let written = Box::pin(async {
            self.ensure_schema().await?;
            let mut delays = CONFLICT_DELAYS.iter();
            loop {
                let tried = self.try_once(context, &request, operation.clone()).await;
                match (tried, delays.next()) {
                    (Err(refused), Some(delay)) if is_conflict(&refused) => {
                        tokio::time::sleep(*delay).await;
                    }
                    (tried, _) => return tried,
                }
            }
        });
        self.within(context, written).await
    }

    async fn try_once(
        &self,
        context: &CallContext,
        request: &idempotency::Request,
        operation: pb::Operation,
    ) -> Result<pb::OperationResult, Status> {
        let mut transaction = self.begin(context).await?;
        if let Some(mut recorded) = self.recorded(&mut transaction, request).await? {
            let one = recorded.results.pop();
            return one.ok_or_else(|| Status::internal("the recorded answer is empty"));
        }
        let done = self.execute(&mut transaction, operation).await?;
        let results = pb::OperationResults { results: vec![done.clone()] };
        self.record(&mut transaction, request, &results).await?;
        self.commit_transaction(transaction).await?;
        Ok(done)
    }

    /// Whose key it is, and of what.
    pub(super) fn once(
        &self,
        context: &CallContext,
        key: String,
        digest: Vec<u8>,
    ) -> Result<idempotency::Request, Status> {
        if key.len() > MAX_KEY_BYTES || key.contains('\0') {
            let message = "an idempotency key has at most 1024 bytes and no NUL character";
            return Err(self.invalid_value("idempotency_key", message));
        }
        let caller = context.caller.system_user_id.to_string();
        Ok(idempotency::Request { caller, key, digest })
    }

    /// The answer of a request that was done before.
    pub(super) async fn recorded(
        &self,
        transaction: &mut Transaction,
        request: &idempotency::Request,
    ) -> Result<Option<pb::OperationResults>, Status> {
        let connection = self.inside(transaction)?;
        let known = idempotency::begin(connection, request).await;
        match known.map_err(|error| self.not_taken(error))? {
            Known::Fresh => Ok(None),
            Known::Answered(answer) => {
                let recorded = pb::OperationResults::decode(answer.as_slice());
                recorded.map(Some).map_err(|error| {
                    tracing::error!(%error, "a recorded answer cannot be read");
                    Status::internal("the recorded answer cannot be read")
                })
            }
            Known::Reused => {
                let message = "the idempotency key came before with another request";
                let metadata = [("idempotency_key", request.key.as_str())];
                let reason = ErrorReason::IdempotencyKeyReused;
                Err(status(Code::FailedPrecondition, self.domain(), reason, message, metadata))
            }
        }
    }

    /// Keeps the answer of a fresh request.
    pub(super) async fn record(
        &self,
        transaction: &mut Transaction,
        request: &idempotency::Request,
        results: &pb::OperationResults,
    ) -> Result<(), Status> {
        let connection = self.inside(transaction)?;
        let answer = results.encode_to_vec();
        let recorded = idempotency::finish(connection, request, &answer).await;
        recorded.map_err(|error| self.not_taken(error))
    }
}

/// Another transaction got in the way, and nothing was done.
fn is_conflict(refused: &Status) -> bool {
    rpc::reason(refused) == Some(ErrorReason::WriteConflict)
}
