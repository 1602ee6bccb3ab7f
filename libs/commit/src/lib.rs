//! One decision over two databases: the last-resource commit.
//!
//! A write that concerns both the platform and the ERP ends on both sides or on neither, whoever dies
//! on the way, and without prepared transactions on the ERP's server. Three parts play:
//!
//! - the *participant* ([`participant`]): the platform's database, which can prepare;
//! - the *last resource* ([`last_resource`]): the ERP's database, which only commits, and whose commit
//!   carries the decision record;
//! - the *coordinator* ([`commit`]), and [`recover`], which finishes what a coordinator left.
//!
//! With the operations done in an open transaction on each side, the coordinator takes these steps:
//!
//! 1. The participant writes its mark and prepares: durable, unseen.
//! 2. The last resource commits, and with it the row "commit" of `tombolo.decision`. This moment decides.
//! 3. The participant is settled: `COMMIT PREPARED`. Then the caller is told.
//!
//! Recovery lists what is prepared for longer than a grace and asks the last resource to resolve it. Where
//! no decision is recorded, resolving records "abort": the transaction's id is the primary key of
//! `tombolo.decision`, so a commit that is still on its way fails on that row, and the answer
//! never changes. Only then is anything rolled back.
//!
//! | who dies, and when | the ERP | the platform | how it ends |
//! |---|---|---|---|
//! | anybody before 1 is done | rolled back | rolled back | neither; nothing is left |
//! | coordinator or ERP between 1 and 2 | rolled back | prepared | recovery records "abort", rolls back |
//! | coordinator between 2 and 3 | committed | prepared | recovery reads "commit", commits |
//! | platform after 1 | either | prepared, which survives | settled when it is back |
//! | the answer of 2 is lost | unknown | prepared | the coordinator itself resolves, and follows |
//! | coordinator after 3 | committed | committed | only the answer is lost: idempotency keys |
//!
//! Why it is right: the platform's transaction ends by what `tombolo.decision` says, and by nothing else
//! once the ERP may commit. That row is written once, by insertion into a unique index: either within the
//! ERP's transaction, so that it says "commit" exactly if that transaction committed, or by whoever
//! resolves, after which it can no longer. `tests/it/model.rs` checks this over every order of
//! steps, crashes, late and repeated messages, and shows that it fails without the record.
//!
//! A participant writes its mark, a row of `tombolo.settled`, within the transaction that it
//! prepares: the row is seen exactly if that was committed. Who aborts a transaction that
//! was never prepared puts the row in its place, and a late prepare fails on it.
//!
//! Decisions are forgotten after [`RETENTION`]. That no prepared transaction is resolved against a
//! forgotten one follows from the ids, which tell their age ([`TransactionId`]).
//!
//! [`idempotency`] lives here as well, because it follows the same rule: what is promised is recorded
//! in the transaction it is about. [`step`] lets a test kill the process between steps.

mod coordinator;
mod ended;
mod error;
mod id;
pub mod idempotency;
pub mod last_resource;
pub mod participant;
mod recovery;
mod schema;
mod step;

pub use coordinator::{Outcome, Sides, commit};
pub use error::Error;
pub use id::{Decision, MalformedId, RETENTION, TransactionId};
pub use recovery::{Recovered, RecoveryOptions, recover, recover_once};
pub use schema::Schema;
pub use step::step;
