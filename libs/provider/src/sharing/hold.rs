//! Rows that nobody changes while the other side follows.

use proto::query::v1 as pb;
use uuid::Uuid;

use super::images;
use super::map::Map;
use super::maps;
use super::rights::Unrestricted;
use super::select::{Selected, check_size};
use crate::error::Error;
use crate::plan::Which;
use crate::write::Session;

/// Locks the rows, then reads them: what is read is what nobody changes. A commit says that the other side has it.
pub(crate) async fn hold(
    session: &mut Session<'_>,
    selection: pb::ImageSelection,
) -> Result<Vec<pb::Image>, Error> {
    let rights = Unrestricted(session.authority);
    let selected = Selected::of(selection)?;
    check_size(&selected)?;
    let map = Map::compile(&rights, selected.side.clone())?;
    let patience = Some(session.patience);
    let which = Which { unfiltered: true, unlinked: true, patience, ..selected.which() };
    let locked = images::lock(session.connection, &rights, &map, &which).await?;
    let mut ids: Vec<Uuid> = locked.into_iter().map(|it| it.0).collect();
    ids.dedup();
    if maps::are_there(session.connection, session.provider).await.map_err(Error::database)? {
        let heard = maps::hear(session.connection, &map.side.map, &ids).await;
        heard.map_err(Error::database)?;
    }
    let which = Which { ids: Some(&ids), unfiltered: selected.unfiltered, ..Which::default() };
    let seen = images::read(session.connection, &rights, &map, &which).await?;
    Ok(seen.into_iter().map(|it| it.image).collect())
}
