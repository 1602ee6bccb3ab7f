//! What gRPC clients from outside may call: the Web API's messages, and the administrator's.

mod admission;
mod changes;
mod convert;
mod handlers;
mod passed_on;
mod register;
mod relationships;
mod writes;

pub(crate) use register::register;
