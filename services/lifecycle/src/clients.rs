//! The services that the stages of an operation call.

use std::collections::BTreeMap;

use rpc::Channel;

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
