//! The adapter over real gRPC and a real PostgreSQL.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod audit;
mod catalog;
mod credit_service;
mod transact;
mod transactions;
mod world;
