//! The one engine that compiles and evaluates, with every bound that it has.

use std::sync::LazyLock;

use rhai::{Engine, OptimizationLevel};

use crate::functions;

/// Steps of one evaluation.
const MAX_OPERATIONS: u64 = 10_000;
/// Nesting of one expression.
const MAX_DEPTH: usize = 32;
/// Bytes of a text that an expression makes.
const MAX_TEXT: usize = 1 << 20;
/// Items of a list that an expression makes.
const MAX_ITEMS: usize = 256;

pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut engine = Engine::new_raw();
    engine
        .set_max_operations(MAX_OPERATIONS)
        .set_max_expr_depths(MAX_DEPTH)
        .set_max_string_size(MAX_TEXT)
        .set_max_array_size(MAX_ITEMS)
        .set_max_map_size(MAX_ITEMS * 4)
        .set_allow_looping(false)
        .set_allow_if_expression(false)
        .set_allow_switch_expression(false)
        .set_allow_loop_expressions(false)
        .set_allow_statement_expression(false)
        // What is checked is the expression as it stands.
        .set_optimization_level(OptimizationLevel::None);
    functions::register(&mut engine);
    engine
});
