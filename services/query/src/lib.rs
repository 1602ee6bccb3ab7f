//! The adapter (`CDSVirtualEntityAdapterService`, spec virtual-entities §1.1): rows of the ERP's data
//! entities, read live, as the invoking user and with that user's rights in every statement.
//!
//! [`Query::start`] follows the catalog's definitions and answers the provider contract from the
//! ERP's database. The translation and the wire are `libs/provider`; what is decided here is who may do
//! what with which entity (`authority`), and what is known about entities (`definitions`).

mod authority;
mod changes;
mod config;
mod definitions;

use std::sync::Arc;

use authority::ErpRights;
pub use config::Config;
use definitions::Definitions;
use provider::{BusinessLogic, ChangeTracking, Pool, PoolOptions, Provider, Role, Sharing};
use rpc::ServiceIdentity;
use tokio::task::JoinHandle;

/// The service's name in errors.
const DOMAIN: &str = "query";

/// The running adapter.
#[derive(Debug)]
pub struct Query {
    definitions: Arc<Definitions>,
    server: provider::Server,
    changes: ChangeTracking,
    tasks: [JoinHandle<()>; 4],
}

impl Query {
    /// Follows the catalog behind `catalog` and reads from the configured ERP; calls business-logic services
    /// as `identity`. Connects to both when
    /// first needed, and again whenever they were away.
    ///
    /// # Errors
    ///
    /// When the ERP's URL is malformed, or the address of a business-logic service.
    pub fn start(
        config: &Config,
        catalog: rpc::Channel,
        identity: &ServiceIdentity,
    ) -> Result<Self, provider::Error> {
        let options = PoolOptions { max_size: config.erp_connections, ..PoolOptions::default() };
        let provider = Provider::new(Pool::new(&config.erp_url, &options)?, DOMAIN)
            .with_business_logic(BusinessLogic::new(&config.business_logic, identity)?);
        let definitions = Arc::new(Definitions::new());
        let rights = Arc::new(ErpRights::new(Arc::clone(&definitions)));
        let changes =
            ChangeTracking::new(provider.clone(), rights.clone(), config.change_retention());
        let server = provider::Server::new(provider, rights, Role::LastResource);
        let follower = tokio::spawn(Arc::clone(&definitions).follow(catalog));
        let sweeper = tokio::spawn(server.clone().sweep());
        let capture = tokio::spawn(changes.clone().run());
        let wanted = tokio::spawn(changes::follow(Arc::clone(&definitions), changes.clone()));
        let tasks = [follower, sweeper, capture, wanted];
        Ok(Self { definitions, server, changes, tasks })
    }

    /// Adds the adapter's services to a server.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        let server = Sharing::new(self.changes.clone()).register(server);
        self.changes.register(self.server.register(server))
    }

    /// Returns when the first definitions have arrived.
    pub async fn ready(&self) {
        self.definitions.ready().await;
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
