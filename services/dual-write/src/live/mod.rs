//! Live sync: what the gateway has to know and to ask in a user's own transaction (spec A3, A4).
//!
//! [`watch`] says which tables are shared, [`translate()`] what a side's changes are to the other. The gateway
//! drives the transactions; nothing here waits for a side.

mod captures;
mod translate;

pub(crate) use captures::watch;
pub(crate) use translate::{Changes, translate};
