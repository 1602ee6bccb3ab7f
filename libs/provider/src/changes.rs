//! Which rows of an entity changed.
//!
//! The change log knows tables; an entity has several. A change of the root's table names its own row,
//! by both images; a change of a joined table names the rows that join to either image now. Start
//! with [`ChangeTracking`], which serves the contract; `capture` keeps triggers where definitions want
//! them, `statement` is the SQL.

mod capture;
mod list;
mod server;
mod statement;
mod token;

use std::sync::Arc;

use change_log::Relation;
pub use change_log::Retention;
use proto::query::v1::change_tracking_service_server::ChangeTrackingServiceServer;
use tokio::sync::{Notify, watch};

use crate::authority::Authority;
use crate::binding::Binding;
use crate::provider::Provider;
use capture::Outcome;

/// Captures and tells the changes of one database's entities. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ChangeTracking {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    provider: Provider,
    authority: Arc<dyn Authority>,
    retention: Retention,
    /// Absent until definitions have arrived: nothing is taken away before.
    wanted: watch::Sender<Option<Arc<Vec<Relation>>>>,
    outcome: watch::Sender<Outcome>,
    /// Somebody found that something is missing.
    missing: Notify,
}

// === impl ChangeTracking ===

impl ChangeTracking {
    /// Tells what `provider` reaches to whom `authority` gives leave to read all of it. Captures
    /// nothing before [`Self::want`] and [`Self::run`].
    #[must_use]
    pub fn new(provider: Provider, authority: Arc<dyn Authority>, retention: Retention) -> Self {
        let inner = Inner {
            provider,
            authority,
            retention,
            wanted: watch::Sender::new(None),
            outcome: watch::Sender::default(),
            missing: Notify::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// From now on, captures the changes of those of the entities that want it, and of no others.
    pub fn want<'a>(&self, entities: impl IntoIterator<Item = &'a Binding>) {
        let tracked = entities.into_iter().filter(|it| it.change_tracking);
        let mut tables: Vec<Relation> = tracked.flat_map(tables).collect();
        tables.sort();
        tables.dedup();
        self.inner.wanted.send_if_modified(|wanted| {
            let changes = wanted.as_ref().is_none_or(|it| **it != tables);
            if changes {
                *wanted = Some(Arc::new(tables));
            }
            changes
        });
    }

    /// Adds the service to a server.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        server.with(ChangeTrackingServiceServer::new(self.clone()))
    }
}

fn tables(binding: &Binding) -> impl Iterator<Item = Relation> {
    binding.sources.iter().map(|it| Relation::new(&*it.schema, &*it.name))
}
