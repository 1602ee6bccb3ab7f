//! What only faked services can show: refusals, services that are away, slow and broken streams.

#![allow(clippy::unwrap_used)]

mod actions;
mod audit;
mod background;
mod batch;
mod bulk_delete;
mod changes;
mod cross;
mod dual_write;
mod entry_points;
mod errors;
mod fakes;
mod fetch;
mod fixture;
mod grpc;
mod integration;
mod ledger;
mod limits;
mod live;
mod metadata;
mod paths;
mod reads;
mod rights;
mod transactions;
mod users;
mod writes;
