//! The crate from outside: documents in, trees out, and back.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bounds;
mod documents;
mod refusals;
mod round_trip;
mod sdk_json;
mod trees;
