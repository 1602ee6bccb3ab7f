//! The catalog over real gRPC and a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod changes;
mod ids;
mod misfortune;
mod provisioning;
mod relationships;
mod replaced;
mod replicas;
mod rows;
mod tracking;
mod world;
