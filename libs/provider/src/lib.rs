//! Runs query expressions and writes over PostgreSQL, whichever service owns the rows.
//!
//! The way of a read: a [`Binding`] says where an entity's fields live; a [`Grant`] says which of its
//! rows the caller may see, and nothing runs without one; `plan` turns both and the query into one
//! SQL statement with bound values; [`Provider`] runs it on a [`Pool`] and writes rows as they come,
//! as JSON with the member names the request gives, or by column. `explain` shows the statement instead
//! of running it, and says from `indexes` what would make it fast. Start with [`Provider`].
//!
//! The way of a write: [`Provider::write`] does one operation by itself, [`Transaction`] does several as
//! one; both come to `write`, which checks, fills in and judges the row before it writes every table
//! that it is made of. An [`Authority`] says who may.

mod action;
mod authority;
mod binding;
mod changes;
mod describe;
mod error;
mod explain;
mod grant;
mod ids;
mod indexes;
mod names;
mod plan;
mod policy;
mod pool;
mod provider;
mod row;
mod server;
mod sharing;
mod transaction;
mod write;

pub use action::{BusinessLogic, InvalidAddress, Refusal};
pub use authority::{Authority, Privilege};
pub use binding::{Binding, InvalidBinding};
pub use changes::{ChangeTracking, Retention};
pub use describe::data_entity;
pub use error::{Error, is_unavailable};
pub use grant::{Denied, Grant, Grants, Refused};
pub use ids::{company_id, decode_record_guid, record_guid};
pub use pool::{Pool, PoolOptions};
pub use provider::{Provider, Rows};
pub use server::{Role, Server};
pub use sharing::Sharing;
pub use transaction::Transaction;
