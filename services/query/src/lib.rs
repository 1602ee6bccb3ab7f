//! The adapter (`CDSVirtualEntityAdapterService`, spec virtual-entities §1.1): rows of the ERP's data
//! entities, read live, as the invoking user and with that user's rights in every statement.
//!
//! [`Query::start`] follows the catalog's definitions and answers the provider contract from the
//! ERP's database. The translation itself is `libs/provider`; what is decided here is who may read
//! which entity, and what is known about entities. Start with `grpc`.

mod config;
mod definitions;
mod grpc;

use std::sync::Arc;

pub use config::Config;
use definitions::Definitions;
use proto::query::v1::data_provider_service_server::DataProviderServiceServer;
use provider::{Pool, PoolOptions, Provider};
use tokio::task::JoinHandle;

/// The running adapter.
#[derive(Debug)]
pub struct Query {
    definitions: Arc<Definitions>,
    provider: Provider,
    follower: JoinHandle<()>,
}

impl Query {
    /// Follows the catalog behind `catalog` and reads from the configured ERP. Connects to both when
    /// first needed, and again whenever they were away.
    ///
    /// # Errors
    ///
    /// When the ERP's URL is malformed.
    pub fn start(config: &Config, catalog: rpc::Channel) -> Result<Self, provider::Error> {
        let options = PoolOptions { max_size: config.erp_connections, ..PoolOptions::default() };
        let provider = Provider::new(Pool::new(&config.erp_url, &options)?, grpc::DOMAIN);
        let definitions = Arc::new(Definitions::new());
        let follower = tokio::spawn(Arc::clone(&definitions).follow(catalog));
        Ok(Self { definitions, provider, follower })
    }

    /// Adds the adapter's service to a server.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        let adapter = grpc::Adapter::new(Arc::clone(&self.definitions), self.provider.clone());
        server.with(DataProviderServiceServer::new(adapter))
    }

    /// Returns when the first definitions have arrived.
    pub async fn ready(&self) {
        self.definitions.ready().await;
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        self.follower.abort();
    }
}
