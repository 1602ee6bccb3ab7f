//! Promises over real databases, and over every order of steps.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod coordination;
mod model;
mod once;
mod sides;
mod steps;
mod tables;
mod world;
