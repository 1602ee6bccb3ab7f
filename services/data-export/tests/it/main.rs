//! The add-in over its own gRPC service, against an environment's Web API that is made up but speaks HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crashes;
mod exports;
mod fake;
mod installs;
mod reader;
mod world;
