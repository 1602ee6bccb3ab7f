//! What the tenant has bought, what it uses (measured, never declared), and therefore what it may still
//! do (spec lifecycle-and-web-api §1.7).
//!
//! [`Capacity`] is the service. What the rules are is decided on plain values: start reading with
//! `standing` (entitled, used, reserved and missing), then `entitlement`, `consumption`, `operations`,
//! `notices` and `forecast`. `reservations` and `licensing` are what others may change, `sampler`
//! measures, `directory` knows the users, `store` is the database and `grpc` the wire.

mod accruals;
mod audit;
mod config;
mod consumption;
mod directory;
mod entitlement;
mod error;
mod forecast;
mod grpc;
mod licensing;
mod names;
mod notices;
mod operations;
mod page_token;
mod peer;
mod pool;
mod reservations;
mod sampler;
mod standing;
mod store;
mod tables;

use std::sync::{Arc, Mutex, PoisonError};

use proto::capacity::v1::capacity_service_server::CapacityServiceServer;
use proto::capacity::v1::licence_service_server::LicenceServiceServer;
use proto::capacity::v1::reservation_service_server::ReservationServiceServer;
use proto::capacity::v1::user_licence_service_server::UserLicenceServiceServer;
use tokio::task::AbortHandle;

pub use config::Config;
use directory::Directory;
use sampler::Sampler;
use store::Store;
use tables::TablePools;

/// The service. Cheap to clone; measures until the last clone is dropped, and the last server that it
/// is registered with.
#[derive(Clone, Debug)]
pub struct Capacity {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    store: Store,
    directory: Directory,
    sampler: Arc<Sampler>,
    task: Mutex<Option<AbortHandle>>,
}

/// The service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be used.
    #[error("the capacity store: {0}")]
    Store(#[from] schema::OpenError),
    /// The accrual table cannot be taken over.
    #[error("the accrual table cannot be taken over: {0}")]
    Import(String),
    /// A table that comes with this release is broken.
    #[error("a table that comes with this release is broken: {0}")]
    Tables(#[from] toml::de::Error),
}

// === impl Capacity ===

impl Capacity {
    /// Opens the store, and takes over the accrual table of this release; rows that an administrator
    /// changed stay. `user_context` is asked who there is.
    ///
    /// # Errors
    ///
    /// When the store cannot be used.
    pub async fn start(config: Config, user_context: rpc::Channel) -> Result<Self, StartError> {
        let accruals = accruals::built_in()?;
        let pools = TablePools::built_in()?;
        let store = Store::open(&config.database_url).await?;
        import(&store, &accruals).await.map_err(|it| StartError::Import(it.to_string()))?;
        let (period, timeout) = (config.sampling_period(), config.measure_timeout());
        let sampler = Arc::new(Sampler::new(store.clone(), pools, period, timeout));
        let directory = Directory::new(user_context);
        let state = State { store, directory, sampler, task: Mutex::default() };
        Ok(Self { state: Arc::new(state) })
    }

    /// Measures from now on, once per period and what is new at once, through the lifecycle service behind
    /// the channel. Until it is called nothing is measured; a second call changes nothing.
    pub fn measure(&self, lifecycle: rpc::Channel) {
        let sampler = &self.state.sampler;
        if !sampler.set_lifecycle(lifecycle) {
            return;
        }
        let task = tokio::spawn(sampler::rounds::follow(Arc::clone(sampler))).abort_handle();
        *self.state.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Adds the services to a server.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        let service = grpc::Service::new(Arc::clone(&self.state));
        server
            .with(CapacityServiceServer::new(service.clone()))
            .with(LicenceServiceServer::new(service.clone()))
            .with(ReservationServiceServer::new(service.clone()))
            .with(UserLicenceServiceServer::new(service))
    }
}

async fn import(store: &Store, accruals: &[accruals::Accrual]) -> Result<(), error::Error> {
    let mut change = store.change().await?;
    store::accruals::import(change.connection(), accruals).await?;
    change.commit(&[]).await
}

impl Drop for State {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        task.iter().for_each(AbortHandle::abort);
    }
}
