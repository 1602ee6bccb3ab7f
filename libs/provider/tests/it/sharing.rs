//! One side of dual-write: what is shared in a transaction, what is followed from the log, and what is written
//! for the other side.

mod applying;
mod following;
mod live;
mod reading;
mod world;
