//! Writes: what reaches the tables, and what is refused in which words.

mod concurrent;
mod model;
mod one_table;
mod refusals;
mod several_tables;
pub(crate) mod world;
