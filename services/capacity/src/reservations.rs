//! Capacity held for an operation, so that two setups at once cannot both take the last gigabyte.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::error::Error;
use crate::names::RESERVATIONS;
use crate::operations::{Operation, decide};
use crate::pool::Amounts;
use crate::store::{self, Change, book, reservations as table};

/// How long a reservation holds where nothing is said, and at most.
pub(crate) const LIFETIME: TimeDelta = TimeDelta::hours(2);
pub(crate) const LONGEST_LIFETIME: TimeDelta = TimeDelta::days(1);

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Held,
    Committed,
    Released,
    Expired,
}

/// Capacity held for an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) id: Uuid,
    pub(crate) amounts: Amounts,
    pub(crate) operation: Operation,
    pub(crate) holder: String,
    pub(crate) environment: String,
    pub(crate) state: State,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) expire_time: DateTime<Utc>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) operation: Operation,
    /// Besides what the operation needs by itself.
    pub(crate) more: Amounts,
    pub(crate) holder: String,
    pub(crate) environment: String,
    pub(crate) lifetime: TimeDelta,
}

// === impl State ===

impl State {
    const ALL: [Self; 4] = [Self::Held, Self::Committed, Self::Released, Self::Expired];

    /// As it is stored.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Committed => "committed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

// === impl Reservation ===

impl Reservation {
    pub(crate) fn name(&self) -> String {
        format!("{RESERVATIONS}/{}", self.id)
    }

    fn wrong_state(&self) -> Error {
        Error::State { resource: self.name(), state: self.state.name() }
    }
}

/// All of it or nothing, after those that others have asked for. Who has one already gets that.
pub(crate) async fn create(change: &mut Change, wanted: Wanted) -> Result<Reservation, Error> {
    change.decide().await?;
    if let Some(known) = table::of_holder(change.connection(), &wanted.holder).await? {
        return Ok(known);
    }
    let book = book::read(change.connection()).await?;
    let decision = decide(&book.standing(), wanted.operation, &wanted.more);
    if let Some(refusal) = decision.refusal() {
        return Err(Error::Refused(refusal));
    }
    let reservation = Reservation {
        id: Uuid::new_v4(),
        amounts: decision.needed,
        operation: wanted.operation,
        holder: wanted.holder,
        environment: wanted.environment,
        state: State::Held,
        create_time: book.now,
        expire_time: book.now + wanted.lifetime,
    };
    table::insert(change.connection(), &reservation).await?;
    Ok(reservation)
}

/// Holds it for so long from now on.
pub(crate) async fn extend(
    change: &mut Change,
    id: Uuid,
    lifetime: TimeDelta,
) -> Result<Reservation, Error> {
    let known = find(change, id).await?;
    if known.state != State::Held {
        return Err(known.wrong_state());
    }
    let expire_time = store::now(change.connection()).await? + lifetime;
    table::extend(change.connection(), id, expire_time).await?;
    find_decided(change, id).await
}

/// The operation is done: until its environment is measured, it counts by the reservation.
pub(crate) async fn commit(change: &mut Change, id: Uuid) -> Result<Reservation, Error> {
    let known = find(change, id).await?;
    match known.state {
        State::Committed => return Ok(known),
        State::Held => table::end(change.connection(), id, State::Committed).await?,
        State::Released | State::Expired => return Err(known.wrong_state()),
    }
    change.review_notices().await?;
    find_decided(change, id).await
}

/// The operation is not going to be done.
pub(crate) async fn release(change: &mut Change, id: Uuid) -> Result<Reservation, Error> {
    let known = find(change, id).await?;
    match known.state {
        State::Released => return Ok(known),
        State::Held | State::Expired => {
            table::end(change.connection(), id, State::Released).await?;
        }
        State::Committed => return Err(known.wrong_state()),
    }
    find_decided(change, id).await
}

/// As it is, and stays until this change is over.
async fn find(change: &mut Change, id: Uuid) -> Result<Reservation, Error> {
    change.decide().await?;
    find_decided(change, id).await
}

async fn find_decided(change: &mut Change, id: Uuid) -> Result<Reservation, Error> {
    let found = table::get(change.connection(), id).await?;
    found.ok_or_else(|| Error::NotFound(format!("{RESERVATIONS}/{id}")))
}
