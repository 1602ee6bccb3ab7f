//! How transactions begin, work and end.

use std::future::Future;
use std::sync::Arc;

use commit::TransactionId;
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation as Kind;
use rpc::CallContext;
use tonic::Status;

use super::audit::Trail;
use super::{Role, Server};
use crate::transaction::Transaction;

impl Server {
    pub(super) async fn begin(&self, context: &CallContext) -> Result<Transaction, Status> {
        let begun = Transaction::begin(&self.provider, context).await;
        begun.map_err(|error| self.refused(error, ""))
    }

    pub(super) async fn execute(
        &self,
        transaction: &mut Transaction,
        operation: pb::Operation,
    ) -> Result<pb::OperationResult, Status> {
        let entity = entity(&operation).to_owned();
        let (trail, caller) = (Trail::of(&operation), Arc::clone(transaction.caller()));
        let done = transaction.execute(self.authority.as_ref(), operation).await;
        let done = done.map_err(|error| self.refused(error, &entity));
        if let Some(trail) = trail {
            trail.end(&caller, &done);
        }
        done
    }

    pub(super) async fn commit_transaction(&self, transaction: Transaction) -> Result<(), Status> {
        transaction.commit().await.map_err(|error| self.refused(error, ""))
    }

    /// Commits, with the record that decides for the other side.
    pub(super) async fn commit_deciding(
        &self,
        transaction: Transaction,
        (id, link): (TransactionId, &str),
    ) -> Result<(), Status> {
        if self.role != Role::LastResource {
            return Err(self.not_supported("hold decision records"));
        }
        self.ensure_schema().await?;
        commit::step("erp-committing");
        transaction.commit_deciding(id, link).await.map_err(|error| self.refused(error, ""))
    }

    pub(super) async fn prepare_transaction(
        &self,
        transaction: Transaction,
        (id, link): (TransactionId, &str),
    ) -> Result<(), Status> {
        if self.role != Role::Participant {
            return Err(self.not_supported("prepare transactions"));
        }
        self.ensure_schema().await?;
        transaction.prepare(id, link).await.map_err(|error| self.refused(error, ""))
    }

    /// What is not done by the deadline is dropped, and with it its transaction.
    pub(super) async fn within<T>(
        &self,
        context: &CallContext,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let done = tokio::time::timeout(context.remaining(), work).await;
        done.unwrap_or_else(|_| Err(self.too_late("the deadline passed before the write was done")))
    }

    pub(super) fn transaction_id(&self, text: &str) -> Result<TransactionId, Status> {
        let malformed =
            |it: commit::MalformedId| self.invalid_value("transaction_id", &it.to_string());
        text.parse().map_err(malformed)
    }
}

fn entity(operation: &pb::Operation) -> &str {
    match &operation.operation {
        Some(Kind::Create(it)) => &it.entity_name,
        Some(Kind::Update(it)) => &it.entity_name,
        Some(Kind::Upsert(it)) => &it.entity_name,
        Some(Kind::Delete(it)) => &it.entity_name,
        Some(Kind::PerformAction(it)) => &it.entity_name,
        Some(Kind::Retrieve(it)) => &it.entity_name,
        None => "",
    }
}
