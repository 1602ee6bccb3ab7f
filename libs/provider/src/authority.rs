//! Who decides which rows a caller may touch: the service that serves them.

use std::fmt::Debug;

use rpc::Caller;

use crate::grant::{Grant, Refused};

/// What somebody wants to do with an entity's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// See rows.
    Read,
    /// Make rows.
    Create,
    /// Change rows.
    Update,
    /// Delete rows.
    Delete,
    /// Run actions.
    Invoke,
}

/// Gives leave, entity by entity.
pub trait Authority: Debug + Send + Sync {
    /// Leave for the caller to do something with the entity's rows, those that it covers.
    ///
    /// # Errors
    ///
    /// When there is no such entity, or the caller may not touch it at all.
    fn grant(&self, caller: &Caller, entity: &str, privilege: Privilege) -> Result<Grant, Refused>;

    /// Whether it knows its entities yet. While it does not, calls are to come again.
    fn is_ready(&self) -> bool {
        true
    }
}
