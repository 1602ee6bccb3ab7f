//! Keeps rows that must exist on both sides the same, in both directions (spec dual-write-and-events,
//! part A).
//!
//! [`DualWrite`] is the service. `map` is what a table map says, as plain values: start reading there.
//! `maps` keeps the maps of the link and moves them from state to state; `live` translates what the gateway
//! shares in a user's own transaction; `initial_sync` copies what was there before; `follow` takes from each
//! side's log what was not shared, and replays what waited; `alerts` watches failures, `reconcile` compares both
//! sides, `health` looks whether the pair can work. `peers` is the way to the sides, `store` the database
//! and `grpc` the wire.

mod access;
mod alerts;
#[cfg(test)]
mod cases;
mod config;
mod core;
mod error;
mod follow;
mod grpc;
mod health;
mod image;
mod initial_sync;
mod live;
mod map;
mod maps;
mod metrics;
mod names;
mod page_token;
mod peers;
mod reconcile;
mod store;

use std::sync::Arc;

use proto::dual_write::v1::alert_service_server::AlertServiceServer;
use proto::dual_write::v1::initial_sync_service_server::InitialSyncServiceServer;
use proto::dual_write::v1::link_service_server::LinkServiceServer;
use proto::dual_write::v1::live_sync_service_server::LiveSyncServiceServer;
use proto::dual_write::v1::map_service_server::MapServiceServer;
use proto::dual_write::v1::reconciliation_service_server::ReconciliationServiceServer;
use proto::dual_write::v1::sync_error_service_server::SyncErrorServiceServer;
use tokio::task::AbortHandle;

pub use config::{Config, Mail};
pub use peers::Clients;

/// The longest answer: a solution file, or a page of maps.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// The service. Works until it is dropped.
#[derive(Debug)]
pub struct DualWrite {
    core: Arc<core::Core>,
    tasks: Vec<AbortHandle>,
}

/// The service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be used.
    #[error("the dual-write store: {0}")]
    Store(#[from] schema::OpenError),
}

// === impl DualWrite ===

impl DualWrite {
    /// Opens the store, and goes on with whatever was under way.
    ///
    /// # Errors
    ///
    /// When the store cannot be used.
    pub async fn start(config: Config, clients: Clients) -> Result<Self, StartError> {
        let store = store::Store::open(&config.database_url).await?;
        let sides = peers::Sides::new(&clients);
        let maps = maps::Maps::new(&clients);
        let core = Arc::new(core::Core { config, store, sides, maps, clients });
        let tasks = vec![
            tokio::spawn(maps::run(Arc::clone(&core))).abort_handle(),
            tokio::spawn(health::run(Arc::clone(&core))).abort_handle(),
            tokio::spawn(alerts::run(Arc::clone(&core))).abort_handle(),
            tokio::spawn(initial_sync::run(Arc::clone(&core))).abort_handle(),
            tokio::spawn(reconcile::run(Arc::clone(&core))).abort_handle(),
            tokio::spawn(follow::run(Arc::clone(&core))).abort_handle(),
        ];
        Ok(Self { core, tasks })
    }

    /// Adds the services to a server.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        let core = || Arc::clone(&self.core);
        let maps = MapServiceServer::new(grpc::Maps::new(core()));
        let maps = maps
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let live = LiveSyncServiceServer::new(grpc::LiveSync::new(core()))
            .max_decoding_message_size(rpc::LARGEST_MESSAGE_BYTES);
        let server = server
            .with(AlertServiceServer::new(grpc::Alerts::new(core())))
            .with(ReconciliationServiceServer::new(grpc::Reconciliations::new(core())))
            .with(SyncErrorServiceServer::new(grpc::SyncErrors::new(core())));
        let server = server.with(InitialSyncServiceServer::new(grpc::InitialSyncs::new(core())));
        server.with(live).with(maps).with(LinkServiceServer::new(grpc::Links::new(core())))
    }
}

impl Drop for DualWrite {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
