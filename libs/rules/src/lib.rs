//! Validation and defaulting rules of data entities: expressions over one row.
//!
//! Start with [`Expression`]: compiled once, when a model is loaded, and evaluated for every write.
//! An expression has no statements, no loops and nothing to reach for outside its row, and its work is
//! bounded, so that no rule can hold a write up. Numbers are integers and exact decimals, never floats.
//! The language is described in `docs/model-format.md`.

mod check;
mod engine;
mod expression;
mod functions;
mod value;

pub use expression::{Actor, EvaluationError, Expression, InvalidExpression, Position, Row};
pub use value::Value;

/// What every expression may name besides the fields of its row.
pub const CONTEXT: [&str; 5] = ["old", "user", "company", "today", "now"];
