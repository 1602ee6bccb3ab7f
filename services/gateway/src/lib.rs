//! The front door: the Dataverse Web API over HTTP, and the same messages over gRPC.
//!
//! A request passes through `http` (who is calling, what was asked); `odata_read`, or `fetchxml` by way
//! of `serve`, makes one tree of it in the platform's vocabulary; `query` translates the tree into a
//! provider's, joins across providers and reads the rows; `serve` puts the finished rows between
//! brackets. What clients want written becomes one change set in `write`, whichever dialect says it, and
//! is executed there: all of it or nothing. `grpc` takes such trees and changes as they are. Tables are
//! known from `metadata`, held in memory and pushed by those who own them; what is shared live with the other
//! store, from `dual_write`. `callers` recognises users, and
//! `limits` counts what they do; [`EntryPoint`] names every way in. Start with [`Gateway`].
//!
//! Invariant: this crate, `odata` and `fetchxml` are the only ones that know the Web API's dialect.
//! Nothing here is durable, and nothing here decides what a user may see: providers do, from the
//! assertion that travels with each call.

mod callers;
mod companies;
mod deadline;
mod dual_write;
mod entry_point;
mod error;
#[cfg(test)]
#[path = "../tests/it/fixture.rs"]
mod fixture;
mod grpc;
mod http;
mod integration;
mod limits;
mod metadata;
mod odata_read;
mod organization;
mod providers;
mod query;
mod recovery;
mod schema;
mod serve;
mod translate;
mod write;

use std::sync::Arc;
use std::time::Duration;

use odata::PageTokens;
use rpc::Channel;
use tokio::task::JoinHandle;

use crate::callers::Callers;
use crate::companies::Companies;
use crate::dual_write::DualWrite;
pub use crate::entry_point::EntryPoint;
pub use crate::http::serve_http;
use crate::integration::Integration;
use crate::limits::Limiter;
pub use crate::limits::{InvalidRedisUrl, Limits, RedisUrl};
use crate::metadata::Metadata;
use crate::organization::Organization;
use crate::providers::Providers;
use crate::recovery::BothStores;
use crate::write::Ways;

/// What an operator decides.
#[derive(Clone)]
pub struct Config {
    /// Where clients get tokens; told to those who come without one.
    pub authorization_uri: String,
    /// What clients ask tokens for; told beside it.
    pub resource_id: String,
    /// Signs page tokens. Replicas must share it.
    pub page_token_secret: Vec<u8>,
    /// The longest that a request may take, beside what maps let a save wait for the other side.
    pub request_timeout: Duration,
    /// Rows that a join across the line passes from one side to the other at most.
    pub join_rows: usize,
    /// Their bytes at most.
    pub join_bytes: usize,
    /// Bytes of one level of rows that have expanded rows of their own statements.
    pub expand_bytes: usize,
    /// `HOST` or `HOST:PORT` that may be told when background operations have ended.
    pub callback_hosts: Vec<String>,
    /// No other gateway writes to the same stores.
    pub alone: bool,
    /// What one user may do within a window; `None` for anything.
    pub limits: Option<Limits>,
    /// Where gateways count it together; `None` where each counts for itself.
    pub redis_url: Option<RedisUrl>,
    /// Keeps environments apart that share a Redis.
    pub environment: String,
}

/// Ways to the services behind the gateway.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Metadata of virtual tables, and the catalog table itself.
    pub catalog: Channel,
    /// Native tables and their metadata.
    pub organization: Channel,
    /// Rows of virtual tables.
    pub query: Channel,
    /// Who is calling.
    pub user_context: Channel,
    /// Environments, their links and add-ins.
    pub lifecycle: Channel,
    /// What the tenant may use.
    pub capacity: Channel,
    /// What keeps both stores the same; `None` where nothing does.
    pub dual_write: Option<Channel>,
}

/// The gateway, watching metadata, and transactions that nobody ended, for as long as it lives.
#[derive(Debug)]
pub struct Gateway {
    core: Arc<Core>,
    clients: Clients,
    watchers: Vec<JoinHandle<()>>,
}

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) providers: Providers,
    pub(crate) callers: Arc<Callers>,
    pub(crate) limiter: Limiter,
    pub(crate) companies: Companies,
    pub(crate) organization: Organization,
    pub(crate) integration: Integration,
    pub(crate) page_tokens: PageTokens,
    /// What keeps both stores the same, for administrators.
    pub(crate) dual_write: Option<Channel>,
    /// Where whatever is written goes.
    pub(crate) ways: Ways,
    pub(crate) bulk_deletes: serve::Jobs,
    pub(crate) background: serve::Background,
}

// === impl Config ===

impl Config {
    /// With the given identity, and defaults for the rest.
    #[must_use]
    pub fn new(authorization_uri: String, resource_id: String, page_token_secret: Vec<u8>) -> Self {
        let request_timeout = Duration::from_secs(30);
        Self {
            authorization_uri,
            resource_id,
            page_token_secret,
            request_timeout,
            join_rows: 50_000,
            join_bytes: 16 << 20,
            expand_bytes: 64 << 20,
            callback_hosts: Vec::new(),
            alone: false,
            limits: None,
            redis_url: None,
            environment: "default".to_owned(),
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("authorization_uri", &self.authorization_uri)
            .field("resource_id", &self.resource_id)
            .field("request_timeout", &self.request_timeout)
            .finish_non_exhaustive()
    }
}

// === impl Gateway ===

impl Gateway {
    /// Begins to watch at once; must be called within a Tokio runtime.
    #[must_use]
    pub fn new(clients: Clients, config: Config) -> Self {
        let metadata = Arc::new(Metadata::new(&clients));
        let mut watchers = metadata.watch();
        let both_stores = BothStores::new(&clients);
        watchers.push(tokio::spawn(recovery::recover(both_stores.clone(), config.alone)));
        let providers = Providers::new(&clients);
        let dual_write = Arc::new(DualWrite::new(clients.dual_write.clone()));
        if dual_write.is_there() {
            watchers.push(tokio::spawn(Arc::clone(&dual_write).follow()));
        }
        let ways = Ways::new(providers.clone(), both_stores, dual_write);
        let core = Arc::new(Core {
            metadata,
            providers,
            callers: Arc::new(Callers::new(clients.user_context.clone())),
            limiter: Limiter::new(&config),
            companies: Companies::new(),
            organization: Organization::new(clients.organization.clone()),
            integration: Integration::new(clients.lifecycle.clone()),
            page_tokens: PageTokens::new(&config.page_token_secret),
            dual_write: clients.dual_write.clone(),
            ways,
            bulk_deletes: serve::Jobs::new(),
            background: serve::Background::new(&clients, &config),
            config,
        });
        watchers.push(tokio::spawn(serve::renew_leases(Arc::clone(&core))));
        Self { core, clients, watchers }
    }

    /// The Web API, for [`serve_http`]. Every path but `/api/data/{version}/…` is answered as unknown.
    pub fn http_router(&self) -> axum::Router {
        http::router(Arc::clone(&self.core))
    }

    /// Adds what gRPC clients from outside may call to a server ([`rpc::Server::public`]): the Web
    /// API's messages and the administrator's verbs, all with the token that HTTP takes.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        grpc::register(&self.core, &self.clients, server)
    }

    /// Completes when the metadata of every table source has arrived.
    pub async fn ready(&self) {
        self.core.metadata.ready().await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.watchers.iter().for_each(JoinHandle::abort);
    }
}
