//! How services talk: one channel type for the same process and the network, servers with health
//! and reflection, who is calling, and errors that say what to do.
//!
//! Start with [`Channel`] (the calling side), [`Server`] (the answering side) and [`CallContext`]
//! (what a handler knows about its call). Nothing here knows a dialect or a table.

mod assertion;
pub mod audit;
mod caller;
mod channel;
mod context;
mod environment;
mod gate;
mod ids;
mod keyring;
mod keys;
mod listener;
mod messages;
mod permitted;
mod rights;
pub mod role;
mod server;
mod service_token;
mod status;
pub mod tls;
mod trace;
mod trusted_services;
mod watches;

pub use assertion::{AssertionIssuer, AssertionVerifier, CALLER_HEADER, InvalidAssertion, Route};
pub use caller::{Caller, DEFAULT_LANGUAGE, DEFAULT_TIME_ZONE, Identity, Principal};
pub use channel::{Channel, ConnectError};
pub use context::{CallContext, request};
pub use environment::{Environment, EnvironmentError};
pub use gate::CallingService;
pub use ids::system_user_id;
pub use keyring::{TrustKeeper, keep_trust};
pub use keys::{KeyError, SigningKey};
pub use listener::{Connection, Handshake, ListenError, Listener, Peer};
pub use messages::{LARGEST_MESSAGE_BYTES, counted_from, first_part, parts};
pub use rights::{Companies, EntityRights, Privileges, Rights, RoleDefinitions};
pub use server::{Readiness, Server};
pub use service_token::ServiceIdentity;
pub use status::{ErrorReason, busy, is_busy, reason, status, unavailable};
pub use trace::adopt;
pub use trusted_services::{ServiceKeyError, ServiceKeySet, TrustedServices};
