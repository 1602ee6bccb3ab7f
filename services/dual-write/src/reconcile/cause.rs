//! Why a row is not the same.

use proto::dual_write::v1::{MapState, Side, SyncMode};

use super::compare::Found;
use crate::core::Core;
use crate::error::Error;
use crate::follow::failures;
use crate::maps::ActiveMap;

/// Says of each row why it differs, as far as that is known.
pub(super) async fn explain(core: &Core, map: &ActiveMap, source: Side, found: &mut [Found]) {
    for it in found.iter_mut().filter(|it| it.content.cause.is_empty()) {
        let failed = match failure(core, map, it).await {
            Ok(failed) => failed,
            Err(error) => {
                tracing::warn!(%error, map = map.name, "why a row differs cannot be looked up");
                None
            }
        };
        it.content.cause = failed.unwrap_or_else(|| of_state(map, source).to_owned());
    }
}

/// The first failed change of the row that nobody has settled.
async fn failure(core: &Core, map: &ActiveMap, found: &Found) -> Result<Option<String>, Error> {
    let content = &found.content;
    let records = [&content.finance_and_operations_record, &content.platform_record];
    let records = records.into_iter().flatten();
    let ids: Vec<_> = records.map(|it| it.record_id.to_vec()).filter(|it| !it.is_empty()).collect();
    let keys = [&found.erp.key, &found.platform.key];
    let digests: Vec<_> = keys.into_iter().flatten().map(crate::follow::key_digest).collect();
    let mut connection = core.store.pool().acquire().await?;
    let open = failures::of_record(&mut connection, &map.name, &ids, &digests).await?;
    Ok(open.first().map(|it| {
        let error = it.message.error.as_ref().map(|it| it.message.as_str()).unwrap_or_default();
        format!("A change of the row failed ({}): {error}", it.name())
    }))
}

fn of_state(map: &ActiveMap, source: Side) -> &'static str {
    match (map.state(), map.table_map.sync_mode(), source) {
        (MapState::Paused | MapState::Pausing, _, _) => {
            "The map is paused: the change may wait in its queue."
        }
        (MapState::Resuming, _, _) => "The map is catching up: the change may wait in its queue.",
        (MapState::Running, SyncMode::Asynchronous, _) => {
            "The row was written before the map was started, or while changes of it were not captured."
        }
        (MapState::Running, _, Side::FinanceAndOperations) => {
            "The row was written before the map was started without an initial sync, with capture \
             switched off on the ERP's database, or with tombolo.skip_business_events on."
        }
        (MapState::Running, _, _) => {
            "The row was written before the map was started without an initial sync, or its \
             counterpart was changed in a column that the map does not track."
        }
        (
            MapState::Unspecified
            | MapState::NotRunning
            | MapState::Initializing
            | MapState::Stopping,
            _,
            _,
        ) => "The map does not run: changes are not kept the same.",
    }
}
