//! End-to-end tests: the real binary, real PostgreSQL, real clients.
//!
//! This is the harness; the cases are in `it/`. [`System`] is a running `tombolo`, [`Web`] speaks
//! HTTP to it, [`Erp`] is an ERP of the test's own that can be looked into, changed and stopped.
//! [`tables`] and [`oracle`] work out from SQL what the Web API must answer, [`differential`] from
//! rows of its own. [`runner`] runs cases.
//!
//! `cargo test -p tests` runs everything, `cargo test -p tests -- filters` what has that in its name.
//! It needs the binary (`cargo build -p tombolo`, or `TOMBOLO_BIN`), PostgreSQL's programs, and for
//! the cases of `clients` and `metadata` what `scripts/test-tools.sh` brings.

#![allow(clippy::print_stdout)]

pub mod batch;
pub mod collector;
pub mod crash;
pub mod differential;
pub mod dual_write;
mod erp;
pub mod issuer;
pub mod load;
pub mod node;
pub mod non_interference;
pub mod oracle;
mod platform;
mod process;
pub mod python;
pub mod random;
pub mod raw_http;
pub mod runner;
pub mod setup_faults;
pub mod snapshot;
mod system;
pub mod tables;
pub mod tenant;
pub mod tls;
mod web;

pub use erp::Erp;
pub use platform::Platform;
pub use process::using as processes_using;
pub use system::{
    Output, Process, Start, System, run_tombolo, run_tombolo_as, temporary_directory,
};
pub use web::{Answer, Web, assert_error, encode, eventually};

use std::path::{Path, PathBuf};

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_owned()
}
