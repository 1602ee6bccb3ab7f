//! A map's settings, which change at once and in any state.

use proto::dual_write::v1::{Side, SyncMode, TableMap};
use sqlx::PgConnection;

use super::{check_etag, check_stopped};
use crate::error::Error;
use crate::names;
use crate::store::activity::Activity;
use crate::store::{self};

/// Longest that a user's save may wait for the other side (spec DW-15).
const LONGEST_WAIT_MILLISECONDS: i64 = 300_000;
const LONGEST_TEXT: usize = 200;
const MOST_TASKS: i32 = 64;

/// Writes the settings that `paths` name, if need be of a stopped map only.
pub(crate) async fn update(
    connection: &mut PgConnection,
    given: &TableMap,
    paths: &[String],
    only_stopped: bool,
    actor: &str,
) -> Result<(), Error> {
    names::check_map(&given.name)?;
    if paths.is_empty() {
        return Err(Error::invalid("update_mask", "names nothing"));
    }
    let mut map = store::maps::lock(&mut *connection, &given.name).await?.map;
    check_etag(&map, &given.etag)?;
    if only_stopped {
        check_stopped(&map)?;
    }
    for path in paths {
        copy(&mut map, given, path)?;
    }
    check(&map)?;
    store::maps::update_settings(&mut *connection, &map).await?;
    let message = format!("Changed: {}.", paths.join(", "));
    let activity = Activity::new("SettingsChanged", message);
    activity
        .with(serde_json::json!({ "settings": paths }))
        .record(connection, &map.name, actor)
        .await
}

/// Refuses settings that no map can have.
pub(super) fn check(map: &TableMap) -> Result<(), Error> {
    let too_long = |it: &str| it.chars().count() > LONGEST_TEXT || it.chars().any(char::is_control);
    if map.display_name.trim().is_empty() || too_long(&map.display_name) {
        let reason = format!("takes 1 to {LONGEST_TEXT} characters, none of them for control");
        return Err(Error::invalid("display_name", reason));
    }
    if too_long(&map.owning_team) {
        return Err(Error::invalid("owning_team", "is too long"));
    }
    if SyncMode::try_from(map.sync_mode).is_err() {
        return Err(Error::invalid("sync_mode", "is none"));
    }
    if Side::try_from(map.primary_side).is_err() {
        return Err(Error::invalid("primary_side", "is none"));
    }
    let waits = map.peer_timeout.as_ref().map(names::milliseconds);
    if waits.is_some_and(|it| !(1..=LONGEST_WAIT_MILLISECONDS).contains(&it)) {
        return Err(Error::invalid("peer_timeout", "is more than nothing and at most 5 minutes"));
    }
    if !(0..=MOST_TASKS).contains(&map.import_task_count) {
        let reason = format!("is 0, for the default, to {MOST_TASKS}");
        return Err(Error::invalid("import_task_count", reason));
    }
    if map.import_threshold_row_count < 0 {
        return Err(Error::invalid("import_threshold_row_count", "must not be negative"));
    }
    Ok(())
}

fn copy(map: &mut TableMap, given: &TableMap, path: &str) -> Result<(), Error> {
    match path {
        "display_name" => map.display_name.clone_from(&given.display_name),
        "sync_mode" => map.sync_mode = given.sync_mode,
        "primary_side" => map.primary_side = given.primary_side,
        "owning_team" => map.owning_team.clone_from(&given.owning_team),
        "peer_timeout" => map.peer_timeout = given.peer_timeout,
        "debug" => map.debug = given.debug,
        "coalesce_queue" => map.coalesce_queue = given.coalesce_queue,
        "import_task_count" => map.import_task_count = given.import_task_count,
        "import_threshold_row_count" => {
            map.import_threshold_row_count = given.import_threshold_row_count;
        }
        other => {
            let shown = names::shown(other);
            return Err(Error::invalid("update_mask", format!("`{shown}` cannot be changed")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_bounds() {
        let good = TableMap { display_name: "a".into(), ..TableMap::default() };
        assert!(check(&good).is_ok());
        let longest = Some(names::duration(LONGEST_WAIT_MILLISECONDS));
        assert!(check(&TableMap { peer_timeout: longest, ..good.clone() }).is_ok());
        for bad in [
            TableMap { display_name: " ".into(), ..good.clone() },
            TableMap { sync_mode: 9, ..good.clone() },
            TableMap { primary_side: -1, ..good.clone() },
            TableMap { peer_timeout: Some(names::duration(0)), ..good.clone() },
            TableMap { peer_timeout: Some(names::duration(300_001)), ..good.clone() },
            TableMap { import_task_count: -1, ..good.clone() },
            TableMap { import_threshold_row_count: -1, ..good },
        ] {
            assert!(check(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_settings_can_be_changed() {
        for path in ["name", "state", "active_version", "platform_table", "company_specific", ""] {
            let copied = copy(&mut TableMap::default(), &TableMap::default(), path);
            assert!(copied.is_err(), "{path}");
        }
    }
}
