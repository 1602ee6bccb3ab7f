//! A checker in the manner of Jepsen: clients write on both sides, through every entry point, while
//! processes are killed, databases stopped, connections cut and delayed, maps paused and resumed. In the
//! end both sides are equal row by row, every acknowledged write is there, and no refused one is.
//!
//! Each [`entry`] owns one column of rows that all of them write, so that what is to be there in the end
//! can be told without knowing who was first: [`ledger`]. [`fault`] is what breaks, [`world`] what is
//! broken, [`network`] what is between; [`compare`] is the look at both sides, [`run`] does it all. [`maps`] is
//! the administrator.

mod compare;
mod deck;
mod entry;
mod fault;
mod ledger;
pub mod maps;
mod network;
mod run;
mod world;

pub use compare::Diverged;
pub use network::enter;
pub use run::{Outcome, Settings, run};

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The system as it is.
    Whole,
    /// The ERP commits without its decision record, so that recovery takes half of a write back.
    Broken,
}
