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
pub(crate) use list::{Failure, record_id, relations};
pub(crate) use server::begin;
pub(crate) use statement::{NoColumn, Types, Visibility, touched_by};

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

    pub(crate) fn provider(&self) -> &Provider {
        &self.inner.provider
    }

    pub(crate) fn authority(&self) -> &dyn Authority {
        self.inner.authority.as_ref()
    }

    /// Has the tables looked at now.
    pub(crate) fn look(&self) {
        self.inner.missing.notify_one();
    }

    /// How looks at the tables end from now on.
    pub(crate) fn looks(&self) -> Looks {
        Looks(self.inner.outcome.subscribe())
    }

    /// Adds the service to a server.
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        server.with(ChangeTrackingServiceServer::new(self.clone()))
    }
}

/// How looks at the tables end.
pub(crate) struct Looks(watch::Receiver<Outcome>);

impl Looks {
    /// Why changes of a table are not captured, if it is not a matter of time.
    pub(crate) fn refusal(&mut self, relation: &str) -> Option<String> {
        self.0.borrow_and_update().why(relation).map(ToOwned::to_owned)
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        // The sender lives as long as who looks.
        let _ = self.0.changed().await;
    }
}

fn tables(binding: &Binding) -> impl Iterator<Item = Relation> {
    binding.sources.iter().map(|it| Relation::new(&*it.schema, &*it.name))
}
