//! The services that the stages of an operation call.

use std::collections::BTreeMap;
use std::time::Duration;

use rpc::Channel;
use tonic::Request;

/// Ways to them.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Holds capacity, and knows who holds which licence.
    pub capacity: Channel,
    /// Native tables of every platform environment.
    pub organization: Channel,
    /// Virtual tables of every platform environment.
    pub catalog: Channel,
    /// Users and their roles.
    pub user_context: Channel,
    /// Add-ins that are served somewhere, by the id that the catalogue has them under.
    pub add_ins: BTreeMap<String, Channel>,
}

/// For what another service knows, or writes down.
const ANSWER: Duration = Duration::from_secs(15);

/// A call that somebody waits for: a service that hangs holds nobody up for longer.
pub(crate) fn asked<T>(message: T) -> Request<T> {
    timed(message, ANSWER)
}

/// A call that is given up after so long.
pub(crate) fn timed<T>(message: T, timeout: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}
