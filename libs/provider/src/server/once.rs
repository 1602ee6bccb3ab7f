//! Writes that may be repeated: their answers are recorded with what they did.

use std::time::Duration;

use commit::idempotency::{self, Known};
use prost::Message as _;
use proto::query::v1 as pb;
use rpc::{CallContext, Caller, ErrorReason, status};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use super::Server;
use crate::authority::{bare, judge};
use crate::transaction::Transaction;

/// Longest key that is kept.
const MAX_KEY_BYTES: usize = 1024;
/// Before a write that met another transaction is tried again.
const CONFLICT_DELAYS: [Duration; 3] =
    [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(250)];

/// What is kept of a request: an [`pb::OperationResults`], and what leave it takes to be told it.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Recorded {
    #[prost(message, repeated, tag = "1")]
    pub(super) results: Vec<pb::OperationResult>,
    /// Each entity and kind of operation once, without values.
    #[prost(message, repeated, tag = "2")]
    operations: Vec<pb::Operation>,
}

impl Server {
    /// One operation as a whole, or the answer that it had.
    pub(super) async fn write_once(
        &self,
        context: &CallContext,
        key: String,
        operation: pb::Operation,
    ) -> Result<pb::OperationResult, Status> {
        self.judge(context, &operation)?;
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
        if let Some(mut recorded) = self.recorded(context, &mut transaction, request).await? {
            transaction.rollback().await;
            let one = recorded.results.pop();
            return one.ok_or_else(|| Status::internal("the recorded answer is empty"));
        }
        let mut recorded = Recorded::default();
        recorded.add_operation(&operation);
        let done = match self.execute(&mut transaction, operation).await {
            Ok(done) => done,
            Err(refused) => {
                transaction.rollback().await;
                return Err(refused);
            }
        };
        recorded.results.push(done.clone());
        self.record(&mut transaction, request, &recorded).await?;
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
        Ok(idempotency::Request { caller: who(&context.caller), key, digest })
    }

    /// Refuses what the caller has no leave for, whatever its row is.
    fn judge(&self, context: &CallContext, operation: &pb::Operation) -> Result<(), Status> {
        let judged = judge(self.authority.as_ref(), &context.caller, operation);
        judged.map_err(|error| self.refused(error, ""))
    }

    /// The answer of a request that was done before, while the caller may still ask for it.
    pub(super) async fn recorded(
        &self,
        context: &CallContext,
        transaction: &mut Transaction,
        request: &idempotency::Request,
    ) -> Result<Option<pb::OperationResults>, Status> {
        let connection = self.inside(transaction)?;
        let known = idempotency::begin(connection, request).await;
        match known.map_err(|error| self.not_taken(error))? {
            Known::Fresh => Ok(None),
            Known::Answered(answer) => {
                let recorded = Recorded::decode(answer.as_slice()).map_err(|error| {
                    tracing::error!(%error, "a recorded answer cannot be read");
                    Status::internal("the recorded answer cannot be read")
                })?;
                for operation in &recorded.operations {
                    self.judge(context, operation)?;
                }
                Ok(Some(pb::OperationResults { results: recorded.results }))
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
        recorded: &Recorded,
    ) -> Result<(), Status> {
        let connection = self.inside(transaction)?;
        let answer = recorded.encode_to_vec();
        let recorded = idempotency::finish(connection, request, &answer).await;
        recorded.map_err(|error| self.not_taken(error))
    }
}

impl Recorded {
    /// Remembers what leave it takes.
    pub(super) fn add_operation(&mut self, operation: &pb::Operation) {
        let operation = bare(operation);
        if !self.operations.contains(&operation) {
            self.operations.push(operation);
        }
    }
}

/// Tells callers apart who may see different things: what somebody may do for another is not what the
/// other may, and what one of a portal's visitors was answered is for no other who has the same user.
fn who(caller: &Caller) -> String {
    let callers = caller.principals().map(|it| match it.contact {
        Some(contact) => format!("{}:{contact}", it.system_user_id),
        None => it.system_user_id.to_string(),
    });
    callers.collect::<Vec<_>>().join("/")
}

/// Another transaction got in the way, and nothing was done.
fn is_conflict(refused: &Status) -> bool {
    rpc::reason(refused) == Some(ErrorReason::WriteConflict)
}

#[cfg(test)]
mod tests {
    use rpc::{Companies, Identity, Principal, RoleDefinitions};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn nobody_is_told_what_another_was_answered() {
        let principal = |user: u128, contact: u128| Principal {
            system_user_id: Uuid::from_u128(user),
            name: "u".into(),
            erp_user: "u".into(),
            roles: Vec::new(),
            companies: Companies::All,
            contact: (contact > 0).then(|| Uuid::from_u128(contact)),
        };
        let mut callers = Vec::new();
        for contact in 0..3 {
            for sender in [None, Some(principal(1, 0)), Some(principal(2, 0))] {
                let identity = Identity { sender, ..Identity::of(principal(1, contact)) };
                callers.push(who(&identity.into_caller(&RoleDefinitions::default())));
            }
        }
        let different: std::collections::HashSet<_> = callers.iter().collect();
        assert_eq!(different.len(), callers.len(), "{callers:?}");
    }
}
