//! Captures changes of tables in the transactions that make them, and reads them in commit order.
//!
//! A trigger on every captured table writes each change beside the rows, in `tombolo.change_log`, in
//! the transaction that makes it: whoever writes, Tombolo, the ERP's own screens or psql. A
//! [`Position`] is a snapshot of transactions. What came between two positions is what the later one
//! sees and the earlier one does not ([`Window`]), so nothing is lost behind a long transaction, and
//! nothing comes twice.
//!
//! [`install`] creates Tombolo's own tables, [`reconcile`] puts triggers where they are wanted,
//! [`Window`] reads, [`gaps`] says what escapes, [`retain`] forgets. Each takes a connection: whose it is is
//! the caller's matter.

mod error;
mod gaps;
mod install;
mod position;
mod reconcile;
mod relation;
mod retention;
mod window;

pub use error::Error;
pub use gaps::{Gap, gaps};
pub use install::{install, is_installed};
pub use position::{InvalidPosition, Position};
pub use reconcile::{Reconciled, reconcile};
pub use relation::Relation;
pub use retention::{Retention, retain};
pub use window::{Cursor, Entry, IN_WINDOW, Operation, Page, SKIPPED, Window};
