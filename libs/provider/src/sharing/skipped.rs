//! What was written with the setting `tombolo.skip_business_events` on (spec DW-13), and so is told to nobody.

use change_log::SKIPPED;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::Sharing;
use super::entries::{Columns, Entries, Pages, Touched};
use super::log::{Reading, configured};
use super::map::Map;
use crate::changes::Failure;
use crate::error::Error;
use crate::plan::{Argument, Arguments};

impl Sharing {
    /// The last change of a row, if it was such a one and the log still has it.
    pub(super) async fn skipped(&self, map: &str, id: Uuid) -> Result<Option<Touched>, Failure> {
        let mut reading = Reading::begin(self).await?;
        let connection = reading.connection()?;
        let map = configured(connection, self, map).await?;
        let skipped = changes(connection, &map, id, |_| format!("origin = '{SKIPPED}'")).await?;
        let mut found = None;
        if let Some(Touched { last, .. }) = skipped {
            let from = |it: &mut Arguments| format!("seq >= {}::bigint", it.int(last));
            let since = changes(connection, &map, id, from).await?;
            found = since.filter(|it| it.last == last);
        }
        reading.end().await?.finish();
        Ok(found)
    }
}

/// What entries that meet a condition did to a row.
async fn changes(
    connection: &mut PgConnection,
    map: &Map,
    id: Uuid,
    condition: impl FnOnce(&mut Arguments) -> String,
) -> Result<Option<Touched>, Error> {
    let mut arguments = Arguments::default();
    let relations = arguments.push(Argument::Texts(map.relations()));
    let condition = condition(&mut arguments);
    let condition = format!("relation = ANY({relations}::text[]) AND {condition}");
    let entries = Entries { condition, arguments };
    let columns = Columns::of(connection, map).await?;
    let pages = Pages { among: &[id], after: (0, Uuid::nil()), limit: 1 };
    Ok(entries.touched(connection, map, &columns, Some(pages)).await?.pop())
}
