//! Servers and channels over real connections: who gets through, and under which certificates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod certificates;
mod mutual_tls;
mod outside;
mod services;
mod world;
