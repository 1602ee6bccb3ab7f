//! Single writes: as one statement where that does it, otherwise as a transaction, tried again when
//! another one got in the way.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use proto::query::v1 as pb;
use rpc::CallContext;
use tonic::Status;

use super::Provider;
use crate::authority::{Authority, judge};
use crate::error::Error;
use crate::transaction::Transaction;
use crate::write::{self, Session};

/// A conflict is over when the other transaction has ended, which takes about as long as a write.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
const MOST_TRIES: usize = 10;

impl Provider {
    /// One operation, wholly or not at all.
    ///
    /// # Errors
    ///
    /// As [`pb::data_provider_service_server::DataProviderService`] says of the operation.
    pub async fn write(
        &self,
        context: &CallContext,
        authority: &dyn Authority,
        operation: pb::Operation,
    ) -> Result<pb::OperationResult, Status> {
        let entity = entity_name(&operation).to_owned();
        let done = Box::pin(self.write_patiently(context, authority, operation));
        let done = tokio::time::timeout(context.remaining(), done).await;
        done.unwrap_or(Err(Error::DeadlineExceeded))
            .map_err(|error| error.into_status(self.domain, &entity))
    }

    async fn write_patiently(
        &self,
        context: &CallContext,
        authority: &dyn Authority,
        operation: pb::Operation,
    ) -> Result<pb::OperationResult, Error> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(MOST_TRIES)
            .with_jitter()
            .build();
        loop {
            match self.write_once(context, authority, operation.clone()).await {
                Err(Error::Conflict) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(Error::Conflict),
                },
                done => return done,
            }
        }
    }

    async fn write_once(
        &self,
        context: &CallContext,
        authority: &dyn Authority,
        operation: pb::Operation,
    ) -> Result<pb::OperationResult, Error> {
        judge(authority, &context.caller, &operation)?;
        let leased = self.pool.lease_to_write(context.caller.user.system_user_id).await;
        let mut lease = leased.map_err(Error::database)?;
        let mut session = Session {
            connection: lease.connection().map_err(Error::database)?,
            provider: self,
            authority,
            caller: &context.caller,
            deadline: context.deadline,
            patience: self.pool.lock_timeout(),
            origin: Arc::default(),
            known: None,
        };
        if write::is_one_statement(&mut session, &operation).await? {
            let done = write::execute(&mut session, operation).await;
            match &done {
                // Nobody knows what the connection is in the middle of, nor what its like are.
                Err(Error::Unavailable(_)) => self.pool.forget_idle(),
                _ => lease.finish(),
            }
            return done;
        }
        lease.finish();
        let mut transaction = Transaction::begin(self, context).await?;
        match transaction.execute(authority, operation).await {
            Ok(done) => transaction.commit().await.map(|()| done),
            Err(refused) => {
                transaction.rollback().await;
                Err(refused)
            }
        }
    }
}

fn entity_name(operation: &pb::Operation) -> &str {
    use pb::operation::Operation as Kind;
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
