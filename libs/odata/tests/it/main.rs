//! The whole of the syntax, from outside: what is printed reads as the same tree, the standard's own
//! examples read or fail as they should, and nothing panics.

mod abnf;
mod batch;
mod generate;
mod hostile;
mod round_trip;
mod tokens;
