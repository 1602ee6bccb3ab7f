//! Dual-write, measured on whole systems whose databases are durable, as they are in earnest.
//!
//! [`live`] is what a save costs more because its row is on both sides, [`steps`] where that time goes, and
//! [`initial_sync`] the copy of all rows before, killed on the way. [`world`] is what all of them run on.

pub mod initial_sync;
pub mod live;
pub mod steps;
pub mod world;
