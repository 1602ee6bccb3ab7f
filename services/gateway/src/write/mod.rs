//! Writing: what clients want as a [`ChangeSet`], and its execution on the stores that hold the rows.
//!
//! `payload` reads bodies, `requests` makes change sets of HTTP requests, and [`execute`] runs them: one
//! call where one operation is all, one stream to a store where there are several, and the
//! last-resource commit where they concern two stores.

mod change_set;
mod execute;

pub(crate) use change_set::{Assignment, ChangeSet, Once, Outcome, RowRef, Step, StepAction};
pub(crate) use execute::{Failed, execute};
