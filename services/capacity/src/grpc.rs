//! The wire. Messages become plain values here, and nowhere else.

mod capacity;
mod convert;
mod licence;
mod reservation;
mod user_licence;

use std::sync::Arc;

use prost::Message;
use rpc::{CallContext, Caller, CallingService};
use tonic::{Request, Response, Status};

use crate::State;
use crate::audit;
use crate::error::Error;
use crate::store::{Begun, Change, Once};

/// Serves all of capacity's services.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    state: Arc<State>,
}

/// A write that somebody asks for.
struct Write {
    /// Nobody: another service asks.
    caller: Option<Arc<Caller>>,
    operation: &'static str,
    /// What it is about, for the audit.
    resource: String,
    once: Result<Option<Once>, Error>,
}

// === impl Service ===

impl Service {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Does it once, and leaves in the audit what became of it.
    async fn write<A, F>(
        &self,
        write: Write,
        act: impl FnOnce(Change) -> F,
    ) -> Result<Response<A>, Status>
    where
        A: Message + Default,
        F: Future<Output = Result<(Change, A), Error>>,
    {
        let Write { caller, operation, resource, once } = write;
        let outcome = self.write_once(once, act).await;
        audit::wrote(caller.as_deref(), operation, &resource, outcome.as_ref().map(drop));
        Ok(Response::new(outcome?))
    }

    async fn write_once<A, F>(
        &self,
        once: Result<Option<Once>, Error>,
        act: impl FnOnce(Change) -> F,
    ) -> Result<A, Error>
    where
        A: Message + Default,
        F: Future<Output = Result<(Change, A), Error>>,
    {
        let change = match self.state.store.begin(once?).await? {
            Begun::Fresh(change) => change,
            Begun::Answered(answer) => {
                return A::decode(&*answer).map_err(|it| Error::Stored(it.to_string()));
            }
        };
        let (change, answer) = act(change).await?;
        change.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }
}

// === impl Write ===

impl Write {
    /// By an administrator of the tenant.
    fn by_administrator<T: Message>(
        request: &Request<T>,
        operation: &'static str,
        resource: &str,
        key: &str,
    ) -> Result<Self, Status> {
        let caller = CallContext::of(request)?.caller;
        if !administers(&caller) {
            let error = Error::NotAdministrator;
            audit::wrote(Some(&caller), operation, resource, Err(&error));
            return Err(error.into());
        }
        let ids: Vec<_> = caller.principals().map(|it| it.system_user_id.to_string()).collect();
        let once = Once::of(&ids.join("/"), operation, key, request.get_ref());
        Ok(Self { caller: Some(caller), operation, resource: resource.to_owned(), once })
    }

    /// By another service.
    fn by_service<T: Message>(
        request: &Request<T>,
        operation: &'static str,
        resource: &str,
        key: &str,
    ) -> Result<Self, Status> {
        let service = CallingService::of(request)?;
        let caller = format!("service {}", service.name());
        let once = Once::of(&caller, operation, key, request.get_ref());
        Ok(Self { caller: None, operation, resource: resource.to_owned(), once })
    }
}

/// Refuses who may not see capacity.
fn check_reader<T>(request: &Request<T>) -> Result<CallContext, Status> {
    let context = CallContext::of(request)?;
    match administers(&context.caller) {
        true => Ok(context),
        false => Err(Error::NotAdministrator.into()),
    }
}

/// Who acts as somebody else may do what both may.
fn administers(caller: &Caller) -> bool {
    caller.principals().all(rpc::Principal::is_tenant_administrator)
}
