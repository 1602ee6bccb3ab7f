//! Writing: what clients want as a [`ChangeSet`], and its execution on the stores that hold the rows.
//!
//! [`plan`] makes change sets of HTTP requests (`payload` reads their bodies), and [`execute`] runs them: one
//! call where one operation is all, one stream to a store where there are several, and the
//! last-resource commit where they concern two stores.

mod action;
mod address;
mod bulk;
mod change_set;
mod execute;
mod json;
mod links;
mod once;
mod payload;
mod plan;
mod rows;
#[cfg(test)]
mod tests;
mod values;
mod writable;

pub(crate) use action::{bound as bound_action, unbound as unbound_action};
pub(crate) use change_set::{Assignment, ChangeSet, Once, Outcome, RowRef, Step, StepAction};
pub(crate) use execute::{Failed, Ways, execute};
pub(crate) use once::once;
pub(crate) use plan::{Asked, Planned, References, Reply, plan};
