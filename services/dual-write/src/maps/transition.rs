//! A map's way from state to state.

use proto::dual_write::v1::{MapState, Side};
use sqlx::PgConnection;

use crate::core::Core;
use crate::error::Error;
use crate::store::{self, activity::Activity};

const BOTH: [Side; 2] = [Side::FinanceAndOperations, Side::Platform];

/// A map's way from one state to another.
#[derive(Debug)]
pub(crate) struct Transition<'a> {
    pub(crate) map: &'a str,
    /// Only where it still has the epoch of what was decided upon; `None`: whatever came since.
    pub(crate) epoch: Option<i64>,
    /// It is in one of these states.
    pub(crate) from: &'a [MapState],
    pub(crate) to: MapState,
    pub(crate) actor: &'a str,
    pub(crate) activity: Activity,
}

/// Moves a map, within a transaction that may do more; the sides are told when it is committed, by
/// whoever commits it or by the next round.
pub(crate) async fn change_state(
    connection: &mut PgConnection,
    name: &str,
    from: &[MapState],
    to: MapState,
    actor: &str,
    activity: &Activity,
) -> Result<(), Error> {
    let stored = store::maps::lock(&mut *connection, name).await?;
    let state = stored.map.state();
    if !from.contains(&state) {
        let needed = "that is not where this goes on from";
        return Err(Error::State { resource: name.to_owned(), state, needed });
    }
    store::maps::set_state(&mut *connection, name, to).await?;
    match to {
        // What waited is forgotten with the position.
        MapState::NotRunning => store::positions::clear(&mut *connection, name).await?,
        _ => {
            for side in BOTH {
                store::configurations::expect(&mut *connection, name, side).await?;
            }
        }
    }
    activity.record(connection, name, actor).await
}

/// `PAUSING` and `STOPPING` end when both sides have been told.
pub(super) async fn settle(core: &Core, name: &str) -> Result<(), Error> {
    let mut transaction = core.store.begin().await?;
    let stored = match store::maps::lock(&mut transaction, name).await {
        Ok(stored) => stored,
        // It was deleted in the meantime.
        Err(Error::NotFound(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    let acknowledged = store::configurations::of(&mut transaction, name).await?;
    let told =
        |side: &Side| acknowledged.iter().any(|it| it.0 == *side && it.1.epoch == stored.epoch);
    let (to, activity) = match stored.map.state() {
        MapState::Pausing if BOTH.iter().all(told) => {
            (MapState::Paused, Activity::new("MapPaused", "Changes wait in the queue."))
        }
        MapState::Stopping if acknowledged.is_empty() => {
            let message = "The map is stopped, and off both sides.";
            (MapState::NotRunning, Activity::new("MapStopped", message))
        }
        _ => return Ok(()),
    };
    let from = [stored.map.state()];
    change_state(&mut transaction, name, &from, to, "", &activity).await?;
    transaction.commit().await?;
    core.maps.refresh(&core.store).await?;
    super::configure::both(core, name).await;
    Ok(())
}
