//! A private PostgreSQL: found, created, started and stopped by the process that needs it.
//!
//! On a machine without a database Tombolo still has to run, and an embedded imitation would not
//! have real decimals, prepared transactions or logical decoding. So it runs the real thing, in a
//! directory of its own, and never touches a cluster that it did not create.
//!
//! Start reading at [`Cluster::start`]; tests use [`Scratch`]. What stands behind them:
//! - [`Search`] and [`Binaries`]: which `postgres` is run;
//! - `account`: as which user, because PostgreSQL refuses root;
//! - `home`: where the files are, who may use them, and the lock that keeps a second process out;
//! - `initialize`: a cluster is built aside and renamed, so that it exists whole or not at all;
//! - `leftover`: what a killed process left behind is stopped before a new one starts;
//! - `postmaster`: the child process, its signals and its end.
//!
//! Text is UTF-8 and sorts by code point (`C.UTF-8`; plain `C` where the system lacks it), so that
//! order does not change with the machine. Only the owner of the directory can connect: the socket
//! is in a directory of mode 0700, and both the socket and the loopback port ask for the password
//! that is generated with the cluster (SCRAM).

mod account;
mod binaries;
mod cluster;
mod error;
mod home;
mod initialize;
mod leftover;
mod postmaster;
mod scratch;

pub use binaries::{Binaries, Search};
pub use cluster::{Cluster, Options};
pub use error::Error;
pub use scratch::Scratch;
