//! Who may do what.

use std::sync::Arc;

use prost::Message;
use rpc::audit::{self, Entry};
use rpc::{CallContext, Caller};
use tonic::{Request, Status};

use crate::error::Error;
use crate::names;
use crate::store::Once;

/// An administrator of both sides.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) caller: Arc<Caller>,
    pub(crate) context: CallContext,
}

// === impl Actor ===

impl Actor {
    /// Of a call that only reads.
    pub(crate) fn reading<T>(request: &Request<T>) -> Result<Self, Status> {
        let context = CallContext::of(request)?;
        if !context.caller.rights.administrator {
            return Err(Error::Denied.into());
        }
        Ok(Self { caller: Arc::clone(&context.caller), context })
    }

    /// Of a call that changes `resource`; who may not is in the audit.
    pub(crate) fn writing<T>(
        request: &Request<T>,
        operation: &str,
        resource: &str,
    ) -> Result<Self, Status> {
        let context = CallContext::of(request)?;
        let actor = Self { caller: Arc::clone(&context.caller), context };
        if !actor.caller.rights.administrator {
            let denied = Error::Denied;
            actor.record(operation, resource, Err(&denied));
            return Err(denied.into());
        }
        Ok(actor)
    }

    /// `users/…`.
    pub(crate) fn name(&self) -> String {
        format!("users/{}", self.caller.user.name)
    }

    /// What makes a repetition of the request known.
    pub(crate) fn once(
        &self,
        operation: &str,
        key: &str,
        request: &impl Message,
    ) -> Result<Option<Once>, Error> {
        // Whoever acts as somebody else is not told what that user was answered.
        let ids: Vec<_> =
            self.caller.principals().map(|it| it.system_user_id.to_string()).collect();
        Once::of(&ids.join("/"), operation, key, request)
    }

    /// Leaves in the audit what became of a write.
    pub(crate) fn record(&self, operation: &str, resource: &str, outcome: Result<(), &Error>) {
        let resource = names::shown(resource);
        let entity = resource.split('/').next().unwrap_or_default();
        let (decision, reason) = match outcome {
            Ok(()) => (audit::Decision::Allowed, ""),
            Err(error) => (error.decision(), error.reason()),
        };
        let caller = Some(&*self.caller);
        audit::record(&Entry { caller, operation, entity, record: &resource, decision, reason });
    }
}
