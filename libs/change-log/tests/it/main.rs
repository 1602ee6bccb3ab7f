//! The log on a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod capture;
mod installing;
mod retention;
mod transactions;
mod windows;
mod world;
