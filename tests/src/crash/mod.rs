//! Kills the system while it writes to both databases, starts it again, and compares the two.
//!
//! [`pair`] is a customer of the ERP and an account of the platform that must always agree, because
//! only change sets over both write them. [`workload`] writes them, and keeps what it was told.
//! [`world`] is what is killed; [`run`] kills it and compares.

mod pair;
mod run;
mod workload;
mod world;

pub use run::{Outcome, Settings, run};

/// Where the system kills itself when `TOMBOLO_CRASH_AT` says so.
const STEPS: [&str; 7] = [
    "begun",
    "platform-written",
    "erp-written",
    "platform-prepared",
    "erp-committing",
    "erp-committed",
    "platform-settled",
];
