//! The contracts of every provider on the wire: rows, and transactions over them.
//!
//! One server for whichever service owns the rows: what it may do differs by [`Role`], who may do it by
//! the service's [`Authority`]. Start with [`Server`]; `rows` answers single operations, `session` is
//! one transaction as long as its stream, `once` gives a repeated write its recorded answer; `audit` is
//! the trail that operations leave.

mod audit;
mod end;
mod once;
mod rows;
mod session;
mod status;
mod sweep;
mod transactions;

use std::sync::Arc;

use commit::{Error as CommitError, Schema};
use proto::query::v1::data_provider_service_server::DataProviderServiceServer;
use proto::query::v1::transaction_service_server::TransactionServiceServer;
use rpc::{ErrorReason, unavailable};
use sqlx::PgConnection;
use tonic::Status;

use crate::authority::Authority;
use crate::error::is_unavailable;
use crate::provider::Provider;
use crate::transaction::Transaction;
pub(crate) use audit::read as audit_read;
pub(crate) use status::of_operation;

/// A message with the operations of a whole batch.
const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;

/// The part that a database plays in transactions over two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It prepares, and follows the decision.
    Participant,
    /// Its commit is the decision.
    LastResource,
}

/// Serves rows and transactions of one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Server {
    provider: Provider,
    authority: Arc<dyn Authority>,
    role: Role,
    schema: Arc<Schema>,
}

// === impl Server ===

impl Server {
    /// Serves what `provider` reaches, to whom `authority` gives leave.
    #[must_use]
    pub fn new(provider: Provider, authority: Arc<dyn Authority>, role: Role) -> Self {
        Self { provider, authority, role, schema: Arc::new(Schema::new()) }
    }

    /// Adds both services to a server.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        let rows = DataProviderServiceServer::new(self.clone());
        let transactions = TransactionServiceServer::new(self.clone());
        server
            .with(rows.max_decoding_message_size(MAX_MESSAGE_BYTES))
            .with(transactions.max_decoding_message_size(rpc::LARGEST_MESSAGE_BYTES))
    }

    fn domain(&self) -> &'static str {
        self.provider.domain()
    }

    fn check_ready(&self) -> Result<(), Status> {
        if self.authority.is_ready() {
            return Ok(());
        }
        let message = "the entities' definitions have not arrived yet; try again";
        Err(unavailable(self.domain(), ErrorReason::NotReady, message))
    }

    /// Makes sure of Tombolo's own tables, beside whatever transaction is open.
    async fn ensure_schema(&self) -> Result<(), Status> {
        self.aside(async |connection| self.schema.ensure(connection).await).await
    }

    /// Runs something on a connection without an open transaction.
    async fn aside<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, CommitError>,
    ) -> Result<T, Status> {
        let done = async {
            let mut lease = self.provider.pool().lease().await?;
            let done = work(lease.connection()?).await?;
            lease.finish();
            Ok(done)
        };
        done.await.map_err(|error| {
            if matches!(&error, CommitError::Database(it) if is_unavailable(it)) {
                self.provider.pool().forget_idle();
            }
            self.not_taken(error)
        })
    }

    /// The connection of an open transaction, for what belongs to the transaction itself.
    fn inside<'t>(&self, transaction: &'t mut Transaction) -> Result<&'t mut PgConnection, Status> {
        transaction.connection().map_err(|error| self.not_taken(error.into()))
    }
}
