//! Starting maps: all of them or none (spec A6).
//!
//! One transaction holds the maps while both sides are told to capture their changes, so that the
//! positions from which the log will be taken, the states and the copies that begin are one decision. A
//! side that was told of a start that came to nothing is told otherwise by the next round.

use std::sync::Arc;

use proto::dual_write::v1::{self as pb, InitialSyncMode, MapState, Side};
use proto::query::v1::MapSide;
use sqlx::PgConnection;

use super::{check_names, check_states, define, requirements};
use crate::core::Core;
use crate::error::Error;
use crate::health;
use crate::initial_sync::{self, Wanted};
use crate::maps::{ActiveMap, configure};
use crate::store::activity::Activity;
use crate::store::configurations::{self, Acknowledged};
use crate::store::{self};

/// A row that a round takes away so often at the wrong moment is another matter.
const TRIES: usize = 10;
const BOTH: [Side; 2] = [Side::FinanceAndOperations, Side::Platform];

/// Who starts what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    pub(crate) starts: &'a [pb::MapStart],
    pub(crate) actor: &'a str,
}

/// What has to be true before anything is held: that the maps can be told apart, and both sides can work.
pub(crate) async fn prepare(core: &Core, starts: &[pb::MapStart]) -> Result<(), Error> {
    check_names("starts", starts.iter().map(|it| it.name.as_str()))?;
    let wrong = |it: &pb::MapStart| Side::try_from(it.initial_sync_master).is_err();
    if starts.iter().any(wrong) {
        return Err(Error::invalid("starts.initial_sync_master", "is none"));
    }
    let mut connection = core.store.pool().acquire().await?;
    let link = store::links::get(&mut connection).await?;
    let teams = store::links::teams(&mut connection).await?;
    let mut maps = Vec::new();
    for start in starts {
        maps.push(store::maps::get(&mut connection, &start.name).await?);
    }
    drop(connection);
    check_states(&maps, &[MapState::NotRunning], "only what is stopped can be started")?;
    let starting: Vec<_> = maps.into_iter().map(|it| it.map).collect();
    health::check(core, &link, &teams, &starting).await.require(&link)?;
    core.maps.refresh(&core.store).await?;
    // From here on a process that dies leaves something that the next round takes away.
    let mut transaction = core.store.begin().await?;
    for start in starts {
        for side in BOTH {
            configurations::expect(&mut transaction, &start.name, side).await?;
        }
    }
    Ok(transaction.commit().await?)
}

/// Starts all maps, in the order given, and returns the names of the copies that begin.
pub(crate) async fn start(
    core: &Arc<Core>,
    connection: &mut PgConnection,
    order: Order<'_>,
) -> Result<Vec<String>, Error> {
    store::links::hold(&mut *connection).await?;
    let names: Vec<_> = order.starts.iter().map(|it| it.name.clone()).collect();
    let maps = store::maps::lock_all(&mut *connection, &names).await?;
    check_states(&maps, &[MapState::NotRunning], "only what is stopped can be started")?;
    for it in &maps {
        requirements::check(&mut *connection, &it.map).await?;
    }
    let mut syncs = Vec::new();
    for start in order.starts {
        let map = start_one(core, &mut *connection, start, order.actor).await?;
        if start.skip_initial_sync {
            continue;
        }
        let wanted = Wanted {
            mode: InitialSyncMode::Full,
            master: start.initial_sync_master(),
            companies: &[],
            actor: order.actor,
        };
        syncs.push(initial_sync::begin(&map, wanted, &mut *connection).await?);
    }
    Ok(syncs)
}

async fn start_one(
    core: &Core,
    connection: &mut PgConnection,
    start: &pb::MapStart,
    actor: &str,
) -> Result<ActiveMap, Error> {
    let name = &start.name;
    let (state, message) = match start.skip_initial_sync {
        true => (MapState::Running, "Started without copying what is there."),
        false => (MapState::Initializing, "Started; what is there is copied."),
    };
    store::maps::set_state(&mut *connection, name, state).await?;
    store::positions::clear(&mut *connection, name).await?;
    store::reports::reset(&mut *connection, name).await?;
    let map = as_started(core, connection, name).await?;
    for side in BOTH {
        hold(core, &mut *connection, name, side).await?;
    }
    let (erp, platform) = tokio::join!(
        tell(core, Side::FinanceAndOperations, &map),
        tell(core, Side::Platform, &map)
    );
    for told in [erp?, platform?] {
        store::positions::store(&mut *connection, name, told.side, &told.position).await?;
        configurations::acknowledge(&mut *connection, name, told.side, &told.acknowledged).await?;
    }
    let detail = serde_json::json!({ "version": map.version.name, "epoch": map.epoch });
    Activity::new("MapStarted", message).with(detail).record(connection, name, actor).await?;
    Ok(map)
}

/// Holds the row by which a side is known to be told of the map. It is committed by itself, so that it is
/// there when the start comes to nothing; until it is held, a round may take it away as of a stopped map.
async fn hold(
    core: &Core,
    connection: &mut PgConnection,
    name: &str,
    side: Side,
) -> Result<(), Error> {
    for _ in 0..TRIES {
        if configurations::wait(&mut *connection, name, side).await? {
            return Ok(());
        }
        let mut own = core.store.begin().await?;
        configurations::expect(&mut own, name, side).await?;
        own.commit().await?;
    }
    Err(Error::Busy)
}

/// The map as it will be when the transaction is committed, if its version fits the present tables.
async fn as_started(
    core: &Core,
    connection: &mut PgConnection,
    name: &str,
) -> Result<ActiveMap, Error> {
    let stored = store::maps::get(&mut *connection, name).await?;
    let known = core.maps.get(name).filter(|it| it.version.name == stored.map.active_version);
    let Some(known) = known else { return Err(Error::Busy) };
    if known.compiled.is_none() {
        let schemas = core.maps.tables().get()?;
        let issues = define::findings(&stored.map, &known.version, &schemas);
        return Err(Error::Validation { resource: name.to_owned(), issues });
    }
    Ok(ActiveMap { table_map: stored.map, epoch: stored.epoch, ..(*known).clone() })
}

struct Told {
    side: Side,
    position: String,
    acknowledged: Acknowledged,
}

async fn tell(core: &Core, side: Side, map: &ActiveMap) -> Result<Told, Error> {
    let map_side: MapSide = map.side(side);
    let position = configure::tell(core, side, map_side.clone()).await?;
    let acknowledged =
        Acknowledged { epoch: map_side.epoch, map_side: prost::Message::encode_to_vec(&map_side) };
    Ok(Told { side, position, acknowledged })
}
