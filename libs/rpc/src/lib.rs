//! How services talk: one channel type for the same process and the network, servers with health
//! and reflection, who is calling, and errors that say what to do.
//!
//! Start with [`Channel`] (the calling side), [`Server`] (the answering side) and [`CallContext`]
//! (what a handler knows about its call). Nothing here knows a dialect or a table.

mod caller;
mod channel;
mod context;
mod keyring;
mod keys;
mod server;
mod service_token;
mod status;
mod trace;
mod watches;

pub use caller::{
    Access, AssertionIssuer, AssertionVerifier, CALLER_HEADER, Caller, Companies, DEFAULT_LANGUAGE,
    DEFAULT_TIME_ZONE, InvalidAssertion, Rights,
};
pub use channel::{Channel, ConnectError};
pub use context::{CallContext, request};
pub use keyring::{KeyKeeper, keep_keys};
pub use keys::{KeyError, SigningKey};
pub use server::{Readiness, Server};
pub use service_token::{ServiceIdentity, ServiceKey};
pub use status::{ErrorReason, busy, is_busy, reason, status, unavailable};
pub use trace::adopt;
