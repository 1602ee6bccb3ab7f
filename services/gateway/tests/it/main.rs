//! What only faked services can show: refusals, services that are away, slow and broken streams.

#![allow(clippy::unwrap_used)]

mod cross;
mod errors;
mod fakes;
mod fetch;
mod fixture;
mod grpc;
mod metadata;
mod paths;
mod reads;
mod writes;
