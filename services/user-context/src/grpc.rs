//! The wire. Messages become this service's terms here, and nowhere else.

mod convert;
mod directory;
mod provisioning;
mod user_context;

pub(crate) use convert::grant_message;
pub(crate) use directory::Directory;
pub(crate) use provisioning::Provisioning;
pub(crate) use user_context::UserContext;
