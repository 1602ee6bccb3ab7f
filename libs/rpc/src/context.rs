//! What a handler knows about its call, and how to make one on somebody's behalf.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::assertion::CALLER_HEADER;
use crate::caller::{Caller, Identity, Principal};
use crate::gate::CallingService;
use crate::rights::{Companies, RoleDefinitions};
use crate::status::{ErrorReason, status};

/// Who is calling, and until when an answer is wanted.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The invoking user.
    pub caller: Arc<Caller>,
    /// After this moment nobody reads the answer.
    pub deadline: Instant,
}

/// Put into a request's extensions by [`crate::Server`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) Instant);

impl CallContext {
    /// Of a request that came through [`crate::Server`].
    ///
    /// # Errors
    ///
    /// UNAUTHENTICATED (NO_CALLER) when no user stands behind the call.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let extensions = request.extensions();
        let caller = extensions.get::<Arc<Caller>>().cloned().ok_or_else(no_caller)?;
        Ok(Self { caller, deadline: Self::deadline_of(request) })
    }

    /// Of a request that the service of this name made, as itself and for no user, or on behalf of one.
    ///
    /// # Errors
    ///
    /// UNAUTHENTICATED (NO_CALLER) when no user stands behind the call, and another service made it.
    pub fn of_service<T>(request: &Request<T>, service: &str) -> Result<Self, Status> {
        let is_it = CallingService::of(request).is_ok_and(|it| it.name() == service);
        if request.extensions().get::<Arc<Caller>>().is_some() || !is_it {
            return Self::of(request);
        }
        Ok(Self { caller: Arc::new(as_itself(service)), deadline: Self::deadline_of(request) })
    }

    /// Until when an answer to a request is wanted, whoever made it.
    #[must_use]
    pub fn deadline_of<T>(request: &Request<T>) -> Instant {
        request.extensions().get::<Deadline>().map_or_else(default_deadline, |it| it.0)
    }

    /// What is left until the deadline.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// A request on behalf of the user of `assertion`, to be answered within `timeout`.
///
/// # Errors
///
/// UNAUTHENTICATED (INVALID_ASSERTION) when the assertion could not be a header.
pub fn request<T>(message: T, assertion: &str, timeout: Duration) -> Result<Request<T>, Status> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    let value = MetadataValue::<Ascii>::try_from(assertion).map_err(|_| no_caller())?;
    request.metadata_mut().insert(CALLER_HEADER, value);
    Ok(request)
}

/// A service, as stores name who acts. It holds no role, so it may do nothing that takes a user's rights.
fn as_itself(service: &str) -> Caller {
    let principal = Principal {
        system_user_id: Uuid::nil(),
        name: service.to_owned(),
        erp_user: service.to_owned(),
        roles: Vec::new(),
        companies: Companies::All,
        contact: None,
    };
    Identity::of(principal).into_caller(&RoleDefinitions::default())
}

pub(crate) fn default_deadline() -> Instant {
    Instant::now() + crate::server::DEFAULT_DEADLINE
}

fn no_caller() -> Status {
    let message = "the call names no user; send the caller's assertion";
    status(Code::Unauthenticated, "rpc", ErrorReason::NoCaller, message, [])
}
