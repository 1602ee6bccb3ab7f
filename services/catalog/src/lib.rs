//! Knows which data entities exist and which are visible as virtual tables (spec virtual-entities
//! §2), and publishes both: tables to the gateway, definitions to the adapter.
//!
//! [`Catalog::start`] reads the model, brings the store up to it, and publishes the first snapshot.
//! Every change goes through `changes`, one at a time; readers get whole snapshots from a channel
//! that always holds the newest. Start with `changes`.

mod changes;
mod config;
mod declared;
mod error;
mod grpc;
mod list_entity;
mod listener;
mod page_token;
mod snapshot;
mod store;
mod tracking;

use std::sync::Arc;

use proto::catalog::v1::catalog_service_server::CatalogServiceServer;
use proto::catalog::v1::relationship_service_server::RelationshipServiceServer;
use proto::lifecycle::v1::provisioning_service_server::ProvisioningServiceServer;
use proto::query::v1::data_provider_service_server::DataProviderServiceServer;
use proto::query::v1::metadata_provider_service_server::MetadataProviderServiceServer;
use tokio::task::JoinHandle;

use changes::Changes;
pub use config::Config;
pub use error::{Error, StartError};

/// The running catalog.
#[derive(Debug)]
pub struct Catalog {
    changes: Arc<Changes>,
    provisioning: Arc<grpc::Provisioning>,
    listener: JoinHandle<()>,
}

impl Catalog {
    /// Reads the model, migrates the store and publishes what is visible.
    ///
    /// # Errors
    ///
    /// When the model is wrong, with every mistake's file and line; or the store does not answer.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let changes = Arc::new(Changes::start(&config).await?);
        let provisioning = Arc::new(grpc::Provisioning::new(config.database_url.clone())?);
        let listener = tokio::spawn(listener::follow(Arc::clone(&changes), config.database_url));
        Ok(Self { changes, provisioning, listener })
    }

    /// Adds the catalog's services to a server.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        let changes = || Arc::clone(&self.changes);
        server
            .with(ProvisioningServiceServer::from_arc(Arc::clone(&self.provisioning)))
            .with(CatalogServiceServer::new(grpc::Administration::new(changes())))
            .with(RelationshipServiceServer::new(grpc::Relationships::new(changes())))
            .with(MetadataProviderServiceServer::new(grpc::Metadata::new(changes())))
            .with(DataProviderServiceServer::new(grpc::ListProvider::new(changes())))
    }
}

impl Drop for Catalog {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
