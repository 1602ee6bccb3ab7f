//! Both sides are told what a map wants of them, until each has it.

use std::time::Duration;

use prost::Message as _;
use proto::dual_write::v1::Side;
use proto::query::v1 as query;
use proto::query::v1::{MapSide, SharePhase};
use tokio::time::timeout;

use super::ActiveMap;
use crate::core::Core;
use crate::error::Error;
use crate::peers::asked;
use crate::store::configurations::{self, Acknowledged};
use crate::store::{self};

/// A side that waits for change sets under way takes a while.
const ANSWER: Duration = Duration::from_secs(15);

/// Tells both sides. What fails is told in the log, and again by the next round.
pub(crate) async fn both(core: &Core, name: &str) {
    let (erp, platform) =
        tokio::join!(one(core, name, Side::FinanceAndOperations), one(core, name, Side::Platform));
    for told in [erp, platform] {
        if let Err(error) = told {
            tracing::warn!(map = name, %error, "a side could not be told of a map; trying again");
        }
    }
}

/// Makes one side hold what the map wants of it now.
pub(super) async fn one(core: &Core, name: &str, side: Side) -> Result<(), Error> {
    let _one = core.maps.telling(side).lock().await;
    let mut transaction = core.store.begin().await?;
    let Some(acknowledged) = configurations::lock(&mut transaction, name, side).await? else {
        // There is nothing to tell, or another process is at it.
        return Ok(());
    };
    let epoch = store::maps::epoch(&mut transaction, name).await?;
    let mut active = core.maps.get(name);
    if active.as_ref().map(|it| it.epoch) != epoch {
        core.maps.refresh(&core.store).await?;
        active = core.maps.get(name);
    }
    match active.filter(|it| it.is_configured()) {
        Some(active) => {
            let Some(wanted) = wanted(&active, side, &acknowledged) else { return Ok(()) };
            let position = tell(core, side, wanted.clone()).await?;
            store::positions::begin(&mut transaction, name, side, &position).await?;
            let told = Acknowledged { epoch: wanted.epoch, map_side: wanted.encode_to_vec() };
            configurations::acknowledge(&mut transaction, name, side, &told).await?;
        }
        None => {
            remove(core, side, name).await?;
            // Who has begun it again meanwhile has found the row, and relies on it.
            if store::maps::is_still(&mut transaction, name, epoch).await? {
                configurations::forget(&mut transaction, name, side).await?;
            }
        }
    }
    Ok(transaction.commit().await?)
}

/// What the side is to hold, unless it does. Without a version that fits, changes wait as they were seen
/// last: nothing is shared that could not be understood, and nothing is missed.
fn wanted(active: &ActiveMap, side: Side, acknowledged: &Acknowledged) -> Option<MapSide> {
    let held = MapSide::decode(&*acknowledged.map_side).unwrap_or_default();
    let wanted = match &active.compiled {
        Some(_) => active.side(side),
        None if held.map.is_empty() => return None,
        None => MapSide { epoch: active.epoch, phase: SharePhase::Queued.into(), ..held.clone() },
    };
    (wanted != held || acknowledged.epoch != active.epoch).then_some(wanted)
}

/// The position behind which changes are captured.
pub(super) async fn tell(core: &Core, side: Side, map_side: MapSide) -> Result<String, Error> {
    let request = asked(query::ConfigureMapRequest { map_side: Some(map_side) });
    let mut client = core.sides.of(side).sharing();
    let answer = timeout(ANSWER, client.configure_map(request)).await;
    let answer = answer.unwrap_or_else(|_| Err(late())).map_err(|it| Error::of_side(side, it))?;
    Ok(answer.into_inner().position)
}

async fn remove(core: &Core, side: Side, map: &str) -> Result<(), Error> {
    let request = asked(query::RemoveMapRequest { map: map.to_owned() });
    let mut client = core.sides.of(side).sharing();
    let answer = timeout(ANSWER, client.remove_map(request)).await;
    answer.unwrap_or_else(|_| Err(late())).map_err(|it| Error::of_side(side, it))?;
    Ok(())
}

fn late() -> tonic::Status {
    tonic::Status::deadline_exceeded("a side did not answer in time")
}
