//! What gRPC clients from outside may call: the Web API's messages, and the administrator's.

mod administration;
mod admission;
mod changes;
mod convert;
mod directory;
mod handlers;
mod relationships;
mod writes;

pub(crate) use administration::Administration;
pub(crate) use admission::Admitted;
pub(crate) use directory::Directory;
pub(crate) use handlers::GrpcGateway;
pub(crate) use relationships::Relationships;
