//! The tables described to clients: `$metadata`, `EntityDefinitions` and their kin,
//! `RetrieveMetadataChanges`.
//!
//! [`metadata`] writes the CSDL. Everything else is JSON: `entity`, `attribute`,
//! `relationship` and `option_set` turn a published definition into the platform's description of it,
//! one at a time and only when asked; `evaluate` knows `$select`, `$filter`, `$orderby`, `$expand`
//! over any such objects; `resource` finds what a path names. Start with [`definitions`].

mod attribute;
mod changes;
mod condition;
mod csdl;
mod custom_api;
mod entity;
mod evaluate;
mod message;
mod option_set;
mod parts;
mod relationship;
mod resource;

pub(crate) use changes::retrieve_metadata_changes;
pub(crate) use csdl::{Documents, metadata};
pub(crate) use resource::{Set, definitions};

#[cfg(test)]
mod tests;
