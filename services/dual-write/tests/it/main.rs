//! Dual-write as other services see it: over real channels, with a real database and two sides that keep
//! their rows in memory.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "../../src/cases.rs"]
mod cases;
mod definitions;
mod fakes;
mod figures;
mod links;
mod live;
mod makers;
mod solutions;
mod starts;
mod states;
mod tables;
mod world;
