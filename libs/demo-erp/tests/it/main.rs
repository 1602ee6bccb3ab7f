//! The demo ERP on a real PostgreSQL: the same rows every time, rules that act, a model that fits.

mod actions;
mod business_rules;
mod generation;
mod model_fits;
mod model_loads;
mod postgres;
