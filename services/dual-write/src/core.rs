//! What every part of the service works with.

use crate::config::Config;
use crate::maps::Maps;
use crate::peers::{Clients, Sides};
use crate::store::Store;

/// One for the whole process.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) sides: Sides,
    pub(crate) maps: Maps,
    pub(crate) clients: Clients,
}
