//! What only faked services can show: refusals, services that are away, slow and broken streams.

#![allow(clippy::unwrap_used)]

mod errors;
mod fakes;
mod fixture;
mod grpc;
mod reads;
mod writes;
