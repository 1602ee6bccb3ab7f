//! The wire. Messages become the store's terms here, and nowhere else.

mod background;
mod directory;
mod metadata;
mod portal;
mod provisioning;

pub(crate) use background::Background;
pub(crate) use directory::Directory;
pub(crate) use metadata::Metadata;
pub(crate) use portal::Portal;
pub(crate) use provisioning::Provisioning;
