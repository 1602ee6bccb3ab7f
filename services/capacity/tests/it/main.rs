//! Capacity as other services see it: over real channels, with a real database and a lifecycle service
//! that measures what it is told to.

#![allow(clippy::unwrap_used)] // A test that unwraps nothing has failed.

mod figures;
mod licences;
mod notices;
mod races;
mod reservations;
mod sampling;
mod users;
mod world;
