//! What a call costs over the same SQL sent directly.
//!
//! [`cases`] says what is read, [`measure`] reads it both ways, one after the other in one loop, and
//! [`report`] prints what came of it. The program is `overhead`; `make bench` runs it optimised.
//! [`capture`] is another matter: what capturing changes costs who writes, measured by the program
//! `capture`. [`authorization`] is what it costs to know the caller and what it may do; the program of that
//! name fails where it is too much. [`dual_write`] is what live sync adds to a save (program `dual-write`), and
//! how fast and in how much memory rows are copied before it (program `initial-sync`).

pub mod authorization;
pub mod capture;
pub mod cases;
pub mod dual_write;
pub mod measure;
pub mod report;
