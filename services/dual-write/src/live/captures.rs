//! Which tables are shared before their commits.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream};
use proto::dual_write::v1::{self as pb, Side, SyncMode};
use proto::query::v1::SharePhase;

use crate::core::Core;
use crate::map::translate::direction_from;
use crate::maps::{ActiveMap, link_text};

/// Longest that a save waits, where a map says nothing (spec DW-15).
const PEER_TIMEOUT: Duration = Duration::from_secs(120);

/// All that is shared.
type Captures = pb::WatchCapturesResponse;

/// As of now.
fn captures(core: &Core, revision: u64) -> Captures {
    let maps = core.maps.all();
    let link = core.maps.link().map(|it| link_text(&it)).unwrap_or_default();
    Captures {
        revision: i64::try_from(revision).unwrap_or(i64::MAX),
        captures: of_maps(maps.iter().map(|it| &**it)),
        link,
    }
}

/// At once, and after every change.
pub(crate) fn watch(core: Arc<Core>) -> impl Stream<Item = Captures> + Send {
    let changes = core.maps.subscribe();
    stream::unfold((core, changes, None), |(core, mut changes, last)| async move {
        loop {
            // Before the maps were read once, that there are none would not be true.
            let revision = match &last {
                None => changes.wait_for(|it| *it > 0).await.ok().map(|it| *it)?,
                Some(_) => {
                    changes.changed().await.ok()?;
                    *changes.borrow_and_update()
                }
            };
            let now = captures(&core, revision);
            if last.as_ref().is_none_or(|it| !same(it, &now)) {
                return Some((now.clone(), (core, changes, Some(now))));
            }
        }
    })
}

fn same(before: &Captures, now: &Captures) -> bool {
    before.captures == now.captures && before.link == now.link
}

fn of_maps<'m>(maps: impl Iterator<Item = &'m ActiveMap>) -> Vec<pb::Capture> {
    let live = maps.filter(|it| it.is_configured() && it.phase() == SharePhase::Live);
    live.flat_map(of_map).collect()
}

/// A side from which nothing goes over shares nothing. Of a map that does not fit the present tables the
/// sides know what they were told last, and the translation says why it cannot be.
fn of_map(map: &ActiveMap) -> Vec<pb::Capture> {
    let timeout = map.table_map.peer_timeout.as_ref();
    let timeout = timeout.and_then(|it| Duration::try_from(*it).ok()).unwrap_or(PEER_TIMEOUT);
    let timeout = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
    let table = |side| match side {
        Side::FinanceAndOperations => map.table_map.finance_and_operations_entity.clone(),
        Side::Platform | Side::Unspecified => map.table_map.platform_table.clone(),
    };
    let shares =
        |side: &Side| map.compiled.as_ref().is_none_or(|it| it.writes(direction_from(*side)));
    [Side::FinanceAndOperations, Side::Platform]
        .into_iter()
        .filter(shares)
        .map(|side| pb::Capture {
            map: map.name.clone(),
            side: side.into(),
            entity_name: table(side),
            display_name: map.display_name.clone(),
            queue_when_away: map.table_map.sync_mode() == SyncMode::LiveOrQueue,
            peer_timeout_milliseconds: timeout,
            columns: map.side(side).columns,
        })
        .collect()
}
