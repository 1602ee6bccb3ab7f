//! The platform's native tables: the organization, its users, its companies. Their definitions are
//! a model like an ERP's, in `model/`, and their rows are read by the same provider.
//!
//! [`Organization::start`] migrates the store; `grpc` serves rows, table definitions, and the
//! imports by which other services keep users and companies up to date.

mod config;
mod error;
mod grpc;
mod native;
mod store;

use std::sync::Arc;

pub use config::Config;
pub use error::{Error, StartError};
use native::NativeTables;
use proto::organization::v1::organization_service_server::OrganizationServiceServer;
use proto::query::v1::data_provider_service_server::DataProviderServiceServer;
use proto::query::v1::metadata_provider_service_server::MetadataProviderServiceServer;
use provider::{Pool, PoolOptions, Provider};
use store::Store;

/// The running service.
#[derive(Debug)]
pub struct Organization {
    store: Store,
    tables: Arc<NativeTables>,
    provider: Provider,
}

impl Organization {
    /// Migrates the store.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let tables = Arc::new(NativeTables::new()?);
        let store = Store::open(&config.database_url).await?;
        let pool = Pool::new(&config.database_url, &PoolOptions::default())?;
        Ok(Self { store, tables, provider: Provider::new(pool, error::DOMAIN) })
    }

    /// Adds the organization's services to a server.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        let tables = || Arc::clone(&self.tables);
        let rows = grpc::RowProvider::new(tables(), self.provider.clone());
        server
            .with(OrganizationServiceServer::new(grpc::Directory::new(self.store.clone())))
            .with(MetadataProviderServiceServer::new(grpc::Metadata::new(tables())))
            .with(DataProviderServiceServer::new(rows))
    }
}
