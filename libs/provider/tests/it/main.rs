//! Statements against a real PostgreSQL: what cannot be seen from their text.

mod orders;
mod paging;
mod values;
mod world;
