//! One side of dual-write: what it shares with the other side, and what it takes from it.
//!
//! A side is one database, with triggers that write every change of a mapped table to the change log, in the
//! transaction that makes it. A map (`maps`, beside the rows; `map`, ready for statements) says which rows
//! take part, and what of them: their *images*. What was changed goes to the other side in one of two ways,
//! and never in both:
//!
//! - **Live**: before a transaction ends, whoever runs it asks what it has changed (`share`). That is read from
//!   the transaction's own entries, and marked in `tombolo.dual_write_shared`: entries of that transaction, up
//!   to that number, are told. It sees to it that the other side follows in the same commit.
//! - **Followed**: everything else that is not the other side's own (`touched`): what was written past Tombolo,
//!   or while the map was paused. The log is the queue: behind the position that the follower has stored
//!   everything waits, however long, and the log keeps what the follower has not asked behind yet. `history`
//!   tells the same one by one.
//!
//! What a session wrote with `tombolo.skip_business_events` on goes in neither (`skipped`): it has an origin that is
//! nobody's.
//!
//! What the other side has is written by `apply`, with the origin of its entries set, so that it is never sent
//! back. What this side's own rules do besides has no origin, as a trigger makes it (`tombolo.capture()`), or
//! is added to the log (`apply::correct` says when): it goes back as any change does, marked as a correction.
//! Where this side has changed the same row and the other has not heard of it (its entries are behind what the
//! follower asked behind last), `apply` decides column by column: what the other side did not change is left as
//! it is here; of what both changed one wins, and the loser is kept in `tombolo.dual_write_conflict`.
//!
//! `entries` makes rows of entries; `rows` compares them with what they were; `images` reads rows; `hold` locks
//! them. None of it asks for a user's rights (`rights`): only services come here.
//! Start with [`Sharing`], which serves the contract; the steps of transactions are methods of
//! [`crate::Transaction`].

mod apply;
mod configure;
mod entries;
mod history;
mod hold;
mod images;
mod log;
mod map;
mod maps;
mod own;
mod read;
mod rights;
mod rows;
mod select;
mod service;
mod share;
mod skipped;
mod touched;
mod value;

use std::time::Duration;

use change_log::Relation;
use proto::query::v1 as pb;
use sqlx::postgres::PgConnection;
use tonic::Status;

use crate::authority::Authority;
use crate::changes::{ChangeTracking, Failure};
use crate::error::Error;
use crate::pool::Lease;
use crate::provider::Provider;
use crate::server::of_operation;
use crate::write::Session;
use map::Map;
pub(crate) use rights::DUAL_WRITE;
use rights::Unrestricted;
pub(crate) use share::{nothing_left, of_end};

/// One side of dual-write: one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sharing {
    changes: ChangeTracking,
}

/// How long a row is waited for that is to be held.
const HOLD_PATIENCE: Duration = Duration::from_millis(500);

/// A step of a transaction.
#[derive(Debug)]
pub(crate) enum Step {
    /// With the number of the last entry that was shared before.
    Share(pb::Share, i64),
    Hold(Box<pb::Hold>),
    Apply(pb::Apply),
}

/// What came of a step.
#[derive(Debug)]
pub(crate) enum Taken {
    /// With the number of the last entry that is shared now.
    Shared(pb::Shared, i64),
    Held(pb::Held),
    Applied(pb::Applied),
}

/// Why a step was not taken, and of which entity, and which of its rows.
#[derive(Debug)]
pub(crate) struct Refused {
    error: Box<Error>,
    entity: String,
    index: Option<usize>,
}

// === impl Sharing ===

impl Sharing {
    /// Shares what `changes` captures, and captures what maps share.
    #[must_use]
    pub fn new(changes: ChangeTracking) -> Self {
        Self { changes }
    }

    fn changes(&self) -> &ChangeTracking {
        &self.changes
    }

    fn provider(&self) -> &Provider {
        self.changes.provider()
    }

    fn authority(&self) -> &dyn Authority {
        self.changes.authority()
    }

    /// A connection for a statement by itself.
    async fn lease(&self) -> Result<Lease, Failure> {
        let pool = self.provider().pool();
        let lease = pool.lease().await;
        lease.map_err(|error| Failure::Provider(Error::database(error)))
    }
}

/// The tables of entities that configured maps share. A definition that has changed since is followed.
pub(crate) async fn shared_tables(
    connection: &mut PgConnection,
    authority: &dyn Authority,
) -> Result<Vec<Relation>, change_log::Error> {
    let rights = Unrestricted(authority);
    let mut tables = Vec::new();
    for side in maps::list(connection, "", i64::MAX).await? {
        let name = side.map.clone();
        match Map::compile(&rights, side) {
            Ok(map) => {
                maps::relate(connection, &map).await?;
                let sources = map.binding.sources.iter();
                tables.extend(sources.map(|it| Relation::new(&*it.schema, &*it.name)));
            }
            Err(error) => tracing::warn!(map = name, %error, "a map's changes are not captured"),
        }
    }
    Ok(tables)
}

// === impl Refused ===

impl Refused {
    fn of(error: Error, entity: &str, index: usize) -> Self {
        Self { entity: entity.to_owned(), index: Some(index), ..Self::from(error) }
    }

    pub(crate) fn error(&self) -> &Error {
        &self.error
    }

    /// On the wire, with the number of the row at fault, if it is one.
    pub(crate) fn into_status(self, domain: &str) -> Status {
        let refused = self.error.into_status(domain, &self.entity);
        match self.index {
            Some(index) => of_operation(refused, index),
            None => refused,
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error: Box::new(unheld(error)), entity: String::new(), index: None }
    }
}

/// A lock that somebody holds may be part of a circle over two databases: the whole is to run again.
fn unheld(error: Error) -> Error {
    const LOCKED: &str = "55P03";
    let is_lock = |it: &sqlx::Error| {
        it.as_database_error().and_then(|it| it.code()).is_some_and(|it| it == LOCKED)
    };
    match error {
        Error::Busy(cause) if is_lock(&cause) => Error::Conflict,
        error => error,
    }
}

/// Takes a step.
pub(crate) async fn take(session: &mut Session<'_>, step: Step) -> Result<Taken, Refused> {
    Ok(match step {
        Step::Share(share, after) => {
            let (rows, last) = share::share(session, &share.link, after).await?;
            Taken::Shared(pb::Shared { rows, more: false }, last)
        }
        Step::Hold(hold) => {
            session.patience = session.patience.min(HOLD_PATIENCE);
            let selection = hold.selection.ok_or(Error::Missing("selection"))?;
            let images = hold::hold(session, selection).await?;
            Taken::Held(pb::Held { images })
        }
        Step::Apply(apply) => {
            let rows = apply::apply(session, apply).await?;
            Taken::Applied(pb::Applied { rows })
        }
    })
}
