//! The wire. Messages become plain values here, and nowhere else.

mod alerts;
mod initial_sync;
mod link_service;
mod live_sync;
mod map_service;
mod reconciliation;
mod sync_errors;

use std::sync::Arc;

use prost::Message;
use tonic::{Response, Status};

use crate::access::Actor;
use crate::core::Core;
use crate::error::Error;
use crate::store::{Begun, Write};
pub(crate) use alerts::Alerts;
pub(crate) use initial_sync::InitialSyncs;
pub(crate) use link_service::Links;
pub(crate) use live_sync::LiveSync;
pub(crate) use map_service::Maps;
pub(crate) use reconciliation::Reconciliations;
pub(crate) use sync_errors::SyncErrors;

/// A write that somebody asks for.
pub(crate) struct Asked<'a, Q> {
    pub(crate) actor: &'a Actor,
    /// The method's name.
    pub(crate) operation: &'static str,
    /// What it is about, for the audit.
    pub(crate) resource: &'a str,
    pub(crate) key: &'a str,
    pub(crate) request: &'a Q,
}

// === impl Asked ===

impl<Q: Message> Asked<'_, Q> {
    /// Does it once, and leaves in the audit what became of it. `act` commits the write with its answer.
    pub(crate) async fn once<A, F>(
        self,
        core: &Arc<Core>,
        act: impl FnOnce(Write) -> F,
    ) -> Result<Response<A>, Status>
    where
        A: Message + Default,
        F: Future<Output = Result<A, Error>>,
    {
        let outcome = self.outcome(core, act).await;
        self.actor.record(self.operation, self.resource, outcome.as_ref().map(drop));
        Ok(Response::new(outcome?))
    }

    async fn outcome<A, F>(
        &self,
        core: &Arc<Core>,
        act: impl FnOnce(Write) -> F,
    ) -> Result<A, Error>
    where
        A: Message + Default,
        F: Future<Output = Result<A, Error>>,
    {
        let once = self.actor.once(self.operation, self.key, self.request)?;
        match core.store.write(once).await? {
            Begun::Fresh(write) => act(write).await,
            Begun::Answered(answer) => {
                A::decode(&*answer).map_err(|it| Error::Stored(it.to_string()))
            }
        }
    }
}
