//! Statements against a real PostgreSQL: what cannot be seen from their text.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod actions;
mod changes;
mod explain;
mod groups;
mod links;
mod orders;
mod paging;
mod patience;
mod random;
mod rights;
mod rows;
mod sharing;
mod shop;
mod values;
mod who;
mod world;
mod write;
