//! When a map that resumes has caught up, and goes live.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use proto::dual_write::v1::{MapState, Side};
use sqlx::PgConnection;

use crate::core::Core;
use crate::error::Error;
use crate::maps::{ActiveMap, Transition};
use crate::store::activity::Activity;

/// A look that finds no more than this has caught up: what is left is followed.
const FEW: u64 = 100;

/// Sides of maps that have caught up, in this process.
#[derive(Debug, Default)]
pub(in crate::follow) struct CaughtUp {
    maps: Mutex<HashMap<String, (i64, [bool; 2])>>,
}

// === impl CaughtUp ===

impl CaughtUp {
    /// A look at a side of the map is over, which took so many changes. With both sides caught up, the map
    /// goes live.
    pub(super) async fn saw(
        &self,
        core: &Core,
        map: &ActiveMap,
        side: Side,
        taken: u64,
    ) -> Result<(), Error> {
        if map.state() != MapState::Resuming {
            self.forget(&map.name);
            return Ok(());
        }
        if !self.note(map, side, taken <= FEW) {
            return Ok(());
        }
        self.forget(&map.name);
        let mut connection = core.store.pool().acquire().await?;
        remember_initial_sync(&mut connection, &map.name).await?;
        drop(connection);
        let activity =
            Activity::new("CaughtUp", "what had waited is on the other side; the map runs");
        let change = Transition {
            map: &map.name,
            epoch: Some(map.epoch),
            from: &[MapState::Resuming],
            to: MapState::Running,
            actor: "",
            activity,
        };
        match core.maps.transition(core, change).await {
            // Somebody paused or stopped it meanwhile.
            Ok(_) | Err(Error::State { .. } | Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether both have.
    fn note(&self, map: &ActiveMap, side: Side, caught_up: bool) -> bool {
        let mut maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
        let (epoch, sides) = maps.entry(map.name.clone()).or_default();
        if *epoch != map.epoch {
            (*epoch, *sides) = (map.epoch, [false; 2]);
        }
        let [erp, platform] = sides;
        let place = if side == Side::FinanceAndOperations { erp } else { platform };
        *place = caught_up;
        sides.iter().all(|it| *it)
    }

    fn forget(&self, map: &str) {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner).remove(map);
    }
}

/// The map is seen for the first time since it is what it is: one that runs has no copy to catch up with.
pub(super) async fn begin(connection: &mut PgConnection, map: &ActiveMap) -> Result<(), Error> {
    match map.state() {
        MapState::Running => remember_initial_sync(connection, &map.name).await,
        _ => Ok(()),
    }
}

/// Whether what waited for a map goes over change by change. Rows that an initial sync has just copied do
/// not: it read them later than the changes that wait. What comes while the map resumes does not either: rows have
/// gone over as they are by then, and an older state would take them back.
pub(super) async fn has_history(
    connection: &mut PgConnection,
    map: &ActiveMap,
    side: Side,
) -> Result<bool, Error> {
    if map.state() != MapState::Resuming || map.table_map.coalesce_queue {
        return Ok(false);
    }
    Ok(sqlx::query_scalar(
        "SELECT NOT EXISTS (
             SELECT FROM initial_sync AS i
             WHERE i.map = $1 AND i.end_time IS NOT NULL
               AND i.id > coalesce((SELECT initial_sync FROM caught_up WHERE map = $1), 0))
         AND NOT EXISTS (
             SELECT FROM replay AS r JOIN map AS m ON m.name = r.map
             WHERE r.map = $1 AND r.side = $2 AND r.end_time >= m.state_change_time)",
    )
    .bind(&map.name)
    .bind(i16::try_from(side as i32).unwrap_or_default())
    .fetch_one(connection)
    .await?)
}

/// From here on a queue of the map has a history.
async fn remember_initial_sync(connection: &mut PgConnection, map: &str) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO caught_up (map, initial_sync)
         SELECT $1, coalesce(max(id), 0) FROM initial_sync WHERE map = $1 AND end_time IS NOT NULL
         ON CONFLICT (map) DO UPDATE SET initial_sync = excluded.initial_sync",
    )
    .bind(map)
    .execute(connection)
    .await?;
    Ok(())
}
