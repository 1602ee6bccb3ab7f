//! Environments on both sides, the one link between two of them, and add-ins (spec lifecycle-and-web-api
//! part 1).
//!
//! Whatever takes long is an *operation*: a row that [`engine`] carries on with after every crash, by stages
//! that a *workflow* describes. Handlers in [`grpc`] decide and begin operations; [`setup`],
//! [`environments`] and [`add_ins`] are the workflows. Start with [`engine`], then [`setup`].

mod add_ins;
mod adoption;
mod caller;
mod clients;
mod config;
mod databases;
mod engine;
mod environments;
mod error;
mod grpc;
mod idempotency;
mod page_token;
mod resource;
mod setup;
mod store;
mod text;
mod words;

use std::sync::Arc;

use add_ins::Catalogue;
use proto::capacity::v1::meter_service_server::MeterServiceServer;
use proto::lifecycle::v1::add_in_service_server::AddInServiceServer;
use proto::lifecycle::v1::finance_and_operations_environment_service_server::FinanceAndOperationsEnvironmentServiceServer;
use proto::lifecycle::v1::operation_service_server::OperationServiceServer;
use proto::lifecycle::v1::platform_environment_service_server::PlatformEnvironmentServiceServer;
use proto::lifecycle::v1::setup_service_server::SetupServiceServer;

pub use adoption::{Adopted, Adoption, FinanceAndOperationsHalf, PlatformHalf, Served};
pub use clients::Clients;
pub use config::Config;
use databases::Databases;
use engine::Engine;
pub use error::{Error, StartError};
use store::Store;
use tokio::task::JoinHandle;

/// What handlers and workflows work with.
pub(crate) struct Deps {
    pub(crate) config: Config,
    pub(crate) clients: Clients,
    pub(crate) store: Store,
    pub(crate) databases: Databases,
    pub(crate) add_ins: Catalogue,
}

/// The running service. Dropped, it stops where it is: another one, or the next, goes on.
pub struct Lifecycle {
    deps: Arc<Deps>,
    engine: Engine,
    /// Looks once whether the servers of environments are there, and removes what is no longer kept.
    background: [JoinHandle<()>; 2],
}

impl Lifecycle {
    /// Brings the store up to date and goes on with every operation that is open.
    ///
    /// # Errors
    ///
    /// When the tenant's database does not answer, or what is configured cannot be.
    pub async fn start(config: Config, clients: Clients) -> Result<Self, StartError> {
        config.check()?;
        let databases = Databases::new(&config)?;
        databases.programs.check()?;
        let add_ins = Catalogue::load(config.add_in_dir.as_deref())
            .map_err(|it| StartError::Config(it.to_string()))?;
        let store = Store::open(&config.database_url).await?;
        let deps = Arc::new(Deps { config, clients, store, databases, add_ins });
        let engine = Engine::start(&deps);
        let (looking, sweeping) = (Arc::clone(&deps), Arc::clone(&deps));
        let background = [
            tokio::spawn(async move { looking.databases.warn_of_what_is_missing().await }),
            tokio::spawn(environments::sweep(sweeping)),
        ];
        Ok(Self { deps, engine, background })
    }

    /// Adds the service's services to a server.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        let deps = || Arc::clone(&self.deps);
        server
            .with(AddInServiceServer::new(grpc::AddIns::new(deps())))
            .with(OperationServiceServer::new(grpc::Operations::new(deps(), self.engine.changes())))
            .with(SetupServiceServer::new(grpc::Setup::new(deps())))
            .with(PlatformEnvironmentServiceServer::new(grpc::PlatformEnvironments::new(deps())))
            .with(FinanceAndOperationsEnvironmentServiceServer::new(
                grpc::FinanceAndOperationsEnvironments::new(deps()),
            ))
            .with(MeterServiceServer::new(grpc::Meter::new(deps())))
    }
}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        self.background.iter().for_each(JoinHandle::abort);
    }
}

impl std::fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lifecycle").field("config", &self.deps.config).finish_non_exhaustive()
    }
}
