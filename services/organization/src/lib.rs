//! The platform's native tables: the organization, its users, its companies. Their definitions are
//! a model like an ERP's, in `model/`, and their rows are read by the same provider.
//!
//! [`Organization::start`] migrates the store; `grpc` serves rows, table definitions, and the
//! imports by which other services keep users and companies up to date. What can be installed is in
//! `packages`, and `environments` finds the organizations of other environments, to set them up.

mod authority;
mod config;
mod environments;
mod error;
mod grpc;
mod installed;
mod language;
mod mapped;
mod native;
mod packages;
mod portal;
mod roles;
mod store;

use std::sync::Arc;

use authority::PlatformRights;
pub use config::Config;
use environments::Environments;
pub use error::{Error, StartError};
use installed::Installed;
use mapped::Mapped;
use native::NativeTables;
use portal::PortalMappings;
use proto::lifecycle::v1::provisioning_service_server::ProvisioningServiceServer;
use proto::organization::v1::background_operation_service_server::BackgroundOperationServiceServer;
use proto::organization::v1::organization_service_server::OrganizationServiceServer;
use proto::organization::v1::portal_service_server::PortalServiceServer;
use proto::query::v1::metadata_provider_service_server::MetadataProviderServiceServer;
use provider::{ChangeTracking, Pool, PoolOptions, Provider, Role, Sharing};
use rpc::Channel;
use store::Store;
use tokio::task::JoinHandle;

/// The running service.
#[derive(Debug)]
pub struct Organization {
    store: Store,
    tables: Arc<NativeTables>,
    portal: Arc<PortalMappings>,
    rows: provider::Server,
    changes: ChangeTracking,
    provisioning: Arc<grpc::Provisioning>,
    tasks: [JoinHandle<()>; 6],
}

impl Organization {
    /// Migrates the store. Asks the user-context service behind `user_context` about portal users, and what roles
    /// let be read.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn start(config: Config, user_context: Channel) -> Result<Self, StartError> {
        let tables = Arc::new(NativeTables::new()?);
        let store = Store::open(&config.database_url).await?;
        let installed = Installed::new(store.clone(), Arc::clone(&tables));
        installed.complete().await?;
        installed.catch_up().await?;
        let pool = Pool::new(&config.database_url, &PoolOptions::default())?;
        let mapped = Mapped::new(store.clone());
        mapped.catch_up().await?;
        let roles = roles::follow(store.clone(), user_context.clone());
        let rights = PlatformRights::new(Arc::clone(&tables), mapped.clone(), user_context);
        let rights = Arc::new(rights);
        let provider = Provider::new(pool, error::DOMAIN);
        let retention = config.change_retention();
        let changes = ChangeTracking::new(provider.clone(), rights.clone(), retention);
        changes.want(tables.bindings());
        let rows = provider::Server::new(provider, rights, Role::Participant);
        let portal = Arc::new(PortalMappings::new(store.clone()));
        let environments = Environments::new(config.database_url, store.clone())?;
        let provisioning = Arc::new(grpc::Provisioning::new(environments, installed.clone()));
        let tasks = [
            tokio::spawn(installed.follow()),
            tokio::spawn(mapped.follow()),
            tokio::spawn(roles),
            tokio::spawn(rows.clone().sweep()),
            tokio::spawn(changes.clone().run()),
            tokio::spawn(Arc::clone(&portal).follow()),
        ];
        Ok(Self { store, tables, portal, rows, changes, provisioning, tasks })
    }

    /// Adds the organization's services to a server.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        let metadata = grpc::Metadata::new(Arc::clone(&self.tables));
        let background = grpc::Background::new(self.store.clone());
        let server = server
            .with(ProvisioningServiceServer::from_arc(Arc::clone(&self.provisioning)))
            .with(BackgroundOperationServiceServer::new(background))
            .with(OrganizationServiceServer::new(grpc::Directory::new(self.store.clone())))
            .with(MetadataProviderServiceServer::new(metadata))
            .with(PortalServiceServer::new(grpc::Portal::new(Arc::clone(&self.portal))));
        let server = Sharing::new(self.changes.clone()).register(server);
        self.changes.register(self.rows.register(server))
    }
}

impl Drop for Organization {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
