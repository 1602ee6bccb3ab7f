//! One transaction of one database: opened, worked in, ended. What is dropped was never there.

use std::time::Instant;

use proto::query::v1 as pb;
use rpc::{CallContext, Caller};
use sqlx::postgres::PgConnection;

use crate::authority::Authority;
use crate::error::Error;
use crate::pool::Lease;
use crate::provider::Provider;

/// A transaction that is open, on behalf of one caller.
#[derive(Debug)]
pub struct Transaction {
    lease: Lease,
    provider: Provider,
    caller: std::sync::Arc<Caller>,
    deadline: Instant,
}

// === impl Transaction ===

impl Transaction {
    /// Opens a transaction on a connection of the provider's pool.
    ///
    /// # Errors
    ///
    /// When the database does not answer, or the deadline passes.
    pub async fn begin(provider: &Provider, context: &CallContext) -> Result<Self, Error> {
        let mut lease = provider.pool().lease().await.map_err(Error::database)?;
        let connection = lease.connection().map_err(Error::database)?;
        sqlx::raw_sql("BEGIN").execute(connection).await.map_err(Error::database)?;
        let (provider, caller) = (provider.clone(), std::sync::Arc::clone(&context.caller));
        Ok(Self { lease, provider, caller, deadline: context.deadline })
    }

    /// Does one thing, as the caller and with the leave that `authority` gives. After an error the
    /// transaction can only be dropped.
    ///
    /// # Errors
    ///
    /// Whatever stands in the way of the operation.
    pub async fn execute(
        &mut self,
        _authority: &dyn Authority,
        _operation: pb::Operation,
    ) -> Result<pb::OperationResult, Error> {
        let _ = (&self.provider, &self.caller, self.deadline);
        Err(Error::InvalidQuery("writing is not offered yet".to_owned()))
    }

    /// The connection, for what belongs to the transaction itself: decision records, recorded answers.
    pub fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.lease.connection()
    }

    /// Makes it durable and seen.
    ///
    /// # Errors
    ///
    /// When a deferred constraint does not hold, or the database went away: then nobody knows.
    pub async fn commit(mut self) -> Result<(), Error> {
        let connection = self.lease.connection().map_err(Error::database)?;
        sqlx::raw_sql("COMMIT").execute(connection).await.map_err(Error::database)?;
        self.lease.finish();
        Ok(())
    }

    /// Ends the transaction by `PREPARE TRANSACTION` with this name, a literal that is safe to quote.
    ///
    /// # Errors
    ///
    /// As [`Self::commit`].
    pub async fn prepare(mut self, _name: &str) -> Result<(), Error> {
        let connection = self.lease.connection().map_err(Error::database)?;
        let _ = connection;
        Err(Error::InvalidQuery("preparing is not offered yet".to_owned()))
    }
}
