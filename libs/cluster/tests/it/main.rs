//! The private cluster with real PostgreSQL processes.

mod lifecycle;
mod misfortune;
