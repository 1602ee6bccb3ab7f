//! What gRPC clients from outside may call: the Web API's messages, and the administrator's.

mod administration;
mod changes;
mod convert;
mod handlers;
mod relationships;
mod writes;

pub(crate) use administration::Administration;
pub(crate) use handlers::GrpcGateway;
pub(crate) use relationships::Relationships;
