//! What only faked services can show: refusals, services that are away, slow and broken streams.

#![allow(clippy::unwrap_used)]

mod actions;
mod background;
mod batch;
mod bulk_delete;
mod changes;
mod cross;
mod errors;
mod fakes;
mod fetch;
mod fixture;
mod grpc;
mod ledger;
mod metadata;
mod paths;
mod reads;
mod transactions;
mod writes;
