//! The lifecycle service over real gRPC and a real PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod add_ins;
mod environments;
mod setup;
