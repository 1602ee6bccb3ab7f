//! Changes that the log no longer tells of: rows that were written with capture switched off as a whole, as by
//! `TRUNCATE` or without triggers, or that waited longer than the log is kept (spec DW-13). That is never silent.

use proto::dual_write::v1::{Side, SyncErrorKind};
use serde_json::json;
use tonic::Status;

use super::{refusal, replay};
use crate::alerts;
use crate::core::Core;
use crate::error::Error;
use crate::maps::ActiveMap;
use crate::store::{activity, positions, side_text};

const MESSAGE: &str = "the log no longer tells what was changed";
const HELP: &str = "Compare both sides with a reconciliation and repair what differs, or stop the map and run \
                    its initial sync.";

/// Says so, and goes on at the end of the stretch. `why` is what the side said of it.
pub(super) async fn go_on(
    core: &Core,
    map: &ActiveMap,
    source: Side,
    (after, until): (&str, &str),
    why: &Status,
) -> Result<(), Error> {
    let lost = format!("{MESSAGE}: {}", why.message());
    let mut transaction = core.store.begin().await?;
    positions::store(&mut transaction, &map.name, source, until).await?;
    replay::forget(&mut transaction, &map.name, source).await?;
    let detail = json!({ "side": side_text(source), "after": after, "until": until });
    let message = format!("{lost}. {HELP}");
    activity::record(&mut transaction, &map.name, "ChangesLost", &message, "", detail).await?;
    transaction.commit().await?;
    tracing::error!(map = map.name, side = side_text(source), "{lost}");
    let mut error = refusal::own_error(SyncErrorKind::Application, lost);
    error.code = "POSITION_EXPIRED".to_owned();
    error.help = HELP.to_owned();
    error.retryable = false;
    let failure = alerts::Failure { map: map.name.clone(), source, error, record: None };
    alerts::report(core, &[failure]).await;
    Ok(())
}
