//! Random schemas, rows and queries, and what Tombolo must answer: evaluated here over the same rows,
//! by the platform's rules and without any of the product's code.
//!
//! [`Schema`] makes tables and rows; [`odata::Query`] and [`fetch::Query`] are reads in the two
//! dialects, which know how to write themselves, what their answer must be, and how to become
//! smaller when it is not; [`World`] is a system that serves the tables; [`run`] puts it together.

pub mod fetch;
pub mod filter;
pub mod groups;
pub mod make;
mod native;
pub mod odata;
mod reach;
pub(crate) mod rows;
pub mod rules;
mod run;
pub mod schema;
pub(crate) mod world;
pub mod write;

pub use make::Dialect;
pub use run::{Outcome, Settings, run};
pub use schema::Schema;
pub use world::World;

#[cfg(test)]
mod tests;
